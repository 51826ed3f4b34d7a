"""The door for Inspect: a thread for each sample, as a sandbox of its tools, solvers and scorers."""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import re
import shlex
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload
from uuid import uuid4

import anyio
from inspect_ai.tool import ToolError
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxConnection,
    SandboxEnvironment,
    SandboxEnvironmentLimits,
    SandboxUnavailableError,
    SandboxUserUnsupportedError,
    concurrency,
    sandboxenv,
)
from pydantic import BaseModel

from solven_env.api import storages
from solven_env.errors import FileError, FileTooLargeError, SolvenError, UsageError
from solven_env.programs.awaiting import AsyncSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from solven_env.profile.inputs import InputValues
    from solven_env.programs.result import Result

_KEPT_ALIVE = 24 * 3600.0
"""Seconds for which a sample's session waits for its next command: a model may take long, and tool servers live in it.
The sample's end ends it."""
_THREAD = re.compile(r"inspect-[0-9a-f]{32}")
_CANNOT_EXECUTE, _DENIED = 126, "solven-env: failed to execute {}: Permission denied\n"
"""Status and message of a command that could not begin; one that says the same itself is told likewise."""
_EXPECTED = (FileNotFoundError, PermissionError, IsADirectoryError)
"""Errors of files that Inspect tells a model."""


class SolvenSandboxConfig(BaseModel, frozen=True):
    """The profile of a sample's thread, its inputs, and its storage; None is this host's default storage."""

    profile: str = "solven"
    inputs: dict[str, str] = {}
    storage: str | None = None


