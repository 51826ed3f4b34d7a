"""A `chown -R` of a workspace to its owner that an agent cannot turn against the host."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.system.durable import chown
from solven_env.system.failures import failures_as
from solven_env.system.syscalls import CONFINED, O_PATH, RESOLVE_NO_XDEV, openat2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WITHIN = CONFINED | RESOLVE_NO_XDEV
_ENTRY = O_PATH | os.O_NOFOLLOW
_OPEN = 32
"""Number of directories held open at once; those above them are opened again when it is their turn."""
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
    """The new owner, and notes of what is told or done at the end.

    `linked` are the names seen of each file that has several, by device and inode, where `is_former` says whose it is.
    """

    def __init__(self, owner: tuple[int, int], is_former: Callable[[int], bool] | None = None) -> None:
        self.owner = owner
        self.is_former = is_former
        self.left: list[str] = []
        self.linked: dict[tuple[int, int], list[_Place]] = {}


class _Frame:
    """A directory with others in it that are still to be looked into. `descriptor` is None where it was closed."""

    def __init__(self, place: _Place | None, descriptor: int | None, below: list[str]) -> None:
        self.place = place
        self.descriptor = descriptor
        self.below = below


def adopt(workspace: int, owner: tuple[int, int], is_former: Callable[[int], bool] | None = None) -> tuple[str, ...]:
    """Give the open directory `workspace` and all in it to `owner` (uid, gid); the paths left with theirs, sorted.

    Left are: files with a second name (a hard link), which may be `/etc/shadow`; devices; what another file system is
    mounted on; and what the file system refuses to give. What is the owner's already is not touched. WorkspaceError
    where the system fails.

    With `is_former` only what belongs to such a uid is given, a file with several names too where all of them are in
    here. The directory itself comes last: as long as it has another owner, this did not end.
    """
    giving = _Giving(owner, is_former)
    frames = [_Frame(None, os.dup(workspace), [])]
    try:
        frames[0].below = _names_given(frames[0], giving)
        while frames:
            _look_into_next(workspace, frames, giving)
    finally:
        for frame in frames:
            _close(frame)
    for inode, places in giving.linked.items():
        paths = [_path(place) for place in places]
        if not _give_linked(workspace, inode, paths, giving):
            giving.left += paths
    if not _give(workspace, _Place(None, "."), giving):
        giving.left.append(".")
    return tuple(sorted(giving.left))


def _look_into_next(workspace: int, frames: list[_Frame], giving: _Giving) -> None:
    """Go one directory further. What is in it is looked up beneath its descriptor: from the top, a tree as deep as an
    agent makes it would cost the square of that.
    """
    frame = frames[-1]
    if not frame.below:
        _close(frames.pop())
        return
    if frame.descriptor is None:
        _reopen(workspace, frames[-_OPEN:])
    if frame.descriptor is None:  # the agent took it away
        frame.below.clear()
        return
    inner = _Frame(_Place(frame.place, frame.below.pop()), None, [])
    inner.descriptor = _open_beneath(frame.descriptor, inner.place)
    if not frame.below:
        _close(frames.pop())  # nobody comes back to it: a chain of directories takes two descriptors
    if inner.descriptor is not None:
        try:
            inner.below = _names_given(inner, giving)
        finally:
            frames.append(inner)
    if len(frames) > _OPEN:
        _close(frames[-_OPEN - 1])


def _names_given(frame: _Frame, giving: _Giving) -> list[str]:
    with _failures_of(frame.place):
        assert frame.descriptor is not None
        return _adopt_names(frame.descriptor, frame.place, giving)


def _open_beneath(directory: int, place: _Place | None) -> int | None:
    assert place is not None
    with _failures_of(place):
        return _open_directory(directory, place.name)


def _reopen(workspace: int, frames: list[_Frame]) -> None:
    """Open directories again that had to be closed, each beneath the one before it."""
    above: _Place | None = None
    directory: int | None = workspace
    for frame in frames:
        if directory is not None and frame.descriptor is None:
            with _failures_of(frame.place):
                frame.descriptor = _open_directory(directory, _path(frame.place, above))
        above, directory = frame.place, frame.descriptor


def _close(frame: _Frame) -> None:
    if frame.descriptor is not None:
        os.close(frame.descriptor)
        frame.descriptor = None


@contextmanager
def _failures_of(place: _Place | None) -> Iterator[None]:
    """`failures_as`, with the path of a place, which is made only where something fails."""
    try:
        yield
    except OSError:
        with failures_as(WorkspaceError, _path(place)):
            raise


def adopt_directory(workspace: int, path: str, owner: tuple[int, int]) -> None:
    """Give the directory at `path` beneath `workspace` to `owner`, unless it is a mount point or none is there."""
    directory = _open_directory(workspace, path)
    if directory is not None:
        try:
            _give(directory, _Place(None, path), _Giving(owner))
        finally:
            os.close(directory)


def _adopt_names(directory: int, above: _Place | None, giving: _Giving) -> list[str]:
    """Give the owner what has a name in one open directory; the names of directories."""
    below: list[str] = []
    for name in os.listdir(directory):
        place = _Place(above, name)
        try:
            entry = openat2(directory, name, _ENTRY, resolve=_WITHIN)
        except OSError as error:
            if error.errno == errno.EXDEV:
                giving.left.append(_path(place))
            elif error.errno not in _GONE:
                raise
            continue
        try:
            if not _give(entry, place, giving):
                giving.left.append(_path(place))
            if stat.S_ISDIR(os.fstat(entry).st_mode):
                below.append(name)
        finally:
            os.close(entry)
    return below


def _give(descriptor: int, place: _Place, giving: _Giving) -> bool:
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
            there = openat2(here, stretch, READ_DIRECTORY_ITSELF, resolve=_WITHIN)
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


def _path(place: _Place | None, above: _Place | None = None) -> str:
    """The path of a place, from one above it on."""
    names = []
    while place is not above and place is not None:
        names.append(place.name)
        place = place.above
    return "/".join(reversed(names))
