"""Questions about the shells of a thread, and the programs and packages they find (requirements R3 to R9)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from solven_env.doctor import script
from solven_env.documents.answers import Answer, Question, broken, limited, ok
from solven_env.errors import printable
from solven_env.packages import host_tools
from solven_env.packages.ecosystems import python as python_row

if TYPE_CHECKING:
    from solven_env.doctor.inside import Inside

_LOGIN = ("bare-login", "interactive")
_OWN_FILES = "a file of the thread's own (.bash_profile, .bash_login, .profile)"


def path(inside: Inside) -> Answer:
    """PATH begins with the profile's parts for a command, in a login shell and in what that starts; no part twice."""
    wanted = _wanted_path(inside)
    for shell in ("command", "login", *_reading(inside)):
        found, noise = _environment(inside, shell)
        parts = found.get("PATH", "").split(":")
        where = "a command" if shell == "command" else f"a shell ({shell.replace('-', ' ')})"
        if parts[: len(wanted)] != wanted:
            cause = f"PATH there is {printable(':'.join(parts))}, and should begin with {':'.join(wanted)}"
            what = f"PATH is wrong in {where}{_by(inside, shell)}"
            return broken(what, f"{cause}. {noise}".rstrip(". "), _path_fix(inside, shell))
        twice = sorted(part for part, count in Counter(parts).items() if count > 1)
        if twice:
            what = f"PATH names {printable(twice[0])} twice in {where}{_by(inside, shell)}"
            return broken(what, noise, _path_fix(inside, shell) or inside.asked.apply)
    return ok(f"PATH begins with {':'.join(wanted)}")


def bashrc(inside: Inside) -> Answer | None:
    """.bashrc is read by a login shell and by an interactive one: both have the profile's variables from it alone."""
    reading = _reading(inside)
    if not reading:
        return None
    expected = {name: value for name, value in inside.settings["env"].items() if name != "PWD"}
    for shell in reading:
        found, noise = _environment(inside, shell)
        wrong = [name for name, value in expected.items() if found.get(name) != value]
        kind = "a login shell" if shell == "bare-login" else "an interactive shell"
        file, why = _blamed(inside, shell)
        said = f"it says: {noise}" if noise else why
        said = "it hangs" if inside.answer(shell).is_hung else said
        if not found:
            return broken(f"{kind} does not get past {file}", said, inside.asked.apply)
        if wrong:
            names = ", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else "")
            return broken(f"{file} is not read by {kind}: {names} not set as in the profile", said, inside.asked.apply)
        if noise:
            return limited(f".bashrc prints something in {kind}", said, inside.asked.apply)
    return ok("login and interactive shells read .bashrc" if reading == _LOGIN else "interactive shells read .bashrc")


def virtual_environment(inside: Inside) -> Answer | None:
    """It is active in a shell, and `python` is its interpreter, of the profile's version."""
    python = inside.settings["python"]
    if not python:
        return None
    which = _which(inside).get("python", "")
    if which != "/.venv/bin/python":
        cause = f"python is {printable(which) or 'not found'}: PATH or /.venv is not as it should be"
        return broken("`which python` is not /.venv/bin/python", cause, inside.asked.fresh_layer("python"))
    said = inside.answer("python")
    expected = f"/.venv/bin/python /.venv {python['version']}"
    if said.status or said.words() != expected:
        fix = inside.asked.fresh_layer("python")
        return broken("/.venv/bin/python does not start", f"it says: {said.words() or 'nothing'}", fix)
    for shell in _reading(inside):
        if _environment(inside, shell)[0].get("VIRTUAL_ENV") != python_row.TARGET:
            cause = f"{_blamed(inside, shell)[1]}, in a shell ({shell.replace('-', ' ')})"
            return broken("the virtual environment is not active", cause, inside.asked.apply)
    return ok(f"/.venv is active, with Python {python['version']}")


def packages(inside: Inside) -> Answer | None:
    """Every Python package that the profile names imports."""
    return _each(inside, "packages", "python", "import")


def modules(inside: Inside) -> Answer | None:
    """Every Node package that the profile names resolves."""
    return _each(inside, "modules", "bun", "resolve")