@sandboxenv(name="solven")
class SolvenSandboxEnvironment(SandboxEnvironment):
    """A thread's sandbox as an environment of Inspect; `sandbox="solven"` in a task makes one for each sample.

        >>> Task(dataset=dataset, solver=solver, sandbox=("solven", "team.yaml"))

    The class is registered by an entry point, so that a task needs no import. Inspect makes and ends its objects:
    `sample_init` applies the profile to a new thread, and `sample_cleanup` deletes it. A program of its own makes one
    for a thread that it has, and deletes nothing with it:

        >>> SolvenSandboxEnvironment("thread-42", profile="solven")

    Commands share one PID namespace (`processes: session`): what one of them detaches, such as the server of Inspect's
    tools, lives until the session ends. They have the sandbox's user; there is no other.
    """

    def __init__(
        self,
        thread: str,
        *,
        profile: str | Path | None = None,
        storage: str | Path | None = None,
        inputs: InputValues | None = None,
    ) -> None:
        """Nothing is looked at before the first operation, which applies the profile if there is one."""
        super().__init__()
        self.thread = thread
        self._profile = profile
        self._storage = storage
        self._inputs = inputs
        self._opening = asyncio.Lock()
        self._opened: AsyncSandbox | None = None

    @classmethod
    def default_concurrency(cls) -> int | None:
        """Samples at once, as of Inspect's Docker: two for each processor."""
        return 2 * (os.cpu_count() or 1)

    def default_polling_interval(self) -> float:
        """Seconds between two looks at a process or a service inside, as of Inspect's local sandbox."""
        return 0.2

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """The configuration that a log holds."""
        return SolvenSandboxConfig(**config)

    @classmethod
    async def sample_init(
        cls, task_name: str, config: BaseModel | str | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Apply the profile to a new thread. One that cannot be applied, or is cancelled, leaves no thread."""
        asked = _config(config)
        thread = f"inspect-{uuid4().hex}"
        made = cls(thread, profile=asked.profile, storage=asked.storage, inputs=asked.inputs)
        try:
            await made.sandbox()
        except BaseException:
            await _delete(made)
            raise
        return {"default": made}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: BaseModel | str | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Delete the thread, with all that runs in it; of an interrupted sample too."""
        for each in environments.values():
            await _delete(each.as_type(cls))

    @classmethod
    async def task_cleanup(cls, task_name: str, config: BaseModel | str | None, cleanup: bool) -> None:
        """Tell how threads are removed, where `--no-sandbox-cleanup` has left them. Others went with their samples."""
        if not cleanup:
            print("The samples' threads are kept. To remove all of this host: inspect sandbox cleanup solven")

    @classmethod
    async def cli_cleanup(cls, id: str | None) -> None:  # noqa: A002 (the name that Inspect gives it)
        """Delete one sample's thread, or those of all samples, in the default storage."""
        if id is not None and not _THREAD.fullmatch(id):
            raise ToolError(f"{id} is no thread of a sample. solven-env delete {id} deletes it.")
        found = [id] if id is not None else [each.thread for each in storages.list_threads()]
        for thread in filter(_THREAD.fullmatch, found):
            await asyncio.to_thread(storages.delete, thread)

    async def sandbox(self) -> AsyncSandbox:
        """The thread's own object. The first call of several opens it for all. Errors as of `AsyncSandbox.create`."""
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
        return self._opened

    async def _open(self) -> AsyncSandbox:
        if self._profile is None:
            return await AsyncSandbox.connect(
                self.thread, storage=self._storage, keep_alive=_KEPT_ALIVE, processes="session"
            )
        return await AsyncSandbox.create(
            self._profile,
            self.thread,
            storage=self._storage,
            inputs=self._inputs,
            keep_alive=_KEPT_ALIVE,
            processes="session",
        )

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,  # noqa: A002 (the name that Inspect gives it)
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Execute words; a cancelled call ends its command alone.

        A command that takes longer than `timeout` seconds, or than the profile's `wall_time`, is ended with all that it
        started and is not tried again: TimeoutError, with what it printed. OutputLimitExceededError, with the last of
        it, where a stream has more than Inspect's limit. ToolError for what no command can be: a model wrote it.
        """
        if user is not None:
            raise SandboxUserUnsupportedError(f"a thread has one user, so that no command runs as {user!r}")
        limit = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE
        async with _throttle(concurrency), self._errors() as sandbox:
            if cwd is not None and not cwd.startswith("/"):
                cwd = posixpath.join(await sandbox.files.realpath("."), cwd)
            result = await sandbox.run(
                cmd, cwd=cwd, env=env, timeout=timeout, stdin=input, max_output=limit, keep="tail"
            )
        if result.exit_code == _CANNOT_EXECUTE and result.stderr == _DENIED.format(cmd[0]):
            raise PermissionError(errno.EACCES, "The file cannot be executed", cmd[0])
        return _complete(result)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file as the sandbox's user, with the directories above it."""
        async with self._errors() as sandbox:
            await sandbox.files.write(file, contents)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """The content of a file; OutputLimitExceededError where it is larger than Inspect's limit."""
        async with self._errors() as sandbox:
            data = await sandbox.files.read(file, max_bytes=SandboxEnvironmentLimits.MAX_READ_FILE_SIZE)
        return data.decode() if text else data

    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """The command that opens a shell in the thread's sandbox."""
        if user is not None:
            raise NotImplementedError("a thread has one user")
        storage = () if self._storage is None else ("--storage", str(self._storage))
        return SandboxConnection(type="solven", command=shlex.join(["solven-env", "shell", *storage, self.thread]))

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[AsyncSandbox]:
        """The thread's sandbox, for an operation whose errors become those that Inspect knows."""
        try:
            yield await self.sandbox()
        except FileTooLargeError as error:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None) from error
        except _EXPECTED:
            raise
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, error.strerror, error.filename) from error
        except (FileError, UsageError) as error:
            raise ToolError(str(error)) from error
        except SolvenError as error:
            raise SandboxUnavailableError(str(error)) from error


def _config(config: BaseModel | str | None) -> SolvenSandboxConfig:
    if isinstance(config, SolvenSandboxConfig):
        return config
    if isinstance(config, str):
        return SolvenSandboxConfig(profile=config)
    if config is None:
        return SolvenSandboxConfig()
    raise TypeError(f"a profile or a SolvenSandboxConfig is needed, not {type(config).__name__}")


async def _delete(environment: SolvenSandboxEnvironment) -> None:
    """Delete a sample's thread, if it is there: all of it, cancelled or not."""
    if environment._opened is not None:
        environment._opened.files.close()
    with suppress(UsageError), anyio.CancelScope(shield=True):  # it was never made, or is gone
        await asyncio.to_thread(partial(storages.delete, environment.thread, storage=environment._storage))


def _throttle(is_asked: bool) -> Any:
    """The place among commands that Inspect's subprocesses have: it is made by whichever is first."""
    return concurrency("subprocesses", os.cpu_count() or 1) if is_asked else nullcontext()


def _complete(result: Result) -> ExecResult[str]:
    """The result of a command that was executed, ended in time and whose output is whole; else Inspect's error."""
    output = result.stdout + result.stderr
    if result.timed_out:
        error = TimeoutError("the command was ended when its time was up")
        error.truncated_output = output  # type: ignore[attr-defined]
        raise error
    if result.truncated:
        raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR, output)
    return ExecResult(result.exit_code == 0, result.exit_code, result.stdout, result.stderr)
