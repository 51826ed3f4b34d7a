"""The launcher's side: find or make a session's holder, hand it a command, wait for how it ends."""

from __future__ import annotations

import os
import resource
import select
import subprocess
import time
from contextlib import ExitStack
from typing import Any

from solven_env.errors import SandboxError
from solven_env.sandbox import runtime, wire
from solven_env.sandbox.backends.bubblewrap import control
from solven_env.sandbox.kept import StartedProcess
from solven_env.sandbox.launch_plan import LaunchPlan, encode_plan
from solven_env.sandbox.limits import Reached, reached, time_limit
from solven_env.sandbox.request import Ended, Request, encode_request
from solven_env.sandbox.roots import targets
from solven_env.sandbox.streams import Streams, deliver, relay
from solven_env.system import processes
from solven_env.system.effects import Blocking, Ready
from solven_env.system.plain import Socket, socket
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from solven_env.sandbox.kept import KeptOutput
    from solven_env.sandbox.streams import Part

_TRIES = 20
_PATIENCE = 5.0
_KILLED = 137
_TIMED_OUT = 124
_LONGEST_SHOWN = 120
"""Characters of a command that are told in a list: 96 commands, of 4 bytes a character, fit into one packet."""
_HOLDER = "solven_env.sandbox.backends.bubblewrap.holder.main"


class Launched:
    """A command that was started. It lives no longer than this: closed or lost, the command is killed.

    `terminal` is master and slave of its own, where one of the request's streams is a terminal. `status`, and the
    `limits` that the command reached, are as `wait` has found them.
    """

    def __init__(
        self,
        connection: Socket,
        plan: LaunchPlan,
        request: Request,
        runtime_dir: str,
        streams: Streams,
        terminal: tuple[int, int] | None,
    ) -> None:
        self.connection = connection
        self.session = plan.session
        self.runtime_dir = runtime_dir
        self.caller = request.streams
        self.streams = streams
        self.terminal = terminal
        self.limit = time_limit(request.limits, request.timeout)
        self.deadline = time.monotonic() + self.limit[0] if self.limit else None
        self.status: int | None = None
        self.limits: tuple[Reached, ...] = ()
        self.lacked_network = False

    async def wait(self) -> int:
        """Its exit status: 128 and more for a signal, 124 when its time was up, 137 when it was killed.

        SandboxError when bubblewrap could not start it, and where its input or output could not be copied to its end.
        Whatever is returned, everything that it started has ended, and what it wrote is written: but where its time is
        up, or it was killed, and whoever reads takes nothing of the rest for a second (124).

        Nothing that is copied (`streams`, `terminal`) reaches the command or comes from it before this is called.
        """
        if self.status is None:
            message, is_whole = await self._serve()
            if message is None:  # the holder was killed, and the kernel has ended the command with it
                control.look(self.session, self.runtime_dir)  # and bury it
                self.status = _KILLED
            elif message["kind"] == "failed":
                raise wire.failure(message)
            else:
                self.status = int(message["status"])
                self.limits = tuple(Reached(**each) for each in message["limits"])
                self.lacked_network = message.get("lacked_network", False)  # a holder of an earlier release
                if self.limit and not is_whole and self.status not in (_TIMED_OUT, _KILLED):
                    seconds, name = self.limit
                    self.status, self.limits = _TIMED_OUT, (*self.limits, reached(name, seconds))
            if (failure := self.streams.failure()) is not None:
                raise failure
        return self.status

    async def _serve(self) -> tuple[dict[str, Any] | None, bool]:
        """Copy until the command has ended, and then what is left; what the holder says, and whether all was taken."""
        with ExitStack() as stack:
            parts: list[Part] = [*self.streams.parts]
            if self.terminal:
                from solven_env.sandbox.backends.bubblewrap import terminal  # what most launchers have no use for

                parts.append(stack.enter_context(terminal.served(*self.terminal, self.caller)))
            await relay(parts, self.connection.fileno())
            message = wire.receive(self.connection)
            if message is None:
                self.deadline = 0.0
            return message, await deliver(parts, self.deadline)

    def kill(self) -> None:
        """End the command with all that it started, at once; `wait` still tells when that is done."""
        self.deadline = 0.0
        wire.send(self.connection, "kill")

    def __enter__(self) -> Launched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self.streams.close()
        for descriptor in self.terminal or ():
            os.close(descriptor)
        self.terminal = None


