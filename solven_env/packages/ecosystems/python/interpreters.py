"""A Python of the profile's version on this host: found, or fetched by uv where the network allows it."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solven_env.errors import BuildError, PlatformError
from solven_env.packages import programs
from solven_env.packages.ecosystems.python.remembered import Interpreter, recall, remember
from solven_env.packages.steps import step
from solven_env.packages.toolchain import neutral, run_uv
from solven_env.packages.tools import uv
from solven_env.system import directories
from solven_env.system.publishing import locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from solven_env.packages.toolchain import Toolchain

_SECONDS = 30
_SHIMS = "shims"
_QUESTION = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
    "prefix": os.path.realpath(sys.base_prefix),
    "version": platform.python_version(),
    "build": sys.version,
    "platform": sysconfig.get_platform(),
    "implementation": sys.implementation.name,
    "is_movable": bool(sysconfig.get_config_var("PYTHON_BUILD_STANDALONE")),
    "is_free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


def find_python(version: str, host: Toolchain) -> Interpreter:
    """The interpreter for a profile's `version` (major and minor).

    The one that was found last time, if it is still the same file; else the first of what uv finds, what version
    managers have installed, and what uv fetches, unless it may not. The PlatformError lists in its `details` where it
    looked.
    """
    found = recall(version, host.cache)
    if found is None:
        with locked(host.cache / "tools", f"python-{version}"):
            found = recall(version, host.cache)
            if found is None:
                found = _search(version, host)
                remember(version, host.cache, found)
    return found


def folders(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories where version managers keep interpreters (pyenv, mise, asdf), in the order of search.

    Shims on PATH name a version manager too, wherever HOME is: they lie beside what they stand for.
    """
    home = Path(environ.get("HOME") or "/")
    data = directories.named("XDG_DATA_HOME", home / ".local/share", environ)
    pyenv = [environ.get("PYENV_ROOT"), home / ".pyenv"]
    others = [environ.get("MISE_DATA_DIR"), environ.get("ASDF_DATA_DIR"), data / "mise", home / ".asdf"]
    shims = [path.parent for path in map(Path, environ.get("PATH", "").split(":")) if path.name == _SHIMS]
    places = [Path(root) / "versions" for root in (*pyenv, *shims) if root]
    places += [Path(root) / "installs/python" for root in (*others, *shims) if root]
    return tuple(dict.fromkeys(places))


