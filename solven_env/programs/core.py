"""The work of a `Sandbox`, whichever face its caller uses: coroutines that wait by `system.effects` alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from solven_env.errors import CommandError
from solven_env.programs.result import Result
from solven_env.run import execute
from solven_env.sandbox.backends import BACKENDS
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.request import Request, check
from solven_env.system.effects import Blocking
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from solven_env.sandbox.request import Stream

_TIMES = ("timeout", "wall_time")


class Core:
    """A thread's sandbox, and what its commands have in common."""

    def __init__(
        self,
        thread: str,
        storage: str | Path | None,
        env: Mapping[str, str] | None,
        cwd: str | None,
        keep_alive: float,
    ) -> None:
        """Nothing is looked at, and nothing started."""
        self.thread = thread
        self.storage = storage
        self.env = dict(env or {})
        self.cwd = cwd
        self.keep_alive = keep_alive
        self.commands = execute.Commands(thread, storage)

    async def find(self) -> None:
        """NeverAppliedError for a thread that was never applied."""
        await Blocking(lambda: Thread.find(self.thread, self.storage).applied())

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
        began = time.monotonic()
        stdout = Capture(max_output, keep, on_stdout)
        stderr = stdout if merge else Capture(max_output, keep, on_stderr)
        source = stdin.encode() if isinstance(stdin, str) else stdin
        request = self.request(command, cwd, env, timeout, network, (source, stdout, stderr))
        launch = await Blocking(lambda: self.commands.apply(request))
        ended = await execute.running(launch)
        captures = (stdout,) if merge else (stdout, stderr)
        for each in captures:
            each.end()
        result = Result(
            ended.status,
            stdout.data,
            b"" if merge else stderr.data,
            any(each.truncated for each in captures),
            any(each.limit in _TIMES for each in ended.limits),
            ended.limits,
            time.monotonic() - began,
        )
        if check and result.exit_code:
            raise CommandError(result)
        return result

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
            {**self.env, **(env or {})},
            network,
            timeout=timeout,
            keep_alive=self.keep_alive,
            streams=streams,
        )
        return check(asked, BACKENDS)
