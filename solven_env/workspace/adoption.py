"""A `chown -R` of a workspace to its owner that an agent cannot turn against the host."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING

from solven_env.system.durable import chown
from solven_env.system.syscalls import O_PATH, openat2
from solven_env.workspace.walking import GONE, WITHIN, Within, open_directory, path_of, walk

if TYPE_CHECKING:
    from collections.abc import Callable

_ENTRY = O_PATH | os.O_NOFOLLOW


class _Giving:
    """The new owner, and notes of what is told or done at the end.

    `linked` are the names seen of each file that has several, by device and inode, where `is_former` says whose it is.
    """

    def __init__(self, owner: tuple[int, int], is_former: Callable[[int], bool] | None = None) -> None:
        self.owner = owner
        self.is_former = is_former
        self.left: list[str] = []
        self.linked: dict[tuple[int, int], list[Within]] = {}


def adopt(workspace: int, owner: tuple[int, int], is_former: Callable[[int], bool] | None = None) -> tuple[str, ...]:
    """Give the open directory `workspace` and all in it to `owner` (uid, gid); the paths left with theirs, sorted.

    Left are: files with a second name (a hard link), which may be `/etc/shadow`; devices; what another file system is
    mounted on; and what the file system refuses to give. What is the owner's already is not touched. WorkspaceError
    where the system fails.

    With `is_former` only what belongs to such a uid is given, a file with several names too where all of them are in
    here. The directory itself comes last: as long as it has another owner, this did not end.
    """
    giving = _Giving(owner, is_former)
    walk(workspace, lambda directory, place: _adopt_names(directory, place, giving))
    for inode, places in giving.linked.items():
        paths = [path_of(place) for place in places]
        if not _give_linked(workspace, inode, paths, giving):
            giving.left += paths
    if not _give(workspace, Within(None, "."), giving):
        giving.left.append(".")
    return tuple(sorted(giving.left))


def adopt_directory(workspace: int, path: str, owner: tuple[int, int]) -> None:
    """Give the directory at `path` beneath `workspace` to `owner`, unless it is a mount point or none is there."""
    directory = open_directory(workspace, path)
    if directory is not None:
        try:
            _give(directory, Within(None, path), _Giving(owner))
        finally:
            os.close(directory)


def _adopt_names(directory: int, above: Within | None, giving: _Giving) -> list[str]:
    """Give the owner what has a name in one open directory; the names of directories."""
    below: list[str] = []
    for name in os.listdir(directory):
        place = Within(above, name)
        try:
            entry = openat2(directory, name, _ENTRY, resolve=WITHIN)
        except OSError as error:
            if error.errno == errno.EXDEV:
                giving.left.append(path_of(place))
            elif error.errno not in GONE:
                raise
            continue
        try:
            if not _give(entry, place, giving):
                giving.left.append(path_of(place))
            if stat.S_ISDIR(os.fstat(entry).st_mode):
                below.append(name)
        finally:
            os.close(entry)
    return below


def _give(descriptor: int, place: Within, giving: _Giving) -> bool:
    """Give one open thing to the owner; False where it keeps another one. True also where its turn comes later."""
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
        giving.linked.setdefault((status.st_dev, status.st_ino), []).append(place)
        return True
    return chown(descriptor, giving.owner)


def _give_linked(workspace: int, inode: tuple[int, int], paths: list[str], giving: _Giving) -> bool:
    """Give a file all of whose names were seen: none of them is elsewhere on the host."""
    directory = open_directory(workspace, posixpath.dirname(paths[0]))
    if directory is None:
        return True
    try:
        entry = openat2(directory, posixpath.basename(paths[0]), _ENTRY, resolve=WITHIN)
    except OSError as error:
        if error.errno not in (*GONE, errno.EXDEV):
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
