"""Requests to a session besides commands: its state, and its end."""

from __future__ import annotations

import os
import select
import signal
from contextlib import closing
from typing import TYPE_CHECKING

from solven_env.errors import SandboxError
from solven_env.sandbox import runtime, wire
from solven_env.sandbox.kept import Told
from solven_env.sandbox.runtime import SessionState

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 2.0  # seconds that a holder has for its answer: it may be staging, and waiting for a layer
_LONGEST_END = 20.0  # seconds
_SERVES = b" import holder; holder.main("
"""Without the module's name, which a holder of an earlier release may have had elsewhere."""
_DEEPEST = 2  # pids that a holder has: ours for it, and the one in its own namespace


def look(session: str, runtime_dir: str) -> SessionState | None:
    """The state of the session; None without one, and then a dead session's socket is gone.

    Never waits long, whatever the holder does.
    """
    directory = runtime.find_directory(runtime_dir)
    if directory is None:
        return None
    try:
        return _look(directory, runtime.socket_name(session))
    finally:
        os.close(directory)


def _look(directory: int, name: str) -> SessionState | None:
    try:
        runtime.inode(directory, name)
    except FileNotFoundError:
        return None  # most threads have no session, and who takes the name away has cleared up before
    try:
        # A holder that was killed is heard to be gone a moment before nobody listens: then it is asked again.
        while (connection := runtime.connect(directory, name, patience=_PATIENCE)) is not None:
            with closing(connection):
                wire.send_question(connection)
                answer = wire.receive(connection)
            if answer is not None:
                return SessionState(True, answer["commands"], answer["age"], answer["keep_alive"])
    except TimeoutError:
        return SessionState(answers=False)
    with runtime.locked(directory):
        runtime.bury(directory, name)
    return None


def make_room(session: str, runtime_dir: str, size: int) -> None:
    """Tell the session, where there is one, that so many bytes are about to be written that are not its own.

    A holder that does not answer in time, or of a release that does not know this, counts them as its own.
    """
    directory = runtime.find_directory(runtime_dir)
    if directory is None:
        return
    try:
        connection = runtime.connect(directory, runtime.socket_name(session), patience=_PATIENCE)
        if connection is not None:
            with closing(connection):
                wire.send_room(connection, size)
                wire.receive(connection)
    except TimeoutError:
        pass
    finally:
        os.close(directory)


def ask(session: str, runtime_dir: str, what: str, name: str = "") -> Told | None:
    """Ask a session about the commands that outlive their callers; None without one, and without an answer.

    `what` is "processes", "kill" or "attach"; a command is named for the last two.
    """
    directory = runtime.find_directory(runtime_dir)
    if directory is None:
        return None
    try:
        connection = runtime.connect(directory, runtime.socket_name(session), patience=_PATIENCE)
        if connection is None:
            return None
        try:
            wire.send_request(connection, "ask", {"ask": what, "id": name})
            answer = wire.receive(connection)
        except BaseException:
            connection.close()
            raise
        if answer is None or answer["kind"] != "attached":
            connection.close()
            return None if answer is None else Told(answer)
        connection.settimeout(None)
        return Told(answer, connection)
    except (TimeoutError, BrokenPipeError) as error:
        raise SandboxError("the session does not answer", fix="End it with solven-env stop.") from error
    finally:
        os.close(directory)


def stop(session: str, runtime_dir: str) -> bool:
    """End the session with all its commands, whatever state its holder is in; whether there was one.

    When this returns, all its processes have ended, and its socket is gone. The holder is found among the processes,
    since one that hangs accepts no connection, and its socket may have been removed by a cleaner of /tmp.
    """
    directory = runtime.open_directory(runtime_dir)
    try:
        return _stop(directory, runtime.socket_name(session))
    finally:
        os.close(directory)


def stop_all(owner: str, runtime_dir: str) -> bool:
    """The same for all sessions of an owner: those whose names begin with it and `/`."""
    directory, begin = runtime.open_directory(runtime_dir), runtime.names_of(owner)
    try:
        served = (name.decode() for name in _served() if name.startswith(begin.encode()))
        names = {*served, *(name for name in os.listdir(directory) if name.startswith(begin))}
        stopped = [_stop(directory, name) for name in sorted(names)]
        return any(stopped)
    finally:
        os.close(directory)


def _stop(directory: int, name: str) -> bool:
    ending: dict[int, int | None] = {}
    try:
        with runtime.locked(directory):  # so that nobody makes a new one
            while fresh := [pid for pid in _holders(name) if pid not in ending]:  # a dying one may just have forked
                ending |= {pid: _kill(pid, name) for pid in fresh}
            if any(ending.values()):
                runtime.remove(directory, name)
        if not any(ending.values()) and _look(directory, name) and not list(_holders(name)):
            raise SandboxError(
                "the session's holder is in another container", fix="Stop the session where it was begun."
            )
        for pid, pidfd in ending.items():
            _await_end(pid, pidfd)
        with runtime.locked(directory):
            runtime.bury(directory, name)
        return any(ending.values())
    finally:
        for pidfd in filter(None, ending.values()):
            os.close(pidfd)


def _holders(name: str) -> Iterator[int]:
    """The processes that serve the socket `name`, or are about to."""
    return (pid for pid in _processes() if _serves(pid, name))


def _served() -> Iterator[bytes]:
    """The names of the sockets that processes serve."""
    return filter(None, map(_socket_of, _processes()))


def _processes() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _serves(pid: int, name: str) -> bool:
    return _socket_of(pid) == name.encode()


def _socket_of(pid: int) -> bytes:
    """The name of the socket that a process serves; empty for one that is no holder of ours."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        if words[-1:] != [b""] or not any(_SERVES in word for word in words) or _may_pretend(pid):
            return b""
        return words[-2]
    except OSError:  # it has ended, or is hidden
        return b""


def _may_pretend(pid: int) -> bool:
    """True if it is another user's, or inside a sandbox, at least two PID namespaces below ours.

    These call themselves what they like, and fork faster than anybody can kill them.
    """
    with open(f"/proc/{pid}/status") as file:
        about = {name: values.split() for name, _, values in (line.partition(":") for line in file)}
    return about["Uid"][1] != str(os.geteuid()) or len(about["NSpid"]) > _DEEPEST


def _kill(pid: int, name: str) -> int | None:
    """Kill a holder; the descriptor that says when it has ended. None when there is none to kill."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        # Looked at again: the number could have gone to another process before the descriptor held it.
        if _serves(pid, name):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return pidfd
    except ProcessLookupError:  # it has ended
        pass
    os.close(pidfd)
    return None


def _await_end(pid: int, pidfd: int | None) -> None:
    """Until the kernel has ended the process and, of a PID namespace's first, all others in it."""
    if pidfd is None:
        return
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    if not ended.poll(_LONGEST_END * 1000):
        raise SandboxError(
            f"the session's holder, process {pid}, does not end",
            fix="Look whether a storage that it has mounted still answers.",
        )
