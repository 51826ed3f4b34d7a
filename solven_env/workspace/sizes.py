"""Sizes of trees on disk, as du(1) counts them: allocated blocks, and a file with several names once.

Nothing is followed: neither a link nor the way onto another mount. A tree that an agent writes in cannot make us hold
more than its directories on the way and `MOST` names.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from solven_env.typed import NamedTuple
from solven_env.workspace.walking import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.workspace.walking import Within

MOST = 2_000_000
"""The entries of one tree that are looked at. Of a larger tree, the size is that of these."""
_BLOCK = 512
"""The bytes of a block of `st_blocks` (stat(2)), whatever the file system's own are."""


class DiskUse(NamedTuple):
    """The bytes that something takes on disk, at least; exactly where `is_complete`."""

    bytes: int = 0
    is_complete: bool = True

    def plus(self, other: DiskUse) -> DiskUse:
        """Both together."""
        return DiskUse(self.bytes + other.bytes, self.is_complete and other.is_complete)


class _EnoughError(Exception):
    """All entries were looked at that may be."""


class _Measuring:
    """One tree: its blocks so far, and the files with several names that were counted, by inode."""

    def __init__(self, top: os.stat_result, most: int) -> None:
        self.blocks = top.st_blocks
        self.is_complete = True
        self._device = top.st_dev
        self._left = most
        self._linked: set[int] = set()

    def look(self, directory: int, _: Within | None) -> list[str]:
        """Count what an open directory holds; the names of the directories in it."""
        below = []
        with os.scandir(directory) as entries:
            for entry in entries:
                if not self._left:
                    raise _EnoughError
                self._left -= 1
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_dev == self._device and self._is_new(status):
                    self.blocks += status.st_blocks
                    if stat.S_ISDIR(status.st_mode):
                        below.append(entry.name)
        return below

    def _is_new(self, status: os.stat_result) -> bool:
        if status.st_nlink < 2 or stat.S_ISDIR(status.st_mode):
            return True
        if status.st_ino in self._linked:
            return False
        self._linked.add(status.st_ino)
        return True


def measure(directory: int, may_be_closed: Callable[[Within], bool] = lambda _: False, most: int = MOST) -> DiskUse:
    """The size of an open directory with all that is in it.

    It is not complete where a directory is closed to this user, but for one that `may_be_closed`, and for more than
    `most` entries. WorkspaceError, which names the path beneath the directory, where the system fails.
    """
    measuring = _Measuring(os.fstat(directory), most)

    def closed(place: Within) -> None:
        measuring.is_complete = measuring.is_complete and may_be_closed(place)

    try:
        walk(directory, measuring.look, closed)
    except _EnoughError:
        measuring.is_complete = False
    return DiskUse(measuring.blocks * _BLOCK, measuring.is_complete)
