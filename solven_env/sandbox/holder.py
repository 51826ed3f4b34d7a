"""A session's holder: a small single-threaded fork server, pid 1 of a PID namespace of its own.

It mounts each overlay once, stages one root a shape, and forks each command as pid 1 of one more PID namespace, so that
the kernel itself ends everything: a command's processes when its first one ends, whatever they did (setsid, double
forks); all commands when the holder does. No process of a command can ever become the holder's child, so there is
nothing to sweep, and no moment after the fork at which a kill leaves something behind. When a launcher's connection
ends, its command is killed. The holder ends with its last command, or as long after it as a command asked for.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from solven_env.errors import SandboxError
from solven_env.sandbox import (
    bubblewrap,
    launching,
    mounting,
    namespaces,
    refusal,
    roots,
    runtime,
    seccomp,
    wire,
)
from solven_env.sandbox.plan import check_command, decode_command, decode_plan

if TYPE_CHECKING:
    from solven_env.sandbox.plan import Command

_TIMED_OUT = 124
_KILLED = 128 + signal.SIGKILL
_LONGEST_WAIT = 86400.0  # seconds; epoll_wait counts milliseconds in an int, and a timeout may be infinite
_OWN_DESCRIPTORS, _DESCRIPTORS_A_COMMAND = 64, 4  # its connection, pidfd, status and perhaps a root's network


class Running:
    """A command's first process and what is known about how it ends."""

    def __init__(self, pid: int, status: int, root: str, command: Command) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.status = status  # read end of bubblewrap's --json-status-fd
        self.root = root
        self.deadline = None if command.timeout is None else time.monotonic() + command.timeout
        self.keep_alive = command.keep_alive
        self.verdict: int | None = None  # the status that is decided already: killed or timed out


class Session:
    """All that the holder knows. `clients` and `ending` map descriptors: a connection's, a first process's pidfd.

    `room` is how many clients there are descriptors for; more wait until one leaves. `kept_until` is when a session
    without commands ends.
    """

    def __init__(self, listener: socket.socket, directory: int, name: str, inode: int, *, unprivileged: bool) -> None:
        self.listener = listener
        self.directory = directory
        self.name = name
        self.inode = inode
        self.poll = select.epoll()
        self.clients: dict[int, tuple[socket.socket, Running | None]] = {}
        self.ending: dict[int, int] = {}
        self.roots = roots.Roots(unprivileged=unprivileged)
        self.room = max(1, (launching.limit_open_files() - _OWN_DESCRIPTORS) // _DESCRIPTORS_A_COMMAND)
        self.began = time.monotonic()
        self.kept_until = 0.0
        self.retired = False
        self.filter = seccomp.program()
        self.pids = os.open("/proc/self/ns/pid", os.O_RDONLY)


def main(listener: str, directory: str, name: str) -> None:
    """Serve the session whose socket is `name` in the runtime `directory` until its last command has ended."""
    session_socket = socket.socket(fileno=int(listener))
    session_socket.setblocking(False)
    runtime_directory = int(directory)
    unprivileged = os.geteuid() != 0
    with runtime.locked(runtime_directory):
        if not session_socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):  # the launcher was killed
            runtime.bury(runtime_directory, name)
            return
        inode = runtime.inode(runtime_directory, name)
    try:
        namespaces.leave_host(unprivileged=unprivileged)
        if os.fork():
            os._exit(0)
        namespaces.prepare_stage()
        os.umask(0o022)
    except OSError as error:
        with runtime.locked(runtime_directory):
            runtime.remove(runtime_directory, name, inode)
        _refuse_all(session_socket, refusal.explain(str(error)))
        return
    session = Session(session_socket, runtime_directory, name, inode, unprivileged=unprivileged)
    session.poll.register(session.listener, select.EPOLLIN)
    _accept(session)
    _end_when_over(session)
    while not session.retired:
        # One at a time: what handles an event may close descriptors, and their numbers come again.
        for descriptor, _ in session.poll.poll(_patience(session), 1):
            if descriptor == session.listener.fileno():
                _accept(session)
            elif descriptor in session.ending:
                _reap(session, session.ending[descriptor])
            elif descriptor in session.clients:
                _hear(session, descriptor)
        _enforce_deadlines(session)
        _end_when_over(session)


def _accept(session: Session) -> None:
    """Take the launchers that wait, as many as there is room for."""
    while len(session.clients) < session.room:
        try:
            connection, _ = session.listener.accept()
        except BlockingIOError:
            return
        session.clients[connection.fileno()] = (connection, None)
        session.poll.register(connection, select.EPOLLIN)
    session.poll.modify(session.listener, 0)  # until `_part` makes room


