"""Files of this host that are copied into a session or come from one.

What comes from there was an agent's: nothing of it is followed, and what stands in its place is never written into.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import UsageError, printable
from solven_env.system import at_once
from solven_env.system.blocks import READ_DIRECTORY, holding, suppress
from solven_env.system.holes import stretches
from solven_env.system.syscalls import openat2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from solven_env.programs.result import FileInfo

_PIECE = 1 << 20
_SOURCE = os.O_RDONLY | os.O_NONBLOCK


class HostEntry(NamedTuple):
    """A name in a tree of the host: the parts of its path below the tree, and of a link its `target`."""

    parts: tuple[str, ...]
    is_directory: bool
    mode: int
    target: str | None = None


def on_host(path: str, call: Callable[[], Any]) -> Any:
    """The call's value; UsageError for what the host's own file system refuses."""
    try:
        return call()
    except OSError as error:
        raise UsageError(f"on this host: {error.strerror}", location=printable(path)) from error
    except ValueError as error:  # NUL, or a lone surrogate
        raise UsageError("on this host: no path has such characters", location=printable(path)) from error


def opened_source(path: str) -> int:
    """A regular file or a directory of the host, opened; nothing else is waited for."""
    opened = os.open(path, _SOURCE)
    mode = os.fstat(opened).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is no file or directory")
    return opened


def opened_beneath(top: int, parts: Sequence[str]) -> int:
    """A regular file beneath an open directory of the host, opened, through no link."""
    opened = openat2(top, "/".join(parts), _SOURCE)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is no file now")
    return opened


def made(target: str, mode: int) -> int:
    """A directory of the host, made where there is none, opened. A link in its place may be an agent's: OSError."""
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    _make(target, mode)
    _refuse_link(target)
    return os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _make(name: str, mode: int, directory: int | None = None) -> None:
    """Make a directory that we may write to, with this mode whatever the umask, where nothing is."""
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        return
    with holding(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)) as new:
        os.fchmod(new, mode & 0o777 | 0o700)


def without_slash(target: str) -> str:
    """The path without `/` and `/.` at its end, by which a link that is there would be followed."""
    while len(target) > 1 and target.endswith(("/", "/.")):
        target = target.removesuffix(".").rstrip("/") or "/"
    return target


def check_replaceable(target: str) -> None:
    """Refuse (OSError) to replace by a file what is no file. A link may be an agent's, from an earlier copy."""
    _refuse_link(target)
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(target).st_mode):
            raise OSError(errno.EEXIST, "what is there is no file")


def _refuse_link(target: str) -> None:
    if os.path.islink(target):
        raise OSError(errno.ELOOP, "a link is there: remove it, or name what it leads to")


def beneath(top: int, above: Sequence[str]) -> int:
    """A directory beneath an open one of the host, through no link."""
    return openat2(top, "/".join(above) or ".", READ_DIRECTORY)


def made_beneath(directory: int, name: str, each: FileInfo) -> None:
    """Have a directory or a link on the host. A link replaces what is no directory."""
    if each.kind == "directory":
        _make(name, each.mode, directory)
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise OSError(errno.ENOTDIR, "what is there is no directory")
    else:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        os.symlink(each.target or "", name, dir_fd=directory)


def put(directory: int | None, name: str, content: bytes | int, mode: int) -> None:
    """Have a file on the host, whole or not at all: what is there is replaced, and not followed or written into."""
    above = os.path.dirname(name)
    beside = os.path.join(above, f".solven-env-{os.urandom(6).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    opened = os.open(beside, flags, mode & 0o777, dir_fd=directory)
    try:
        with open(opened, "wb", buffering=0) as file:
            os.fchmod(opened, mode & 0o777)
            if isinstance(content, bytes):
                file.write(content)
            else:
                _copy(content, opened)
        os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside, dir_fd=directory)
        raise


def _copy(source: int, sink: int) -> None:
    """Copy a file of an agent's to a new one, as long as it is now, and holes as holes: it may grow meanwhile."""
    size = os.fstat(source).st_size
    if size == 0:  # a file of /proc says so
        pour(sink, source)
        return
    for begin, end in stretches(source, size):
        os.lseek(sink, begin, os.SEEK_SET)
        while begin < end and (moved := os.sendfile(sink, source, begin, min(_PIECE, end - begin))):
            at_once.check()
            begin += moved
        if begin < end:  # it was cut meanwhile
            size = begin
            break
    os.ftruncate(sink, size)


def pour(descriptor: int, content: bytes | int) -> None:
    """Write bytes, or a file's, to a descriptor of the caller's, whatever it is."""
    offset = 0
    while piece := content[offset : offset + _PIECE] if isinstance(content, bytes) else os.read(content, _PIECE):
        at_once.check()
        offset += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


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


def tree(top: int) -> list[HostEntry]:
    """The entries beneath an open directory of the host, each behind the directory that it is in.

    OSError where one is neither a file nor a directory nor a link.
    """
    found: list[HostEntry] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        above = waiting.pop()
        with holding(beneath(top, above)) as directory:
            for name in sorted(os.listdir(directory)):
                parts = (*above, name)
                mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
                if not (stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                    raise OSError(errno.EINVAL, f"{printable('/'.join(parts))} is no file, directory or link")
                target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(mode) else None
                found.append(HostEntry(parts, stat.S_ISDIR(mode), stat.S_IMODE(mode) & 0o777, target))
                if stat.S_ISDIR(mode):
                    waiting.append(parts)
    return found