async def run(
    plan: LaunchPlan, request: Request, runtime_dir: str, progress: Callable[[str], None] = lambda _: None
) -> Ended:
    """Run the request to its end; see `start` and `Launched.wait`.

    Its streams are copied from and to what the command has in their place: a terminal of its own (`terminal`), or
    pipes (`sandbox.streams`). An exception on the way, KeyboardInterrupt above all, and the launcher's death by any
    signal end everything that was started.
    """
    with await Blocking(lambda: start(plan, request, runtime_dir, progress)) as process:
        try:
            return Ended(await process.wait(), process.limits, process.lacked_network)
        except BaseException:
            process.kill()
            answer = {process.connection.fileno(): select.POLLIN}
            while await Ready(answer) and wire.receive(process.connection) is not None:
                pass
            await deliver(process.streams.parts, 0.0)
            raise


def start(
    plan: LaunchPlan, request: Request, runtime_dir: str, progress: Callable[[str], None] = lambda _: None
) -> Launched:
    """Start the planned request, with the session's holder if there is none yet.

    `progress` is told, in one line, of directories of the thread's own that are mounted upon from now on.

    SandboxError when it cannot be: a plan that asks for what is not there, a link that an agent planted at a mount
    point, namespaces that the host refuses.
    """
    streams = Streams(plan, request.streams)
    try:
        directory = runtime.open_directory(runtime_dir)
        try:
            asked = ("request", document(plan, request), streams.given)
            connection, terminal, answer = _connection(directory, plan.session, asked)
            try:
                streams.release()
                _tell_hidden(answer, progress)
                return Launched(connection, plan, request, runtime_dir, streams, terminal)
            except BaseException:
                _abandon(connection)
                raise
        except BaseException:
            control.look(plan.session, runtime_dir)  # and bury it if it was killed
            raise
        finally:
            os.close(directory)
    except BaseException:
        streams.close()
        raise


def document(plan: LaunchPlan, request: Request) -> dict[str, Any]:
    """The message to a holder about a command, as plain data."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {"plan": _told(plan), "command": encode_request(request), "open_files": open_files}


def reach_files(
    plan: LaunchPlan, keep_alive: float, runtime_dir: str, progress: Callable[[str], None], *, bounded: bool
) -> Socket:
    """A connection with the file server of the root that a plan describes, whose holder is started if there is none.

    The session stays `keep_alive` seconds from now on. `bounded`: the disk that it takes is. Errors as of `start`.
    """
    told = {"plan": _told(plan), "keep_alive": float(keep_alive), "bounded": bounded}
    return _asked(plan.session, runtime_dir, "files", told, progress)[0]


def start_kept(
    plan: LaunchPlan, request: Request, kept: KeptOutput, runtime_dir: str, progress: Callable[[str], None]
) -> StartedProcess:
    """Start a command that outlives its caller. Errors as of `start`."""
    shown = request.shell if request.shell is not None else " ".join(request.argv)
    process = kept._asdict() | {"shown": shown[:_LONGEST_SHOWN]}
    told = document(plan, request) | {"process": process}
    connection, answer = _asked(plan.session, runtime_dir, "start", told, progress)
    return StartedProcess(str(answer["id"]), connection)


def publish(
    plan: LaunchPlan, port: int, keep_alive: float, runtime_dir: str, progress: Callable[[str], None] = lambda _: None
) -> int:
    """Forward a loopback port of this host to a port inside, as long as the session lives; which one.

    The session stays `keep_alive` seconds from now on. Errors as of `start`.
    """
    told = {"plan": _told(plan), "port": port, "keep_alive": float(keep_alive)}
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        connection, answer = _asked(plan.session, runtime_dir, "publish", told, progress, (listener.fileno(),))
    connection.close()
    return int(answer["port"])


def _asked(
    session: str,
    runtime_dir: str,
    kind: str,
    told: dict[str, Any],
    progress: Callable[[str], None],
    descriptors: tuple[int, ...] = (),
) -> tuple[Socket, dict[str, Any]]:
    directory = runtime.open_directory(runtime_dir)
    try:
        connection, _, answer = _connection(directory, session, (kind, told, descriptors))
    except BaseException:
        control.look(session, runtime_dir)  # and bury it if it was killed
        raise
    finally:
        os.close(directory)
    _tell_hidden(answer, progress)
    return connection, answer


def _tell_hidden(answer: dict[str, Any], progress: Callable[[str], None]) -> None:
    if answer["hidden"]:
        progress(targets.hidden(answer["hidden"]))


_encoded: tuple[LaunchPlan | None, dict[str, Any]] = (None, {})
"""The plan that was told last, with what was told of it: a thread's next command mostly has the same."""


