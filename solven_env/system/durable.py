"""Names in an open directory, changed so that a crash leaves the old or the new and never half of either.

Everything acts on one name beneath a directory's descriptor and follows no link there. Errors are OSErrors.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from solven_env.system.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, chown_opened, renameat2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from solven_env.system.unsynced import Unsynced

# What a file system answers to something that it does not offer: renameat2(2), chmod(2), fuse(4).
NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP)
# Hard links: link(2), and EIO of rclone.
_LINKS_NOT_OFFERED = (*NOT_OFFERED, errno.EPERM, errno.ENOSYS, errno.EMLINK, errno.EIO)
_RIGHTS_NOT_OFFERED = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Make a directory and its missing parents, with this mode whatever the umask; nothing when it is there."""
    try:
        path.mkdir()
    except FileNotFoundError:
        make_directory(path.parent, mode)
        make_directory(path, mode)
    except FileExistsError:
        if not path.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    else:
        path.chmod(mode)


def write_new(
    directory: int,
    name: str,
    data: bytes,
    *,
    mode: int,
    owner: tuple[int, int] | None = None,
    unsynced: Unsynced | None = None,
) -> int:
    """Make the file `name` with these bytes, permission bits and owner (uid, gid), on disk before this returns.

    With `unsynced` it is on disk when that was waited for. Returns the permission bits that it has then: not every file
    system keeps them. It is never readable more widely than `mode` says. On failure nothing stays. FileExistsError when
    `name` is there.
    """
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, (mode | 0o600) & 0o777, dir_fd=directory)
    try:
        try:
            held = set_rights(descriptor, mode, owner)
            _write(descriptor, data)
            if mode & 0o7000:  # which a write clears, of whoever is not root
                held = set_rights(descriptor, mode, owner)
            if unsynced is None:
                os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if unsynced is None:
            os.close(descriptor)  # a network file system may tell only here that it could not write
        else:
            unsynced.add(descriptor)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what counts
            os.unlink(name, dir_fd=directory)
        raise
    return held


def write_over(
    directory: int, name: str, staged: str, data: bytes, *, mode: int, owner: tuple[int, int] | None = None
) -> None:
    """Have these bytes at `name` in one step, in the place of a file or a link that is there.

    On failure nothing changes. They are written under the name `staged` first, which nothing may have; all else is
    as of `write_new`.
    """
    write_new(directory, staged, data, mode=mode, owner=owner)
    try:
        os.rename(staged, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged, dir_fd=directory)
        raise


def rename_new(old_directory: int, old: str, new_directory: int, new: str, *, has_flags: bool = True) -> bool:
    """Rename `old` to `new`; FileExistsError when anything at all is there.

    Returns whether the file system knows flags of renameat2(2). They are not tried where it is known to have none.
    """
    if has_flags and _renamed_with_flags(old_directory, old, new_directory, new):
        return True
    _look_and_rename(old_directory, old, new_directory, new)
    return False


def link_new(old_directory: int, old: str, new_directory: int, new: str, *, has_flags: bool = True) -> bool:
    """`rename_new` of a file, in one step wherever there are hard links: of many hosts too, one alone has made `new`.

    A crash in the middle leaves both names.
    """
    if has_flags and _renamed_with_flags(old_directory, old, new_directory, new):
        return True
    try:
        os.link(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _LINKS_NOT_OFFERED:
            raise
        _look_and_rename(old_directory, old, new_directory, new)
    else:
        os.unlink(old, dir_fd=old_directory)
    return False


def rename_over(directory: int, old: str, new: str) -> None:
    """Rename `old` to `new`; what has that name, a directory that is not empty too, gets the name `old`.

    In one step, where the file system offers that; else for a moment nothing has the name `new`.
    """
    try:
        renameat2(directory, old, directory, new, RENAME_EXCHANGE)
        return
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
    aside = f"{old}-replaced"
    with suppress(FileNotFoundError):
        os.rename(new, aside, src_dir_fd=directory, dst_dir_fd=directory)
    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
    with suppress(FileNotFoundError):
        os.rename(aside, old, src_dir_fd=directory, dst_dir_fd=directory)


def exists(directory: int, name: str) -> bool:
    """True where anything, a dangling link too, has this name."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def set_rights(descriptor: int, mode: int, owner: tuple[int, int] | None) -> int:
    """Give exactly these permission bits and this owner to an open file or directory, as far as it can hold them.

    Returns the permission bits that it has then.
    """
    status = os.fstat(descriptor)
    if owner is not None and (status.st_uid, status.st_gid) != owner:
        chown(descriptor, owner)
        status = os.fstat(descriptor)
    # Last: a chown clears set-user-ID bits, and before it the file is narrower than asked, never wider.
    if stat.S_IMODE(status.st_mode) != mode:
        with _as_far_as_offered():
            os.fchmod(descriptor, mode)
            status = os.fstat(descriptor)
    return stat.S_IMODE(status.st_mode)


def chmod_held(descriptor: int, mode: int) -> None:
    """Give exactly these permission bits to what is open, with `O_PATH` too, as far as it can hold them."""
    with _as_far_as_offered():
        os.chmod(f"/proc/self/fd/{descriptor}", mode)


def chown(descriptor: int, owner: tuple[int, int]) -> bool:
    """Give what is open (with `O_PATH` too) to `owner`; False where the file system keeps no owners."""
    with _as_far_as_offered():
        chown_opened(descriptor, *owner)
        return True
    return False


def sync_directory(descriptor: int) -> None:
    """Have the directory's names on disk before this returns."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        # FUSE and network file systems that have no directories of their own to write answer so; there is nothing
        # that could be lost apart from the files, and those were synced.
        if error.errno not in NOT_OFFERED:
            raise


def _renamed_with_flags(old_directory: int, old: str, new_directory: int, new: str) -> bool:
    """Rename without replacing; False where the file system knows no such flag, as most of FUSE and NFS."""
    try:
        renameat2(old_directory, old, new_directory, new, RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
        return False
    return True


def _look_and_rename(old_directory: int, old: str, new_directory: int, new: str) -> None:
    # Bucket mounts (rclone, s3fs) know no flags. Between this check and the rename a file could appear at `new` and
    # be replaced; these mounts offer nothing better (no hard links either).
    if exists(new_directory, new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _as_far_as_offered() -> Iterator[None]:
    # A bucket mount gives every file the owner and mode that it was mounted with, and refuses (or ignores) others.
    try:
        yield
    except OSError as error:
        if error.errno not in _RIGHTS_NOT_OFFERED:
            raise
