"""Every file operation in a workspace, confined beneath one directory descriptor.

The agent writes in the workspace while we do, so no path is looked at first and used afterwards: a parent is opened
beneath the workspace without following a link (openat2(2)), and the operation acts on one name in that open directory,
never through a link at that name. What the agent swaps meanwhile can only be something else of its own workspace.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
import sys
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Literal

from solven_env.errors import ExchangeUnsupportedError, PlatformError, WorkspaceError
from solven_env.system.at_once import in_groups
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.durable import (
    NOT_OFFERED,
    chmod_held,
    chown,
    rename_new,
    set_rights,
    sync_directory,
    write_new,
    write_over,
)
from solven_env.system.failures import failures_as, shown
from solven_env.system.syscalls import (
    HOLD_DIRECTORY,
    O_PATH,
    RENAME_EXCHANGE,
    let_owner_in,
    mount_id,
    openat2,
    renameat2,
)
from solven_env.system.unsynced import Unsynced
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from types import TracebackType

    from solven_env.workspace.sizes import DiskUse

READ_LIMIT = 16 * 1024 * 1024
"""The bytes that `Root.read` accepts unless told otherwise."""

CLOSED = 0o700
_READABLE = 0o750
"""Modes of a workspace itself: its owner's alone, and with a group of readers."""

TEMPORARIES = ".solven-env-*.tmp"
"""Pattern of the names that `Root.stage` and `Root.set_aside` give, for a person."""
_TEMPORARY = re.compile(r"\.solven-env-[0-9a-f]{16}\.tmp")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_PIECE = 1024 * 1024
_LINKS = 40
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


Kind = Literal["file", "directory", "symlink", "other"]


class Owner(NamedTuple):
    """User and group that files we write belong to, as ids of the host."""

    uid: int
    gid: int


class Entry(NamedTuple):
    """A thing in the workspace: a link itself, not its target. `mode` is permission bits, `size` is in bytes."""

    kind: Kind
    mode: int
    size: int


_KINDS: Mapping[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}


