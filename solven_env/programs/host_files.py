"""Files of this host that are copied into a session or come from one.

What comes from there was an agent's: nothing of it is followed, and what stands in its place is never written into.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import UsageError, printable
from solven_env.system.blocks import holding, suppress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from solven_env.programs.result import FileInfo

_PIECE = 1 << 20


class HostEntry(NamedTuple):
    """A name in a tree of the host: its path, the part of that `below` the tree, and of a link its `target`."""

    path: str
    below: str
    is_directory: bool
    mode: int
    target: str | None = None


def on_host(path: str, call: Callable[[], Any]) -> Any:
    """The call's value; UsageError for what the host's own file system refuses."""
    try:
        return call()
    except OSError as error:
        raise UsageError(f"on this host: {error.strerror}", location=printable(path)) from error


def opened_file(path: str) -> int:
    """A regular file of the host, opened; nothing else is waited for."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is no regular file")
    return opened


def made(target: str) -> int:
    os.makedirs(target, exist_ok=True)
    return os.open(target, os.O_RDONLY | os.O_DIRECTORY)


def beneath(top: int, above: Sequence[str]) -> int:
    """A directory beneath an open one of the host, through no link."""
    directory = os.dup(top)
    for part in above:
        with holding(directory):
            directory = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    return directory


def made_beneath(directory: int, name: str, each: FileInfo) -> None:
    if each.kind == "directory":
        with suppress(FileExistsError):
            os.mkdir(name, each.mode & 0o777 | 0o700, dir_fd=directory)
    elif each.kind == "link":
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        os.symlink(each.target or "", name, dir_fd=directory)
    else:
        raise OSError(errno.EINVAL, "what is inside is no file, directory or link")


def put(directory: int | None, name: str, content: bytes | int, mode: int) -> None:
    """Make a file on the host anew: nothing that is there is followed or written into."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(name, flags, mode & 0o777, dir_fd=directory), "wb") as file:
        if isinstance(content, bytes):
            file.write(content)
            return
        offset = 0
        while moved := os.sendfile(file.fileno(), content, offset, _PIECE):
            offset += moved


def read_opened(opened: int, offset: int, most: int) -> bytes:
    """Up to `most` bytes of a file, which is closed."""
    with open(opened, "rb", buffering=0) as file:
        # In one piece where its size tells the truth: joining pieces would copy, and take memory, once more.
        piece = max(_PIECE, os.fstat(opened).st_size - offset + 1)
        file.seek(offset)
        pieces, left = [], most
        while left and (read := file.read(min(left, piece))):
            pieces.append(read)
            left -= len(read)
            piece = _PIECE
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def tree(source: str) -> list[HostEntry] | None:
    """The entries of a directory of the host, each behind the directory that it is in; None for a file.

    OSError for what is neither a file nor a directory nor a link.
    """
    if not stat.S_ISDIR(os.stat(source).st_mode):
        return None
    found = []
    for above, directories, names in os.walk(source):
        for name in sorted((*directories, *names)):
            path = os.path.join(above, name)
            mode = os.lstat(path).st_mode
            if not (stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise OSError(errno.EINVAL, f"{printable(path)} is no file, directory or link")
            target = os.readlink(path) if stat.S_ISLNK(mode) else None
            below = os.path.relpath(path, source)
            found.append(HostEntry(path, below, stat.S_ISDIR(mode), stat.S_IMODE(mode) & 0o777, target))
    return found
