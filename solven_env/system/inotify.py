"""Directories of which the kernel tells this process each change (inotify(7)): one system call looks at all of them.

A watch sees what is done on this host, by whatever user and through whatever mount. It does not see what another host
does to a network file system.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# include/uapi/linux/inotify.h
_ATTRIB = 0x004
_MOVED = 0x040 | 0x080
_CREATE = 0x100
_DELETE = 0x200
_SELF = 0x400 | 0x800
_ONLY_DIRECTORY = 0x01000000
_DONT_FOLLOW = 0x02000000
_CHANGES = _ATTRIB | _MOVED | _CREATE | _DELETE | _SELF | _ONLY_DIRECTORY | _DONT_FOLLOW

_libc = ctypes.CDLL(None, use_errno=True)


class DirectoryWatch:
    """A watch over directories: over their entries and their own attributes, not over bytes of files in them.

    It ends when it is closed. In a child that was forked it tells nothing.
    """

    def __init__(self, paths: Iterable[bytes]) -> None:
        """Begin to watch. OSError where one cannot be: it is gone, or this user has as many watches as he may (ENOSPC,
        EMFILE).
        """
        self._process = os.getpid()
        self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), b"")
        try:
            for path in paths:
                _checked(_libc.inotify_add_watch(self._descriptor, path, _CHANGES), path)
        except BaseException:
            self.close()
            raise

    def is_quiet(self) -> bool:
        """True if nothing has changed since the watch began. Once it was not, or is closed, it is never again."""
        if self._descriptor < 0 or self._process != os.getpid():
            return False
        try:
            os.read(self._descriptor, 4096)
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        """End the watch. Closing twice is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _checked(result: int, path: bytes) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return result
