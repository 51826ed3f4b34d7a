"""What is asked about a thread from inside of its sandbox, as its commands find it (requirements R3 to R9 and R15)."""

from __future__ import annotations

import os
import secrets
import select
import threading
from typing import TYPE_CHECKING, Any

from solven_env import launch, running
from solven_env.errors import SandboxError, SolvenError, printable
from solven_env.probing import script, starting
from solven_env.probing.questions import Answer, Question, broken, limited, ok
from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.probing.script import Said
    from solven_env.probing.thread import Asked

_SECONDS = 300.0
_PATIENCE = 20.0
_LOGIN = ("bare-login", "interactive")
_UNBUFFERED = 'import os, sys; print("here"); print("there", file=sys.stderr); os.read(0, 1)'
_NOTHING: Said = script.Said(-1, b"")


class Inside:
    """A thread's sandbox, and what was said there once it was started."""

    def __init__(self, asked: Asked) -> None:
        """Nothing is started yet."""
        self.asked = asked
        self.said: Mapping[str, Said] = {}

    @property
    def settings(self) -> Any:
        """What the last apply recorded for launches."""
        return self.asked.settings

    def has_file(self, path: str) -> bool:
        """Whether the profile renders it."""
        return self.asked.record is not None and f"file:{path}" in self.asked.record.resources

    def run(self, argv: Sequence[str], **env: str) -> starting.Done:
        """Run a command as `run` does, to its end."""
        return starting.start_in(self.asked.thread, argv, env, _SECONDS)


def start(inside: Inside) -> Answer:
    """The sandbox really starts; everything that can be asked by a command in it is asked at once."""
    python, bun = inside.settings["python"], inside.settings["bun"]
    mark, file = secrets.token_hex(12), f".solven-env-{secrets.token_hex(8)}.tmp"
    command = script.argv(
        mark, file, has_python=bool(python), has_bun=bool(bun), packages=_names(python["packages"] if python else ())
    )
    try:
        done = inside.run(command, **script.variables(tuple(bun["packages"]) if bun else ()))
    except SandboxError as error:
        why = next((each["why"] for each in inside.settings["mounts"] if each["target"] == error.location), "")
        where = f"{error.location}: " if error.location else ""
        cause = f"it is there for: {why}" if why else ""
        return broken(f"the sandbox does not start: {where}{error.message}", cause, error.fix or inside.asked.apply)
    finally:
        _remove(inside, file)
    inside.said = script.parse(mark, done.out)
    if not inside.said:
        words = script.Said(done.status, done.err or done.out).words()
        return broken("a command does not run", f"it ended with {done.status} and said: {words or 'nothing'}")
    return ok("a command starts in the sandbox")


def status(inside: Inside) -> Answer:
    """A command's exit status is what its caller gets, and its two streams stay apart in two files."""
    done = inside.run(("sh", "-c", "echo out; echo err >&2; exit 42"))
    if done.status != 42:
        return broken(f"a command that exits with 42 gives {done.status}")
    if (done.out, done.err) != (b"out\n", b"err\n"):
        return broken("redirected output does not arrive as it was written", f"{done.out!r}, {done.err!r}")
    return ok("exit status 42 comes through, output arrives when redirected")


def unbuffered(inside: Inside) -> Answer | None:
    """What a Python script prints is there while it runs: it prints, and waits until that was read."""
    if not inside.settings["python"]:
        return None
    go, wait = os.pipe()
    read, out = os.pipe()
    prepared = running.prepare(
        inside.asked.thread, ("python", "-c", _UNBUFFERED), cwd="/", timeout=_SECONDS, env={}, network=None
    )
    failures: list[BaseException] = []

    def run() -> None:
        try:
            running.run(prepared, stdin=go, stdout=out, stderr=out)
        except SolvenError as error:
            failures.append(error)
        finally:
            os.close(out)

    command = threading.Thread(target=run)
    command.start()
    try:
        seen = _read_until(read, b"here")
    finally:
        os.close(wait)
        command.join()
        os.close(go)
        os.close(read)
    for failure in failures:
        raise failure
    if b"here" in seen:
        return ok("what a script prints arrives while it runs")
    if inside.settings["env"].get("PYTHONUNBUFFERED"):
        return broken("what a Python script prints does not arrive while it runs", script.Said(0, seen).words())
    cause = "the profile's env has no PYTHONUNBUFFERED"
    return limited("Python keeps what a script prints until it ends", cause, 'Add PYTHONUNBUFFERED: "1" to env.')


def path(inside: Inside) -> Answer:
    """PATH begins with the profile's parts for a command, in a login shell and in what that starts; no part twice."""
    wanted = [*inside.settings["path"], "/run/solven-env/bin"]
    shells = ("command", "login", *(_LOGIN if inside.has_file(".bashrc") else ()))
    for shell in shells:
        found, noise = _environment(inside, shell)
        parts = found.get("PATH", "").split(":")
        where = "a command" if shell == "command" else f"a shell ({shell.replace('-', ' ')})"
        if parts[: len(wanted)] != wanted:
            cause = f"PATH there is {printable(':'.join(parts))}, and should begin with {':'.join(wanted)}"
            fix = inside.asked.apply if shell != "command" else ""
            return broken(f"PATH is wrong in {where}{_by(shell)}", f"{cause}. {noise}".rstrip(". "), fix)
        twice = sorted({part for part in parts if parts.count(part) > 1})
        if twice:
            return broken(f"PATH names {printable(twice[0])} twice in {where}{_by(shell)}", noise, inside.asked.apply)
    return ok(f"PATH begins with {':'.join(wanted)}")