def programs(inside: Inside) -> Answer | None:
    """uv, pip, Bun and what they run tools with are there and start; node too, where npm is told of apart."""
    which = _which(inside)
    wanted = [
        *(("pip", "uv", "uvx") if inside.settings["python"] else ()),
        *(("bun", "bunx", "node") if inside.settings["bun"] else ()),
    ]
    for name in wanted:
        said = inside.answer(name)
        fix = inside.asked.fresh_layer("python") if name == "pip" else inside.asked.apply
        if not which.get(name):
            return broken(f"{name}: command not found", "it is nowhere on PATH", fix)
        if said.status:
            return broken(f"{name} does not start", f"it says: {said.words() or 'nothing'}", fix)
    if "node" in wanted and not which.get("npm"):
        cause = "this host has none where sandboxes see it"
        return limited(f"{', '.join(wanted)} start; there is no npm and no npx", cause)
    return ok(f"{', '.join(wanted)} start") if wanted else None


def _reading(inside: Inside) -> tuple[str, ...]:
    """The shells that have the profile's variables from .bashrc, though they start with none: interactive ones, and
    login shells where there is a .bash_profile. None if the profile has a .bashrc of its own that sets no variable.
    """
    if not inside.has_file(".bashrc") or _sets_nothing(inside):
        return ()
    return _LOGIN if inside.has_file(".bash_profile") else _LOGIN[1:]


def _sets_nothing(inside: Inside) -> bool:
    """True if .bashrc is read to its end, is as it was applied, and sets no variable of the profile and no PATH."""
    found, _ = _environment(inside, "interactive")
    variables = {name: value for name, value in inside.settings["env"].items() if name not in ("HOME", "PWD")}
    is_set = found.get("PATH", "").startswith(_wanted_path(inside)[0]) or variables.items() & found.items()
    return bool(found) and not is_set and ".bashrc" not in inside.asked.reasons()


def _wanted_path(inside: Inside) -> list[str]:
    return list(dict.fromkeys((*inside.settings["path"], *host_tools.PATH)))


def _path_fix(inside: Inside, shell: str) -> str:
    """The fix for a PATH that a file of a shell spoils: apply, or the file itself where that is as it was applied."""
    if shell == "command":
        return ""
    is_changed = _blamed(inside, shell)[0] in inside.asked.reasons()
    return inside.asked.apply if is_changed else "Have it put what it adds before or after the PATH that it finds."


def _each(inside: Inside, name: str, kind: str, verb: str) -> Answer | None:
    wanted, said = inside.packages(kind), inside.answer(name)
    if not wanted:
        return None
    pairs = (line.partition("\t") for line in said.text.decode(errors="replace").splitlines())
    found = {asked: problem for asked, tab, problem in pairs if tab}
    otherwise = f"it did not come to that: {said.words()}" if name in inside.said else "the thread has none of its kind"
    for asked in wanted:
        problem = found.get(asked, otherwise)
        if problem:
            cause = f"{printable(problem)} (a package of the profile)"
            fix = inside.asked.fresh_layer(kind) if asked in inside.applied(kind) else inside.asked.apply
            return broken(f"package not found: {asked} does not {verb}", cause, fix)
    return ok(f"{', '.join(wanted[:4])}{' …' if len(wanted) > 4 else ''} {verb}")


def _environment(inside: Inside, shell: str) -> tuple[dict[str, str], str]:
    return script.environment(inside.answer(shell))


def _by(inside: Inside, shell: str) -> str:
    return "" if shell == "command" else f", by {_blamed(inside, shell)[0]}"


def _blamed(inside: Inside, shell: str) -> tuple[str, str]:
    """The file because of which a shell is not as it should be, and what is wrong with it: the first of those that it
    reads that is not as it was applied.
    """
    reasons = inside.asked.reasons()
    for path in (".bashrc",) if shell == "interactive" else (".bash_profile", ".bashrc"):
        if path in reasons:
            return path, f"/{path}: {reasons[path]}"
    path = (
        ".bashrc" if inside.has_file(".bashrc") else "a file of the thread's own (.bash_profile, .bash_login, .profile)"
    )
    return path, f"/{path} fails" if path == ".bashrc" else ""


def _which(inside: Inside) -> dict[str, str]:
    lines = inside.answer("which").text.decode(errors="replace").splitlines()
    return {name: found for name, _, found in (line.partition("=") for line in lines)}


QUESTIONS: tuple[Question[Inside], ...] = (
    Question("PATH", path, ("start", "bash")),
    Question(".bashrc", bashrc, ("start", "bash")),
    Question("virtual environment", virtual_environment, ("start", "bash")),
    Question("Python packages", packages, ("start",)),
    Question("Node packages", modules, ("start",)),
    Question("programs", programs, ("start",)),
)
