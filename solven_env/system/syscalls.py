"""Linux system calls that Python does not offer, through ctypes. Numbers from the kernel's own tables.

Every function raises OSError with the call's errno, and `PlatformError` where the kernel does not know the call.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from solven_env.errors import PlatformError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import NoReturn

# include/uapi/linux/openat2.h
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
CONFINED = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS

# include/uapi/linux/fs.h
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

O_PATH = 0o10000000  # os.O_PATH exists on Linux only; this module is imported on macOS too
HOLD_DIRECTORY = O_PATH | os.O_DIRECTORY
"""Flags to hold a directory, for what is looked up beneath it; nobody needs the right to read it."""

# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (aarch64). Calls added since Linux 5.1
# have one number everywhere.
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}
_STATX = {"x86_64": 332, "aarch64": 291}
_OPENAT2 = 437

# include/uapi/linux/fcntl.h
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000

_AT_STATX_FORCE_SYNC = 0x2000

# include/uapi/linux/stat.h
_STATX_INO = 0x100
_STATX_BASIC = 0x7FF
_STATX_BTIME = 0x800
_STATX_MNT_ID = 0x1000
_STATX_ATTR_MOUNT_ROOT = 0x2000

_TRIES = 100

LOCAL_TYPES = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0xCA451A4E,  # bcachefs
        0xF2F52010,  # f2fs
        0x2FC12FC1,  # zfs
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0x794C7630,  # overlay
    }
)
"""Types of file systems that one host alone mounts (include/uapi/linux/magic.h, and their own headers). Any other may
be another host's too: FUSE, NFS, SMB, 9p, Ceph, Lustre, and what is not known here."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Statfs(ctypes.Structure):
    _fields_ = (("type", ctypes.c_long), ("after", ctypes.c_uint8 * 248))


class _Statx(ctypes.Structure):
    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("attributes", ctypes.c_uint64),
        ("rights", ctypes.c_uint8 * 16),
        ("inode", ctypes.c_uint64),
        ("sizes", ctypes.c_uint8 * 40),
        ("born_seconds", ctypes.c_int64),
        ("born_nanoseconds", ctypes.c_uint32),
        ("changes", ctypes.c_uint8 * 44),
        ("device_major", ctypes.c_uint32),
        ("device_minor", ctypes.c_uint32),
        ("mount_id", ctypes.c_uint64),
        ("after", ctypes.c_uint8 * 104),
    )


class About(NamedTuple):
    """Identity of a file. `born` is its birth in nanoseconds since 1970; 0 where that is not known (FUSE).

    `mount` is the number of the mount that it was opened through; `is_mount_root`: it is what that mount shows.
    """

    device: int
    inode: int
    born: int
    mount: int
    is_mount_root: bool


_libc = ctypes.CDLL(None, use_errno=True)
# A command's start makes this call for each of its mounts: with types that ctypes knows beforehand it takes half.
_statx = ctypes.CDLL(None, use_errno=True).syscall
_statx.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Statx))
_openat2 = ctypes.CDLL(None, use_errno=True).syscall
_openat2.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)
_openat2.restype = ctypes.c_long
_HOW_SIZE = ctypes.sizeof(_OpenHow)
_MACHINE = os.uname().machine


def openat2(directory: int, path: str | bytes, flags: int, *, mode: int = 0, resolve: int = CONFINED) -> int:
    """Open `path` from the descriptor `directory`, close-on-exec, by default beneath it and through no link.

    A link on the way is ELOOP, a way out is EXDEV. The kernel answers EAGAIN when a rename anywhere raced with the
    look-up (openat2(2)), and EINTR when a signal meets a FUSE file system; it is asked again, as PEP 475 does. An
    EAGAIN that stays is a lease (O_NONBLOCK, fcntl(2)).
    """
    how = ctypes.byref(_OpenHow(flags | os.O_CLOEXEC, mode, resolve))
    encoded = os.fsencode(path)
    for _ in range(_TRIES):
        descriptor: int = _openat2(_OPENAT2, directory, encoded, how, _HOW_SIZE)
        if descriptor >= 0:
            return descriptor
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    _raise("openat2", path)


def let_owner_in(directory: int) -> None:
    """Add read, write and search for the owner to the mode of an open directory (`O_PATH` too), and nothing else.

    An agent's `chmod 000 /` would keep its own next command from starting, and an ordinary user's `apply` out. Where
    the system refuses (it is not ours, a file system without modes), whoever needs the right is told when he uses it.
    """
    mode = os.fstat(directory).st_mode & 0o7777
    if mode & 0o700 != 0o700:
        try:
            os.chmod(f"/proc/self/fd/{directory}", mode | 0o700)
        except OSError:
            return


