"""Files that this process has read before: their bytes once more without reading, as long as stat(2) tells no change.

A file is told by device, inode, size, and the times of its last change of bytes (mtime) and of anything (ctime), in
nanoseconds. No program can set the last one. Two changes within one tick of a file system's clock have the same times
(git's documentation calls that racy), so that a file is remembered only once its times are older than any tick.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TICK = 2_000_000_000
"""Nanoseconds of the coarsest clock of a file system: FAT's."""
_MOST = 8192
_MOST_BYTES = 256 << 20
"""Files that are remembered, and their bytes: a profile may bring a directory of 4,096."""
_LARGEST = 1 << 20
"""The bytes of a file that are remembered; larger ones are read anew."""

_held = [0]
"""The bytes that were remembered since all were forgotten; at least those that are."""
_known: dict[tuple[int, int], tuple[tuple[int, int, int, int], bytes]] = {}


def read(path: str | Path, limit: int = -1) -> bytes:
    """The bytes of a regular file, its links followed, and at most `limit` of them. OSError as of open(2) and read(2).

    Not opened, if it is as it was when it was read last.

    >>> read("/etc/hostname") is read("/etc/hostname")
    True
    """
    known = recall(os.stat(path))
    if known is not None and not 0 <= limit < len(known):
        return known
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        data = file.read(limit)
        remember(before, os.fstat(file.fileno()), data)
    return data


def recall(status: os.stat_result) -> bytes | None:
    """The bytes of a file with this status, if it has been read since it was changed last."""
    known = _known.get((status.st_dev, status.st_ino))
    return known[1] if known is not None and known[0] == _stamp(status) else None


def remember(before: os.stat_result, after: os.stat_result, data: bytes) -> None:
    """Keep the bytes of a file for `recall`, which had these statuses before and after it was read."""
    stamp = _stamp(after)
    is_old = max(stamp[2:]) < time.time_ns() - TICK
    is_whole = _stamp(before) == stamp and len(data) == after.st_size <= _LARGEST
    if is_old and is_whole and stat.S_ISREG(after.st_mode):
        _held[0] += len(data)
        if len(_known) >= _MOST or _held[0] > _MOST_BYTES:
            _known.clear()
            _held[0] = len(data)
        _known[after.st_dev, after.st_ino] = (stamp, data)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns
