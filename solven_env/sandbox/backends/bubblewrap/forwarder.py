"""A process that forwards connections from a loopback port of the host to one inside of a session's network.

The holder forks it for a staged root. It gets a listening socket, which its caller made in the host's network, joins
the root's network namespace, and gives every right up: it has a PID namespace of its own, sees an empty directory as
`/`, and executes nothing. It opens connections to 127.0.0.1 inside alone, and only for one that came to the listener,
so nothing inside reaches the host by it.
"""

from __future__ import annotations

import errno
import os
import resource
import select

from solven_env.sandbox.roots.namespaces import STAGE, confine
from solven_env.system import mounting
from solven_env.system.blocks import suppress
from solven_env.system.plain import Socket, signal, socket
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from solven_env.sandbox.backends.bubblewrap.session_roots import StagedRoot

_EMPTY = f"{STAGE}/nothing"
_ROOM = 256 << 10
"""Bytes on the way in one direction; while there are so many, no more are read."""
_PIECE = 64 << 10
_MOST = 2000
"""Connections at once; more wait in the listener's queue."""
_OWN = 16
"""Descriptors that are no connection's."""
_LOOPBACK = "127.0.0.1"
_BROKEN = select.EPOLLERR | select.EPOLLHUP


class Forwarder:
    """A forwarder as the holder has it: its process, and the `port` of the host."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self.pidfd = os.pidfd_open(pid)

    def end(self) -> None:
        """Kill and reap it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)


def start(root: StagedRoot, listener: int, port: int, seccomp: bytes, home: int) -> Forwarder:
    """Fork the forwarder to a `port` inside; `home` is the namespace in which we make all other children."""
    with suppress(FileExistsError):
        os.mkdir(_EMPTY, 0o555)
    accepting = Socket(fileno=os.dup(listener))
    try:
        _, at = accepting.getsockname()
        mounting.unshare(mounting.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _become(root, accepting, port, seccomp)
        finally:
            mounting.join_namespace(home, mounting.CLONE_NEWPID)
    finally:
        accepting.close()
    return Forwarder(pid, at)


def _become(root: StagedRoot, listener: Socket, port: int, seccomp: bytes) -> NoReturn:
    try:
        os.setsid()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(each, signal.SIG_IGN)
        if root.network is not None:
            mounting.join_namespace(root.network.namespace, mounting.CLONE_NEWNET)
        os.chroot(_EMPTY)
        os.chdir("/")
        mounting.close_all_but({listener.fileno()})
        confine(root.plan, seccomp)
        forward(listener, port)
    finally:
        os._exit(1)


def forward(listener: Socket, port: int) -> NoReturn:
    """Forward what comes to the listener, without end."""
    poll = select.epoll()
    listener.setblocking(False)
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(2 * _MOST, open_files - _OWN)
    poll.register(listener, select.EPOLLIN)
    ends: dict[int, End] = {}
    while True:
        for descriptor, events in poll.poll():
            if descriptor == listener.fileno():
                _accept(listener, port, poll, ends)
            elif descriptor in ends:  # not one that went with its other end in this round
                _attend(ends[descriptor], events, poll, ends)
        poll.modify(listener, select.EPOLLIN if len(ends) < most else 0)


class End:
    """One end of a connection: `waiting` are bytes that are still to be written to it.

    `is_read` is true when everything has come from it, `is_told` when it knows that nothing more comes to it.
    """

    def __init__(self, own: Socket, *, is_connecting: bool) -> None:
        self.socket = own
        self.is_connecting = is_connecting
        self.waiting = bytearray()
        self.is_read = False
        self.is_told = False
        self.other = self

    def wanted(self) -> int:
        """The events to wait for."""
        if self.is_connecting:
            return select.EPOLLOUT
        reads = not self.is_read and len(self.other.waiting) < _ROOM
        return (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if self.waiting else 0)


def _accept(listener: Socket, port: int, poll: select.epoll, ends: dict[int, End]) -> None:
    inner = None
    try:
        outer, _ = listener.accept()
    except OSError:  # gone again, or there is no descriptor left: it waits
        return
    try:
        inner = Socket(socket.AF_INET, socket.SOCK_STREAM)
        for each in (outer, inner):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failure = inner.connect_ex((_LOOPBACK, port))
        if failure not in (0, errno.EINPROGRESS):
            raise OSError(failure, os.strerror(failure))
    except OSError:  # nobody listens inside
        outer.close()
        if inner is not None:
            inner.close()
        return
    pair = End(outer, is_connecting=False), End(inner, is_connecting=failure != 0)
    pair[0].other, pair[1].other = pair[1], pair[0]
    for end in pair:
        ends[end.socket.fileno()] = end
        poll.register(end.socket, end.wanted())


def _attend(end: End, events: int, poll: select.epoll, ends: dict[int, End]) -> None:
    other = end.other
    try:
        if end.is_connecting:
            failure = end.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure or events & _BROKEN:
                raise OSError(failure, "not connected")
            end.is_connecting = False
        if not end.is_read and events & (select.EPOLLIN | _BROKEN) and len(other.waiting) < _ROOM:
            _read(end, other)
        for each in (end, other):
            _write(each)
    except OSError:
        for each in (end, other):
            ends.pop(each.socket.fileno())
            each.socket.close()  # closed ones leave the set
        return
    if end.is_told and other.is_told:
        for each in (end, other):
            ends.pop(each.socket.fileno())
            each.socket.close()
        return
    for each in (end, other):
        # One whose both directions are over would be told again and again.
        over = each.is_read and each.is_told
        with suppress(FileNotFoundError):
            if over:
                poll.unregister(each.socket)
            else:
                poll.modify(each.socket, each.wanted())


def _read(end: End, other: End) -> None:
    try:
        piece = end.socket.recv(_PIECE)
    except BlockingIOError:
        return
    other.waiting += piece
    end.is_read = not piece


def _write(end: End) -> None:
    """Write what waits, and then the end, where there is one."""
    if end.is_connecting:
        return
    if end.waiting:
        try:
            del end.waiting[: end.socket.send(end.waiting)]
        except BlockingIOError:
            return
    if end.other.is_read and not end.waiting and not end.is_told:
        end.is_told = True
        end.socket.shutdown(socket.SHUT_WR)