class Root:
    """An open workspace.

    Paths are relative POSIX paths; `""` is the workspace itself where a directory is asked for. Names that are not
    UTF-8 come and go with surrogate escapes. What is not there is FileNotFoundError, what is in the way
    FileExistsError; all else that the system refuses is a WorkspaceError that names the path. Modes and owners are as
    exact as the file system keeps them (a bucket mount: not).

    A file's bytes are on disk before it has its name. Names are when `sync` returns: one wait for all, where each would
    cost a wait of its own. `unsynced` is what is to be waited for: files of `stage_all`, directories of `add_names`.
    """

    def __init__(self, descriptor: int, owner: Owner | None) -> None:
        """Take over the descriptor of a directory. `owner` gets all that is written; None leaves it ours."""
        self._descriptor = descriptor
        self._changed: set[str] = set()
        self._staged: dict[str, tuple[str, bytes, int]] = {}
        self._modes: dict[str, int] = {}
        self._has_flags = True
        self.is_new = False
        """True for a workspace that was made when it was opened: there is nothing in it."""
        self.is_slow = False
        """True where each operation is an answer to be waited for: many files are worked on at the same time."""
        self.unsynced = Unsynced()
        self.owner = owner

    def __enter__(self) -> Root:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the descriptor go; every later operation fails. Closing twice is no error."""
        self.unsynced.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close_to_others(self, readers: int | None) -> None:
        """Give the workspace itself mode 0700; with a group of `readers` (a gid) that group, and mode 0750."""
        with failures_as(WorkspaceError, "."):
            status = os.fstat(self._descriptor)
            group, mode = _closed(status, readers)
            set_rights(self._descriptor, mode, (status.st_uid, group))

    def is_open_to_others(self, readers: int | None) -> bool:
        """True where others than the owner and `readers` (a gid) may enter the workspace, or `readers` may not."""
        status = os.fstat(self._descriptor)
        mode = stat.S_IMODE(status.st_mode)
        return bool(mode & 0o077) if readers is None else mode & 0o077 != 0o050 or status.st_gid != readers

    def stat(self, path: str) -> Entry | None:
        """Kind, mode and size of what stands at `path`; None for nothing, and for a link or a file on the way."""
        _check(path)
        with failures_as(WorkspaceError, path):
            try:
                with self._opened(path, O_PATH | os.O_NOFOLLOW) as descriptor:
                    return _entry(os.fstat(descriptor))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
        return None

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """The bytes of a regular file, at most `limit` of them: WorkspaceError for more, and for anything else there.

        Never waits, whatever stands at `path`. Of a file that changes meanwhile it is whatever was read.
        """
        _check(path)
        with failures_as(WorkspaceError, path), _opened_to_read(self._descriptor, path) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _refusal(path, "something else than a file stands here", "Look at it and move it away.")
            data = b"" if status.st_size > limit else _read_at_most(descriptor, status.st_size, limit + 1)
            if max(status.st_size, len(data)) > limit:
                raise _refusal(path, f"the file is too large: over {limit} bytes", "Make it smaller or move it away.")
            return data

    def look(self, path: str, limit: int = READ_LIMIT) -> tuple[Entry, bytes | None] | None:
        """Do as `stat` and `read` for a regular file of at most `limit` bytes, with one look at `path`.

        None for the bytes of anything else, and of what this user may not open: it may be that `read` can.
        """
        _check(path)
        try:
            descriptor = openat2(self._descriptor, path, _READ)
        except OSError as error:
            entry = None if error.errno in (errno.ENOENT, errno.ENOTDIR) else self.stat(path)
            return entry and (entry, None)
        try:
            with failures_as(WorkspaceError, path):
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                    return _entry(status), None
                return _entry(status), _read_at_most(descriptor, status.st_size, limit + 1)
        finally:
            os.close(descriptor)

    def top(self, limit: int) -> dict[str, Kind] | None:
        """The names directly in the workspace, and the kind of each, in one look; None where there are more than
        `limit`, or they may not be listed.
        """
        try:
            with os.scandir(self._descriptor) as entries:
                found = {entry.name: _kind(entry) for entry in islice(entries, limit + 1)}
        except OSError:
            return None
        return found if len(found) <= limit else None

    def sha256(self, path: str) -> bytes:
        """The digest of a regular file, read in pieces; WorkspaceError for anything else there. Never waits."""
        import hashlib

        _check(path)
        with failures_as(WorkspaceError, path), _opened_to_read(self._descriptor, path) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _refusal(path, "something else than a file stands here", "Look at it and move it away.")
            with open(descriptor, "rb", closefd=False) as file:
                return hashlib.file_digest(file, "sha256").digest()

    def read_link(self, path: str) -> str:
        """Target of the symbolic link at `path`, as it is written in the link."""
        with self._parent(path) as (directory, name):
            try:
                return os.readlink(name, dir_fd=directory)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                raise _refusal(path, "something else than a symbolic link stands here", "Look at it.") from error

    def follow(self, path: str, barred: Collection[str] = (), *, to_nothing: bool = False) -> str | None:
        """Path of the regular file to which the link at `path` leads as commands see it, for whom the workspace is `/`.

            >>> root.follow("pyproject.toml", {"proc", "tmp"})  # doctest: +SKIP
            'repo/pyproject.toml'

        None where it leads to no regular file, over more than 40 links (as path_resolution(7) has it), or to one of the
        `barred` paths or through it: commands find something else there. With `to_nothing` a path is given at which
        nothing stands, too. The path holds no link as long as nothing in the workspace changes: look at the file once
        more when it is changed.
        """
        rest, done, links = path.split("/")[::-1], [""], 0
        entry = None
        try:
            while rest:
                name = rest.pop()
                if entry is not None and entry.kind != "directory":
                    return None
                if name == "..":
                    done = done[: max(1, len(done) - 1)]
                elif name not in ("", "."):
                    here = "/".join((*done, name))[1:]
                    entry = None if here in barred else self.stat(here)
                    if entry is None:
                        return here if to_nothing and not rest and here not in barred else None
                    if entry.kind == "symlink":
                        links += 1
                        target = self.read_link(here)
                        done = [""] if target.startswith("/") else done
                        rest += target.split("/")[::-1]
                        entry = None
                    else:
                        done.append(name)
                    if links > _LINKS:
                        return None
        except (FileNotFoundError, WorkspaceError):  # gone meanwhile, closed to us, or longer than a path can be
            return None
        return "/".join(done)[1:] if entry is not None and entry.kind == "file" else None

    def closed_directory(self, path: str) -> str | None:
        """The first directory on the way to `path` whose mode keeps us from what is in it; None where none does."""
        _check(path)
        above = posixpath.dirname(path).split("/")
        for directory in ("/".join(above[: depth + 1]) for depth in range(len(above))):
            try:
                with self._opened(f"{directory or '.'}/.", O_PATH):
                    pass
            except PermissionError:
                return directory
            except OSError:
                return None
        return None

    def let_owner_in(self, path: str) -> bool:
        """Take back our rights over a directory that an agent closed; True where we have them then.

        A directory of somebody else's keeps its mode.
        """
        with failures_as(WorkspaceError, path), self._opened(path, HOLD_DIRECTORY | os.O_NOFOLLOW) as opened:
            let_owner_in(opened)
            return os.access(f"/proc/self/fd/{opened}", os.R_OK | os.W_OK | os.X_OK)

    def set_mode(self, path: str, mode: int) -> None:
        """Give the directory at `path` exactly these permission bits, as far as the file system keeps them.

        WorkspaceError, and nothing done, where it belongs to somebody else.
        """
        with failures_as(WorkspaceError, path), self._opened(path, HOLD_DIRECTORY | os.O_NOFOLLOW) as opened:
            uid = os.fstat(opened).st_uid
            if uid != os.geteuid() and (self.owner is None or uid != self.owner.uid):
                raise _refusal(path, "it belongs to another user, and keeps its mode", "Have its owner change it.")
            chmod_held(opened, mode)

    def is_ours(self, path: str) -> bool:
        """True where the thing at `path` belongs to the effective user of this process."""
        with failures_as(WorkspaceError, path), self._opened(path, O_PATH | os.O_NOFOLLOW) as opened:
            return os.fstat(opened).st_uid == os.geteuid()

    def list(self, path: str, limit: int | None = None, *, with_temporaries: bool = True) -> tuple[str, ...]:
        """The names in a directory, sorted; with a `limit` no more of them, whichever the system tells first.

        Without `temporaries` where these are not wanted.
        """
        _check_directory(path)
        with (
            failures_as(WorkspaceError, path),
            self._opened(path, READ_DIRECTORY_ITSELF) as descriptor,
            os.scandir(descriptor) as entries,
        ):
            names = sorted(entry.name for entry in islice(entries, limit))
        return tuple(name for name in names if with_temporaries or not is_temporary(name))

    def temporaries(self, directory: str) -> tuple[str, ...]:
        """The names in a directory that are as a crash leaves them of `stage` and `set_aside`, or as an agent gave
        them; none where no directory is.
        """
        status = self.stat(directory) if directory else None
        if directory and (status is None or status.kind != "directory"):
            return ()
        return tuple(filter(is_temporary, self.list(directory)))

    def about(self, path: str) -> tuple[int, int, int]:
        """The mode, the size in bytes and the modification time (nanoseconds since 1970) of what stands at `path`."""
        with failures_as(WorkspaceError, path), self._opened(path, O_PATH | os.O_NOFOLLOW) as opened:
            status = os.fstat(opened)
            return status.st_mode, status.st_size, status.st_mtime_ns

    def attribute(self, path: str, name: str) -> bytes | None:
        """The value of an extended attribute of a directory (xattr(7)); None where it has none of that name."""
        with failures_as(WorkspaceError, path), self._opened(path, READ_DIRECTORY_ITSELF) as descriptor:
            try:
                return os.getxattr(descriptor, name)
            except OSError as error:
                if error.errno not in (errno.ENODATA, *NOT_OFFERED):
                    raise
        return None

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        """Make a directory with exactly this mode, whatever the umask. Its parent must be there.

        A crash in here can leave it with our own uid, which `adopt_directory` mends.
        """
        with self._parent(path, READ_DIRECTORY_ITSELF) as (parent, name):
            os.mkdir(name, mode, dir_fd=parent)
            try:
                # If the agent has put another directory there by now, that one is its own to begin with.
                made = openat2(parent, name, READ_DIRECTORY_ITSELF)
                try:
                    set_rights(made, mode, self.owner)
                finally:
                    os.close(made)
                self._changed.add(posixpath.dirname(path))
            except BaseException:
                with suppress(OSError):
                    os.rmdir(name, dir_fd=parent)
                raise

    def stage(self, path: str, data: bytes, mode: int) -> str:
        """Write a temporary file beside `path`, ready to be published or exchanged, and give its path.

        It is never readable more widely than `mode` says. On failure nothing stays.
        """
        if self._staged.get(path, ())[1:] == (data, mode):
            return self._staged.pop(path)[0]
        with self._parent(path) as (directory, _):
            return self._write(directory, path, data, mode)

    def stage_all(self, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Do as `stage` for what is to be at these paths (bytes and mode), so that one wait of `unsynced` is for all.

        `stage` gives each of them afterwards. A file whose directory is not there is left out: `stage` writes it then.
        """
        beneath: dict[str, list[str]] = {}
        for path in sorted(files, key=lambda path: -len(files[path][0])):  # what takes longest begins first
            beneath.setdefault(posixpath.dirname(path), []).append(path)
        for directory, paths in beneath.items():
            about = self.stat(directory) if directory else None
            if not directory or (about is not None and about.kind == "directory"):
                with suppress(FileNotFoundError), self._parent(paths[0]) as (opened, _):
                    write = partial(self._write_all, opened, files)
                    for unsynced in in_groups(write, paths) if self.is_slow else write(paths):
                        self.unsynced.take(unsynced)

    def _write_all(
        self, directory: int, files: Mapping[str, tuple[bytes, int]], paths: Sequence[str]
    ) -> Sequence[Unsynced]:
        written = [Unsynced() for _ in paths]
        for path, unsynced in zip(paths, written, strict=True):
            staged = self._write(directory, path, *files[path], unsynced=unsynced)
            self._staged[path] = (staged, *files[path])
        return written

    def wait(self) -> None:
        """Have all that `stage_all` wrote on disk before this returns, and all else of `unsynced`."""
        with failures_as(WorkspaceError, "."):
            self.unsynced.wait()

    def not_published(self) -> dict[str, str]:
        """Temporary files of `stage_all` that `stage` was not asked for, by the paths that they were written for."""
        return {path: staged for path, (staged, _, _) in self._staged.items()}

    def mode_of(self, staged: str) -> int:
        """Permission bits that a staged file had when it was written, as far as the file system keeps them."""
        return self._modes[staged]

    def _write(self, directory: int, path: str, data: bytes, mode: int, *, unsynced: Unsynced | None = None) -> str:
        staged = _temporary(path)
        name = posixpath.basename(staged)
        with failures_as(WorkspaceError, path):
            self._modes[staged] = write_new(directory, name, data, mode=mode, owner=self.owner, unsynced=unsynced)
        return staged

    def set_aside(self, path: str) -> str:
        """Move what is at `path` to a temporary name beside it, in one step, and give that path."""
        aside = _temporary(path)
        self.publish(path, aside)
        return aside

    def publish(self, staged: str, path: str) -> None:
        """Give a staged file its name; FileExistsError, and nothing done, when anything is there."""
        if self.unsynced:
            self.wait()
        with self._pair(staged, path) as names:
            self._has_flags = rename_new(*names, has_flags=self._has_flags)

    def exchange(self, a: str, b: str) -> None:
        """Let two paths, both of them there, trade places in one step: nothing is lost and no moment sees neither.

        ExchangeUnsupportedError, and nothing done, where the file system cannot (bucket mounts): `set_aside` and
        `publish` are what is left.
        """
        if self.unsynced:
            self.wait()
        with self._pair(a, b) as names:
            try:
                renameat2(*names, RENAME_EXCHANGE)
            except OSError as error:
                if error.errno not in NOT_OFFERED:
                    raise
                raise ExchangeUnsupportedError(
                    "this file system cannot exchange two files", location=shown(b)
                ) from error

    def replace(self, path: str, data: bytes, mode: int) -> None:
        """Have a file with these bytes at `path` in one step, in the place of a file or a link that is there.

        >>> root.replace("pyproject.toml", b"[project]\\n", 0o644)  # doctest: +SKIP
        """
        with self._parent(path, READ_DIRECTORY_ITSELF) as (directory, name):
            write_over(directory, name, posixpath.basename(_temporary(path)), data, mode=mode, owner=self.owner)
            self._changed.add(posixpath.dirname(path))

    def check_way_out(self, path: str, place: int) -> None:
        """WorkspaceError where `move_out` could not move `path` to the open directory `place`: between two mounts."""
        if mount_id(self._descriptor) != mount_id(place):
            raise _no_way_out(path)

    def move_out(self, directory: str, names: Mapping[str, str], place: int) -> None:
        """Move what has these names in a directory to others in `place`, an open directory of ours outside of the
        workspace where nothing has them, each by one rename. It is never opened. What is gone is left out.

        A directory that its owner may not write takes a right for that moment: its `..` changes (rename(2)).
        """
        with failures_as(WorkspaceError, directory or "."), self._opened(directory, READ_DIRECTORY_ITSELF) as here:
            for name, new in names.items():
                path = posixpath.join(directory, name)
                with failures_as(WorkspaceError, path), suppress(FileNotFoundError):
                    _move(here, name, place, new, path, _rename)
            self._changed.add(directory)
            sync_directory(place)

    def move_in(self, place: int, name: str, path: str) -> None:
        """Move what is called `name` in `place`, an open directory of ours outside of the workspace, to `path` by one
        rename, and give a directory with all that is in it to `owner`. FileExistsError when anything is at `path`.
        """
        with self._parent(path, READ_DIRECTORY_ITSELF) as (directory, new):
            _move(place, name, directory, new, path, rename_new)
            sync_directory(place)
            self._changed.add(posixpath.dirname(path))
        if self.owner is not None:
            from solven_env.workspace.adoption import adopt

            with (
                failures_as(WorkspaceError, path),
                suppress(NotADirectoryError),
                self._opened(path, READ_DIRECTORY_ITSELF) as opened,
            ):
                adopt(opened, self.owner)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link with this text, whatever it leads to; FileExistsError when anything is at `path`."""
        with self._parent(path, READ_DIRECTORY_ITSELF) as (directory, name):
            os.symlink(target, name, dir_fd=directory)
            self._changed.add(posixpath.dirname(path))
            if self.owner is not None:
                with self._opened(path, O_PATH | os.O_NOFOLLOW) as made:
                    if stat.S_ISLNK(os.fstat(made).st_mode):  # else the agent has put something else there
                        chown(made, self.owner)

    def remove(self, path: str) -> None:
        """Remove anything but a directory: a link itself, never what it leads to."""
        with self._parent(path, READ_DIRECTORY_ITSELF) as (directory, name):
            os.unlink(name, dir_fd=directory)
            self._changed.add(posixpath.dirname(path))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory; one that is not is OSError with ENOTEMPTY."""
        with self._parent(path, READ_DIRECTORY_ITSELF) as (directory, name):
            os.rmdir(name, dir_fd=directory)
            self._changed.add(posixpath.dirname(path))

    def sync(self) -> None:
        """Have every name that was made, changed or removed on disk, as far as its directory is still there."""
        self.add_names()
        self.wait()

    def add_names(self) -> None:
        """Have `unsynced` wait for every name that was made, changed or removed."""
        for path in sorted(self._changed):
            with failures_as(WorkspaceError, path or "."):
                try:
                    opened = (
                        openat2(self._descriptor, path, READ_DIRECTORY_ITSELF) if path else os.dup(self._descriptor)
                    )
                    self.unsynced.add(opened)
                except OSError as error:
                    if error.errno not in _ABSENT:  # the agent has put something else there
                        raise
        self._changed.clear()

    def adopt(self, is_former: Callable[[int], bool] | None = None) -> tuple[str, ...]:
        """Give everything in the workspace, or what `is_former` says is somebody's, to `owner`; the paths that keep
        theirs (see `adoption`), sorted.
        """
        if self.owner is None:
            return ()
        from solven_env.workspace.adoption import adopt  # once in a thread's life

        return adopt(self._descriptor, self.owner, is_former)

    def disk_use(self) -> DiskUse:
        """The size of the workspace with all that is in it (see `sizes`)."""
        from solven_env.workspace.sizes import measure

        with failures_as(WorkspaceError, "."):
            return measure(self._descriptor)

    def adopt_directory(self, path: str) -> None:
        """Give one directory to `owner`, and nothing in it; no error where none stands there."""
        _check_directory(path)
        if self.owner is not None:
            from solven_env.workspace.adoption import adopt_directory

            with failures_as(WorkspaceError, path):
                adopt_directory(self._descriptor, path, self.owner)

    def _opened(self, path: str, flags: int) -> holding:
        return holding(openat2(self._descriptor, path or ".", flags))

    @contextmanager
    def _parent(self, path: str, flags: int = HOLD_DIRECTORY) -> Iterator[tuple[int, str]]:
        _check(path)
        directory, name = posixpath.split(path)
        with failures_as(WorkspaceError, path):
            if not directory:  # the workspace itself is open
                yield self._descriptor, name
                return
            with self._opened(directory, flags) as descriptor:
                yield descriptor, name

    @contextmanager
    def _pair(self, old: str, new: str) -> Iterator[tuple[int, str, int, str]]:
        (above, name), (beside, new_name) = posixpath.split(old), posixpath.split(new)
        with self._parent(old, READ_DIRECTORY_ITSELF) as (directory, _):
            if above == beside:
                _check(new)
                yield directory, name, directory, new_name
            else:
                with self._parent(new, READ_DIRECTORY_ITSELF) as (other, _):
                    yield directory, name, other, new_name
            self._changed |= {above, beside}


