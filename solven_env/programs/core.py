"""The work of a `Sandbox`, whichever face its caller uses: coroutines that wait by `system.effects` alone."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from solven_env.errors import CommandError, UsageError
from solven_env.programs.process import ProcessCore
from solven_env.programs.result import Result
from solven_env.run import execute
from solven_env.sandbox.backends import BACKENDS
from solven_env.sandbox.backends import find as find_backend
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.kept import KeptOutput
from solven_env.sandbox.request import Request, check
from solven_env.system.effects import Blocking, Ready
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Literal

    from solven_env.sandbox.request import Stream

_TIMES = ("timeout", "wall_time")
_TERMINAL = "xterm-256color"
"""TERM of a process with a terminal of its own, whose other end is a program."""


class Core:
    """A thread's sandbox, and what its commands have in common."""

    def __init__(
        self,
        thread: str,
        storage: str | Path | None,
        env: Mapping[str, str] | None,
        cwd: str | None,
        keep_alive: float,
        processes: str | None = None,
    ) -> None:
        """Nothing is looked at, and nothing started."""
        self.thread = thread
        self.storage = storage
        self.env = dict(_variables(env))
        self.cwd = cwd
        self.keep_alive = keep_alive
        self.processes = processes
        self.commands = execute.Commands(thread, storage)
        self.is_deleted = False

    async def find(self) -> None:
        """NeverAppliedError for a thread that was never applied. Where the backend has no session, none is kept."""
        record = await Blocking(lambda: Thread.find(self.thread, self.storage).applied())
        if not find_backend(record.settings["backend"]).HAS_SESSIONS:
            self.keep_alive = 0.0

    async def run(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str] | None,
        timeout: float | None,
        stdin: str | bytes | int | None,
        max_output: int,
        keep: Literal["head", "tail"],
        merge: bool,
        on_stdout: Callable[[str], object] | None,
        on_stderr: Callable[[str], object] | None,
        network: str | None,
        check: bool,
    ) -> Result:
        """Run a command to its end; see `blocking.Sandbox.run`."""
        if keep not in ("head", "tail"):
            raise UsageError(f"keep: {keep!r} is neither head nor tail")
        for name, callback in (("on_stdout", on_stdout), ("on_stderr", on_stderr)):
            if callback is not None and not callable(callback):
                raise UsageError(f"{name}: a function is needed, not {type(callback).__name__}")
        if merge and on_stderr is not None:
            raise UsageError("on_stderr: with merge all output is standard output's", fix="Pass it as on_stdout.")
        stdout = Capture(most(max_output), keep, on_stdout)
        stderr = stdout if merge else Capture(max_output, keep, on_stderr)
        request = self.request(command, cwd, env, timeout, network, (_source(stdin), stdout, stderr))
        result = await self.run_requested(request, stdout, stderr)
        if check and result.exit_code:
            await Ready({}, 0)  # callbacks are awaited first
            raise CommandError(result)
        return result

    async def run_requested(
        self, request: Request, stdout: Capture, stderr: Capture, progress: Callable[[str], None] = lambda _: None
    ) -> Result:
        """Run a checked request, whose output goes to these two; they are the same one where both are merged."""
        began = time.monotonic()
        launch = await Blocking(lambda: self.commands.apply(request, progress))
        ended = await execute.running(launch, progress)
        merge = stdout is stderr
        captures = (stdout,) if merge else (stdout, stderr)
        for each in captures:
            each.end()
        return Result(
            ended.status,
            stdout.data,
            b"" if merge else stderr.data,
            any(each.truncated for each in captures),
            any(each.limit in _TIMES for each in ended.limits),
            ended.limits,
            time.monotonic() - began,
        )

    async def start(
        self,
        command: str | Sequence[str],
        *,
        pty: tuple[int, int] | None,
        cwd: str | None,
        env: Mapping[str, str] | None,
        timeout: float | None,
        network: str | None,
        max_output: int,
        merge: bool,
    ) -> ProcessCore:
        """Start a command that outlives its caller; see `blocking.Sandbox.start`."""
        request = self.request(command, cwd, env, timeout, network, (None, None, None))
        if pty is not None:
            request = request._replace(terminal=_TERMINAL)
        kept = KeptOutput(most(max_output), bool(merge), None if pty is None else _size(pty))
        return await self.start_requested(request, kept)

    async def start_requested(
        self, request: Request, kept: KeptOutput, progress: Callable[[str], None] = lambda _: None
    ) -> ProcessCore:
        """Start a checked request that outlives its caller. One that is cancelled meanwhile ends what it has started.

        `progress` is told what `run` tells it.
        """
        launch = await Blocking(lambda: self.commands.apply(request, progress))
        try:
            started = await Blocking(
                lambda: launch.backend.start(
                    launch.plan, launch.request, kept, runtime_dir=launch.runtime, progress=progress
                )
            )
        finally:
            launch.let_go()
        process = ProcessCore(self, started.name)
        try:
            await Ready({}, 0)  # a cancellation that came meanwhile is raised here
        except BaseException:
            await process.kill()
            raise
        finally:
            started.let_go()
        return process

    async def publish(self, port: int) -> int:
        """See `blocking.Sandbox.publish`."""
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 1 << 16:
            raise UsageError(f"port: {port!r} is no port", fix="Give a number from 1 to 65,535.")
        nothing = self.request(["true"], None, None, None, None, (None, None, None))
        launch = await Blocking(lambda: self.commands.apply_without_secrets(nothing))
        plan, runtime = launch.plan, launch.runtime
        try:
            given: int = await Blocking(lambda: launch.backend.publish(plan, port, self.keep_alive, runtime))
        finally:
            launch.let_go()
        return given

    def request(
        self,
        command: str | Sequence[str],
        cwd: str | None,
        env: Mapping[str, str] | None,
        timeout: float | None,
        network: str | None,
        streams: tuple[Stream, Stream, Stream],
    ) -> Request:
        """A checked request: UsageError for what no command can be."""
        asked = Request(
            () if isinstance(command, str) else command,
            command if isinstance(command, str) else None,
            self.cwd if cwd is None else cwd,
            {**self.env, **_variables(env)},
            network,
            timeout=timeout,
            keep_alive=self.keep_alive,
            streams=streams,
            processes=self.processes,
        )
        return check(asked, BACKENDS)


