"""The door for Pydantic AI: a thread's sandbox as the workspace of an agent's run."""

from __future__ import annotations

import asyncio
import posixpath
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from pydantic_ai.messages import WorkspaceRef
from pydantic_ai.workspaces import (
    CommandResult,
    FileEntry,
    SupportsCommands,
    SupportsFilesystem,
    SupportsRealpath,
    WorkspaceBackend,
    WorkspaceError,
    WorkspaceOutputLimitError,
    WorkspaceTimeoutError,
    WorkspaceUnavailableError,
)

from solven_env.errors import FileTooLargeError, NeverAppliedError, SolvenError, UsageError
from solven_env.programs.awaiting import AsyncSandbox
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from pydantic_ai.workspaces import WorkspaceCommand

    from solven_env.programs.result import FileInfo, Result

PROVIDER = "solven-env"
"""The provider of a thread's `WorkspaceRef`."""

_MOST_OUTPUT = 10 << 20
"""Bytes of each stream of a command. More of them is an error: a workspace never returns a part as the whole."""
_SHOWN = 64 << 10
"""Bytes of each stream that such an error shows."""
_LARGEST = 256 << 20
"""Bytes of the largest file that is read: it is held in memory."""
_MOST_ENTRIES = 100_000
_KILLED = 137
"""Status of a command whose session was ended, as a deletion does first."""
_DELETION = 10.0
"""Seconds for which a deletion that goes on is waited for."""
_PAUSE = 0.05


