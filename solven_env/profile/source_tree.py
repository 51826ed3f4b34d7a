"""Directories as sources: all files beneath one, beside the profile, reached through no link in it.

A tree that others write in meanwhile is read file by file: each file is whole, and nothing outside is opened.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING

from solven_env.documents.diagnostics import quoted
from solven_env.profile.render import SourceError, SourceFile, SourceTree, SourceTreeError
from solven_env.system import reread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MAX_FILES = 4096
"""The largest number of files and directories in a tree."""
MAX_BYTES = 64 << 20
"""The bytes of all files of a tree."""
MAX_DEPTH = 32
"""The directories that may be in each other."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_LESS = "Move what the workspace does not need out of it."


def read(directory: int, read_whole: Callable[[int], bytes]) -> SourceTree:
    """The files beneath an open directory, sorted by path. SourceTreeError for anything but files and directories.

    `read_whole` gives the bytes of an open file. A file that was read before, and is as it was then, is not opened.
    """
    files: list[SourceFile] = []
    names = held = 0
    with closing(_walk(directory, "")) as found:
        for path, above, name, status in found:
            names += 1
            if names > MAX_FILES:
                raise SourceTreeError(f"has more than {MAX_FILES:,} files and directories in it", _LESS)
            if status is None:
                continue
            data = reread.recall(status)
            if data is None:
                data = _read_file(above, name, path, read_whole)
            held += len(data)
            if held > MAX_BYTES:
                raise SourceTreeError(f"has more than {MAX_BYTES >> 20} MiB in its files", _LESS)
            files.append(SourceFile(path, data, bool(status.st_mode & stat.S_IXUSR)))
    if not files:
        raise SourceTreeError("is a directory without a file", "Put files into it, or name a file.")
    return SourceTree(tuple(sorted(files)))


def _walk(directory: int, above: str) -> Generator[tuple[str, int, str, os.stat_result | None], None, None]:
    """The path of all that is beneath a directory, the open directory that it is in, its name there, and the status of
    a file; None for that of a directory.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            name, path = entry.name, f"{above}{entry.name}"
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield path, directory, name, None
                yield from _inside(directory, name, path)
            elif stat.S_ISREG(status.st_mode):
                yield path, directory, name, status
            else:
                what = "a link" if stat.S_ISLNK(status.st_mode) else "a device, a pipe or a socket"
                fix = "Put a copy of the file in its place, or move it out of the directory."
                raise SourceTreeError(f"has {what} in it: {quoted(path)}", fix)


def _inside(directory: int, name: str, path: str) -> Generator[tuple[str, int, str, os.stat_result | None], None, None]:
    if path.count("/") >= MAX_DEPTH:
        raise SourceTreeError(f"has more than {MAX_DEPTH} directories in each other", _LESS)
    opened = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        yield from _walk(opened, f"{path}/")
    finally:
        os.close(opened)


def _read_file(directory: int, name: str, path: str, read_whole: Callable[[int], bytes]) -> bytes:
    opened = os.open(name, _FILE, dir_fd=directory)
    try:
        return read_whole(opened)
    except SourceError as error:
        raise SourceTreeError(f"holds {quoted(path)}, which {error}", error.fix) from None
    finally:
        os.close(opened)
