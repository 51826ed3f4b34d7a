"""Giving a workspace to its owner, once: what root's `chown -R` would do, without what an agent could make of that."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass

from solven_env.durable import chown
from solven_env.errors import WorkspaceError
from solven_env.failures import failures_as
from solven_env.syscalls import CONFINED, O_PATH, RESOLVE_NO_XDEV, openat2
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHIN = CONFINED | RESOLVE_NO_XDEV
_ENTRY = O_PATH | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_NONBLOCK
_STRETCH = 4000
"""The bytes of a path that one look-up gets: the kernel takes PATH_MAX, 4096."""

# The agent took it away or put something else there since it was listed: what stands there now is the agent's own.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    # Linked upwards, so that a tree however deep costs one name a directory, and no recursion.
    above: _Place | None
    name: str


class _Giving:
    """Whom things are given to, and what is to be told or done in the end.

    `linked` are the names seen of each file that has several, by device and inode, where `is_former` says whose it is.
    """

    def __init__(self, owner: tuple[int, int], is_former: Callable[[int], bool] | None = None) -> None:
        self.owner = owner
        self.is_former = is_former
        self.left: list[str] = []
        self.linked: dict[tuple[int, int], list[str]] = {}


def adopt(workspace: int, owner: tuple[int, int], is_former: Callable[[int], bool] | None = None) -> tuple[str, ...]:
    """Give the open directory `workspace` and all in it to `owner` (uid, gid); the paths left with theirs, sorted.

    Left are: files with a second name (a hard link), which may be `/etc/shadow`; devices; what another file system is
    mounted on; and what the file system refuses to give. What is the owner's already is not touched. WorkspaceError
    where the system fails.

    With `is_former` only what belongs to such a uid is given, a file with several names too where all of them are in
    here. The directory itself comes last: as long as it has another owner, this did not end.
    """
    giving = _Giving(owner, is_former)
    pending: list[_Place | None] = [None]
    while pending:
        place = pending.pop()
        path = _path(place)
        with failures_as(WorkspaceError, path):
            below = _adopt_names(workspace, path, giving)
        pending += (_Place(place, name) for name in below)
    for inode, paths in giving.linked.items():
        if not _give_linked(workspace, inode, paths, giving):
            giving.left += paths
    if not _give(workspace, ".", giving):
        giving.left.append(".")
    return tuple(sorted(giving.left))


def adopt_directory(workspace: int, path: str, owner: tuple[int, int]) -> None:
    """Give the directory at `path` beneath `workspace` to `owner`, unless it is a mount point or none is there."""
    directory = _open_directory(workspace, path)
    if directory is not None:
        try:
            _give(directory, path, _Giving(owner))
        finally:
            os.close(directory)


def _adopt_names(workspace: int, path: str, giving: _Giving) -> list[str]:
    """Give the owner what has a name in one directory; the names of directories."""
    below: list[str] = []
    # Opened anew from the top: one descriptor for each level would run out in a tree made for that.
    directory = _open_directory(workspace, path)
    if directory is None:
        return below
    try:
        for name in os.listdir(directory):  # noqa: PTH208, pathlib takes no descriptor
            try:
                entry = openat2(directory, name, _ENTRY, resolve=_WITHIN)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    giving.left.append(posixpath.join(path, name))
                elif error.errno not in _GONE:
                    raise
                continue
            try:
                if not _give(entry, posixpath.join(path, name), giving):
                    giving.left.append(posixpath.join(path, name))
                if stat.S_ISDIR(os.fstat(entry).st_mode):
                    below.append(name)
            finally:
                os.close(entry)
    finally:
        os.close(directory)
    return below


def _give(descriptor: int, path: str, giving: _Giving) -> bool:
    """Whether it is the owner's now, or its turn comes later, or it is none of what is to be given."""
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) == giving.owner:
        return True
    if giving.is_former is not None and not giving.is_former(status.st_uid):
        return True
    if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        return False
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        if giving.is_former is None:
            return False
        giving.linked.setdefault((status.st_dev, status.st_ino), []).append(path)
        return True
    return chown(descriptor, giving.owner)


def _give_linked(workspace: int, inode: tuple[int, int], paths: list[str], giving: _Giving) -> bool:
    """Give a file all of whose names were seen: none of them is elsewhere on the host."""
    directory = _open_directory(workspace, posixpath.dirname(paths[0]))
    if directory is None:
        return True
    try:
        entry = openat2(directory, posixpath.basename(paths[0]), _ENTRY, resolve=_WITHIN)
    except OSError as error:
        if error.errno not in (*_GONE, errno.EXDEV):
            raise
        return True
    finally:
        os.close(directory)
    try:
        status = os.fstat(entry)
        if (status.st_dev, status.st_ino) != inode:
            return True
        return status.st_nlink == len(paths) and chown(entry, giving.owner)
    finally:
        os.close(entry)


def _open_directory(workspace: int, path: str) -> int | None:
    here = os.dup(workspace)
    try:
        for stretch in _stretches(path):
            there = openat2(here, stretch, _DIRECTORY, resolve=_WITHIN)
            os.close(here)
            here = there
    except OSError as error:
        os.close(here)
        if error.errno in (*_GONE, errno.EXDEV):
            return None
        raise
    return here


def _stretches(path: str) -> list[str]:
    """Cut a path that may be longer than PATH_MAX into parts that a look-up takes."""
    stretches: list[list[str]] = [["."]]
    size = 0
    for name in path.split("/") if path else ():
        length = len(os.fsencode(name)) + 1
        if size + length > _STRETCH:
            stretches.append([])
            size = 0
        stretches[-1].append(name)
        size += length
    return ["/".join(stretch) for stretch in stretches]


def _path(place: _Place | None) -> str:
    names = []
    while place is not None:
        names.append(place.name)
        place = place.above
    return "/".join(reversed(names))
