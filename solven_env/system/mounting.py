"""Mounts and namespaces by system call: mount(8) takes 70 ms for a staged root, these 2.

Everything works on descriptors (man pages: mount_setattr(2), and the kernel's
Documentation/filesystems/mount_api.rst; glibc has wrappers since 2.36 only). Each call raises OSError with its errno.
"""

from __future__ import annotations

import ctypes
import os

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

# include/uapi/asm-generic/unistd.h: since Linux 5.1 a new call has the same number on every architecture.
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_FSOPEN = 430
_FSCONFIG = 431
_FSMOUNT = 432
_CLOSE_RANGE = 436
_MOUNT_SETATTR = 442

# include/uapi/linux/mount.h
ATTR_RDONLY = 0x01
ATTR_NOSUID = 0x02
ATTR_NODEV = 0x04
ATTR_NOEXEC = 0x08
_ATTR_IDMAP = 0x00100000
_OPEN_TREE_CLONE = 1
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_MOVE_MOUNT_BOTH_EMPTY = 0x04 | 0x40
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2

# include/uapi/linux/fcntl.h
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLOSE_RANGE_CLOEXEC = 4  # include/uapi/linux/close_range.h
_LAST_DESCRIPTOR = 0xFFFFFFFF

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


# include/uapi/linux/capability.h
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_SETS = ("effective", "permitted", "inheritable")


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def clone_tree(path: str, directory: int = _AT_FDCWD) -> int:
    """A detached copy of the mount at `path` with all that is mounted beneath it; with `path` empty, at `directory`.

    Recursive always: in a user namespace the kernel refuses to uncover what another one mounted over (EINVAL).
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE | (0 if path else _AT_EMPTY_PATH)
    return _call(
        path or "open_tree",
        _OPEN_TREE,
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(flags),
    )


def set_attributes(mount: int, attributes: int, *, recursive: bool = True) -> None:
    """Add `ATTR_*` to a mount, and to all beneath it."""
    _set_attributes(mount, _MountAttr(attr_set=attributes), recursive)


def map_ids(mount: int, namespace: int) -> None:
    """Show ids on a detached mount, and on all beneath it, as the user namespace maps them (Linux 5.12)."""
    _set_attributes(mount, _MountAttr(attr_set=_ATTR_IDMAP, userns_fd=namespace), recursive=True)


def _set_attributes(mount: int, wanted: _MountAttr, recursive: bool) -> None:
    _call(
        "mount_setattr",
        _MOUNT_SETATTR,
        ctypes.c_int(mount),
        ctypes.c_char_p(b""),
        ctypes.c_uint(_AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)),
        ctypes.byref(wanted),
        ctypes.c_size_t(ctypes.sizeof(wanted)),
    )


def attach(mount: int, target: int) -> None:
    """Put a detached mount over the very file or directory that the descriptor `target` is open on."""
    empty = ctypes.c_char_p(b"")
    _call(
        "move_mount",
        _MOVE_MOUNT,
        ctypes.c_int(mount),
        empty,
        ctypes.c_int(target),
        empty,
        ctypes.c_uint(_MOVE_MOUNT_BOTH_EMPTY),
    )


def new_mount(kind: str, options: dict[str, str | None], attributes: int) -> int:
    """A detached mount of a new file system; an option without a value is a flag."""
    context = _call(kind, _FSOPEN, ctypes.c_char_p(kind.encode()), ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        for key, value in options.items():
            if value is None:
                _configure(context, _FSCONFIG_SET_FLAG, key, None)
            else:
                _configure(context, _FSCONFIG_SET_STRING, key, value)
        _configure(context, _FSCONFIG_CMD_CREATE, None, None)
        return _call(kind, _FSMOUNT, ctypes.c_int(context), ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(attributes))
    finally:
        os.close(context)


def memory_bounds(size: int) -> dict[str, str | None]:
    """Options of a tmpfs of `size` bytes: so many files, too, as would fill it with a page each.

    An empty file takes about 1 KiB of the kernel's memory, and the kernel's default lets there be millions.
    """
    return {"size": str(size), "nr_inodes": str(max(size >> 12, 64))}


def make_private(path: str) -> None:
    """Let nothing that is mounted at or beneath `path` reach another namespace, nor the other way."""
    _check(path, _libc.mount(None, os.fsencode(path), None, ctypes.c_ulong(_MS_REC_PRIVATE), None))


def detach(path: str) -> None:
    """Take the mount at `path` away with all beneath it; what is open stays usable."""
    _check(path, _libc.umount2(os.fsencode(path), _MNT_DETACH))


def unshare(flags: int) -> None:
    """unshare(2): `CLONE_NEW*`."""
    _check("unshare", _libc.unshare(ctypes.c_int(flags)))


def join_namespace(descriptor: int, kind: int) -> None:
    """setns(2)."""
    _check("setns", _libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)))


def forbid_new_privileges() -> None:
    """PR_SET_NO_NEW_PRIVS (prctl(2)): no set-uid program gives this process or its children anything any more."""
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    _check("no_new_privs", _libc.prctl(ctypes.c_int(_PR_SET_NO_NEW_PRIVS), one, zero, zero, zero))


def forbid_tracing() -> None:
    """PR_SET_DUMPABLE 0 (prctl(2)): no process of our uid reads our memory or traces us, by /proc or otherwise."""
    zero = ctypes.c_ulong(0)
    _check("dumpable", _libc.prctl(ctypes.c_int(_PR_SET_DUMPABLE), zero, zero, zero, zero))


class _Capabilities(ctypes.Structure):
    _fields_ = tuple((f"{kind}_{half}", ctypes.c_uint32) for half in range(2) for kind in _CAPABILITY_SETS)


def rest_capabilities() -> None:
    """Empty the effective set of this thread's capabilities (capset(2)), so that modes of files hold for us too.

    The permitted set stays: the next execve by the uid 0 of a user namespace makes it effective again.
    """
    about = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    held = _Capabilities()
    _check("capget", _libc.capget(about, ctypes.byref(held)))
    held.effective_0 = held.effective_1 = 0
    _check("capset", _libc.capset(about, ctypes.byref(held)))


def drop_capabilities() -> None:
    """Empty all sets of this thread's capabilities (capset(2)): nothing brings them back before an execve."""
    about = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check("capset", _libc.capset(about, ctypes.byref(_Capabilities())))


