"""A session's holder: a small single-threaded fork server, pid 1 of a PID namespace of its own.

It mounts each overlay once, stages one root a shape, and forks each command as pid 1 of one more PID namespace, so that
the kernel itself ends everything: a command's processes when its first one ends, whatever they did (setsid, double
forks); all commands when the holder does. No process of a command can ever become the holder's child, so there is
nothing to sweep, and no moment after the fork at which a kill leaves something behind. When a launcher's connection
ends, its command is killed. The holder ends with its last command.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

from solven_env.errors import SandboxError
from solven_env.sandbox import (
    bubblewrap,
    launching,
    mounting,
    namespaces,
    network,
    refusal,
    runtime,
    seccomp,
    sources,
    staging,
    wire,
)
from solven_env.sandbox.launching import Root
from solven_env.sandbox.plan import Command, LaunchPlan, check_command, check_plan, decode_command, decode_plan, shape

_TIMED_OUT = 124
_KILLED = 128 + signal.SIGKILL
_LONGEST_WAIT = 86400.0  # seconds; epoll_wait counts milliseconds in an int, and a timeout may be infinite


class Running:
    """A command's first process and what is known about how it ends."""

    def __init__(self, pid: int, status: int, root: str, timeout: float | None) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.status = status  # read end of bubblewrap's --json-status-fd
        self.root = root
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.verdict: int | None = None  # the status that is decided already: killed or timed out


class Session:
    """All that the holder knows. `clients` and `ending` map descriptors: a connection's, a first process's pidfd."""

    def __init__(self, listener: socket.socket, directory: int, name: str, *, unprivileged: bool) -> None:
        self.listener = listener
        self.directory = directory
        self.name = name
        self.unprivileged = unprivileged
        self.poll = select.epoll()
        self.clients: dict[int, tuple[socket.socket, Running | None]] = {}
        self.ending: dict[int, int] = {}
        self.helpers: dict[int, str] = {}  # a network helper's pidfd, and the name of its root
        self.shared = sources.Shared(f"{namespaces.STAGE}/shared")
        self.roots: dict[str, Root] = {}
        self.newest = ""
        self.staged = 0
        self.retired = False
        self.filter = seccomp.program()
        self.pids = os.open("/proc/self/ns/pid", os.O_RDONLY)


def main(listener: str, directory: str, name: str) -> None:
    """Serve the session whose socket is `name` in the runtime `directory` until its last command has ended."""
    session_socket = socket.socket(fileno=int(listener))
    session_socket.setblocking(False)
    runtime_directory = int(directory)
    unprivileged = os.geteuid() != 0
    try:
        namespaces.leave_host(unprivileged=unprivileged)
        if os.fork():
            os._exit(0)
        namespaces.prepare_stage()
        os.umask(0o022)
    except OSError as error:
        _refuse_all(session_socket, runtime_directory, name, refusal.explain(str(error)))
        return
    session = Session(session_socket, runtime_directory, name, unprivileged=unprivileged)
    os.mkdir(session.shared.where)
    session.poll.register(session.listener, select.EPOLLIN)
    _accept(session)
    while not session.retired:
        # One at a time: what handles an event may close descriptors, and their numbers come again.
        for descriptor, _ in session.poll.poll(_patience(session), 1):
            if descriptor == session.listener.fileno():
                _accept(session)
            elif descriptor in session.ending:
                _reap(session, session.ending[descriptor])
            elif descriptor in session.helpers:
                _lose_network(session, session.helpers[descriptor])
            elif descriptor in session.clients:
                _hear(session, descriptor)
        _enforce_deadlines(session)


def _accept(session: Session) -> bool:
    """Take every launcher that waits; whether there was one."""
    found = False
    while True:
        try:
            connection, _ = session.listener.accept()
        except BlockingIOError:
            return found
        found = True
        session.clients[connection.fileno()] = (connection, None)
        session.poll.register(connection, select.EPOLLIN)


def _hear(session: Session, client: int) -> None:
    """A launcher asks for its command, asks to kill it, or is gone."""
    connection, running = session.clients[client]
    if running is not None:
        if not wire.hear_again(connection):
            session.poll.unregister(client)  # at its end it stays readable
        _kill(running, _KILLED)
        return
    request = wire.receive_request(connection)
    if request is None:
        _part(session, client)
        return
    document, streams = request
    wire.send(connection, "accepted")
    try:
        running = _start(session, decode_plan(document["plan"]), decode_command(document["command"]), streams)
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


