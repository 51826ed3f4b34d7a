"""A walk through a whole tree that an agent writes in: through no link, onto no other mount, to any depth."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.system.failures import failures_as
from solven_env.system.syscalls import CONFINED, RESOLVE_NO_XDEV, openat2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WITHIN = CONFINED | RESOLVE_NO_XDEV
"""Rules by which a name is looked up in an open directory: beneath it, through no link and onto no other mount."""
_OPEN = 32
"""Number of directories held open at once; those above them are opened again when it is their turn."""
_STRETCH = 4000
"""The bytes of a path that one look-up gets: the kernel takes PATH_MAX, 4096."""

# The agent took it away or put something else there since it was listed: what stands there now is the agent's own.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """One place in the tree. It is linked upwards, so that a tree however deep costs one name a directory."""

    above: Within | None
    name: str


class _Frame:
    """A directory with others in it that are still to be looked into. `descriptor` is None where it was closed."""

    def __init__(self, place: Within | None, descriptor: int | None, below: list[str]) -> None:
        self.place = place
        self.descriptor = descriptor
        self.below = below


def walk(
    top: int,
    look: Callable[[int, Within | None], list[str]],
    closed: Callable[[Within], None] | None = None,
) -> None:
    """Call `look` with each directory of a tree, open, and its place (None for `top` itself), from above to below.

    `look` gives the names of directories that the walk goes into; one of these that is gone, is no directory any more
    or is another mount is left out. One that this user may not read is given to `closed`, or without that raised.
    WorkspaceError, which names the path, where the system fails.
    """
    frames = [_Frame(None, os.dup(top), [])]
    try:
        frames[0].below = _names(frames[0], look)
        while frames:
            _look_into_next(top, frames, look, closed)
    finally:
        for frame in frames:
            _close(frame)


def _look_into_next(
    top: int,
    frames: list[_Frame],
    look: Callable[[int, Within | None], list[str]],
    closed: Callable[[Within], None] | None,
) -> None:
    """Go one directory further. What is in it is looked up beneath its descriptor: from the top, a tree as deep as an
    agent makes it would cost the square of that.
    """
    frame = frames[-1]
    if not frame.below:
        _close(frames.pop())
        return
    if frame.descriptor is None:
        _reopen(top, frames[-_OPEN:])
    if frame.descriptor is None:  # the agent took it away
        frame.below.clear()
        return
    place = Within(frame.place, frame.below.pop())
    inner = _Frame(place, None, [])
    with _failures_of(place):
        try:
            inner.descriptor = open_directory(frame.descriptor, place.name)
        except PermissionError:
            if closed is None:
                raise
            closed(place)
    if not frame.below:
        _close(frames.pop())  # nobody comes back to it: a chain of directories takes two descriptors
    if inner.descriptor is not None:
        try:
            inner.below = _names(inner, look)
        finally:
            frames.append(inner)
    if len(frames) > _OPEN:
        _close(frames[-_OPEN - 1])


def _names(frame: _Frame, look: Callable[[int, Within | None], list[str]]) -> list[str]:
    with _failures_of(frame.place):
        assert frame.descriptor is not None
        return look(frame.descriptor, frame.place)


def _reopen(top: int, frames: list[_Frame]) -> None:
    """Open directories again that had to be closed, each beneath the one before it."""
    above: Within | None = None
    directory: int | None = top
    for frame in frames:
        if directory is not None and frame.descriptor is None:
            with _failures_of(frame.place):
                frame.descriptor = open_directory(directory, path_of(frame.place, above))
        above, directory = frame.place, frame.descriptor


def _close(frame: _Frame) -> None:
    if frame.descriptor is not None:
        os.close(frame.descriptor)
        frame.descriptor = None


@contextmanager
def _failures_of(place: Within | None) -> Iterator[None]:
    """`failures_as`, with the path of a place, which is made only where something fails."""
    try:
        yield
    except OSError:
        with failures_as(WorkspaceError, path_of(place)):
            raise


def open_directory(top: int, path: str) -> int | None:
    """The directory at a path beneath an open one, open; None where it is gone, or is another mount."""
    here = os.dup(top)
    try:
        for stretch in _stretches(path):
            there = openat2(here, stretch, READ_DIRECTORY_ITSELF, resolve=WITHIN)
            os.close(here)
            here = there
    except OSError as error:
        os.close(here)
        if error.errno in (*GONE, errno.EXDEV):
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


def path_of(place: Within | None, above: Within | None = None) -> str:
    """The path of a place, from one above it on."""
    names = []
    while place is not above and place is not None:
        names.append(place.name)
        place = place.above
    return "/".join(reversed(names))