def most(max_output: int) -> int:
    """The bytes of output that are kept; UsageError for what is no number of them."""
    if isinstance(max_output, bool) or not isinstance(max_output, int) or max_output < 0:
        raise UsageError("max_output: a number of bytes is needed, 0 or more")
    return max_output


def _variables(env: Mapping[str, str] | None) -> Mapping[str, str]:
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise UsageError(f"env: a mapping of names to values is needed, not {type(env).__name__}", fix="Pass a dict.")
    return env


def _source(stdin: str | bytes | int | None) -> int | bytes | None:
    if isinstance(stdin, bool) or not (stdin is None or isinstance(stdin, str | bytes | int)):
        raise UsageError(f"stdin: text, bytes or a descriptor is needed, not {type(stdin).__name__}")
    if isinstance(stdin, int):
        try:
            os.fstat(stdin)
        except (OSError, OverflowError):
            raise UsageError(f"stdin: {stdin} is no open descriptor") from None
    if not isinstance(stdin, str):
        return stdin
    try:
        return stdin.encode()
    except UnicodeEncodeError:
        raise UsageError("stdin: the text has a lone surrogate, which is no character", fix="Pass bytes.") from None


def _size(pty: tuple[int, int]) -> tuple[int, int]:
    is_size = isinstance(pty, tuple) and len(pty) == 2
    if not is_size or not all(isinstance(each, int) and 0 < each < 1 << 16 for each in pty):
        raise UsageError("pty: rows and columns are needed, each from 1 to 65,535", fix="Write pty=(24, 80).")
    return pty