def is_temporary(name: str) -> bool:
    """True for a name as `Root.stage` and `Root.set_aside` give it."""
    return _TEMPORARY.fullmatch(name) is not None


@contextmanager
def _opened_to_read(workspace: int, path: str) -> Iterator[int]:
    """Open the file at `path` beneath the workspace through no link, without waiting for anything.

    What belongs to us and forbids reading (a `chmod 000` of the agent's, a `mode: "0200"` of the profile's) can be
    looked at nevertheless: its mode is another one while it is being opened, for its owner alone.
    """
    try:
        descriptor = openat2(workspace, path, _READ)
    except PermissionError:
        unreadable = _open_unreadable(workspace, path)
        if unreadable is None:
            raise
        descriptor = unreadable
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_at_most(descriptor: int, expected: int, size: int) -> bytes:
    """At most `size` bytes, in one piece where there are as many as expected: a copy would double the memory."""
    parts = []
    piece = expected + 1
    while size > 0 and (part := os.read(descriptor, min(size, piece))):
        parts.append(part)
        size -= len(part)
        if len(part) == expected < piece:  # a regular file gives less than it is asked for at its end only (read(2))
            break
        piece = _PIECE
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _open_unreadable(workspace: int, path: str) -> int | None:
    held = openat2(workspace, path, O_PATH | os.O_NOFOLLOW)
    try:
        status = os.fstat(held)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return None
        mode = stat.S_IMODE(status.st_mode)
        # Leads to what is held, whatever has its name by now: fchmod(2) refuses what was opened with O_PATH.
        itself = f"/proc/self/fd/{held}"
        try:
            os.chmod(itself, mode | stat.S_IRUSR)  # noqa: PTH101
            try:
                return os.open(itself, _READ & ~os.O_NOFOLLOW)
            finally:
                os.chmod(itself, mode)  # noqa: PTH101
        except BlockingIOError:  # a lease (fcntl(2)), which whoever holds it took before the file was closed to him
            raise
        except OSError:  # no /proc, a file system that is read-only: the refusal stands
            return None
    finally:
        os.close(held)


