"""Directories of which the kernel tells this process each change (inotify(7)): two system calls look at all of them.

A watch sees what is done on this host, by whatever user and through whatever mount. It does not see what another host
does to a network file system. All watches of a process share one inotify instance: a user can have 128 instances, which
development servers of agents need too.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from typing import TYPE_CHECKING

from solven_env.system.blocks import holding
from solven_env.system.syscalls import HOLD_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# include/uapi/linux/inotify.h
_ATTRIB = 0x004
_MOVED = 0x040 | 0x080
_CREATE = 0x100
_DELETE = 0x200
_SELF = 0x400 | 0x800
_OVERFLOW = 0x4000
_ONLY_DIRECTORY = 0x01000000
_DONT_FOLLOW = 0x02000000
_CHANGES = _ATTRIB | _MOVED | _CREATE | _DELETE | _SELF | _ONLY_DIRECTORY | _DONT_FOLLOW
_EVENT = struct.Struct("iIII")
"""The number of a watch, what happened, a cookie, and how many bytes of a name follow."""
_PIECE = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class DirectoryWatch:
    """A watch over a directory and some beneath it: over their entries and attributes, not over bytes of files in them.

    It ends when it is closed. In a child that was forked it tells nothing.
    """

    def __init__(self, top: Path, beneath: Iterable[bytes]) -> None:
        """Begin to watch `top` and the paths `beneath` it. OSError where one cannot be watched: it is gone, or this
        user has as many watches as he may (ENOSPC, EMFILE).
        """
        self._top = top
        self._numbers = set[int]()
        self._changed = set[int]()
        with holding(os.open(top, HOLD_DIRECTORY)) as directory, _turn:
            self._identity = _identity(os.fstat(directory))
            self._instance = _have_instance()
            self._instance.users += 1
            self._is_open = True
            try:
                for path in (b".", *beneath):
                    self._add(b"/proc/self/fd/%d/%s" % (directory, path))
            except BaseException:
                self.close()
                raise

    def is_quiet(self) -> bool:
        """True if nothing has changed since the watch began, and `top` is still the directory that it was.

        Once it was not, or is closed, it is never again.
        """
        with _turn:
            if self._instance is not _the_instance or not self._is_open:
                return False
            self._instance.hear()
            if not self._changed and self._is_there():
                return True
            self.close()
            return False

    def close(self) -> None:
        """End the watch. Closing twice is no error."""
        with _turn:
            if self._instance is _the_instance and self._is_open:
                self._instance.forget(self._numbers, self._changed)
            self._is_open = False

    def __del__(self) -> None:
        if hasattr(self, "_instance"):
            self.close()

    def _add(self, path: bytes) -> None:
        number = _checked(_libc.inotify_add_watch(self._instance.descriptor, path, _CHANGES), path)
        if number not in self._numbers:
            self._numbers.add(number)
            self._instance.told.setdefault(number, []).append(self._changed)

    def _is_there(self) -> bool:
        try:
            return _identity(os.stat(self._top)) == self._identity
        except OSError:
            return False


class _Instance:
    """The inotify instance of this process. `told` has, by the number of a directory, the sets of what changed of those
    who watch it: for one directory the kernel has one number.
    """

    def __init__(self) -> None:
        self.descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), b"")
        self.told: dict[int, list[set[int]]] = {}
        self.users = 0

    def hear(self) -> None:
        """Take note of everything that the kernel has told by now."""
        try:
            while True:
                for number in _numbers(os.read(self.descriptor, _PIECE)):
                    if number < 0:  # more happened than the kernel keeps
                        self._change_all()
                    for changed in self.told.get(number, ()):
                        changed.add(number)
        except BlockingIOError:
            return
        except BaseException:  # an interrupt: nobody knows of what was told
            self._change_all()
            raise

    def forget(self, numbers: Iterable[int], changed: set[int]) -> None:
        """Tell one of these directories no more. Without anybody to tell the instance ends."""
        self.users -= 1
        if not self.users:
            _end_instance()
            return
        for number in numbers:
            self.told[number] = [each for each in self.told[number] if each is not changed]
            if not self.told[number]:
                del self.told[number]
                _libc.inotify_rm_watch(self.descriptor, number)  # an error for one that is gone, and forgotten already

    def _change_all(self) -> None:
        for number, those in self.told.items():
            for changed in those:
                changed.add(number)


_turn = threading.RLock()
_the_instance: _Instance | None = None


def _have_instance() -> _Instance:
    global _the_instance
    if _the_instance is None:
        _the_instance = _Instance()
    return _the_instance


def _end_instance() -> None:
    global _the_instance
    if _the_instance is not None:
        os.close(_the_instance.descriptor)
    _the_instance = None


def _after_fork() -> None:
    """The queue is the parent's, who would miss what a child takes of it."""
    global _turn
    _turn = threading.RLock()
    _end_instance()


os.register_at_fork(after_in_child=_after_fork)


def _numbers(events: bytes) -> Iterator[int]:
    """The watches that these events are about; -1 for an overflow of the queue."""
    place = 0
    while place < len(events):
        number, mask, _, length = _EVENT.unpack_from(events, place)
        place += _EVENT.size + length
        yield -1 if mask & _OVERFLOW else number


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _checked(result: int, path: bytes) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return result
