"""A session's holder: a small single-threaded fork server, pid 1 of a PID namespace of its own.

It mounts each overlay once, stages one root a shape, and forks each command as pid 1 of one more PID namespace, so that
the kernel itself ends everything: a command's processes when its first one ends, whatever they did (setsid, double
forks); all commands when the holder does. No process of a command can ever become the holder's child, so there is
nothing to sweep, and no moment after the fork at which a kill leaves something behind. Commands with `processes:
session` share one such namespace (`reaper`), where a kill ends the foreground. When a launcher's connection ends, its
command is killed. The holder ends with its last command, or as long after it as a command asked for.
"""

from __future__ import annotations

import os
import select
import time

from solven_env.errors import SandboxError, SolvenError
from solven_env.sandbox import cgroups, limits, refusal, runtime, seccomp, signals, wire
from solven_env.sandbox.backends.bubblewrap import (
    counting,
    ending,
    file_server,
    forwarder,
    keeper,
    keeping,
    reaper,
    session_roots,
    starting,
)
from solven_env.sandbox.network import attempts
from solven_env.sandbox.request import check_fits, decode_request
from solven_env.sandbox.roots import devices, namespaces, staging
from solven_env.system.blocks import suppress
from solven_env.system.plain import Socket, socket
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from solven_env.sandbox.backends.bubblewrap.counting import Watch
    from solven_env.sandbox.backends.bubblewrap.disk_watch import Lookout
    from solven_env.sandbox.backends.bubblewrap.ending import Running
    from solven_env.sandbox.backends.bubblewrap.file_server import Server
    from solven_env.sandbox.backends.bubblewrap.forwarder import Forwarder
    from solven_env.sandbox.backends.bubblewrap.session_roots import StagedRoot
    from solven_env.sandbox.limits import Reached

_LONGEST_WAIT = 86400.0  # seconds; epoll_wait counts milliseconds in an int, and a timeout may be infinite
_OWN_DESCRIPTORS = 64
_TRIES = 20
_LINGER = 10.0
"""Seconds that a session stays at least after a command that outlives its caller, since others may wait for its end,
and from when somebody has reached its files or a port."""
# Its connection, two pidfds and a status; the namespace, and the pidfd and the leash or the counters, of a network; a
# terminal on its way.
_DESCRIPTORS_A_COMMAND = 9