def renameat2(old_directory: int, old: str, new_directory: int, new: str, flags: int) -> None:
    """Rename, with `RENAME_NOREPLACE` (EEXIST where `new` is there) or `RENAME_EXCHANGE` (both must be there).

    A file system that knows no flags (many FUSE ones) answers EINVAL.
    """
    number = _number(_RENAMEAT2, "renameat2")
    failed = _libc.syscall(
        ctypes.c_long(number),
        ctypes.c_int(old_directory),
        ctypes.c_char_p(os.fsencode(old)),
        ctypes.c_int(new_directory),
        ctypes.c_char_p(os.fsencode(new)),
        ctypes.c_uint(flags),
    )
    if failed:
        _raise("renameat2", new)


def chown_opened(descriptor: int, uid: int, gid: int) -> None:
    """Change the owner of what `descriptor` holds: of an `O_PATH` one too (a link, a FIFO), which fchown(2) refuses."""
    failed = _libc.fchownat(
        ctypes.c_int(descriptor),
        ctypes.c_char_p(b""),
        ctypes.c_uint(uid),
        ctypes.c_uint(gid),
        ctypes.c_int(_AT_EMPTY_PATH),
    )
    if failed:
        _raise("fchownat", "")


def mount_id(directory: int, name: str = "") -> int:
    """The number of the mount that `name` shows in an open directory, or that `directory` was itself opened through.

    `name` is one name; a link is not followed. Of all mounts that are there, no two have one number.
    """
    found = _Statx()
    flags = _AT_SYMLINK_NOFOLLOW if name else _AT_EMPTY_PATH
    if _statx(_number(_STATX, "statx"), directory, os.fsencode(name), flags, _STATX_MNT_ID, ctypes.byref(found)):
        _raise("statx", name)
    return int(found.mount_id)


def refresh(descriptor: int) -> None:
    """Have the kernel ask the file system for the size and times of an open file, and not its own memory.

    FUSE and NFS mounts remember them, up to a minute, while another host writes; a file is read no further than its
    remembered size.
    """
    found = _Statx()
    flags = _AT_EMPTY_PATH | _AT_STATX_FORCE_SYNC
    if _statx(_number(_STATX, "statx"), descriptor, b"", flags, _STATX_BASIC, ctypes.byref(found)):
        _raise("statx", "")


def file_system_type(descriptor: int) -> int:
    """The number of the type of file system (`f_type` of statfs(2)) that an open file or directory is on."""
    found = _Statfs()
    if _libc.fstatfs(ctypes.c_int(descriptor), ctypes.byref(found)):
        _raise("fstatfs", "")
    return int(found.type)


def is_local(descriptor: int) -> bool:
    """True where no other host may mount the file system of an open file or directory."""
    return file_system_type(descriptor) in LOCAL_TYPES


def about(descriptor: int) -> About:
    """Identity of an open file (`O_PATH` too), and the mount that it was opened through (statx(2))."""
    found = _Statx()
    asked = _STATX_INO | _STATX_BTIME | _STATX_MNT_ID
    if _statx(_number(_STATX, "statx"), descriptor, b"", _AT_EMPTY_PATH, asked, ctypes.byref(found)):
        _raise("statx", "")
    is_born_known = found.mask & _STATX_BTIME
    return About(
        device=os.makedev(found.device_major, found.device_minor),
        inode=int(found.inode),
        born=found.born_seconds * 10**9 + found.born_nanoseconds if is_born_known else 0,
        mount=int(found.mount_id),
        is_mount_root=bool(found.attributes & _STATX_ATTR_MOUNT_ROOT),
    )


def sync_file_system(descriptor: int) -> None:
    """Have everything that was written to the file system of `descriptor` on disk before this returns (syncfs(2))."""
    if _libc.syncfs(ctypes.c_int(descriptor)):
        _raise("syncfs", "")


def _number(table: dict[str, int], name: str) -> int:
    if sys.platform != "linux" or _MACHINE not in table:
        raise PlatformError(
            f"{name} is not available on {sys.platform}/{_MACHINE}", fix="Use Linux on x86_64 or aarch64."
        )
    return table[_MACHINE]


def _raise(name: str, path: str | bytes) -> NoReturn:
    number = ctypes.get_errno()
    if number == errno.ENOSYS:
        raise PlatformError(f"the kernel has no {name}", fix="Linux 5.12 or newer is needed.")
    raise OSError(number, os.strerror(number), os.fsdecode(path))
