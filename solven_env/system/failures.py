"""Meanings of an OSError for a person: what happened, and how to fix it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeVar

from solven_env.errors import printable

if TYPE_CHECKING:
    from solven_env.errors import SolvenError

_Kind = TypeVar("_Kind", bound="SolvenError")

# A caller decides by these (make the parent, keep what stands there, leave a directory that is in use), so they stay
# OSErrors: FileNotFoundError, FileExistsError and, for a directory that is not empty, plain OSError.
_CALLERS_DECIDE = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)

_END = 200

_MEANINGS = {
    errno.EACCES: ("permission denied", "Run as the user that owns it, or give this user access."),
    errno.EPERM: ("the system does not permit it", "Look for an immutable attribute (`lsattr`) or a restricted mount."),
    errno.EROFS: ("the file system is read-only", "Mount it read-write."),
    errno.ENOSPC: ("no space is left", "Free space or inodes (`df`, `df -i`) and try again."),
    errno.EDQUOT: ("the disk quota is used up", "Free space or raise the quota, and try again."),
    errno.EFBIG: ("the file system takes no file of that size", "Make the file smaller."),
    errno.ELOOP: ("a symbolic link stands here or on the way, and none is followed", "Look at it and remove it."),
    errno.ENOTDIR: ("something that is no directory stands here or on the way", "Look at it and move it away."),
    errno.EISDIR: ("a directory stands where a file should", "Look at it and move it away."),
    errno.EXDEV: (
        "a mount or a way out of the directory is in between",
        "Unmount it, or keep both on one file system.",
    ),
    errno.ENXIO: ("a socket or a device stands where a file should", "Look at it and remove it."),
    errno.ENODEV: ("a device without a driver stands where a file should", "Look at it and remove it."),
    errno.EAGAIN: (
        "another process holds a lease on it",
        "Try again when that process has let go, or end it: a command of the thread with solven-env stop.",
    ),
    errno.EBUSY: ("it is in use, as a mount point perhaps", "Unmount it, or try again later."),
    errno.ENAMETOOLONG: ("the name or path is too long", "Use a shorter one: 255 bytes a name, 4095 a path."),
    errno.EIO: ("the device or the mount's daemon failed", "Read its log (`dmesg`, or the daemon's) and try again."),
    errno.ENOTCONN: ("the mount is dead: its daemon has ended", "Unmount it (`fusermount3 -u`) and mount it again."),
    errno.ESTALE: ("the mount lost track of it", "Mount it again and try again."),
    errno.EMFILE: ("this process has too many open files", "Raise its limit (`ulimit -n`)."),
    errno.ENFILE: ("the system has too many open files", "Raise fs.file-max."),
    errno.ENOLCK: ("the file system offers no locks", "Mount it with locks, or use another file system."),
}


def failure(kind: type[_Kind], location: str, error: OSError) -> _Kind:
    """`error` at `location` as a `kind` that says what to do."""
    strerror = error.strerror or str(error)
    message, fix = _MEANINGS.get(error.errno or 0, (strerror[:1].lower() + strerror[1:], ""))
    return kind(message, fix=fix, location=shown(location))


class failures_as:  # noqa: N801 (read as a verb)
    """Raise what only a person can mend as `kind`; what a caller decides by stays the OSError that it is."""

    _left: tuple[int, ...] = _CALLERS_DECIDE

    def __init__(self, kind: type[SolvenError], location: str) -> None:
        self._kind = kind
        self._location = location

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno not in self._left:
            raise failure(self._kind, self._location, error) from error


class every_failure_as(failures_as):  # noqa: N801 (read as a verb)
    """Raise what a caller might decide by as `kind`, too: here none does."""

    _left = ()


def shown(path: str) -> str:
    """`path` for a person: a name that an agent chose must not reach a terminal as control codes or broken UTF-8.

    Of one that fills the screen, its two ends.
    """
    text = printable(path)
    return text if len(text) <= 2 * _END else f"{text[:_END]}…{text[-_END:]}"
