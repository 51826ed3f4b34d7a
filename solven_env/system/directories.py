"""Directories of a user's and a host's files (https://specifications.freedesktop.org/basedir-spec).

The specification says of its variables: "If an implementation encounters a relative path [...] it should consider the
path invalid and ignore it." Taken as it is, each directory that we are called in would have a store of its own.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from solven_env.system.blocks import suppress
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "solven-env"


def cache() -> Path:
    """Our directory of what can be made again: builds, tools."""
    return _own("XDG_CACHE_HOME", ".cache")


def data() -> Path:
    """Our directory of what cannot be made again: layers, claims of uids, the default storage."""
    return _own("XDG_DATA_HOME", ".local/share")


def configuration() -> tuple[Path, ...]:
    """Directories of our configuration: the user's, then the system's."""
    return _with_systems(_own("XDG_CONFIG_HOME", ".config"), os.environ.get("XDG_CONFIG_DIRS", ""))


@functools.lru_cache(maxsize=4)
def _with_systems(own: Path, directories: str) -> tuple[Path, ...]:
    listed = _absolute(*directories.split(":")) or (Path("/etc/xdg"),)
    return (own, *(directory / _NAME for directory in listed))


def runtime() -> Path:
    """Directory of the sessions' sockets; without XDG_RUNTIME_DIR one that is root's or this user's."""
    fallback = Path("/run") / _NAME if os.geteuid() == 0 else Path(f"/tmp/{_NAME}-{os.geteuid()}")  # noqa: S108
    given = _absolute(os.environ.get("XDG_RUNTIME_DIR", ""))
    return given[0] / _NAME if given else fallback


def elsewhere(path: str) -> str:
    """The fix if one of our directories cannot be made since `path`, above or beneath it, refuses; else empty.

    A service account often has a HOME that is not there.
    """
    fixes = {
        cache(): "Let HOME name a directory of yours, or XDG_CACHE_HOME and XDG_DATA_HOME.",
        data(): "Let HOME name a directory of yours, or XDG_CACHE_HOME and XDG_DATA_HOME.",
        runtime(): "Let XDG_RUNTIME_DIR name a directory of yours.",
    }
    for own, fix in fixes.items():
        is_about_it = Path(path) in (own, *own.parents) or own in Path(path).parents
        if is_about_it and not os.path.lexists(own):
            return fix
    return ""


def named(variable: str, default: Path, environ: Mapping[str, str]) -> Path:
    """The directory that a variable names, else `default`."""
    return next(iter(_absolute(environ.get(variable, ""))), default)


def listed(variable: str, default: str, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories that a variable lists, the first counting most, else `default`."""
    return _absolute(*environ.get(variable, "").split(":")) or (Path(default),)


def _own(variable: str, beneath_home: str) -> Path:
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        return _at(os.environ.get(variable, ""), home, beneath_home)
    return named(variable, _home() / beneath_home, os.environ) / _NAME


@functools.lru_cache(maxsize=16)  # asked for thirty times by each apply
def _at(given: str, home: str, beneath_home: str) -> Path:
    return (Path(given) if given.startswith("/") else Path(home) / beneath_home) / _NAME


def _home() -> Path:
    """HOME, or without an absolute one this user's home as the system has it."""
    given = _absolute(os.environ.get("HOME", ""))
    if not given:
        import pwd

        with suppress(KeyError):  # a container's uid without an entry
            given = _absolute(pwd.getpwuid(os.geteuid()).pw_dir)
    return given[0] if given else Path("/")


def _absolute(*paths: str) -> tuple[Path, ...]:
    return tuple(Path(path) for path in paths if path.startswith("/"))