def bashrc(inside: Inside) -> Answer | None:
    """.bashrc is read by a login shell and by an interactive one: both have the profile's variables from it alone."""
    if not inside.has_file(".bashrc"):
        return None
    expected = {name: value for name, value in inside.settings["env"].items() if name != "PWD"}
    for shell in _LOGIN if inside.has_file(".bash_profile") else _LOGIN[1:]:
        found, noise = _environment(inside, shell)
        wrong = [name for name, value in expected.items() if found.get(name) != value]
        kind = "a login shell" if shell == "bare-login" else "an interactive shell"
        said = f"it says: {noise}" if noise else "/.bashrc is missing, was changed, or fails"
        if not found:
            return broken(f"{kind} does not get past .bashrc", said, inside.asked.apply)
        if wrong:
            names = ", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else "")
            return broken(f".bashrc is not read by {kind}: {names} not set as in the profile", said, inside.asked.apply)
        if noise:
            return limited(f".bashrc prints something in {kind}", said, inside.asked.apply)
    return ok("login and interactive shells read .bashrc")


def virtual_environment(inside: Inside) -> Answer | None:
    """It is active in a shell, and `python` is its interpreter, of the profile's version."""
    python = inside.settings["python"]
    if not python:
        return None
    which = _which(inside).get("python", "")
    if which != "/.venv/bin/python":
        cause = f"python is {printable(which) or 'not found'}: PATH or /.venv is not as it should be"
        return broken("`which python` is not /.venv/bin/python", cause, inside.asked.apply)
    said = inside.said.get("python", _NOTHING)
    expected = f"/.venv/bin/python /.venv {python['version']}"
    if said.status or said.words() != expected:
        return broken("/.venv/bin/python does not start", f"it says: {said.words()}", inside.asked.apply)
    shells = _LOGIN if inside.has_file(".bashrc") else ()
    for shell in shells:
        if _environment(inside, shell)[0].get("VIRTUAL_ENV") != "/.venv":
            cause = f"/.bashrc did not activate it in a shell ({shell.replace('-', ' ')})"
            return broken("the virtual environment is not active", cause, inside.asked.apply)
    return ok(f"/.venv is active, with Python {python['version']}")


def packages(inside: Inside) -> Answer | None:
    """Every Python package that the profile names imports."""
    python = inside.settings["python"]
    return _each(inside, "packages", _names(python["packages"]), "import") if python and python["packages"] else None


def modules(inside: Inside) -> Answer | None:
    """Every Node package that the profile names resolves."""
    bun = inside.settings["bun"]
    return _each(inside, "modules", tuple(bun["packages"]), "resolve") if bun and bun["packages"] else None


def programs(inside: Inside) -> Answer | None:
    """uv, pip and bun are there and start; node too, where npm is told of apart."""
    which = _which(inside)
    wanted = [
        *(("pip", "uv") if inside.settings["python"] else ()),
        *(("bun", "node") if inside.settings["bun"] else ()),
    ]
    for name in wanted:
        said = inside.said.get(name, _NOTHING)
        if not which.get(name):
            return broken(f"{name}: command not found", "it is nowhere on PATH", inside.asked.apply)
        if said.status:
            return broken(f"{name} does not start", f"it says: {said.words()}", inside.asked.apply)
    if "node" in wanted and not which.get("npm"):
        return limited(f"{', '.join(wanted)} start; there is no npm", "this host has none where sandboxes see it")
    return ok(f"{', '.join(wanted)} start") if wanted else None


def null(inside: Inside) -> Answer:
    """/dev/null swallows and is empty; zero and urandom give bytes."""
    said = inside.said.get("null", _NOTHING)
    if said.status:
        return broken("/dev/null, /dev/zero or /dev/urandom does not work", said.words())
    return ok("/dev/null swallows, zero and urandom give")


def writable(inside: Inside) -> Answer:
    """A file is written, read and deleted in `/`, in /tmp, and in the layers."""
    for name, said in inside.said.items():
        if name.startswith("write ") and said.status:
            place = name.removeprefix("write ")
            uid = inside.asked.host.uid if inside.asked.host.uid is not None else os.geteuid()
            where = inside.asked.workspace if place == "/" else place
            fix = f"Run: chown -R {uid}:{uid} {where}" if place == "/" else inside.asked.apply
            return broken(f"{place} cannot be written inside", said.words(), fix)
    places = [name.removeprefix("write ") for name in inside.said if name.startswith("write ")]
    return ok(f"written and deleted in {', '.join(places)}")


