"""Files that were written and may not be on disk yet: one wait for all of them, in the place of one for each.

Each fsync(2) waits for the disk by itself, a millisecond or more; many at the same time take hardly longer than one.
They are handed to the kernel together: io_submit(2) with `IOCB_CMD_FSYNC`, Linux 4.18, which needs no threads of ours.

syncfs(2) would be one call, but it waits for all that anybody wrote on that file system: beside a process that writes
at full speed it took 1.3 s where these took 20 ms. And a FUSE file system may do nothing for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import suppress

from solven_env.system.durable import NOT_OFFERED
from solven_env.system.syscalls import file_system_type
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 64
"""Files that are open at the same time, of which each costs a descriptor."""

_IN_MEMORY = (0x01021994, 0x858458F6)
"""tmpfs and ramfs (include/uapi/linux/magic.h), which wait for nothing: a queue would take longer."""

# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (aarch64): io_setup, io_getevents,
# io_submit.
_NUMBERS = {"x86_64": (206, 208, 209), "aarch64": (0, 4, 2)}.get(os.uname().machine)
_FSYNC = 2  # include/uapi/linux/aio_abi.h


class _Request(ctypes.Structure):
    """`struct iocb`, on a machine whose bytes go from low to high."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_uint32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("after", ctypes.c_uint8 * 40),
    )


class _Event(ctypes.Structure):
    """`struct io_event`."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long

_queues: list[int] = []
"""The kernel's queues of this process that nobody has now. To give one back to the kernel takes longer than a wait."""
os.register_at_fork(after_in_child=_queues.clear)  # a queue belongs to the memory of one process


class Unsynced:
    """Open files and directories, until one wait for all of them. Errors are OSErrors.

    A descriptor that is added is this object's to close. When there are many, the first ones are waited for sooner.
    """

    def __init__(self) -> None:
        self._opened: list[int] = []

    def __del__(self) -> None:
        with suppress(AttributeError):  # an interrupt came before the first line of ours
            self.close()

    def __bool__(self) -> bool:
        """True while something is to be waited for."""
        return bool(self._opened)

    def add(self, descriptor: int) -> None:
        """Take over a file that was written, or a directory in which names were changed."""
        self._opened.append(descriptor)
        if len(self._opened) >= _MOST:
            self.wait()

    def take(self, other: Unsynced) -> None:
        """Take over all that another one has."""
        taken, other._opened = other._opened, []
        for descriptor in taken:
            self.add(descriptor)

    def wait(self) -> None:
        """Have all of it on disk before this returns. Nothing is left to be waited for, after an error too."""
        opened, self._opened = self._opened, []
        try:
            sync_all(opened)
        except BaseException:
            with suppress(OSError):  # what went wrong first is what counts
                _close(opened)
            raise
        _close(opened)

    def close(self) -> None:
        """Wait for nothing any more."""
        opened, self._opened = self._opened, []
        for descriptor in opened:
            os.close(descriptor)


def sync_all(descriptors: Sequence[int]) -> None:
    """Have these open files and directories on disk before this returns.

    The error is that of the first one that failed, once all have ended. A directory that cannot be synced is none.
    """
    has_disk = len(descriptors) > 1 and file_system_type(descriptors[0]) not in _IN_MEMORY
    begun = _sync_at_once(descriptors) if has_disk else []
    results = [*begun, *map(_sync_one, descriptors[len(begun) :])]
    for descriptor, number in zip(descriptors, results, strict=True):
        if number and not (number in NOT_OFFERED and stat.S_ISDIR(os.fstat(descriptor).st_mode)):
            raise OSError(number, os.strerror(number))


def _sync_one(descriptor: int) -> int:
    """The number of the error; 0 for none."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _sync_at_once(descriptors: Sequence[int]) -> list[int]:
    """The same for the first of them, as many as the kernel takes: none where it has no such queues, or refuses them
    (a filter of system calls, `fs.aio-max-nr`).
    """
    queue = _queue()
    if queue is None or _NUMBERS is None:
        return []
    count = min(len(descriptors), _MOST)
    requests = (_Request * count)()
    pointers = (ctypes.c_void_p * count)()
    for number in range(count):
        requests[number].data, requests[number].opcode = number, _FSYNC
        requests[number].descriptor = descriptors[number]
        pointers[number] = ctypes.addressof(requests[number])
    _, get_events, submit = _NUMBERS
    begun = max(0, _syscall(ctypes.c_long(submit), ctypes.c_ulong(queue), ctypes.c_long(count), pointers))
    events = (_Event * count)()
    results = [0] * begun
    ended = 0
    while ended < begun:
        found = _syscall(
            *(ctypes.c_long(get_events), ctypes.c_ulong(queue), ctypes.c_long(1), ctypes.c_long(begun - ended)),
            *(events, None),
        )
        if found < 0 and ctypes.get_errno() != errno.EINTR:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        for event in events[: max(0, found)]:
            results[event.data] = -event.result
            ended += 1
    _queues.append(queue)  # not after an interrupt, which leaves events in it
    return results


def _queue() -> int | None:
    """A queue that nobody has; None where none is to be had."""
    try:
        return _queues.pop()
    except IndexError:
        pass
    if _NUMBERS is None:
        return None
    made = ctypes.c_ulong(0)
    failed = _syscall(ctypes.c_long(_NUMBERS[0]), ctypes.c_long(_MOST), ctypes.byref(made))
    return None if failed else made.value


def _close(opened: Sequence[int]) -> None:
    """Close all. The first error is raised then: a network file system may tell only here that it could not write."""
    failed = None
    for descriptor in opened:
        try:
            os.close(descriptor)
        except OSError as error:
            failed = failed or error
    if failed is not None:
        raise failed
