"""Opening and reading a file of the workspace, one that its owner may not read too."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env.system.syscalls import O_PATH, openat2

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_PIECE = 1024 * 1024


@contextmanager
def opened_to_read(workspace: int, path: str) -> Iterator[int]:
    """The file at `path`, opened beneath the workspace through no link, without waiting for anything.

    What belongs to us and forbids reading (a `chmod 000` of the agent's, a `mode: "0200"` of the profile's) can be
    looked at nevertheless: its mode is another one while it is being opened, for its owner alone.
    """
    try:
        descriptor = openat2(workspace, path, _READ)
    except PermissionError:
        unreadable = _open_unreadable(workspace, path)
        if unreadable is None:
            raise
        descriptor = unreadable
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_at_most(descriptor: int, expected: int, size: int) -> bytes:
    """At most `size` bytes, in one piece where there are as many as expected: a copy would double the memory."""
    parts = []
    piece = expected + 1
    while size > 0 and (part := os.read(descriptor, min(size, piece))):
        parts.append(part)
        size -= len(part)
        piece = _PIECE
    return b"".join(parts)


def _open_unreadable(workspace: int, path: str) -> int | None:
    held = openat2(workspace, path, O_PATH | os.O_NOFOLLOW)
    try:
        status = os.fstat(held)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return None
        mode = stat.S_IMODE(status.st_mode)
        # Leads to what is held, whatever has its name by now: fchmod(2) refuses what was opened with O_PATH.
        itself = f"/proc/self/fd/{held}"
        try:
            os.chmod(itself, mode | stat.S_IRUSR)  # noqa: PTH101
            try:
                return os.open(itself, _READ & ~os.O_NOFOLLOW)
            finally:
                os.chmod(itself, mode)  # noqa: PTH101
        except BlockingIOError:  # a lease (fcntl(2)), which whoever holds it took before the file was closed to him
            raise
        except OSError:  # no /proc, a file system that is read-only: the refusal stands
            return None
    finally:
        os.close(held)