def _told(plan: LaunchPlan) -> dict[str, Any]:
    """A plan as plain data. A holder of an earlier release knows the program as `bwrap`."""
    global _encoded
    last, told = _encoded
    if last is not plan:
        told = encode_plan(plan)
        told["bwrap"] = told.pop("program")
        _encoded = plan, told
    return told


def _connection(
    directory: int, session: str, asked: tuple[str, dict[str, Any], tuple[int, ...]]
) -> tuple[Socket, tuple[int, int] | None, dict[str, Any]]:
    """The connection to a holder that has done what is requested, the command's terminal, and the holder's answer."""
    for _ in range(_TRIES):
        holder = _reach_holder(directory, runtime.socket_name(session))
        try:
            answer, terminal = _ask(holder.connection, *asked)
        except BaseException:
            holder.connection.close()
            raise
        finally:
            complaint = _settle(holder)
        if answer is not None:
            return holder.connection, terminal, answer
        holder.connection.close()
        if complaint:
            raise SandboxError(f"the session's holder broke: {complaint}")
    raise SandboxError(f"the session's holder ended {_TRIES} times before it answered")


def _abandon(connection: Socket) -> None:
    """End what was accepted, which may have begun, and wait for that, as long as a holder that works may take."""
    until = time.monotonic() + _PATIENCE
    with connection:
        wire.send(connection, "kill")
        answers = select.poll()
        answers.register(connection, select.POLLIN)
        while answers.poll(max(0.0, until - time.monotonic()) * 1000) and wire.receive(connection) is not None:
            continue


def _ask(
    connection: Socket, kind: str, document: dict[str, Any], descriptors: tuple[int, ...]
) -> tuple[dict[str, Any] | None, tuple[int, int] | None]:
    """The holder's answer, with the targets that hide directories of the agent as `hidden`; the command's terminal.

    None when the holder was gone before it had begun.
    """
    try:
        wire.send_request(connection, kind, document, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        return None, None
    if wire.receive(connection) is None:
        return None, None
    try:
        answer, terminal = wire.receive_terminal(connection)
    except BaseException:
        _abandon(connection)
        raise
    if answer is None:
        raise SandboxError("the session was ended while the command started", fix="Run it again.")
    if answer["kind"] == "failed":
        raise wire.failure(answer)
    return answer, terminal


class _Holder(NamedTuple):
    """A connection to a holder and, when this launcher made it, its first stage and what it complains of."""

    connection: Socket
    first_stage: subprocess.Popen[bytes] | None = None
    complaints: int | None = None


def _reach_holder(directory: int, name: str) -> _Holder:
    """Connect to the holder that listens at `name` in the runtime directory; make it if there is none."""
    while True:
        connection = runtime.connect(directory, name)
        if connection is not None:
            return _Holder(connection)
        with runtime.locked(directory):
            if runtime.bury(directory, name):
                return _make_holder(directory, name)


def _settle(holder: _Holder) -> str:
    """Reap the first stage, which ends as soon as the holder proper runs, and return the holder's last words."""
    if holder.first_stage is None or holder.complaints is None:
        return ""
    holder.first_stage.wait()
    with open(holder.complaints, "rb") as complaints:
        complaints.seek(0)
        return (complaints.read().decode(errors="replace").splitlines() or [""])[-1]


def _make_holder(directory: int, name: str) -> _Holder:
    """Start a holder and listen in its stead, so that it never waits for a client; under the lock.

    It inherits the socket without a name, and looks only after the lock is free whether it got one: a launcher that is
    killed on the way leaves no socket that nobody knows.
    """
    with Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, wire.memory("complaints") as complaints:
        inherited = (listener.fileno(), directory)
        streams = (subprocess.DEVNULL, subprocess.DEVNULL, complaints)
        first_stage = processes.begin(_HOLDER, (*inherited, name), inherited, streams)
        address = runtime.address(directory, name)
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen(runtime.BACKLOG)
        connection = Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(address)
        return _Holder(connection, first_stage, os.dup(complaints))
