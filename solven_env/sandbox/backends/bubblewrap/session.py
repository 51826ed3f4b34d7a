"""The launcher's side: find or make a session's holder, hand it a command, wait for how it ends."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from solven_env.errors import SandboxError
from solven_env.sandbox import runtime, wire
from solven_env.sandbox.backends.bubblewrap import control
from solven_env.sandbox.launch_plan import Command, LaunchPlan, encode_command, encode_plan
from solven_env.sandbox.limits import Reached, reached, time_limit
from solven_env.sandbox.roots import targets
from solven_env.sandbox.streams import Streams, deliver, relay
from solven_env.system.plain import Socket, socket
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from solven_env.sandbox.streams import Part

_TRIES = 20
_KILLED = 137
_TIMED_OUT = 124
_HOLDER = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from solven_env.sandbox.backends.bubblewrap import holder; holder.main(*sys.argv[2:])"
)


class Ended(NamedTuple):
    """How a command ended: its status, and the limits that it reached."""

    status: int
    limits: tuple[Reached, ...] = ()


class Running:
    """A command that was started. It lives no longer than this: closed or lost, the command is killed.

    `terminal` is master and slave of its own, where one of the `caller`'s streams is a terminal. `status`, and the
    `limits` that the command reached, are as `wait` has found them.
    """

    def __init__(
        self,
        connection: Socket,
        plan: LaunchPlan,
        command: Command,
        runtime_dir: str,
        caller: tuple[int, int, int],
        streams: Streams,
        terminal: tuple[int, int] | None,
    ) -> None:
        self.connection = connection
        self.session = plan.session
        self.runtime_dir = runtime_dir
        self.caller = caller
        self.streams = streams
        self.terminal = terminal
        self.limit = time_limit(command.limits, command.timeout)
        self.deadline = time.monotonic() + self.limit[0] if self.limit else None
        self.status: int | None = None
        self.limits: tuple[Reached, ...] = ()

    def wait(self) -> int:
        """Its exit status: 128 and more for a signal, 124 when its time was up, 137 when it was killed.

        SandboxError when bubblewrap could not start it, and where its input or output could not be copied to its end.
        Whatever is returned, everything that it started has ended, and what it wrote is written: but where its time is
        up, or it was killed, and whoever reads takes nothing of the rest for a second (124).

        Nothing that is copied (`streams`, `terminal`) reaches the command or comes from it before this is called.
        """
        if self.status is None:
            message, is_whole = self._serve()
            if message is None:  # the holder was killed, and the kernel has ended the command with it
                control.look(self.session, self.runtime_dir)  # and bury it
                self.status = _KILLED
            elif message["kind"] == "failed":
                raise wire.failure(message)
            else:
                self.status = int(message["status"])
                self.limits = tuple(Reached(**each) for each in message["limits"])
                if self.limit and not is_whole and self.status not in (_TIMED_OUT, _KILLED):
                    seconds, name = self.limit
                    self.status, self.limits = _TIMED_OUT, (*self.limits, reached(name, seconds))
            if (failure := self.streams.failure()) is not None:
                raise failure
        return self.status

    def _serve(self) -> tuple[dict[str, Any] | None, bool]:
        """Copy until the command has ended, and then what is left; what the holder says, and whether all was taken."""
        with ExitStack() as stack:
            parts: list[Part] = [*self.streams.parts]
            if self.terminal:
                from solven_env.sandbox.backends.bubblewrap import terminal  # what most launchers have no use for

                parts.append(stack.enter_context(terminal.served(*self.terminal, self.caller)))
            relay(parts, self.connection.fileno())
            message = wire.receive(self.connection)
            if message is None:
                self.deadline = 0.0
            return message, deliver(parts, self.deadline)

    def kill(self) -> None:
        """End the command with all that it started, at once; `wait` still tells when that is done."""
        self.deadline = 0.0
        wire.send(self.connection, "kill")

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self.streams.close()
        for descriptor in self.terminal or ():
            os.close(descriptor)
        self.terminal = None


def run(
    plan: LaunchPlan,
    command: Command,
    runtime_dir: str,
    notice: Callable[[str], None] = lambda _: None,
    /,
    *,
    stdin: int = 0,
    stdout: int = 1,
    stderr: int = 2,
) -> Ended:
    """Run `command` to its end; see `start` and `Running.wait`.

    The three descriptors are copied from and to what the command has in their place: a terminal of its own
    (`sandbox.terminal`), or pipes (`sandbox.streams`). An exception on the way, KeyboardInterrupt above all, and the
    launcher's death by any signal end everything that was started.
    """
    with start(plan, command, runtime_dir, notice, stdin=stdin, stdout=stdout, stderr=stderr) as running:
        try:
            return Ended(running.wait(), running.limits)
        except BaseException:
            running.kill()
            while wire.receive(running.connection) is not None:
                pass
            deliver(running.streams.parts, 0.0)
            raise


def start(
    plan: LaunchPlan,
    command: Command,
    runtime_dir: str,
    notice: Callable[[str], None] = lambda _: None,
    /,
    *,
    stdin: int = 0,
    stdout: int = 1,
    stderr: int = 2,
) -> Running:
    """Start `command`, with the session's holder if there is none yet.

    `notice` is told, in one line, of directories of the thread's own that are mounted upon from now on.

    SandboxError when it cannot be: a plan that asks for what is not there, a link that an agent planted at a mount
    point, namespaces that the host refuses.
    """
    request = {
        "plan": encode_plan(plan),
        "command": encode_command(command),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    caller = (stdin, stdout, stderr)
    streams = Streams(plan, caller)
    try:
        directory = runtime.open_directory(runtime_dir)
        try:
            connection, terminal, hidden = _connection(directory, plan.session, request, streams.given)
            streams.release()
            if hidden:
                notice(targets.hidden(hidden))
            return Running(connection, plan, command, runtime_dir, caller, streams, terminal)
        except BaseException:
            control.look(plan.session, runtime_dir)  # and bury it if it was killed
            raise
        finally:
            os.close(directory)
    except BaseException:
        streams.close()
        raise


def _connection(
    directory: int, session: str, request: dict[str, Any], streams: tuple[int, int, int]
) -> tuple[Socket, tuple[int, int] | None, tuple[str, ...]]:
    """The connection to a holder that has started what is requested, the command's terminal, and what is hidden."""
    for _ in range(_TRIES):
        holder = _reach_holder(directory, runtime.socket_name(session))
        try:
            started, terminal, hidden = _ask(holder.connection, request, streams)
        except BaseException:
            holder.connection.close()
            raise
        finally:
            complaint = _settle(holder)
        if started:
            return holder.connection, terminal, hidden
        holder.connection.close()
        if complaint:
            raise SandboxError(f"the session's holder broke: {complaint}")
    raise SandboxError(f"the session's holder ended {_TRIES} times before it answered")


