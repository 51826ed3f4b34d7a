"""Files of a thread's old layer or copy, taken into a new one, and files of a build that are hidden there.

The old one was written by an agent, whose commands may still change it: each file is opened beneath it through no link,
and what is no regular file, directory or relative link is not taken. The new one has no name yet that anybody could
know, but what was taken into it is an agent's too: nothing in there is reached through a link either.
"""

from __future__ import annotations

import errno
import fcntl
import os
import posixpath
import stat
from contextlib import contextmanager, suppress

from solven_env.errors import WorkspaceError
from solven_env.system.holes import stretches
from solven_env.system.syscalls import HOLD_DIRECTORY, openat2
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from solven_env.workspace.root import Kind, Root

FILES = 200_000
"""Files that one layer takes over at most."""
BYTES = 16 * 1024**3
"""Bytes of them, as their sizes say: a file with holes is written whole."""
BYTECODE = "__pycache__"
_DEPTH = 100
_FICLONE = 0x40049409  # include/uapi/linux/fs.h
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20
_METACOPY = "trusted.overlay.metacopy"
"""The mark of a file of which an overlay has the rights alone; where the kernel makes such files unasked."""


class UnfitError(Exception):
    """Something is not to be taken: it is gone, too much, or nothing that is copied. The text is the reason."""


class Piece(NamedTuple):
    """A file or a link that is to be taken; `size` in bytes."""

    path: str
    kind: Kind
    size: int


def is_relative(target: str) -> bool:
    """True for a link that is carried, by where it leads."""
    return not target.startswith("/")


def expand(root: Root, parts: Iterable[str], is_link_taken: Callable[[str], bool] = is_relative) -> tuple[Piece, ...]:
    """The files and links at these paths, and in these directories (`name/`), sorted.

    UnfitError where one is not there, or nothing that is taken. Bytecode may be missing: Python makes it again.
    """
    found: dict[str, Piece] = {}
    pending: list[tuple[str, bool]] = [(part.rstrip("/"), part.endswith("/")) for part in parts]
    while pending:
        path, may_be_directory = pending.pop()
        try:
            entry = root.stat(path)
            if entry is None and f"/{BYTECODE}/" in path:
                continue
            if entry is None or entry.kind == "other" or (entry.kind == "directory" and not may_be_directory):
                raise UnfitError("a file of it is gone" if entry is None else "it holds what is no file")
            if entry.kind == "directory":
                if path.count("/") > _DEPTH:
                    raise UnfitError("its directories are too deep")
                pending += [(f"{path}/{name}", True) for name in root.list(path, FILES + 1)]
            elif entry.kind == "symlink" and not is_link_taken(root.read_link(path)):
                raise UnfitError("it holds a link to an absolute path")
            else:
                found[path] = Piece(path, entry.kind, entry.size)
        except (OSError, WorkspaceError) as error:
            raise UnfitError("a file of it cannot be read") from error
        if len(pending) + len(found) > FILES:
            raise UnfitError("it has too many files")
    if sum(piece.size for piece in found.values()) > BYTES:
        raise UnfitError("its files are too large")
    return tuple(sorted(found.values()))


