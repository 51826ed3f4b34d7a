"""The stage of one command where there is no mount namespace to hide it in: a directory on disk, removed afterwards.

A stage in use is locked by the supervisor that uses it. What a killed one left is ended and removed by its launcher, or
by the next command.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from solven_env.sandbox.backends.proot import placeholders
from solven_env.sandbox.backends.proot.waiting import kill
from solven_env.sandbox.roots.targets import DIRECTORY
from solven_env.system.blocks import READ_DIRECTORY, holding

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "stage-"


@contextmanager
def on_disk(record: str, opened: int) -> Iterator[str]:
    """A new directory in the thread's `record`, which is also open as the descriptor `opened`."""
    with placeholders.turn(opened):
        _clear(record)
        path = tempfile.mkdtemp(prefix=_PREFIX, dir=record)
        lock = os.open(path, READ_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def clear(record: str) -> None:
    """End and remove what killed supervisors left in the thread's `record`."""
    with holding(os.open(record, READ_DIRECTORY)) as opened, placeholders.turn(opened):
        _clear(record)


def _clear(record: str) -> None:
    for name in os.listdir(record):
        if name.startswith(_PREFIX):
            _remove_unless_used(f"{record}/{name}")


def _remove_unless_used(path: str) -> None:
    with holding(os.open(path, READ_DIRECTORY)) as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _end_proot(f"{path}/root")
        _remove(path)


def _end_proot(root: str) -> None:
    """End the proot that shows `root`. SIGQUIT came to it when its supervisor was killed, and may not have ended it: it
    waits forever for a program whose parent it killed before it heard of the fork (measured, proot 5.1).

    It goes last: what it traces must not go on without it.
    """
    for pid in _pids():
        if _read(pid, "cmdline").split(b"\0")[:5] == [b"proot", b"-v", b"-1", b"-r", os.fsencode(root)]:
            while traced := [each for each in _pids() if _is_traced(each, by=pid)]:
                for each in traced:
                    kill(each)
            kill(pid)


def _is_traced(pid: int, *, by: int) -> bool:
    """True if the process is traced, and lives."""
    status = _read(pid, "status")
    return b"TracerPid:\t%d\n" % by in status and b"State:\tZ" not in status


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:  # gone, or another user's
        return b""


def _remove(path: str) -> None:
    """With all that commands wrote there, directories without any right too."""
    for _, names, _, parent in os.fwalk(path):
        for name in names:
            with suppress(OSError), holding(os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)) as directory:
                os.chmod(f"/proc/self/fd/{directory}", 0o700)
    shutil.rmtree(path, ignore_errors=True)