def _hear(session: Session, client: int) -> None:
    """A launcher asks for its command, asks to kill it, or is gone; or someone asks how the session is."""
    connection, running = session.clients[client]
    if running is not None:
        if not wire.hear_again(connection):
            session.poll.unregister(client)  # at its end it stays readable
        _kill(running, _KILLED)
        return
    request = wire.receive_request(connection)
    if request == "status":
        _tell_status(session, connection)
    if request is None or request == "status":
        _part(session, client)
        return
    document, streams = request
    wire.send(connection, "accepted")
    try:
        running = _start(session, document, streams)
    except Exception as error:  # one launcher's plan, however wrong, ends no other's command
        if not isinstance(error, SandboxError):
            error = SandboxError(f"the sandbox could not be staged: {error!r}")
        _part(session, client, error)
        return
    finally:
        for stream in streams:
            os.close(stream)
    wire.send(connection, "started")
    session.clients[client] = (connection, running)
    session.ending[running.pidfd] = client
    session.poll.register(running.pidfd, select.EPOLLIN)


def _tell_status(session: Session, connection: socket.socket) -> None:
    now = time.monotonic()
    commands = [running for _, running in session.clients.values() if running]
    kept = max(session.kept_until - now, *(running.keep_alive for running in commands), 0.0)
    wire.send(connection, "status", commands=len(commands), age=now - session.began, keep_alive=kept)


def _start(session: Session, document: dict[str, Any], streams: tuple[int, int, int]) -> Running:
    plan, command = decode_plan(document["plan"]), decode_command(document["command"])
    check_command(command)
    name = roots.have(session.roots, plan)
    root, open_files = session.roots.staged[name], int(document["open_files"])
    status_out, status_in = os.pipe()
    filter_out, filter_in = os.pipe()
    os.write(filter_in, session.filter)
    os.close(filter_in)
    mounting.unshare(mounting.CLONE_NEWPID)
    try:
        pid = os.fork()
        if pid == 0:
            launching.become(root, command, streams, open_files=open_files, seccomp=filter_out, status=status_in)
    except BaseException:
        os.close(status_out)
        raise
    finally:
        mounting.join_namespace(session.pids, mounting.CLONE_NEWPID)
        os.close(filter_out)
        os.close(status_in)
    return Running(pid, status_out, name, command)


def _reap(session: Session, client: int) -> None:
    """A command's first process has ended, and with it the kernel has ended all others of its namespace."""
    _, running = session.clients[client]
    assert running is not None
    _, waited = os.waitpid(running.pid, 0)
    with open(running.status, "rb") as lines:
        report = lines.read()
    status = bubblewrap.exit_status(report)
    outcome: int | SandboxError
    if running.verdict is not None:
        outcome = running.verdict
    elif status is not None:
        outcome = status
    elif os.WIFSIGNALED(waited):
        outcome = 128 + os.WTERMSIG(waited)
    else:
        outcome = bubblewrap.failure(report, session.roots.staged[running.root].plan.bwrap)
    session.poll.unregister(running.pidfd)
    os.close(running.pidfd)
    del session.ending[running.pidfd]
    session.kept_until = max(session.kept_until, time.monotonic() + running.keep_alive)
    _part(session, client, outcome)
    roots.drop(session.roots, used={running.root for _, running in session.clients.values() if running})


def _part(session: Session, client: int, outcome: int | SandboxError | None = None) -> None:
    """Let a launcher go, with what became of its command.

    The last one of a session that is not kept alive is told when the session's name is free: the next command that its
    caller starts finds a new session, and never one that is about to end.
    """
    connection, _ = session.clients.pop(client)
    # Closing alone would leave it in the set while a child that has not come to its execve holds a copy.
    with suppress(FileNotFoundError):  # when its launcher has gone before
        session.poll.unregister(client)
    session.poll.modify(session.listener, select.EPOLLIN)
    _end_when_over(session)
    if isinstance(outcome, SandboxError):
        wire.send_failure(connection, outcome)
    elif outcome is not None:
        wire.send(connection, "exited", status=outcome)
    connection.close()


def _kill(running: Running, verdict: int) -> None:
    if running.verdict is None:
        running.verdict = verdict
        signal.pidfd_send_signal(running.pidfd, signal.SIGKILL)


def _patience(session: Session) -> float | None:
    deadlines = [
        running.deadline
        for _, running in session.clients.values()
        if running and running.deadline is not None and running.verdict is None
    ]
    if not session.clients:
        deadlines.append(session.kept_until)
    return min(_LONGEST_WAIT, max(0.0, min(deadlines) - time.monotonic())) if deadlines else None


def _enforce_deadlines(session: Session) -> None:
    now = time.monotonic()
    for _, running in session.clients.values():
        if running and running.deadline is not None and running.deadline <= now:
            _kill(running, _TIMED_OUT)


def _end_when_over(session: Session) -> None:
    """Without any command, and kept alive no longer, give the socket's name up, unless a launcher came meanwhile.

    One that comes later finds none and asks again.
    """
    if session.retired or session.clients or time.monotonic() < session.kept_until:
        return
    with runtime.locked(session.directory):
        _accept(session)
        if not session.clients:
            runtime.remove(session.directory, session.name, session.inode)
            session.retired = True


def _refuse_all(listener: socket.socket, error: SandboxError) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        with connection:
            # Closed with the request unread, the connection would lose the answer too (ECONNRESET comes first).
            wire.receive_request(connection)
            wire.send(connection, "accepted")
            wire.send_failure(connection, error)