class Session:
    """All that the holder knows. `clients`, `ending` and `watched` map descriptors: a connection's, and to that one a
    first process's pidfd and what a `Watch` waits for. `servers` are the file servers by the directories of their
    roots, which `serving` tells of their pidfds; `forwarders` and `forwarding`
    are so by the directory and the port inside. `keepers` have the commands that outlive their callers. `lookouts` are
    by the descriptors of their channels. `others_wrote` are bytes in the thread's directories that an apply answers
    for.

    `next` is the first process of a command to come, forked ahead from the second command on (`commands` counts them).

    `room` is how many clients there are descriptors for; more wait until one leaves. `kept_until` is when a session
    without commands ends.
    """

    def __init__(self, listener: Socket, directory: int, name: str, inode: int, *, unprivileged: bool) -> None:
        self.listener = listener
        self.directory = directory
        self.name = name
        self.inode = inode
        self.poll = select.epoll()
        self.clients: dict[int, tuple[Socket, Running | None]] = {}
        self.ending: dict[int, int] = {}
        self.watched: dict[int, int] = {}
        self.lookouts: dict[int, Lookout] = {}
        descriptors = starting.limit_open_files() - _OWN_DESCRIPTORS
        self.keepers = keeping.Keepers(self.poll, descriptors)
        self.servers: dict[str, Server] = {}
        self.serving: dict[int, str] = {}
        self.forwarders: dict[tuple[str, int], Forwarder] = {}
        self.forwarding: dict[int, tuple[str, int]] = {}
        self.reaper: reaper.Reaper | None = None
        self.next: starting.First | None = None
        self.commands = 0
        self.others_wrote = 0
        self.roots = session_roots.Roots(self.poll, unprivileged=unprivileged)
        self.cgroups = cgroups.find_parent()
        cgroups.clear(self.cgroups, name)  # what a killed holder has left
        self.room = max(2, (descriptors - self.keepers.descriptors) // _DESCRIPTORS_A_COMMAND)
        self.began = time.monotonic()
        self.kept_until = 0.0
        self.retired = False
        self.filter = seccomp.program()
        self.pids = os.open("/proc/self/ns/pid", os.O_RDONLY)


def main(listener: str, directory: str, name: str) -> None:
    """Serve the session whose socket is `name` in the runtime `directory` until its last command has ended."""
    signals.forget_starter()
    limits.forbid_cores()
    session_socket = Socket(fileno=int(listener))
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
            elif descriptor in session.watched:
                _step(session, descriptor)
            elif descriptor in session.clients:
                _hear(session, descriptor)
            elif descriptor in session.lookouts:
                _hear_lookout(session, descriptor)
            elif descriptor in session.keepers.names:
                keeping.lose(session.keepers, descriptor)
            elif descriptor in session.serving:
                _hear_server(session, descriptor)
            elif descriptor in session.forwarding:
                _lose_forwarder(session, descriptor)
            elif session.reaper is not None and descriptor == session.reaper.pidfd:
                _end_reaper(session)
            elif descriptor in session.roots.helpers:
                session_roots.lose_network(session.roots, descriptor)
                _drop_roots(session)
        for _, running in session.clients.values():
            if running:
                ending.attend(running)
        _end_when_over(session)
    os._exit(0)  # at once: Python would take its modules apart for 3 ms, while the next session may be starting


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
        ending.kill(running, ending.KILLED)
        return
    asked = wire.receive_request(connection)
    serve, fields, streams = (None, (), 0) if asked is None else _SERVED.get(asked.kind, (None, (), 0))
    if asked is None or serve is None or len(asked.descriptors) != streams or not _has(asked.document, fields):
        _part(session, client)
    else:
        serve(session, client, asked)
    for descriptor in () if asked is None else asked.descriptors:
        os.close(descriptor)


def _has(document: object, fields: tuple[str, ...]) -> bool:
    return isinstance(document, dict) and all(field in document for field in fields)


def _serve_status(session: Session, client: int, _: wire.Asked) -> None:
    _tell_status(session, session.clients[client][0])
    _part(session, client)


def _serve_room(session: Session, client: int, asked: wire.Asked) -> None:
    session.others_wrote += asked.document["size"]
    _order_lookouts(session)
    _serve_status(session, client, asked)


def _serve_files(session: Session, client: int, asked: wire.Asked) -> None:
    """Hand a caller over to the file server of the root that it asks for."""
    connection, _ = session.clients[client]
    wire.send(connection, "accepted")
    try:
        where, hidden = session_roots.have(session.roots, asked.document["plan"])
        server, is_bounded = session.servers.get(where), bool(asked.document["bounded"])
        if server is not None and is_bounded and not server.is_bounded:
            _lose_server(session, where)
            server = None
        if server is None:
            server = file_server.start(session.roots.staged[where], session.pids, is_bounded=is_bounded)
            session.servers[where] = server
            for each in (server.pidfd, server.door.fileno()):
                session.serving[each] = where
                session.poll.register(each, select.EPOLLIN)
        server.admit(connection)
        wire.send(connection, "served", hidden=hidden)
    except Exception as error:  # as for a command
        _part(session, client, _told(error))
        return
    _keep(session, max(asked.document["keep_alive"], _LINGER))
    _part(session, client)
    _drop_roots(session)


def _serve_publish(session: Session, client: int, asked: wire.Asked) -> None:
    """Forward a port of the host, that of the listener which came along, to one inside; or tell which does already."""
    connection, _ = session.clients[client]
    wire.send(connection, "accepted")
    try:
        where, hidden = session_roots.have(session.roots, asked.document["plan"])
        place = where, int(asked.document["port"])
        found = session.forwarders.get(place)
        if found is None:
            root, listener = session.roots.staged[where], asked.descriptors[0]
            found = forwarder.start(root, listener, place[1], session.filter, session.pids)
            session.forwarders[place] = found
            session.forwarding[found.pidfd] = place
            session.poll.register(found.pidfd, select.EPOLLIN)
        wire.send(connection, "published", hidden=hidden, port=found.port)
    except Exception as error:  # as for a command
        _part(session, client, _told(error))
        return
    _keep(session, max(asked.document["keep_alive"], _LINGER))
    _part(session, client)
    _drop_roots(session)


def _lose_forwarder(session: Session, descriptor: int) -> None:
    """A forwarder has ended, or is to: the next caller gets another."""
    session.poll.unregister(descriptor)
    session.forwarders.pop(session.forwarding.pop(descriptor)).end()


def _serve_start(session: Session, client: int, asked: wire.Asked) -> None:
    """Start a command that outlives its caller: its keeper is its launcher."""
    connection, _ = session.clients[client]
    wire.send(connection, "accepted")
    document, process = asked.document, asked.document["process"]
    opened: keeping.Opened | None = None
    launcher: Socket | None = None
    try:
        command = document["command"]
        command["keep_alive"] = max(command["keep_alive"], _LINGER)
        where, hidden = session_roots.have(session.roots, document["plan"])
        plan = session.roots.staged[where].plan
        _watch_disk(session, where, command["limits"].get("disk"))
        keeping.check_room(session.keepers)
        opened = keeping.open_streams(plan, process["size"], merge=process["merge"])
        kept = keeping.keep(session.keepers, opened, process, plan, session.filter)
        launcher = kept.keeper.launcher
        session.clients[launcher.fileno()] = (launcher, None)
        session.poll.register(launcher, select.EPOLLIN)
        running = _start(session, session.roots.staged[where], document, opened.streams, opened.terminal)
        _begin(session, launcher.fileno(), running)
        _bound_disk(session, running)
    except Exception as error:  # as for a command
        if launcher is not None:
            keeping.note_end(session.keepers, launcher.fileno(), _told(error))
            _part(session, launcher.fileno(), _told(error))
        _part(session, client, _told(error))
    else:
        session.keepers.unclaimed[client] = kept.name
        wire.send(connection, "started", hidden=hidden, id=kept.name)
    finally:
        if opened is not None:
            opened.close()


def _serve_claim(session: Session, client: int, _: wire.Asked) -> None:
    """A caller knows the name of what it has started, which goes on without it from now on."""
    session.keepers.unclaimed.pop(client, None)
    _part(session, client)


def _serve_ask(session: Session, client: int, asked: wire.Asked) -> None:
    """Tell of commands that were started so, kill one, or hand a caller over to its keeper."""
    connection, _ = session.clients[client]
    what, kept = asked.document["ask"], session.keepers.kept.get(asked.document.get("id", ""))
    if what == "processes":
        wire.send(connection, "processes", processes=keeping.told(session.keepers))
    elif kept is None:
        wire.send(connection, "unknown")
    elif what == "kill":
        wire.send(connection, "killed", was_running=_kill_kept(session, kept))
    else:
        try:
            keeper.admit(kept.keeper, connection)
            wire.send(connection, "attached")
        except OSError:  # it is just ending
            wire.send(connection, "unknown")
    _part(session, client)


def _kill_kept(session: Session, kept: keeping.KeptCommand) -> bool:
    """Kill a command that outlives its caller; whether it was running."""
    running = session.clients[kept.client][1] if kept.client >= 0 else None
    if running is not None:
        ending.kill(running, ending.KILLED)
    return running is not None


def _hear_server(session: Session, descriptor: int) -> None:
    """A file server is busy, for which the session stays, or has ended."""
    server = session.servers[session.serving[descriptor]]
    if descriptor == server.door.fileno():
        server.hear()
        _keep(session, _LINGER)
    else:
        _lose_server(session, session.serving[descriptor])


def _lose_server(session: Session, where: str) -> None:
    """A file server has ended, or is to: its callers see the end, and ask for another."""
    server = session.servers.pop(where)
    for each in (server.pidfd, server.door.fileno()):
        session.poll.unregister(each)
        del session.serving[each]
    server.end()


def _serve_command(session: Session, client: int, asked: wire.Asked) -> None:
    connection, _ = session.clients[client]
    document = asked.document
    streams = asked.descriptors[0], asked.descriptors[1], asked.descriptors[2]
    wire.send(connection, "accepted")
    terminal = None
    try:
        where, hidden = session_roots.have(session.roots, document["plan"])
        plan = session.roots.staged[where].plan
        terminal = devices.open_terminal(streams, plan.uid, plan.gid)
        unreached = _begin_to_count(session, where)
        _watch_disk(session, where, document["command"]["limits"].get("disk"))
        running = _start(session, session.roots.staged[where], document, streams, terminal)
        running.unreached = unreached
        _bound_disk(session, running)
    except Exception as error:  # one launcher's plan, however wrong, ends no other's command
        _part(session, client, _told(error))
    else:
        _begin(session, client, running)
        try:
            wire.send(connection, "started", terminal or (), hidden=hidden)
        except SandboxError:  # the kernel passes no terminal; other commands go on
            ending.kill(running, ending.KILLED)
        if running.reaper is None:
            _fork_ahead(session, session.roots.staged[where])
    finally:
        for descriptor in terminal or ():
            os.close(descriptor)


_SERVED: dict[str, tuple[Callable[[Session, int, wire.Asked], None], tuple[str, ...], int]] = {
    "status": (_serve_status, (), 0),
    "room": (_serve_room, ("size",), 0),
    "request": (_serve_command, ("plan", "command", "open_files"), 3),
    "files": (_serve_files, ("plan", "bounded", "keep_alive"), 0),
    "start": (_serve_start, ("plan", "command", "open_files", "process"), 0),
    "claim": (_serve_claim, (), 0),
    "ask": (_serve_ask, ("ask",), 0),
    "publish": (_serve_publish, ("plan", "port", "keep_alive"), 1),
}
"""The function that serves each kind of request, and the fields and the number of descriptors that this must have."""


def _begin(session: Session, client: int, running: Running) -> None:
    """Look after a command that was started for a client."""
    session.clients[client] = (session.clients[client][0], running)
    session.ending[running.pidfd] = client
    session.poll.register(running.pidfd, select.EPOLLIN)
    if running.watch is not None:
        _await(session, client, running.watch)


def _told(error: Exception) -> SolvenError:
    return error if isinstance(error, SolvenError) else SandboxError(f"the sandbox could not be staged: {error!r}")


def _tell_status(session: Session, connection: Socket) -> None:
    now = time.monotonic()
    commands = [running for _, running in session.clients.values() if running]
    kept = max(session.kept_until - now, *(running.keep_alive for running in commands), 0.0)
    wire.send(connection, "status", commands=len(commands), age=now - session.began, keep_alive=kept)


def _start(
    session: Session,
    root: StagedRoot,
    document: dict[str, Any],
    streams: tuple[int, int, int],
    terminal: tuple[int, int] | None,
) -> Running:
    request = decode_request(document["command"])
    check_fits(request)
    program = session.filter if request.limits.disk is None else seccomp.program(preallocates=False)
    asked = starting.Start(
        request,
        document["command"],
        streams,
        slave=terminal[1] if terminal else None,
        group=cgroups.make(session.cgroups, session.name, request.limits),
        open_files=int(document["open_files"]),
        seccomp=program,
    )
    shared = _have_reaper(session, root) if request.processes == "session" else None
    session.commands += 1
    for _ in range(_TRIES):
        running = starting.start(_first(session, root, shared), asked)
        if running is not None:
            return running
    raise SandboxError(f"the command's first process was killed {_TRIES} times", fix="Look whether memory is short.")


def _first(session: Session, root: StagedRoot, shared: reaper.Reaper | None) -> starting.First:
    """A first process in a root: the one that was forked ahead, if it is there."""
    first = session.next
    if shared is None and first is not None and first.root == root.path:
        if None not in first.places and first.places == staging.proc_places(root.plan, root.path):
            session.next = None
            return first
        _end_next(session)
    return starting.fork(root, session.pids, shared)


def _fork_ahead(session: Session, root: StagedRoot) -> None:
    """Fork the first process of the next command, while this one runs: a session that had two gets more of them."""
    if session.commands > 1 and session.next is None:
        with suppress(OSError):  # the next command tries, and tells it
            session.next = starting.fork(root, session.pids, is_ahead=True)


def _end_next(session: Session) -> None:
    """End the first process that waits: it would keep its root's mounts."""
    if session.next is not None:
        starting.end(session.next)
        session.next = None


def _have_reaper(session: Session, root: StagedRoot) -> reaper.Reaper:
    """The reaper of the namespace that commands share, started for the first of them."""
    if session.reaper is None:
        session.reaper = reaper.start(root.plan, session.filter, session.pids)
        session.poll.register(session.reaper.pidfd, select.EPOLLIN)
    session.reaper.roots.add(root.path)
    return session.reaper


def _end_reaper(session: Session) -> None:
    """End what is left of the namespace that commands share; the next one of them makes another."""
    if session.reaper is not None:
        session.poll.unregister(session.reaper.pidfd)
        session.reaper.end()
        session.reaper = None


def _await(session: Session, client: int, watch: Watch) -> None:
    if watch.awaited is not None:
        session.watched[watch.awaited] = client
        session.poll.register(watch.awaited, select.EPOLLIN)


def _step(session: Session, descriptor: int) -> None:
    client = session.watched.pop(descriptor)
    session.poll.unregister(descriptor)
    _, running = session.clients[client]
    assert running is not None
    assert running.watch is not None
    counting.step(running.watch)
    _await(session, client, running.watch)


def _reap(session: Session, client: int) -> None:
    """A command's first process has ended, and with it the kernel has ended all others of its namespace."""
    _, running = session.clients[client]
    assert running is not None
    if running.watch is not None:
        _stop_watching(session, running.watch)
    program = session.roots.staged[running.root].plan.program
    outcome, found = ending.end(running, program, session_roots.find_tmp(session.roots, running.root))
    keeping.note_end(session.keepers, client, outcome)
    failed = isinstance(outcome, int) and outcome != 0
    lacked = failed and running.unreached is not None and _attempts(session, running.root) > running.unreached
    session.poll.unregister(running.pidfd)
    os.close(running.pidfd)
    del session.ending[running.pidfd]
    _keep(session, running.keep_alive)
    _part(session, client, outcome, found, lacked_network=lacked)
    _order_lookouts(session)
    _drop_roots(session)


def _watch_disk(session: Session, where: str, limit: int | None) -> None:
    """Have what a command in a root is about to fill watched from now on, where it is to be kept to a limit."""
    if limit is None:
        return
    from solven_env.sandbox.backends.bubblewrap import disk_watch  # most sessions have no such limit

    devices = session_roots.overlay_devices(session.roots, where)
    disk_watch.widen(session.lookouts, session.poll, session.roots.staged[where].plan, devices)
    _order_lookouts(session, limit)


def _bound_disk(session: Session, running: Running) -> None:
    """Allow a command that begins when there is too much already what is there; the next look says how much."""
    limit = running.limits.disk
    if limit is not None and _added(session) > limit:
        running.disk_allowed = ending.UNKNOWN


def _added(session: Session) -> int:
    """The bytes that the session's commands have added, as far as was told."""
    return sum(each.added for each in session.lookouts.values()) - session.others_wrote


def _hear_lookout(session: Session, descriptor: int) -> None:
    from solven_env.sandbox.backends.bubblewrap import disk_watch

    lookout = session.lookouts[descriptor]
    watched = [each for _, each in session.clients.values() if each is not None and each.disk_allowed is not None]
    if not disk_watch.hear(lookout):
        session.poll.unregister(descriptor)
        disk_watch.bury(session.lookouts.pop(descriptor))
        for running in watched:
            running.failure = SandboxError("what watches the limit of disk has ended", fix="Run it again.")
            ending.kill(running, ending.KILLED)
        return
    is_exact = all(each.is_exact for each in session.lookouts.values())
    for running in watched:
        ending.check_disk(running, _added(session), is_exact=is_exact)
    _order_lookouts(session)


def _order_lookouts(session: Session, *beside: int) -> None:
    """Tell what commands may have added, those `beside` that are about to start included."""
    if not session.lookouts:
        return
    from solven_env.sandbox.backends.bubblewrap import disk_watch

    running = [each.disk_allowed for _, each in session.clients.values() if each and each.verdict is None]
    allowed = [*beside, *(each for each in running if each is not None)]
    disk_watch.order(session.lookouts, [each + session.others_wrote for each in allowed])


def _begin_to_count(session: Session, where: str) -> int | None:
    """The attempts in a root's network `none` so far; None where another command is in it: whose would they be?"""
    if session.roots.staged[where].plan.network != "none":
        return None
    others = [each for _, each in session.clients.values() if each is not None and each.root == where]
    for each in others:
        each.unreached = None
    return None if others else _attempts(session, where)


def _attempts(session: Session, where: str) -> int:
    network = session.roots.staged[where].network
    assert network is not None
    return attempts.count(network.counters)


def _drop_roots(session: Session) -> None:
    used = {running.root for _, running in session.clients.values() if running}
    now = time.monotonic()
    used |= {where for where, server in session.servers.items() if server.busy_until > now}
    if session.reaper is not None and len(session.roots.staged) > 1:
        used |= session.reaper.used_roots()
    if session.next is not None and session.next.root not in used | {session.roots.newest}:
        _end_next(session)
    session_roots.drop(session.roots, used=used)
    for where in tuple(session.servers):
        if where not in session.roots.staged:
            _lose_server(session, where)
    for pidfd, (where, _) in tuple(session.forwarding.items()):
        if where not in session.roots.staged:
            _lose_forwarder(session, pidfd)


def _stop_watching(session: Session, watch: Watch) -> None:
    if watch.awaited is not None:
        del session.watched[watch.awaited]
        session.poll.unregister(watch.awaited)
    counting.leave(watch)


def _part(
    session: Session,
    client: int,
    outcome: int | SolvenError | None = None,
    found: tuple[Reached, ...] = (),
    *,
    lacked_network: bool = False,
) -> None:
    """Let a launcher go, with what became of its command.

    The last one of a session that is not kept alive is told when the session's name is free: the next command that its
    caller starts finds a new session, and never one that is about to end.
    """
    connection, _ = session.clients.pop(client)
    unclaimed = session.keepers.kept.get(session.keepers.unclaimed.pop(client, ""))
    if unclaimed is not None:  # whoever started it has gone, and nobody knows of it
        _kill_kept(session, unclaimed)
    # Closing alone would leave it in the set while a child that has not come to its execve holds a copy.
    with suppress(FileNotFoundError):  # when its launcher has gone before
        session.poll.unregister(client)
    session.poll.modify(session.listener, select.EPOLLIN)
    _end_when_over(session)
    if isinstance(outcome, SolvenError):
        wire.send_failure(connection, outcome)
    elif outcome is not None:
        limits = [each._asdict() for each in found]
        wire.send(connection, "exited", status=outcome, limits=limits, lacked_network=lacked_network)
    connection.close()


def _keep(session: Session, seconds: float) -> None:
    """Have the session stay so long from now on, or longer."""
    session.kept_until = max(session.kept_until, time.monotonic() + seconds)


def _patience(session: Session) -> float | None:
    moments = [ending.due(running) for _, running in session.clients.values() if running]
    if not session.clients:
        moments.append(session.kept_until)
    return min(_LONGEST_WAIT, max(0.0, min(moments) - time.monotonic())) if moments else None


def _end_when_over(session: Session) -> None:
    """Without any command, and kept alive no longer, give the socket's name up, unless a launcher came meanwhile.

    One that comes later finds none and asks again.
    """
    if session.retired or session.clients or time.monotonic() < session.kept_until:
        return
    with runtime.locked(session.directory):
        _accept(session)
        if not session.clients:
            _end_next(session)
            _end_reaper(session)
            cgroups.clear(session.cgroups, session.name)
            runtime.remove(session.directory, session.name, session.inode)
            session.retired = True


def _refuse_all(listener: Socket, error: SandboxError) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        with connection:
            # Closed with the request unread, the connection would lose the answer too (ECONNRESET comes first).
            asked = wire.receive_request(connection)
            if asked is None or asked.kind not in ("status", "room"):  # who asks for that sees the end, and looks again
                wire.send(connection, "accepted")
                wire.send_failure(connection, error)
