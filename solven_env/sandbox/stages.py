"""The stage of one command where there is no mount namespace to hide it in: a directory on disk, removed afterwards.

What a killed supervisor left is removed by the next one: a stage in use is locked by the process that uses it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from solven_env.sandbox import placeholders
from solven_env.sandbox.blocks import holding
from solven_env.sandbox.targets import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "stage-"


@contextmanager
def on_disk(record: str, opened: int) -> Iterator[str]:
    """A new directory in the thread's `record`, which is also open as the descriptor `opened`."""
    with placeholders.turn(opened):
        for name in os.listdir(record):
            if name.startswith(_PREFIX):
                _remove_unless_used(f"{record}/{name}")
        path = tempfile.mkdtemp(prefix=_PREFIX, dir=record)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def _remove_unless_used(path: str) -> None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
    finally:
        os.close(lock)


def _remove(path: str) -> None:
    """With all that commands wrote there, directories without any right too."""
    for _, names, _, parent in os.fwalk(path):
        for name in names:
            with suppress(OSError), holding(os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)) as directory:
                os.chmod(f"/proc/self/fd/{directory}", 0o700)
    shutil.rmtree(path, ignore_errors=True)