def _start(session: Session, plan: LaunchPlan, command: Command, streams: tuple[int, int, int]) -> Running:
    check_command(command)
    root, name = _root(session, plan)
    status_out, status_in = os.pipe()
    filter_out, filter_in = os.pipe()
    os.write(filter_in, session.filter)
    os.close(filter_in)
    mounting.unshare(mounting.CLONE_NEWPID)
    try:
        pid = os.fork()
        if pid == 0:
            launching.become(root, command, streams, seccomp=filter_out, status=status_in)
    finally:
        mounting.join_namespace(session.pids, mounting.CLONE_NEWPID)
        os.close(filter_out)
        os.close(status_in)
    return Running(pid, status_out, name, command.timeout)


def _root(session: Session, plan: LaunchPlan) -> tuple[Root, str]:
    own = network.own_networks(plan)
    name = f"{shape(plan)}{sources.present(plan)}{own}"
    if name not in session.roots:
        check_plan(plan)
        _check_owner(plan, unprivileged=session.unprivileged)
        session.staged += 1
        where = f"{namespaces.STAGE}/{session.staged}"
        try:
            staging.stage(plan, where, session.shared)
            made = network.make(plan, own)
        except BaseException:
            _unstage(where)
            raise
        session.roots[name] = Root(plan, where, made)
        if made is not None and made.helper is not None:
            session.helpers[made.helper.pidfd] = name
            session.poll.register(made.helper.pidfd, select.EPOLLIN)
    session.newest = name
    return session.roots[name], name


def _check_owner(plan: LaunchPlan, *, unprivileged: bool) -> None:
    """Root must drop to another host uid and gid; without privilege there is none to drop to."""
    if unprivileged:
        if (plan.uid, plan.gid) != (None, None):
            raise SandboxError("only root can give the sandbox another host uid")
    elif not (plan.uid and plan.gid):
        raise SandboxError(
            "started as root, the sandbox needs a host uid and gid that are not root's",
            fix="Set sandbox.uid in the host configuration.",
        )


def _unstage(where: str) -> None:
    if os.path.isdir(where):
        if os.path.ismount(where):
            mounting.detach(where)
        os.rmdir(where)


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
        outcome = bubblewrap.failure(report)
    session.poll.unregister(running.pidfd)
    os.close(running.pidfd)
    del session.ending[running.pidfd]
    _part(session, client, outcome)
    _drop_roots(session)


def _drop_roots(session: Session) -> None:
    """Take away the roots that no command uses any more, but for the newest, and the overlays that only they had."""
    used = {running.root for _, running in session.clients.values() if running} | {session.newest}
    for name in session.roots.keys() - used:
        root = session.roots.pop(name)
        _unstage(root.path)
        if root.network is not None:
            _end_network(session, root.network)
    sources.release(session.shared, (mount for root in session.roots.values() for mount in root.plan.mounts))


def _end_network(session: Session, ended: network.Network) -> None:
    if ended.helper is not None:
        session.poll.unregister(ended.helper.pidfd)
        del session.helpers[ended.helper.pidfd]
    network.end(ended)


def _lose_network(session: Session, name: str) -> None:
    """A root's network helper is dead: its commands go on without, and the next one gets a root of its own."""
    root = session.roots.pop(name)
    assert root.network is not None
    _end_network(session, root.network)
    lost = f"{name} {root.path}"
    session.roots[lost] = root._replace(network=None)
    session.newest = session.newest if session.newest != name else ""
    for _, running in session.clients.values():
        if running and running.root == name:
            running.root = lost
    _drop_roots(session)


def _part(session: Session, client: int, outcome: int | SandboxError | None = None) -> None:
    """Let a launcher go, with what became of its command.

    The last one is told when the session's name is free: the next command that its caller starts finds a new session,
    and never one that is about to end.
    """
    connection, _ = session.clients.pop(client)
    # Closing alone would leave it in the set while a child that has not come to its execve holds a copy.
    with suppress(FileNotFoundError):  # when its launcher has gone before
        session.poll.unregister(client)
    session.retired = not session.clients and _retire(session)
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
    return min(_LONGEST_WAIT, max(0.0, min(deadlines) - time.monotonic())) if deadlines else None


def _enforce_deadlines(session: Session) -> None:
    now = time.monotonic()
    for _, running in session.clients.values():
        if running and running.deadline is not None and running.deadline <= now:
            _kill(running, _TIMED_OUT)


def _retire(session: Session) -> bool:
    """Give the socket's name up, unless a launcher came meanwhile; one that comes later finds none and asks again."""
    with runtime.locked(session.directory):
        if _accept(session):
            return False
        os.unlink(session.name, dir_fd=session.directory)
        return True


def _refuse_all(listener: socket.socket, directory: int, name: str, error: SandboxError) -> None:
    with runtime.locked(directory):
        os.unlink(name, dir_fd=directory)
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            with connection:
                # Closed with the request unread, the connection would lose the answer too (ECONNRESET comes first).
                _, streams = wire.receive_request(connection) or ({}, ())
                for stream in streams:
                    os.close(stream)
                wire.send(connection, "accepted")
                wire.send_failure(connection, error)
