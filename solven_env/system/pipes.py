"""System calls about pipes, sockets and open files that Python has no names for, or that wait in its hands.

None of them waits, whatever the descriptor's own flags say: those belong to the open file, which its other holders use
too, and are never changed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import struct
import termios

PAGE = 4096
"""Bytes of which a pipe that asks for no more has room for one write (Linux gives it one page, of whatever size)."""

_NONBLOCK = 0x02  # SPLICE_F_NONBLOCK, include/uapi/linux/splice.h
_MOVE = 0x01  # SPLICE_F_MOVE
_MSG_PEEK, _MSG_DONTWAIT, _MSG_NOSIGNAL = 0x02, 0x40, 0x4000  # include/linux/socket.h
_SOL_SOCKET, _SO_TYPE, _SOCK_STREAM = 1, 3, 1  # include/uapi/asm-generic/socket.h
_KCMP = {"x86_64": 312, "aarch64": 272}  # its number; KCMP_FILE is 0 (kcmp(2))
_COUNT = struct.Struct("i")

_libc = ctypes.CDLL(None, use_errno=True)
for _name in ("recv", "send", "tee", "syscall"):
    getattr(_libc, _name).restype = ctypes.c_ssize_t


def reopen(descriptor: int) -> int:
    """A descriptor of what another one is open on. Of a pipe, where we may, with flags of its own: it never waits."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        try:
            return os.open(f"/proc/self/fd/{descriptor}", mode | os.O_NONBLOCK)
        except OSError:  # it is another user's, or nobody reads it
            pass
    return os.dup(descriptor)


def splice(source: int, sink: int, size: int, offset: int | None = None) -> int:
    """splice(2): move up to `size` bytes, one of both ends being a pipe; 0 at the end of the source.

    BlockingIOError where the pipe holds, or takes, nothing. OSError with EINVAL where the other end knows no splice.
    """
    if offset is None:
        return os.splice(source, sink, size, flags=_NONBLOCK | _MOVE)
    return os.splice(source, sink, size, offset_src=offset, flags=_NONBLOCK | _MOVE)


def take(source: int, size: int) -> bytes:
    """Read up to `size` bytes from a pipe or a socket; none at its end. BlockingIOError where none is there now."""
    if is_socket(source):
        return _receive(source, size, _MSG_DONTWAIT)
    return _through_pipe(source, size, splice)


def peek(source: int, size: int) -> bytes:
    """The bytes that `take` would give next; they stay there for whoever reads them."""
    if is_socket(source):
        return _receive(source, size, _MSG_DONTWAIT | _MSG_PEEK)
    return _through_pipe(source, size, _tee)


def send(sink: int, data: bytes) -> int:
    """Write what a socket takes now, and return how much that is. BlockingIOError where it takes nothing."""
    return _checked(_libc.send(sink, data, ctypes.c_size_t(len(data)), _MSG_DONTWAIT | _MSG_NOSIGNAL))


def count(pipe: int) -> int:
    """Number of bytes that a pipe holds; either of its ends tells it (FIONREAD, pipe(7))."""
    held: int = _COUNT.unpack(fcntl.ioctl(pipe, termios.FIONREAD, bytes(_COUNT.size)))[0]
    return held


def resize(pipe: int, size: int) -> None:
    """Give a pipe of ours room for `size` bytes, or as it is where its user has too much in pipes already (EPERM)."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
    except OSError:
        return


def is_socket(descriptor: int) -> bool:
    """True for a socket."""
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def is_stream(socket: int) -> bool:
    """True for a socket that carries bytes, as a pipe does, and no packets."""
    kind, size = ctypes.c_int(), ctypes.c_uint(ctypes.sizeof(ctypes.c_int))
    _checked(_libc.getsockopt(socket, _SOL_SOCKET, _SO_TYPE, ctypes.byref(kind), ctypes.byref(size)))
    return kind.value == _SOCK_STREAM


def are_one(first: int, second: int) -> bool:
    """True where two descriptors are of one open file, so that all writes to both have one order.

    Two that were opened separately are one where they are ends of one pipe or socket. Where the kernel refuses kcmp(2),
    one file is taken for one open file.
    """
    here, there = os.fstat(first), os.fstat(second)
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        return False
    number = _KCMP.get(os.uname().machine)
    if number is None or stat.S_ISFIFO(here.st_mode) or stat.S_ISSOCK(here.st_mode):
        return True
    own = os.getpid()
    return int(_libc.syscall(*map(ctypes.c_long, (number, own, own, 0, first, second)))) <= 0  # -1: refused


def _through_pipe(source: int, size: int, move: object) -> bytes:
    """By way of a pipe of our own, since a read(2) of the source may wait."""
    reading, writing = os.pipe()
    try:
        moved: int = move(source, writing, size)  # type: ignore[operator]
        return os.read(reading, moved) if moved else b""
    finally:
        os.close(reading)
        os.close(writing)


def _tee(source: int, sink: int, size: int) -> int:
    """tee(2): as `splice` between two pipes, but the source keeps it."""
    return _checked(_libc.tee(source, sink, ctypes.c_size_t(size), _NONBLOCK))


def _receive(socket: int, size: int, flags: int) -> bytes:
    room = ctypes.create_string_buffer(size)
    received = _checked(_libc.recv(socket, room, ctypes.c_size_t(size), flags))
    return room.raw[:received]


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
