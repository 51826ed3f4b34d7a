"""`AsyncSandbox`: the same object as `Sandbox` for programs on asyncio, where no thread waits for a command."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Literal

from solven_env.api import commands, storages, workspaces
from solven_env.programs.core import Core
from solven_env.programs.files import MOST_LISTED, MOST_MATCHES, MOST_READ, FileCore
from solven_env.programs.on_loop import on_loop
from solven_env.programs.process import ProcessCore, listed
from solven_env.system.effects import Blocking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from solven_env.programs.blocking import Chunks, Listed, Matches, Names
    from solven_env.programs.result import Chunk, FileInfo, ProcessInfo, Result
    from solven_env.reconcile.model import OnConflict

    _T = TypeVar("_T")
    from solven_env.profile.inputs import InputValues


async def _call(call: Callable[[], _T]) -> _T:
    """Make a call that may wait in another thread."""

    async def work() -> _T:
        value: _T = await Blocking(call)
        return value

    return await on_loop(work())


def _noted(callback: Callable[[str], Any] | None, called: deque[Awaitable[object]]) -> Callable[[str], None] | None:
    """The same callback; what it gives to be awaited is noted in `called`."""
    if not callable(callback):
        return callback

    def call(text: str) -> None:
        value = callback(text)
        if isinstance(value, Awaitable):
            called.append(value)

    return call


class AsyncFiles:
    """The files of a sandbox; see `Files`, whose methods it has as coroutines."""

    def __init__(self, core: FileCore) -> None:
        """See `AsyncSandbox.files`."""
        self._core = core

    def close(self) -> None:
        """See `Files.close`."""
        self._core.close()

    async def read(self, path: str, *, offset: int = 0, max_bytes: int = MOST_READ) -> bytes:
        """See `Files.read`."""
        return await on_loop(self._core.read(path, offset=offset, max_bytes=max_bytes))

    async def read_text(self, path: str, *, offset: int = 0, max_bytes: int = MOST_READ) -> str:
        """See `Files.read_text`."""
        return (await self.read(path, offset=offset, max_bytes=max_bytes)).decode(errors="replace")

    async def write(
        self, path: str, data: bytes | str, *, mode: int | None = None, parents: bool = True, exclusive: bool = False
    ) -> None:
        """See `Files.write`."""
        await on_loop(self._core.write(path, data, mode=mode, parents=parents, exclusive=exclusive))

    async def list(self, path: str, *, depth: int = 1, limit: int = MOST_LISTED) -> Listed:
        """See `Files.list`."""
        return await on_loop(self._core.list_directory(path, depth=depth, limit=limit))

    async def stat(self, path: str) -> FileInfo:
        """See `Files.stat`."""
        return await on_loop(self._core.stat(path))

    async def exists(self, path: str) -> bool:
        """See `Files.exists`."""
        return await on_loop(self._core.exists(path))

    async def realpath(self, path: str) -> str:
        """See `Files.realpath`."""
        return await on_loop(self._core.realpath(path))

    async def make_dir(self, path: str, *, parents: bool = True) -> None:
        """See `Files.make_dir`."""
        await on_loop(self._core.make_dir(path, parents=parents))

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """See `Files.remove`."""
        await on_loop(self._core.remove(path, recursive=recursive))

    async def rename(self, source: str, target: str) -> None:
        """See `Files.rename`."""
        await on_loop(self._core.rename(source, target))

    async def glob(self, pattern: str, path: str = "/", *, limit: int = MOST_LISTED) -> Names:
        """See `Files.glob`."""
        return await on_loop(self._core.matching(pattern, path, limit=limit))

    async def grep(self, text: str, path: str = "/", *, glob: str | None = None, limit: int = MOST_MATCHES) -> Matches:
        """See `Files.grep`."""
        return await on_loop(self._core.grep(text, path, glob=glob, limit=limit))

    async def upload(self, source: str | Path, target: str) -> None:
        """See `Files.upload`."""
        await on_loop(self._core.upload(source, target))

    async def download(self, source: str, target: str | Path | int) -> None:
        """See `Files.download`."""
        await on_loop(self._core.download(source, target))


class AsyncProcess:
    """A command that was started and goes on by itself; see `Process`, whose methods it has as coroutines."""

    def __init__(self, core: ProcessCore) -> None:
        """See `AsyncSandbox.start` and `AsyncSandbox.process`."""
        self._core = core

    @property
    def id(self) -> str:
        """The name of the process in its session."""
        return self._core.name

    async def poll(self) -> int | None:
        """See `Process.poll`."""
        return await on_loop(self._core.poll())

    async def wait(self, timeout: float | None = None) -> Result:
        """See `Process.wait`."""
        return await on_loop(self._core.wait(timeout))

    async def kill(self) -> bool:
        """See `Process.kill`."""
        return await on_loop(self._core.kill())

    async def send_stdin(self, data: bytes | str) -> None:
        """See `Process.send_stdin`."""
        await on_loop(self._core.send_stdin(data))

    async def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        await on_loop(self._core.close_stdin())

    async def resize(self, rows: int, columns: int) -> None:
        """See `Process.resize`."""
        await on_loop(self._core.resize(rows, columns))

    async def kept(self) -> Chunks:
        """See `Process.kept`."""
        return await on_loop(self._core.kept())

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        """See `Process.__iter__`."""
        while found := await on_loop(self._core.chunks()):
            for each in found:
                yield each


class AsyncSandbox:
    """A thread's sandbox; see `Sandbox`, whose methods it has as coroutines.

        >>> async with await solven_env.AsyncSandbox.create("solven", "thread-42") as sandbox:
        ...     (await sandbox.run("echo $((6 * 7))")).stdout
        '42\\n'

    A cancelled task ends its own command alone, waits for its end, and is cancelled then.
    """

    def __init__(self, core: Core) -> None:
        """Use `create` or `connect`."""
        self._core = core
        self.files = AsyncFiles(FileCore(core))

    @classmethod
    async def create(
        cls,
        profile: str | Path,
        thread: str,
        *,
        storage: str | Path | None = None,
        inputs: InputValues | None = None,
        on_conflict: OnConflict = "fail",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        keep_alive: float = 600.0,
        processes: Literal["command", "session"] | None = None,
    ) -> Self:
        """Apply a profile to a thread, and connect with it. Errors as of `solven_env.apply`."""
        await _call(lambda: workspaces.apply(profile, thread, storage=storage, inputs=inputs, on_conflict=on_conflict))
        return await cls.connect(thread, storage=storage, env=env, cwd=cwd, keep_alive=keep_alive, processes=processes)

    @classmethod
    async def connect(
        cls,
        thread: str,
        *,
        storage: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        keep_alive: float = 600.0,
        processes: Literal["command", "session"] | None = None,
    ) -> Self:
        """The sandbox of a thread that was applied before. Nothing is applied, and nothing started."""
        core = Core(thread, storage, env, cwd, keep_alive, processes)
        await on_loop(core.find())
        return cls(core)

    @property
    def id(self) -> str:
        """The thread."""
        return self._core.thread

    async def run(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        stdin: str | bytes | int | None = None,
        max_output: int = 1 << 20,
        keep: Literal["head", "tail"] = "head",
        merge: bool = False,
        on_stdout: Callable[[str], Any] | None = None,
        on_stderr: Callable[[str], Any] | None = None,
        network: str | None = None,
        check: bool = False,
    ) -> Result:
        """Run a command to its end; see `Sandbox.run`. Callbacks may be coroutine functions: each is awaited in turn,
        and no more output is read meanwhile.
        """
        called: deque[Awaitable[object]] = deque()
        return await on_loop(
            self._core.run(
                command,
                cwd=cwd,
                env=env,
                timeout=timeout,
                stdin=stdin,
                max_output=max_output,
                keep=keep,
                merge=merge,
                on_stdout=_noted(on_stdout, called),
                on_stderr=_noted(on_stderr, called),
                network=network,
                check=check,
            ),
            called,
        )

    async def start(
        self,
        command: str | Sequence[str],
        *,
        pty: tuple[int, int] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        network: str | None = None,
        max_output: int = 1 << 20,
        merge: bool = False,
    ) -> AsyncProcess:
        """Start a command that outlives this call and this program; see `Sandbox.start`."""
        return AsyncProcess(
            await on_loop(
                self._core.start(
                    command,
                    pty=pty,
                    cwd=cwd,
                    env=env,
                    timeout=timeout,
                    network=network,
                    max_output=max_output,
                    merge=merge,
                )
            )
        )

    async def processes(self) -> tuple[ProcessInfo, ...]:
        """See `Sandbox.processes`."""
        return await on_loop(listed(self._core))

    def process(self, id: str) -> AsyncProcess:  # noqa: A002 (the name of the field)
        """See `Sandbox.process`."""
        return AsyncProcess(ProcessCore(self._core, id))

    async def publish(self, port: int) -> int:
        """See `Sandbox.publish`."""
        return await on_loop(self._core.publish(port))

    async def stop(self) -> bool:
        """End the session with all that runs in it; whether there was one. The next command begins another."""
        self.files.close()
        return await _call(lambda: commands.stop(self._core.thread, storage=self._core.storage))

    async def delete(self) -> None:
        """Delete the thread, with its workspace. Errors as of `solven_env.delete`."""
        await _call(lambda: storages.delete(self._core.thread, storage=self._core.storage))
        self._core.is_deleted = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._core.is_deleted:
            await self.stop()
