"""Sockets and FIFOs in what sandboxes are shown of the host: a read-only mount keeps nobody from connecting to one.

connect(2) and the opening of a FIFO ask for the rights of the inode alone, not for those of the mount.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

from solven_env.documents.answers import Answer, limited, ok
from solven_env.errors import SandboxError, printable
from solven_env.profile.mounts import SYSTEM
from solven_env.sandbox.roots.sources import open_bind
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from solven_env.sandbox.launch_plan import Bind

SECONDS = 2.0
"""Seconds of looking, in all mounts together."""

_NAMED = 3
_DEPTH = 50
"""Directories in each other that are looked into: each takes a descriptor."""
_DISTRIBUTIONS = frozenset(mount.source for mount in SYSTEM)


def own(mounts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of a profile's mounts that show what is not the distribution's."""
    return [each for each in mounts if each["kind"] == "bind" and each["source"] not in _DISTRIBUTIONS]


def answer(binds: Sequence[Bind]) -> Answer | None:
    """The sockets and FIFOs that a look of bounded time finds, by their paths inside."""
    if not binds:
        return None
    end = time.monotonic() + SECONDS
    found: list[str] = []
    is_all = True
    for bind in binds:
        try:
            opened = open_bind(bind)
        except SandboxError:
            continue  # what keeps commands from starting is told by `start`
        if opened is None:
            continue
        with holding(opened):
            for path in _doors(opened, end):
                if path is None:
                    is_all = False
                    continue
                found.append(printable(f"{bind.target}{path}"))
                if len(found) > _NAMED:
                    break
    if not found:
        return ok("none is shown") if is_all else limited("none found so far; there was more than is looked at")
    more = " and more" if len(found) > _NAMED else ""
    cause = (
        "a command can connect to it, or write to it, as far as its own mode lets the sandbox's uid: "
        "read-only stops neither"
    )
    fix = "Mount a directory that has none, or close them by their modes."
    return limited(f"a socket or FIFO of the host's is shown: {', '.join(found[:_NAMED])}{more}", cause, fix)


def _doors(top: int, end: float) -> Iterator[str | None]:
    """The paths of sockets and FIFOs at and beneath an open file or directory, through no link; None for what was not
    looked at, being too deep, or as time was up.

    A link of the profile may show what another thread's agent writes: names in any number, directories in any depth.
    """
    mode = os.fstat(top).st_mode
    if stat.S_ISDIR(mode):
        with holding(os.open(".", READ_DIRECTORY_ITSELF, dir_fd=top)) as directory:
            yield from _beneath(directory, "", _DEPTH, end)
    elif _is_door(mode):
        yield ""


def _beneath(directory: int, path: str, depth: int, end: float) -> Iterator[str | None]:
    if not depth:
        yield None
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            if time.monotonic() >= end:
                yield None
                return
            if _is_door(_mode(entry)):
                yield f"{path}/{entry.name}"
            elif entry.is_dir(follow_symlinks=False):
                try:
                    inner = os.open(entry.name, READ_DIRECTORY_ITSELF, dir_fd=directory)
                except OSError:
                    continue  # gone, or not ours to see
                with holding(inner):
                    yield from _beneath(inner, f"{path}/{entry.name}", depth - 1, end)


def _mode(entry: os.DirEntry[str]) -> int:
    """The kind of what is neither a file, a directory nor a link; else 0, without a look at each."""
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink():
        return 0
    try:
        return entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return 0


def _is_door(mode: int) -> bool:
    return stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)