def _ask(
    connection: Socket, request: dict[str, Any], streams: tuple[int, int, int]
) -> tuple[bool, tuple[int, int] | None, tuple[str, ...]]:
    """Whether the command was started, its terminal and the targets at which directories of the agent's are hidden.

    False when the holder was gone before it had begun.
    """
    try:
        wire.send_request(connection, request, streams)
    except (BrokenPipeError, ConnectionResetError):
        return False, None, ()
    if wire.receive(connection) is None:
        return False, None, ()
    answer, terminal = wire.receive_terminal(connection)
    if answer is None:
        raise SandboxError("the session was ended while the command started", fix="Run it again.")
    if answer["kind"] == "failed":
        raise wire.failure(answer)
    return True, terminal, tuple(answer["hidden"])


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
        first_stage = begin(_HOLDER, (*inherited, name), inherited, streams)
        address = runtime.address(directory, name)
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen(runtime.BACKLOG)
        connection = Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(address)
        return _Holder(connection, first_stage, os.dup(complaints))


def begin(
    code: str, arguments: Iterable[object], inherited: tuple[int, ...], streams: tuple[int, int, int]
) -> subprocess.Popen[bytes]:
    """Start a process of ours that looks after commands: with our modules, and nothing of the caller's surroundings."""
    try:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            [
                *(sys.executable, "-I", "-S", "-X", "utf8", "-c", code, str(Path(__file__).parents[4])),
                *map(str, arguments),
            ],
            cwd="/",
            env={},
            start_new_session=True,
            pass_fds=inherited,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
        )
    except OSError as error:
        raise SandboxError(
            f"the process that looks after the command could not be started: {error.strerror}",
            fix="Look at what runs as this user, and at the limits that 'ulimit -a' prints: -n, -u and -v.",
        ) from error