def _rename(old_directory: int, old: str, new_directory: int, new: str) -> None:
    os.rename(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory)


def _move(
    here: int, name: str, there: int, new: str, path: str, rename: Callable[[int, str, int, str], object]
) -> None:
    """Rename between two open directories. A directory that its owner may not write takes a right for that moment."""
    try:
        rename(here, name, there, new)
    except PermissionError:
        held = openat2(here, name, O_PATH | os.O_NOFOLLOW)
        try:
            mode = os.fstat(held).st_mode
            if not stat.S_ISDIR(mode) or mode & stat.S_IWUSR:
                raise
            let_owner_in(held)
            rename(here, name, there, new)
            os.chmod(f"/proc/self/fd/{held}", stat.S_IMODE(mode))  # noqa: PTH101
        finally:
            os.close(held)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise _no_way_out(path) from error
        raise


def _no_way_out(path: str) -> WorkspaceError:
    message = "what stands here has to be moved aside, and the workspace is a mount of its own"
    return _refusal(path, message, "Look at it and move it away, then run apply again.")


def is_closed(status: os.stat_result, readers: int | None) -> bool:
    """True if a workspace of this status keeps others out, but for a group of `readers` (a gid), who may look."""
    return (status.st_gid, stat.S_IMODE(status.st_mode)) == _closed(status, readers)


