"""Sockets and FIFOs in what sandboxes are shown of the host: a read-only mount keeps nobody from connecting to one.

connect(2) and the opening of a FIFO ask for the rights of the inode alone, not for those of the mount.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

from solven_env.errors import SandboxError, printable
from solven_env.probing.questions import Answer, limited, ok
from solven_env.profile.mounts import SYSTEM
from solven_env.sandbox.blocks import holding
from solven_env.sandbox.sources import open_bind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from solven_env.sandbox.plan import Bind

_SECONDS = 2.0
"""How long is looked, in all mounts together."""

_NAMED = 3
_DISTRIBUTIONS = frozenset(mount.source for mount in SYSTEM)


def own(mounts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of a profile's mounts that show what is not the distribution's."""
    return [each for each in mounts if each["kind"] == "bind" and each["source"] not in _DISTRIBUTIONS]


def answer(binds: Sequence[Bind]) -> Answer | None:
    """Which sockets and FIFOs there are, by their paths inside, as far as can be looked in a bounded time."""
    if not binds:
        return None
    end = time.monotonic() + _SECONDS
    found: list[str] = []
    for bind in binds:
        try:
            opened = open_bind(bind)
        except SandboxError:
            continue  # what keeps commands from starting is told by `start`
        if opened is None:
            continue
        with holding(opened):
            for path in _doors(opened, end):
                found.append(printable(f"{bind.target}{path}"))
                if len(found) > _NAMED:
                    break
    if not found:
        is_over = time.monotonic() >= end
        return limited(f"none found in {_SECONDS:.0f} s; there was more to look at") if is_over else ok("none is shown")
    more = " and more" if len(found) > _NAMED else ""
    cause = (
        "a command can connect to it, or write to it, as far as its own mode lets the sandbox's uid: "
        "read-only stops neither"
    )
    fix = "Mount a directory that has none, or close them by their modes."
    return limited(f"a socket or FIFO of the host's is shown: {', '.join(found[:_NAMED])}{more}", cause, fix)


def _doors(top: int, end: float) -> Iterator[str]:
    """The paths of sockets and FIFOs at and beneath an open file or directory, through no link, until time is up."""
    if not stat.S_ISDIR(os.fstat(top).st_mode):
        if _is_door(os.fstat(top).st_mode):
            yield ""
        return
    for path, _, names, directory in os.fwalk(".", dir_fd=top):
        for name in names:
            try:
                about = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except OSError:
                continue  # gone, or not ours to see
            if _is_door(about.st_mode):
                yield f"{path[1:]}/{name}"
        if time.monotonic() >= end:
            return


def _is_door(mode: int) -> bool:
    return stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)