class SolvenWorkspace(WorkspaceBackend, SupportsCommands, SupportsFilesystem, SupportsRealpath):
    """A thread's sandbox as a workspace of Pydantic AI.

        >>> await agent.run("Plot sales.csv.", workspace=SolvenWorkspace("thread-42", profile="solven"))

    With a `profile`, the first operation applies the thread; without one it must have been applied. A `ref` has the
    thread as its `id`, and `SolvenWorkspace(ref.id)` is the same workspace. Commands share one PID namespace
    (`processes: session`): what one of them detaches (`setsid … &`) lives until the session ends. Neither the session
    nor the thread ends with an agent's run: `solven_env.stop` and `solven_env.delete` do that.

    Errors are those of the protocol: `WorkspaceUnavailableError` where the thread is not there (any more), `ValueError`
    for what no command can be, the built-in ones for files, and `WorkspaceError` for a file of more than 256 MiB. What
    may pass, such as a storage that is not mounted, stays the `SolvenError` that it is.
    """

    def __init__(self, thread: str, *, profile: str | Path | None = None, storage: str | Path | None = None) -> None:
        """Nothing is looked at before the first operation."""
        self._thread = thread
        self._profile = profile
        self._storage = storage
        self._ref = None if profile is not None else _ref(thread)
        self._opening: asyncio.Task[AsyncSandbox] | None = None

    @property
    def ref(self) -> WorkspaceRef | None:
        """The thread; None until it was applied, where a profile is given."""
        return self._ref

    async def working_dir(self) -> str:
        """The directory in which commands start, without links."""
        async with self._opened() as sandbox:
            return await sandbox.files.realpath(".")

    async def run(
        self,
        command: WorkspaceCommand,
        *,
        shell: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run words, or with `shell` a text by `bash --login -c`; a cancelled call ends its command alone.

        WorkspaceTimeoutError after `timeout` seconds, or the profile's `wall_time`; WorkspaceOutputLimitError where
        more than 10 MiB of a stream were printed.
        """
        if isinstance(command, str) != shell:
            raise TypeError("a text needs shell=True, and a sequence of words shell=False")
        async with self._opened() as sandbox:
            result = await sandbox.run(command, env=env, timeout=timeout, max_output=_MOST_OUTPUT)
            if result.exit_code == _KILLED and await self._is_gone():
                raise WorkspaceUnavailableError(f"the thread {self._thread} was deleted while the command ran")
        return _complete(result)

    async def read_bytes(self, path: str) -> bytes:
        """The bytes of a file, of 256 MiB at most."""
        async with self._opened(path) as sandbox:
            return await sandbox.files.read(path, max_bytes=_LARGEST)

    async def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file, through a link too, with the directories above it."""
        async with self._opened(path) as sandbox:
            await sandbox.files.write(path, data)

    async def stat(self, path: str) -> FileEntry:
        """A file or directory; of a link, the end of it."""
        async with self._opened(path) as sandbox:
            return _entry(path, await sandbox.files.stat(path))

    async def list_dir(self, path: str) -> Sequence[FileEntry]:
        """The entries of a directory; a link that leads nowhere is no directory, and has no size."""
        async with self._opened(path) as sandbox:
            found = await sandbox.files.list(path, limit=_MOST_ENTRIES + 1)
            if len(found) > _MOST_ENTRIES:
                raise WorkspaceError(f"the directory has more than {_MOST_ENTRIES} entries: {path}")
            entries = []
            for info in found:
                with suppress(OSError):
                    info = info if info.kind != "link" else await sandbox.files.stat(info.path)
                entries.append(_entry(posixpath.join(path, posixpath.basename(info.path)), info))
            return entries

    async def make_dir(self, path: str) -> None:
        """Make a directory and those above it; one that is there stays."""
        async with self._opened(path) as sandbox:
            await sandbox.files.make_dir(path)

    async def remove(self, path: str) -> None:
        """Remove a file, a link, or a directory with all in it; ValueError for the working directory, or one above."""
        async with self._opened(path) as sandbox:
            above, name = posixpath.split(path.rstrip("/") or "/")
            real = posixpath.join(await sandbox.files.realpath(above), name)  # of a link itself, not of its end
            kept = await sandbox.files.realpath(".")
            if posixpath.commonpath((real, kept)) == posixpath.normpath(real):
                raise ValueError(f"the working directory {kept} cannot be removed, nor one above it: {path}")
            await sandbox.files.remove(path, recursive=True)

    async def exists(self, path: str) -> bool:
        """True where a path leads to a file or a directory."""
        async with self._opened(path) as sandbox:
            return await sandbox.files.exists(path)

    async def realpath(self, path: str) -> str:
        """A path without links, seen from inside."""
        async with self._opened(path) as sandbox:
            return await sandbox.files.realpath(path)

    @asynccontextmanager
    async def _opened(self, path: str = "/") -> AsyncIterator[AsyncSandbox]:
        """The thread's sandbox, for an operation whose errors become those of the protocol."""
        if not path.startswith("/"):
            raise ValueError(f"a path must be absolute: {path}")
        try:
            yield await self._sandbox()
        except FileTooLargeError as error:
            raise WorkspaceError(str(error)) from error
        except OSError:
            raise
        except UsageError as error:
            raise ValueError(str(error)) from error
        except SolvenError as error:
            if await self._is_gone():
                raise WorkspaceUnavailableError(str(error)) from error
            raise

    async def _sandbox(self) -> AsyncSandbox:
        """The sandbox, which the first operation of several opens for all; a cancelled one does not end that."""
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
            opening = self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(opening)

    async def _open(self) -> AsyncSandbox:
        thread, storage = self._thread, self._storage
        if self._ref is not None:
            return await AsyncSandbox.connect(thread, storage=storage, processes="session")
        assert self._profile is not None
        sandbox = await AsyncSandbox.create(self._profile, thread, storage=storage, processes="session")
        self._ref = _ref(thread)
        return sandbox

    async def _is_gone(self) -> bool:
        """True where the thread is not there (any more). A deletion that goes on is waited for."""
        if self._ref is None:
            return False
        thread = Thread.named(self._thread, self._storage)
        end = time.monotonic() + _DELETION
        while await asyncio.to_thread(thread.state.is_held, thread.name) and time.monotonic() < end:
            await asyncio.sleep(_PAUSE)
        try:
            await asyncio.to_thread(thread.anew().applied)
        except NeverAppliedError:
            return True
        return False


def _ref(thread: str) -> WorkspaceRef:
    return WorkspaceRef(provider=PROVIDER, id=thread)


def _complete(result: Result) -> CommandResult:
    """The result of a command that ended in time and whose output is whole; else the protocol's error."""
    if result.timed_out:
        reached = ", ".join(f"{each.limit} ({each.value})" for each in result.limits)
        message = f"the command was ended when its time was up: {reached}"
        raise WorkspaceTimeoutError(message, stdout=result.stdout, stderr=result.stderr)
    if result.truncated:
        raise WorkspaceOutputLimitError(
            f"the command printed more than {_MOST_OUTPUT} bytes; have it write to a file, and read parts of that",
            limit=_MOST_OUTPUT,
            stdout=result.stdout_bytes[:_SHOWN].decode(errors="replace"),
            stderr=result.stderr_bytes[:_SHOWN].decode(errors="replace"),
        )
    return CommandResult(exit_code=result.exit_code, stdout=result.stdout, stderr=result.stderr)


def _entry(path: str, info: FileInfo) -> FileEntry:
    name, size = posixpath.basename(posixpath.normpath(path)), info.size if info.kind == "file" else None
    return FileEntry(name=name, path=path, is_dir=info.kind == "directory", size=size)