def signal_when_parent_ends(number: int) -> None:
    """PR_SET_PDEATHSIG (prctl(2)): it is sent when the thread ends that started this process, not the process alone."""
    zero = ctypes.c_ulong(0)
    _check("pdeathsig", _libc.prctl(ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(number), zero, zero, zero))


def adopt_orphans() -> None:
    """PR_SET_CHILD_SUBREAPER (prctl(2)): from now on an orphan among our descendants becomes our child, not init's."""
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    _check("subreaper", _libc.prctl(ctypes.c_int(_PR_SET_CHILD_SUBREAPER), one, zero, zero, zero))


def close_on_exec(first: int) -> None:
    """Let no descriptor from `first` on survive the next execve, whoever opened it."""
    last = ctypes.c_uint(_LAST_DESCRIPTOR)
    _call("close_range", _CLOSE_RANGE, ctypes.c_uint(first), last, ctypes.c_uint(_CLOSE_RANGE_CLOEXEC))


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor but these, whoever opened it."""
    first = 0
    for each in (*sorted(kept), _LAST_DESCRIPTOR):
        if each > first:
            _call("close_range", _CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(each - 1), ctypes.c_uint(0))
        first = each + 1


def _configure(context: int, command: int, key: str | None, value: str | None) -> None:
    _call(
        key or "fsconfig",
        _FSCONFIG,
        ctypes.c_int(context),
        ctypes.c_uint(command),
        ctypes.c_char_p(None if key is None else key.encode()),
        ctypes.c_char_p(None if value is None else os.fsencode(value)),
        ctypes.c_int(0),
    )


def _call(subject: str, number: int, *arguments: object) -> int:
    result = int(_syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        _raise(subject)
    return result


def _check(subject: str, result: int) -> None:
    if result:
        _raise(subject)


def _raise(subject: str) -> NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), subject)


def in_first_user_namespace() -> bool:
    """True in the user namespace that maps every uid to itself, as it alone does (user_namespaces(7))."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() == ["0", "0", "4294967295"]