class Receiver:
    """A new layer's upper, or a new copy, that takes files.

    `build` is the root of the build below. What the build has at a path stays the build's, unless it is in `hidden`.
    An OSError is about the new layer; what is wrong with the old one is UnfitError.
    """

    def __init__(self, descriptor: int, build: Root, hidden: Collection[str], owner: int | None) -> None:
        self._target = descriptor
        self._build = build
        self._hidden = hidden
        self._owner = owner
        self._reflinks = True
        self._left = BYTES
        self._absent = set[str]()
        """The directories that the build has not, as far as that is known."""
        self.taken: set[str] = set()
        """The paths that have been taken."""

    def take(self, source: int, pieces: Iterable[Piece], *, is_edit: bool = False) -> None:
        """Take files and links from beneath the open directory `source`, all of them or none. UnfitError.

        An edit takes the place of what the build has.
        """
        made: list[str] = []
        left = self._left
        try:
            for directory, group in _by_directory(pieces):
                with _reached(source, directory) as old, self._made(directory, made) as new:
                    for piece in group:
                        name = posixpath.basename(piece.path)
                        if is_edit and piece.path not in self.taken:
                            with suppress(FileNotFoundError, IsADirectoryError):  # in a copy the build's is there
                                os.unlink(name, dir_fd=new)
                        elif self._has(piece.path):
                            continue
                        made.append(piece.path)
                        self._take(old, new, name, is_edit=is_edit)
        except UnfitError:
            self._undo(made)
            self._left = left
            raise
        self.taken |= {path for path in made if not path.endswith("/")}

    def hide(self, paths: Iterable[str]) -> None:
        """Hide what the build has at these paths, as the kernel's overlay does: by a device of the numbers 0 and 0.

        Anybody may make one (mknod(2), since Linux 5.8).
        """
        for directory, group in _by_directory(Piece(path, "other", 0) for path in paths):
            with self._made(directory, []) as new:
                for piece in group:
                    name = posixpath.basename(piece.path)
                    os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=new)
                    self._give(name, new)

    def _has(self, path: str) -> bool:
        """Tell whether the build shows something at a path, or another package has brought it."""
        if path in self.taken or posixpath.dirname(path) in self._absent:
            return path in self.taken
        try:
            return path not in self._hidden and self._build.stat(path) is not None
        except WorkspaceError:
            return True

    def _take(self, old: int, new: int, name: str, *, is_edit: bool) -> None:
        with _unfit():
            about = os.stat(name, dir_fd=old, follow_symlinks=False)
        if stat.S_ISLNK(about.st_mode):
            with _unfit():
                leads = os.readlink(name, dir_fd=old)
            if not is_relative(leads):
                raise UnfitError("it holds a link to an absolute path")
            os.symlink(leads, name, dir_fd=new)
            self._give(name, new)
            os.utime(name, ns=(about.st_atime_ns, about.st_mtime_ns), dir_fd=new, follow_symlinks=False)
            return
        if not stat.S_ISREG(about.st_mode):
            raise UnfitError("it holds what is no file")
        with _unfit():
            reading = os.open(name, _READ, dir_fd=old)
        try:
            about = os.fstat(reading)
            self._left -= about.st_size
            if not stat.S_ISREG(about.st_mode):
                raise UnfitError("it holds what is no file")
            if self._left < 0:
                raise UnfitError("its files are too large")
            if is_edit and _METACOPY in os.listxattr(reading):
                raise UnfitError("its bytes are in the build")
            writing = os.open(name, _WRITE, 0o600, dir_fd=new)
            try:
                self._copy(reading, writing, about)
                if self._owner is not None:
                    os.fchown(writing, self._owner, self._owner)
                os.fchmod(writing, about.st_mode & 0o777)  # none of set-user-ID, set-group-ID and sticky
                os.utime(writing, ns=(about.st_atime_ns, about.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def _copy(self, reading: int, writing: int, about: os.stat_result) -> None:
        if self._reflinks and about.st_size:
            try:
                fcntl.ioctl(writing, _FICLONE, reading)
                return
            except OSError:  # another file system, or one without
                self._reflinks = False
        if about.st_blocks * 512 < about.st_size:
            os.ftruncate(writing, about.st_size)
            for begin, end in _data(reading, about.st_size):
                os.lseek(reading, begin, os.SEEK_SET)
                os.lseek(writing, begin, os.SEEK_SET)
                _copy_bytes(reading, writing, end - begin)
        else:
            _copy_bytes(reading, writing, about.st_size)

    @contextmanager
    def _made(self, directory: str, made: list[str]) -> Iterator[int]:
        """The new directory, with its parents, made as the build has them; those that were made are noted."""
        try:
            descriptor = openat2(self._target, directory or ".", HOLD_DIRECTORY)
        except FileNotFoundError:
            parent, name = posixpath.split(directory)
            with self._made(parent, made) as above:
                os.mkdir(name, 0o700, dir_fd=above)
                made.append(f"{directory}/")
                descriptor = openat2(above, name, HOLD_DIRECTORY)
                os.chmod(f"/proc/self/fd/{descriptor}", self._mode(directory))
                self._give(name, above)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise UnfitError("a link or a file stands in the place of a directory of it") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _mode(self, directory: str) -> int:
        try:
            entry = self._build.stat(directory)
        except WorkspaceError:
            entry = None
        if entry is None:
            self._absent.add(directory)
        if entry is None or directory in self._hidden:
            return 0o755
        if entry.kind != "directory":
            raise UnfitError("the build has a file in the place of a directory of it")
        return entry.mode & 0o777

    def _give(self, name: str, directory: int) -> None:
        if self._owner is not None:
            os.chown(name, self._owner, self._owner, dir_fd=directory, follow_symlinks=False)

    def _undo(self, made: list[str]) -> None:
        for path in reversed(made):
            directory, name = posixpath.split(path.rstrip("/"))
            with suppress(OSError):  # it was not made yet, or another package has files in there
                above = openat2(self._target, directory or ".", HOLD_DIRECTORY)
                try:
                    (os.rmdir if path.endswith("/") else os.unlink)(name, dir_fd=above)
                finally:
                    os.close(above)


def _data(reading: int, size: int) -> Iterator[tuple[int, int]]:
    with _unfit():
        yield from stretches(reading, size)


def _copy_bytes(reading: int, writing: int, size: int) -> None:
    while size > 0:
        with _unfit():
            data = os.read(reading, min(size, _PIECE))
        if not data:  # it has become shorter
            return
        size -= len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(writing, rest) :]


def vanished(build: Root, files: Collection[str], keep: Iterable[str]) -> tuple[str, ...]:
    """The paths of a build that are to be hidden so that these files of it are gone.

    A directory of which nothing is left but bytecode goes as a whole: an empty one could still be imported. Those on
    the way to `keep` stay.
    """
    kept = {above for path in keep for above in _parents(path)}
    gone = set(files) - set(keep)
    whole: dict[str, bool] = {}
    for directory in sorted({above for path in gone for above in _parents(path)}, key=lambda path: -path.count("/")):
        if not directory or directory in kept:
            continue
        paths = [f"{directory}/{name}" for name in build.list(directory) if name != BYTECODE]
        whole[directory] = all(path in gone or whole.get(path, False) for path in paths)
    hidden = {*gone, *(directory for directory, is_whole in whole.items() if is_whole)}
    return tuple(sorted(path for path in hidden if not any(whole.get(above) for above in _parents(path))))


def _parents(path: str) -> Iterator[str]:
    while path:
        path = posixpath.dirname(path)
        yield path


def _by_directory(pieces: Iterable[Piece]) -> Iterator[tuple[str, list[Piece]]]:
    groups: dict[str, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(posixpath.dirname(piece.path), []).append(piece)
    return iter(groups.items())


@contextmanager
def _reached(source: int, directory: str) -> Iterator[int]:
    with _unfit():
        descriptor = openat2(source, directory or ".", HOLD_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _unfit() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnfitError("a file of it cannot be read") from error
