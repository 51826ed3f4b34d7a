"""A storage's root directory: opened once, and all that a verb does in it is done beneath that descriptor.

A storage is mostly a mount. Were its path opened anew for each file, an unmount in between would have the rest of an
apply written into the empty directory beneath the mount point.
"""

from __future__ import annotations

import errno
import os
from _thread import allocate_lock
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.errors import StorageError
from solven_env.system.blocks import READ_DIRECTORY
from solven_env.system.durable import sync_directory
from solven_env.system.syscalls import HOLD_DIRECTORY, O_PATH, about, openat2

if TYPE_CHECKING:
    from solven_env.system.syscalls import About

_MODE = 0o755


class StorageRoot:
    """The directory at `path`, which need not be there yet. Nothing is opened before it is needed.

    The operator's path to it may be, or go through, a link. Errors are OSErrors, unless said otherwise. Threads of this
    process may share it.
    """

    _descriptor = -1  # also where an interrupt comes before the first line of ours

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = allocate_lock()
        self._missing: tuple[str, ...] = ()
        """Names at the end of the path that are missing, beneath the directory that the descriptor holds."""
        self.is_shared: bool | None = None
        """True where other hosts may mount its file system, which answers slowly then; None before that was asked."""

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def open(self) -> int:
        """The root's descriptor (O_PATH), which stays the object's. FileNotFoundError where the root is missing."""
        with self._turn:
            if self._descriptor < 0:
                self._reach()
            if self._missing:
                self._hold(os.open("/".join(self._missing), HOLD_DIRECTORY, dir_fd=self._descriptor))  # made meanwhile
            return self._descriptor

    def make(self) -> int:
        """The same; what is missing is made, with mode 0755 whatever the umask, and on disk afterwards.

        It is made in the directory that was the nearest when the path was first looked at, whatever is mounted or
        unmounted since.
        """
        with self._turn:
            if self._descriptor < 0:
                self._reach()
            for name in self._missing:
                try:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=self._descriptor)
                        os.chmod(name, _MODE, dir_fd=self._descriptor)
                        _sync(self._descriptor)
                    self._hold(os.open(name, HOLD_DIRECTORY, dir_fd=self._descriptor), self._missing[1:])
                except FileNotFoundError:  # a link to nowhere, or what is above was removed meanwhile
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.path)) from None
            return self._descriptor

    def look(self) -> About | None:
        """Identity of the root; None where it is missing, and then the nearest directory above it is held."""
        try:
            return about(self.open())
        except FileNotFoundError:
            return None

    def holds(self, path: str) -> bool:
        """True where anything stands at a path beneath the root, through no link."""
        try:
            os.close(openat2(self.open(), path, O_PATH | os.O_NOFOLLOW))
        except FileNotFoundError:
            return False
        return True

    def mount_point(self) -> str:
        """Mount point of the file system that the root is on. StorageError where it was unmounted meanwhile."""
        mount, found = about(self.open()).mount, ""
        real = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))  # noqa: PTH115 (Path's may not be absolute)
        with suppress(FileNotFoundError, NotADirectoryError):  # what is unmounted has no path that leads there
            for path in (real, *real.parents):
                if _about(path).mount != mount:
                    break
                found = str(path)
        if not found:
            what = "the storage was unmounted while it was looked at"
            raise StorageError(what, fix="Mount it and try again.", location=str(self.path))
        return found

    def _reach(self) -> None:
        path = self.path
        missing: tuple[str, ...] = ()
        while True:
            try:
                return self._hold(os.open(path, HOLD_DIRECTORY), missing)
            except FileNotFoundError:
                if not path.name:
                    raise
                path, missing = path.parent, (path.name, *missing)

    def _hold(self, descriptor: int, missing: tuple[str, ...] = ()) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._missing = descriptor, missing


def is_mount_point(path: str) -> bool:
    """True where something is mounted at the path now."""
    try:
        return path == "/" or _about(path).is_mount_root  # after a chroot(2), / need be no mount's root
    except (FileNotFoundError, NotADirectoryError):
        return False


def _about(path: str | Path) -> About:
    descriptor = os.open(path, HOLD_DIRECTORY)
    try:
        return about(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: int) -> None:
    opened = openat2(directory, ".", READ_DIRECTORY)
    try:
        sync_directory(opened)
    finally:
        os.close(opened)
