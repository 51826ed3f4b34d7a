"""Packing what strangers left, unpacked packages and wheels that they built, into archives of ours without compression.

Only regular files come in, each once and by a path within: nothing that is unpacked from such an archive lies outside.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import BuildError
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.publishing import refusals_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20
_EXECUTABLE = 0o111
_LARGEST = 8 << 30
"""Bytes of all files of one package together. A package index takes files of at most 1 GiB, and they are compressed."""
_DEEPEST = 100
"""Directories above each other; more than Python's stack and its open files hold would crash whoever reads them."""
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, IndexError, RuntimeError, ValueError)
"""The errors of `zipfile` about an archive that strangers damaged. Most of them are undocumented."""
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PATH = re.compile(r"[^/\\\0]+(?:/[^/\\\0]+)*+")


class Packed(NamedTuple):
    """A file to pack: its path in the archive, its content, which is read to its end and closed, and its size."""

    path: str
    content: IO[bytes]
    size: int
    is_executable: bool


def pack(files: Iterable[Packed], target: Path) -> None:
    """Write files into a new archive: the same files give the same bytes."""
    with target.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
        for each in files:
            entry = zipfile.ZipInfo(each.path)
            entry.external_attr = (stat.S_IFREG | (0o755 if each.is_executable else 0o644)) << 16
            entry.file_size = each.size
            with each.content as source, archive.open(entry, "w") as written:
                shutil.copyfileobj(source, written, _PIECE)
        os.fchmod(file.fileno(), 0o644)


def open_beneath(directory: Path, parts: Sequence[str], flags: int = READ_DIRECTORY_ITSELF) -> int:
    """Open what strangers left beneath a directory of ours, each name in its open parent and none of them a link.

    The last name is opened with `flags`.
    """
    with refusals_told(directory):
        opened = os.open(directory, READ_DIRECTORY_ITSELF)
        for number, name in enumerate(parts, 1):
            with holding(opened):
                last = flags | os.O_NOFOLLOW if number == len(parts) else READ_DIRECTORY_ITSELF
                opened = os.open(name, last, dir_fd=opened)
        return opened


def of_directory(directory: int, what: str) -> Iterator[Packed]:
    """The files beneath an open directory, which is closed. BuildError, about `what`, for anything but files.

    Each name is opened in its open parent, and none is a link: what stands there is a stranger's.
    """
    total = 0
    for path, descriptor in _opened(directory, "", what):
        about = os.fstat(descriptor)
        total += about.st_size
        content = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - whoever packs it closes it
        if total > _LARGEST:
            content.close()
            raise _too_large(what)
        yield Packed(path, content, about.st_size, bool(about.st_mode & _EXECUTABLE))


def of_wheel(wheel: zipfile.ZipFile, what: str) -> Iterator[Packed]:
    """The files of a wheel in order of their paths. BuildError, about `what`, for links, a path that leads out, and
    one that stands there twice.
    """
    entries = sorted((entry for entry in wheel.infolist() if not entry.is_dir()), key=lambda entry: entry.filename)
    if sum(entry.file_size for entry in entries) > _LARGEST:
        raise _too_large(what)
    before = ""
    for entry in entries:
        path, mode = entry.filename, entry.external_attr >> 16
        if not _is_within(path) or path == before:
            raise BuildError(f"{what} has a file at a path that no package has: {path[:200]!r}")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _not_files(what, path)
        if entry.compress_type not in _KINDS:
            raise BuildError(f"{what} has a file that is compressed as in no wheel: {path[:200]!r}")
        yield Packed(path, wheel.open(entry), entry.file_size, bool(mode & _EXECUTABLE))
        before = path


def _is_within(path: str) -> bool:
    return bool(_PATH.fullmatch(path)) and posixpath.normpath(path) == path and path.partition("/")[0] != ".."


def _opened(directory: int, above: str, what: str) -> Iterator[tuple[str, int]]:
    with holding(directory):
        if above.count("/") > _DEEPEST:
            raise BuildError(f"{what} has more than {_DEEPEST} directories above each other")
        for name in sorted(os.listdir(directory)):
            if not _is_utf8(name):
                raise BuildError(f"{what} has a name that is not UTF-8: {f'{above}{name}'[:200]!r}")
            try:
                descriptor = os.open(name, _FLAGS, dir_fd=directory)
            except OSError:  # a link, or a socket
                raise _not_files(what, f"{above}{name}") from None
            kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
            if kind == stat.S_IFDIR:
                yield from _opened(descriptor, f"{above}{name}/", what)
            elif kind == stat.S_IFREG:
                yield f"{above}{name}", descriptor
            else:
                os.close(descriptor)
                raise _not_files(what, f"{above}{name}")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_files(what: str, path: str) -> BuildError:
    return BuildError(f"{what} holds something else than files: {path[:200]!r}")


def _too_large(what: str) -> BuildError:
    return BuildError(f"{what} has more than {_LARGEST >> 30} GiB")