def _closed(status: os.stat_result, readers: int | None) -> tuple[int, int]:
    """The group and the mode of a workspace that keeps others out."""
    return (status.st_gid, CLOSED) if readers is None else (readers, _READABLE)


def _check(path: str) -> None:
    if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise _refusal(path, f"{shown(path)!r} is no path within a workspace", "Use names with `/` between them.")
    if not path.isascii() and sys.getfilesystemencoding() != "utf-8":
        raise PlatformError(
            f"this process writes file names as {sys.getfilesystemencoding()}, and a workspace has them as UTF-8",
            fix="Start Python with PYTHONUTF8=1, or in a locale of UTF-8: LC_ALL=C.UTF-8.",
            location=shown(path),
        )
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise _refusal(path, "the path holds a character that no file name can", "Use another name.") from None


def _temporary(path: str) -> str:
    return posixpath.join(posixpath.dirname(path), f".solven-env-{os.urandom(8).hex()}.tmp")


def _check_directory(path: str) -> None:
    if path:
        _check(path)


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "symlink"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _entry(status: os.stat_result) -> Entry:
    return Entry(_KINDS.get(stat.S_IFMT(status.st_mode), "other"), stat.S_IMODE(status.st_mode), status.st_size)


def _refusal(path: str, message: str, fix: str) -> WorkspaceError:
    return WorkspaceError(message, fix=fix, location=shown(path))
