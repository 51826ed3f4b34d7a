"""The system calls that no program in a sandbox needs and that kernels keep breaking on, as a plain BPF filter.

After Docker's and Flatpak's lists: ENOSYS where programs fall back to an older call, EPERM where they report. It is a
second wall: the namespaces and the missing capabilities refuse most of these already. strace and gdb do not run.
Sockets of most families are refused, as Flatpak does: no namespace keeps them in.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from solven_env.errors import PlatformError
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Name: number on x86_64, number on aarch64 (None: has none). Checked against the kernel's headers by the tests.
NUMBERS: dict[str, tuple[int, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

_FALLOCATE, _IOCTL = (285, 47), (16, 29)
_GIVES_BACK = 0x02 | 0x08
"""Bits of a fallocate(2) that makes holes or takes ranges out: FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE."""
_PREALLOCATING = (0x40305828, 0x4030582A, 0x40305839)
"""FS_IOC_RESVSP, FS_IOC_RESVSP64 and FS_IOC_ZERO_RANGE (linux/falloc.h): the same by ioctl(2)."""

_NO_CALLS: Mapping[str, tuple[int, int | None]] = {}

_SOCKET = (41, 198)
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what a network namespace keeps in. AF_VSOCK knows none, and reaches the
hypervisor and every other sandbox; the rest is for hardware, or ways into the kernel."""

_UNKNOWN = frozenset(  # as if this kernel had no such call
    (
        *("io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "keyctl", "add_key", "request_key"),
        *("userfaultfd", "perf_event_open", "kexec_load", "kexec_file_load", "fanotify_init", "clone3"),
        *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "quotactl_fd"),
    )
)

# include/uapi/linux/audit.h, seccomp.h, filter.h
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# In struct seccomp_data; of an argument the lower half, on both machines.
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _FIRST_ARGUMENT_OFFSET, _SECOND_ARGUMENT_OFFSET = 0, 4, 16, 24
_STEP = struct.Struct("=HBBI")  # struct sock_filter
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2  # include/uapi/linux/prctl.h, seccomp.h


def program(
    machine: str | None = None,
    *,
    but: Collection[str] = (),
    unknown: Mapping[str, tuple[int, int | None]] = _NO_CALLS,
    kills_x32: bool = True,
    families: tuple[int, ...] = _FAMILIES,
    preallocates: bool = True,
) -> bytes:
    """The filter for `machine` (default: this one) as an array of struct sock_filter.

    A call of another architecture (32-bit, x32) kills the process: it would reach the kernel under other numbers.
    `but` are names of calls that are not refused, `unknown` are further calls that are to look unknown to this kernel.
    Where not `kills_x32`, x32's and all higher numbers look unknown too. `families` are those of sockets that there
    are; with () all are. Unless it `preallocates`, no file gets room that nothing was written to: one call would take
    all that a file system has. It is EOPNOTSUPP, as on NFS and many FUSE mounts, at which programs write instead.

        >>> len(program("x86_64")) % 8
        0
    """
    refused = {name: (entry, name in _UNKNOWN) for name, entry in NUMBERS.items() if name not in but}
    refused |= {name: (entry, True) for name, entry in unknown.items()}
    x32 = _KILL_PROCESS if kills_x32 else _ERRNO | errno.ENOSYS
    return _program(refused, x32, machine, families, preallocates=preallocates)


def install(program: bytes) -> None:
    """Put this process and its children under a filter (seccomp(2)); no_new_privs must be set."""
    array = ctypes.create_string_buffer(program, len(program))
    filters = _Program(len(program) // _STEP.size, ctypes.addressof(array))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filters), zero, zero):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "seccomp")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _program(
    refused: Mapping[str, tuple[tuple[int, int | None], bool]],
    x32: int,
    machine: str | None,
    families: tuple[int, ...],
    *,
    preallocates: bool,
) -> bytes:
    """A filter from names to their numbers, and whether each is to look unknown to this kernel; `x32` is what x32's and
    all higher numbers get. Where `families` of sockets are named, there are no others."""
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        raise PlatformError(f"no list of system calls for {machine}", fix="Use Linux on x86_64 or aarch64.")
    column = list(_ARCHITECTURES).index(machine)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    if machine == "x86_64":
        steps += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, x32)]
    for entry, is_unknown in refused.values():
        number = entry[column]
        if number is not None:
            refusal = errno.ENOSYS if is_unknown else errno.EPERM
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | refusal)]
    if not preallocates:
        unsupported = (_RETURN, 0, 0, _ERRNO | errno.EOPNOTSUPP)
        steps += [(_EQUAL, 0, 4, _FALLOCATE[column]), (_LOAD, 0, 0, _SECOND_ARGUMENT_OFFSET)]
        steps += [(_ANY_BIT, 0, 1, _GIVES_BACK), (_RETURN, 0, 0, _ALLOW), unsupported]
        count = len(_PREALLOCATING)
        steps += [(_EQUAL, 0, count + 3, _IOCTL[column]), (_LOAD, 0, 0, _SECOND_ARGUMENT_OFFSET)]
        steps += [(_EQUAL, count - at, 0, request) for at, request in enumerate(_PREALLOCATING)]
        steps += [(_RETURN, 0, 0, _ALLOW), unsupported]
    if families:
        count = len(families)
        steps += [(_EQUAL, 0, count + 2, _SOCKET[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT_OFFSET)]
        steps += [(_EQUAL, count - at, 0, family) for at, family in enumerate(families)]  # to the last step
        steps.append((_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT))
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(_STEP.pack(*step) for step in steps)