def _home_on_record() -> str:
    """This user's home as the system has it: HOME may be another one, empty and only for a while."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's uid without an entry
        return ""


def look(version: str, host: Toolchain, own: Path, looked: list[str]) -> Interpreter | None:
    """The interpreter that `find_python` would take without fetching one; `own` is where uv has put ours.

    `looked` gets a line for each place without one.
    """
    return _first(_candidates(version, host, own, looked), version, looked)


def own_folder(cache: Path) -> Path:
    """The directory where uv puts the interpreters that it fetches for us."""
    return cache / "python"


def _search(version: str, host: Toolchain) -> Interpreter:
    looked: list[str] = []
    own = own_folder(host.cache)
    found = look(version, host, own, looked) or _first(_fetched(version, host, own, looked), version, looked)
    if found is not None:
        return found
    raise lacking(version, looked)


def lacking(version: str, looked: Iterable[str]) -> PlatformError:
    """The error for a version that this host lacks; `looked` says of each place what is there."""
    error = PlatformError(f"there is no Python {version} on this host", fix=installing(version))
    error.details = tuple(looked)
    error.page = "hosts"
    return error


def installing(version: str) -> str:
    """The fix for a version that this host lacks: a command, ready to be pasted, that starts our own uv."""
    program = "uv" if shutil.which("uv") else str(uv().path)
    return f"Run: {shlex.join((program, 'python', 'install', version))}"


def _first(candidates: Iterable[Path], version: str, looked: list[str]) -> Interpreter | None:
    for candidate in candidates:
        found = ask(candidate, version)
        if isinstance(found, Interpreter):
            return found
        looked.append(f"{candidate} {found}")
    return None


def _candidates(version: str, host: Toolchain, own: Path, looked: list[str]) -> Iterator[Path]:
    """Paths of interpreters, the cheapest to look for first; `looked` gets a line for each place without one."""
    by_uv = _found_by_uv(version, host)
    if isinstance(by_uv, Path):
        yield by_uv
    else:
        looked.append(f"PATH, and what uv has installed: {by_uv}")
        yield from _on_path(version, host)  # uv can fail for a reason of its own: its cache, say
    for folder in dict.fromkeys((*folders(host.environ), *folders({"HOME": _home_on_record()}), own)):
        installed = _installed(folder, version)
        yield from installed
        if not installed:
            looked.append(f"{folder}: none")


def _fetched(version: str, host: Toolchain, own: Path, looked: list[str]) -> Iterator[Path]:
    try:
        with step(host.progress, f"fetching Python {version}", f"fetched Python {version}"):
            run_uv(host, "python", "install", "--no-bin", "--install-dir", own, version, purpose="uv")
    except BuildError as error:
        looked.append(f"fetching with uv: {error.message.rpartition('cause: ')[2].removeprefix('uv: ')}")
    yield from _installed(own, version)


def _found_by_uv(version: str, host: Toolchain) -> Path | str:
    """The answer of `uv python find`, or why it has none."""
    options = ("--system", "--no-project", "--no-python-downloads")  # --quiet would leave out the very path
    done = subprocess.run(  # noqa: S603
        [uv().path, "python", "find", *options, f"cpython@{version}"],
        cwd=neutral(host.cache),
        env={**host.environ, "PATH": ":".join(_shimless(host))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    said = os.fsdecode(done.stdout).strip()
    if done.returncode == 0 and said:
        return Path(said)
    words = programs.last_words(done.stderr)
    return "none" if words.startswith("No interpreter found") else words


def _on_path(version: str, host: Toolchain) -> Iterator[Path]:
    for part in _shimless(host):
        path = Path(part) / f"python{version}"
        if path.is_absolute() and os.access(path, os.X_OK):
            yield path


def _shimless(host: Toolchain) -> list[str]:
    """The directories of PATH without shims: these are no interpreters, and one may only fail."""
    return [part for part in host.environ.get("PATH", "").split(":") if Path(part).name != _SHIMS]


def _installed(folder: Path, version: str) -> list[Path]:
    """The executables of that version in a version manager's folder, the newest first.

    Folders are called 3.12.1 by pyenv and its like, cpython-3.12.1-linux-x86_64-gnu by uv; a 't' after it is a build
    without the global lock, for which most packages have no wheels.
    """
    pattern = re.compile(rf"(?:cpython-)?{re.escape(version)}\.(\d+)(?:-.*)?")
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    patches = {name: int(match[1]) for name in names if (match := pattern.fullmatch(name))}
    paths = [folder / name / "bin" / f"python{version}" for name in sorted(patches, key=lambda name: -patches[name])]
    return [path for path in paths if os.access(path, os.X_OK)]


def ask(candidate: Path, version: str) -> Interpreter | str:
    """The interpreter that answers at a path; else why it is none that we can use, in words that follow the path."""
    try:
        done = subprocess.run(  # noqa: S603
            [candidate, "-I", "-S", "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not start ({error})"
    if done.returncode:
        return f"does not start ({programs.last_words(done.stderr)})"
    try:
        about = json.loads(done.stdout)
        return _problem(about, version) or _interpreter(about)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError):
        return "does not answer as an interpreter does"


def _problem(about: Mapping[str, Any], version: str) -> str:
    if about["implementation"] != "cpython" or about["is_free_threaded"]:
        return "is no ordinary CPython"
    if not about["version"].startswith(f"{version}."):
        return f"is Python {about['version']}"
    # The sandbox shows the prefix under a fixed name, and finds the executable in it under its usual one.
    if not os.path.exists(f"{about['prefix']}/bin/python{version}"):
        return f"has no bin/python{version} in its prefix {about['prefix']}"
    return ""


def _interpreter(about: Mapping[str, Any]) -> Interpreter:
    status = os.stat(about["executable"])
    fields = {name: about[name] for name in ("executable", "prefix", "version", "build", "platform", "is_movable")}
    return Interpreter(**fields, size=status.st_size, mtime_ns=status.st_mtime_ns)
