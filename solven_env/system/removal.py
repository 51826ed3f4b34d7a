"""Removing a tree, whoever filled it, and whoever writes in it meanwhile.

Everything acts on one name in an open directory. No link is followed, and nothing is entered that another file system
or a bind mount shows: what is mounted in the tree stays, and is a failure. A tree that is deeper than a few directories
is made flat first: a deep directory is renamed to the top, so that neither Python's stack nor the process's open files
nor PATH_MAX count.
"""

from __future__ import annotations

import errno
import os
import stat
from itertools import islice

from solven_env.system.syscalls import CONFINED, HOLD_DIRECTORY, RESOLVE_NO_XDEV, let_owner_in, openat2
from solven_env.typed import NamedTuple

_WITHIN = CONFINED | RESOLVE_NO_XDEV
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
_DEPTH = 24
"""Number of directories held open, one beneath the other."""
_BATCH = 4096
"""Number of names that are in memory at once for each of these."""
_AGAIN = 1000
"""Number of times that directories are listed once more since something came in while they were emptied."""
_MOST = 50_000_000
"""Entries that are removed at most: a writer can make new ones as fast."""
_TOLD = 20
"""Number of failures after which no more is tried."""
_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Removal(NamedTuple):
    """The end of a removal: the bytes that were freed, and the path and error of what could not be removed."""

    freed: int
    failures: tuple[tuple[str, OSError], ...] = ()


def remove_entry(directory: int, name: str) -> Removal:
    """Remove what has this name in an open directory, with all that is beneath it; nothing is no error.

        >>> remove_entry(storage, "threads/t1").failures  # doctest: +SKIP
        ()

    What cannot be removed (a mount point, a file with the attribute `immutable`) is left, with the directories above
    it; all else goes. Directories that keep their owner out are opened. Files that have another name elsewhere free
    nothing. Failures have paths from `name` on. The caller has the directory on disk afterwards.
    """
    removing = _Removing()
    removing.entry(directory, name, _Spot(None, name), 0, is_directory=_is_directory(directory, name))
    return Removal(removing.freed, tuple(removing.failures))


class _Spot(NamedTuple):
    """A name in the tree, linked upwards: a path as text would cost the square of the depth."""

    above: _Spot | None
    name: str


class _Removing:
    def __init__(self) -> None:
        self.freed = 0
        self.failures: list[tuple[str, OSError]] = []
        self._left = _MOST
        self._again = _AGAIN
        self._top = -1
        self._deep: list[tuple[str, _Spot]] = []
        """Directories that were too deep, by their names in the top one."""

    def entry(self, here: int, name: str, place: _Spot, depth: int, *, is_directory: bool) -> bool:
        """Remove one name in an open directory; False where it stays."""
        self._left -= 1
        if self._left < 0:
            return self._failed(place, OSError(errno.EBUSY, "there is more than can be removed at once"))
        try:
            if is_directory:
                return self._directory(here, name, place, depth)
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            os.unlink(name, dir_fd=here)
        except IsADirectoryError:  # put there since it was listed
            return True
        except OSError as error:
            return error.errno in _GONE or self._failed(place, error)
        if status.st_nlink == 1:
            self.freed += status.st_blocks * _BLOCK
        return True

    def _directory(self, here: int, name: str, place: _Spot, depth: int) -> bool:
        held = openat2(here, name, HOLD_DIRECTORY | os.O_NOFOLLOW, resolve=_WITHIN)
        try:
            let_owner_in(held)
            if depth >= _DEPTH:
                aside = f".deep-{os.urandom(12).hex()}"
                os.rename(name, aside, src_dir_fd=here, dst_dir_fd=self._top)
                self._deep.append((aside, place))
                return True
            opened = openat2(held, ".", _READ, resolve=_WITHIN)
        finally:
            os.close(held)
        try:
            size = os.fstat(opened).st_blocks * _BLOCK
            if depth == 0:
                self._top = opened
            is_empty = self._empty(opened, place, depth)
            while depth == 0 and self._deep:
                aside, deep = self._deep.pop()
                is_empty &= self.entry(opened, aside, deep, 1, is_directory=True)
        finally:
            os.close(opened)
        if is_empty:
            try:
                os.rmdir(name, dir_fd=here)
                self.freed += size
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                if depth:
                    return True  # something came in, or it is another one: whoever lists it next sees
                return self._come_again() and self._directory(here, name, place, depth)
        return is_empty

    def _empty(self, here: int, place: _Spot, depth: int) -> bool:
        """Remove all that is in an open directory; False where something stays."""
        stuck: set[str] = set()
        is_first = True
        while True:
            with os.scandir(here) as entries:
                found = ((each.name, _is_one(each)) for each in entries if each.name not in stuck)
                batch = list(islice(found, _BATCH))
            if not batch:
                return not stuck
            if not is_first and len(batch) < _BATCH and not self._come_again():
                return self._failed(place, OSError(errno.EBUSY, "somebody writes in it while it is removed"))
            is_first = len(batch) == _BATCH
            for name, is_directory in batch:
                if not self.entry(here, name, _Spot(place, name), depth + 1, is_directory=is_directory):
                    stuck.add(name)
                if len(self.failures) >= _TOLD:
                    return False

    def _come_again(self) -> bool:
        self._again -= 1
        return self._again >= 0

    def _failed(self, place: _Spot, error: OSError) -> bool:
        names = []
        above: _Spot | None = place
        while above is not None:
            names.append(above.name)
            above = above.above
        self.failures.append(("/".join(reversed(names)), error))
        return False


def _is_directory(directory: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:  # which its removal meets too
        return False


def _is_one(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
