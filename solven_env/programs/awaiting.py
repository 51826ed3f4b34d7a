"""`AsyncSandbox`: the same object as `Sandbox` for programs on asyncio, where no thread waits for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from solven_env import api
from solven_env.programs.core import Core
from solven_env.programs.on_loop import on_loop
from solven_env.system.effects import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from solven_env.programs.result import Result
    from solven_env.reconcile.model import OnConflict

    _T = TypeVar("_T")


async def _call(call: Callable[[], _T]) -> _T:
    """Make a call that may wait in another thread."""

    async def work() -> _T:
        value: _T = await Blocking(call)
        return value

    return await on_loop(work())


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

    @classmethod
    async def create(
        cls,
        profile: str | Path,
        thread: str,
        *,
        storage: str | Path | None = None,
        inputs: Mapping[str, str] | None = None,
        on_conflict: OnConflict = "fail",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        keep_alive: float = 600.0,
    ) -> Self:
        """Apply a profile to a thread, and connect with it. Errors as of `solven_env.apply`."""
        await _call(lambda: api.apply(profile, thread, storage=storage, inputs=inputs, on_conflict=on_conflict))
        return await cls.connect(thread, storage=storage, env=env, cwd=cwd, keep_alive=keep_alive)

    @classmethod
    async def connect(
        cls,
        thread: str,
        *,
        storage: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        keep_alive: float = 600.0,
    ) -> Self:
        """The sandbox of a thread that was applied before. Nothing is applied, and nothing started."""
        core = Core(thread, storage, env, cwd, keep_alive)
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
        """Run a command to its end; see `Sandbox.run`."""
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
                on_stdout=on_stdout,
                on_stderr=on_stderr,
                network=network,
                check=check,
            )
        )

    async def stop(self) -> bool:
        """End the session with all that runs in it; whether there was one. The next command begins another."""
        return await _call(lambda: api.stop(self._core.thread, storage=self._core.storage))

    async def delete(self) -> None:
        """Delete the thread, with its workspace. Errors as of `solven_env.delete`."""
        await _call(lambda: api.delete(self._core.thread, storage=self._core.storage))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