def mounts(inside: Inside) -> Answer | None:
    """Every mount and link of the profile is there, of its kind, and read-only where it should be."""
    if inside.settings["backend"] != "bubblewrap":
        return None  # proot mounts nothing
    seen = _mounted(inside.said.get("mounts", _NOTHING).text)
    for each in inside.settings["mounts"]:
        target = each["target"]
        problem = _mount_problem(each, seen.get(target))
        if problem:
            return broken(f"{target} {problem}", f"it is there for: {each['why'] or 'the profile'}", inside.asked.apply)
    for link in inside.settings["links"]:
        found = seen.get(f"/{link['path']}")
        if found is None and not link["optional"]:
            return broken(f"the link /{printable(link['path'])} is not mounted", fix=inside.asked.apply)
        if found and found[0] != (link["access"] == "read-only"):
            return broken(f"the link /{printable(link['path'])} has not the access that the profile says")
    for kind in ("python", "bun"):
        target = launch.TARGETS[kind]
        if inside.settings[kind] and seen.get(target, (False, ""))[1] != "overlay":
            return broken(f"{target} shows no build below a layer", fix=inside.asked.apply)
    return ok(f"{len(inside.settings['mounts'])} mounts are as the profile says")


def interfaces(inside: Inside) -> Answer | None:
    """Without a network a command has loopback alone."""
    if inside.settings["network"] != "none" or inside.settings["backend"] != "bubblewrap":
        return None
    lines = inside.said.get("interfaces", _NOTHING).text.decode(errors="replace").splitlines()
    names = [line.partition(":")[0].strip() for line in lines if ":" in line]
    if names != ["lo"]:
        return broken("a sandbox without network has interfaces", ", ".join(map(printable, names)) or "none at all")
    return ok("loopback alone, as the profile says")


def _names(requirements: Sequence[str]) -> tuple[str, ...]:
    """The packages' names, without those that a marker leaves out on some host."""
    parsed = filter(None, map(pep508.parse, requirements))
    return tuple(requirement.name for requirement in parsed if not requirement.marker)


def _each(inside: Inside, name: str, wanted: Sequence[str], verb: str) -> Answer:
    said = inside.said.get(name, _NOTHING)
    pairs = (line.partition("\t") for line in said.text.decode(errors="replace").splitlines())
    found = {asked: problem for asked, tab, problem in pairs if tab}
    for asked in wanted:
        problem = found.get(asked, f"it did not come to that: {said.words()}")
        if problem:
            cause = f"{printable(problem)} (a package of the profile)"
            return broken(f"package not found: {asked} does not {verb}", cause, inside.asked.apply)
    return ok(f"{', '.join(wanted[:4])}{' …' if len(wanted) > 4 else ''} {verb}")


def _environment(inside: Inside, shell: str) -> tuple[dict[str, str], str]:
    return script.environment(inside.said.get(shell, _NOTHING))


def _by(shell: str) -> str:
    return "" if shell == "command" else ", by .bashrc"


def _which(inside: Inside) -> dict[str, str]:
    lines = inside.said.get("which", _NOTHING).text.decode(errors="replace").splitlines()
    return {name: found for name, _, found in (line.partition("=") for line in lines)}


def _mounted(mountinfo: bytes) -> dict[str, tuple[bool, str]]:
    """By each target whether it is read-only, and its kind (proc(5)); of several the last one covers the others."""
    seen = {}
    for line in mountinfo.decode(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) > 5 and after:
            seen[fields[4]] = ("ro" in fields[5].split(","), after.split()[0])
    return seen


def _mount_problem(each: Mapping[str, Any], found: tuple[bool, str] | None) -> str:
    if found is None:
        return "" if each["optional"] else "is not mounted"
    read_only, kind = found
    if each["kind"] == "bind":
        return "" if read_only else "can be written, and must not be"
    wanted = {"proc": "proc", "dev": "tmpfs", "tmpfs": "tmpfs"}[each["kind"]]
    return "" if kind == wanted else f"is a mount of kind {kind}, not {wanted}"


def _remove(inside: Inside, file: str) -> None:
    """Take away what a sandbox that was killed half-way left in the workspace of what was tried."""
    with inside.asked.thread.open_root() as root:  # type: ignore[union-attr]
        if root.stat(file) is not None:
            root.remove(file)


def _read_until(descriptor: int, word: bytes) -> bytes:
    seen = b""
    while word not in seen and select.select([descriptor], [], [], _PATIENCE)[0]:
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        seen += piece
    return seen


QUESTIONS: tuple[Question[Inside], ...] = (
    Question("start", start),
    Question("exit status", status, ("start",)),
    Question("unbuffered", unbuffered, ("start",)),
    Question("PATH", path, ("start",)),
    Question(".bashrc", bashrc, ("start",)),
    Question("virtual environment", virtual_environment, ("start",)),
    Question("Python packages", packages, ("start",)),
    Question("Node packages", modules, ("start",)),
    Question("programs", programs, ("start",)),
    Question("/dev/null", null, ("start",)),
    Question("writing", writable, ("start",)),
    Question("mounts", mounts, ("start",)),
    Question("interfaces", interfaces, ("start",)),
)
