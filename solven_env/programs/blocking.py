"""`Sandbox`: a thread's sandbox as an object whose methods return when the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from solven_env import api
from solven_env.programs.core import Core
from solven_env.system.effects import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from solven_env.programs.result import Result
    from solven_env.reconcile.model import OnConflict


class Sandbox:
    """A thread's sandbox: commands run in it one after the other, or several at once from several threads.

        >>> with solven_env.Sandbox.create("solven", "thread-42") as sandbox:
        ...     sandbox.run("echo $((6 * 7))").stdout
        '42\\n'

    Commands share a session, with its /tmp, which stays `keep_alive` seconds after the last one, and ends with a `with`
    block. `env` is added to the profile's variables, and `cwd` is where commands start in place of its directory.
    """

    def __init__(self, core: Core) -> None:
        """Use `create` or `connect`."""
        self._core = core

    @classmethod
    def create(
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
        api.apply(profile, thread, storage=storage, inputs=inputs, on_conflict=on_conflict)
        return cls.connect(thread, storage=storage, env=env, cwd=cwd, keep_alive=keep_alive)

    @classmethod
    def connect(
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
        drive(core.find())
        return cls(core)

    @property
    def id(self) -> str:
        """The thread."""
        return self._core.thread

    def run(
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
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        network: str | None = None,
        check: bool = False,
    ) -> Result:
        """Run a command to its end, and return what it printed and how it ended.

            >>> sandbox.run(["python", "-c", "print(6 * 7)"]).stdout
            '42\\n'

        A text is given to `/bin/bash --login -c`, a sequence of words is executed. `timeout` is in seconds; `stdin` is
        text, bytes, or a descriptor of the caller's, and without it the command's input is at its end. Of each stream
        the first `max_output` bytes are kept, or with `keep` "tail" the last ones, and the rest is read and dropped.
        `merge` has both in one, in the order in which they were written. `on_stdout` and `on_stderr` get all output as
        text as it comes.

        A status other than 0 is a result, and a CommandError with `check`. Other errors as of `solven_env.run`. An
        exception meanwhile, KeyboardInterrupt or a callback's own, ends this command with all that it started.
        """
        return drive(
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

    def stop(self) -> bool:
        """End the session with all that runs in it; whether there was one. The next command begins another."""
        return api.stop(self._core.thread, storage=self._core.storage)

    def delete(self) -> None:
        """Delete the thread, with its workspace. Errors as of `solven_env.delete`."""
        api.delete(self._core.thread, storage=self._core.storage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
