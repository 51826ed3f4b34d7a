"""The door for deepagents: a thread's sandbox as the backend of an agent's file tools and of its `execute`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepagents.backends.protocol import (
    FILE_NOT_FOUND,
    INVALID_PATH,
    IS_DIRECTORY,
    PERMISSION_DENIED,
    ExecuteResponse,
    FileDownloadResponse,
    FileUploadResponse,
)
from deepagents.backends.sandbox import BaseSandbox

from solven_env.errors import SolvenError, UsageError
from solven_env.programs.awaiting import AsyncSandbox
from solven_env.programs.blocking import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.programs.result import Result

_LARGEST = 256 << 20
"""Bytes of the largest file that is downloaded: it is held in memory."""

_USAGE = 2
"""Status of a command that cannot be one, as of `solven-env run`."""

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (FileNotFoundError, FILE_NOT_FOUND),
    (PermissionError, PERMISSION_DENIED),
    (IsADirectoryError, IS_DIRECTORY),
    (NotADirectoryError, INVALID_PATH),
    (UsageError, INVALID_PATH),
)
"""The protocol's names for errors of files."""


class SolvenSandbox(BaseSandbox):
    """A thread's sandbox as a backend of deepagents.

        >>> agent = create_deep_agent(model=model, backend=SolvenSandbox("thread-42", profile="solven"))

    With a `profile` the thread is applied first, which may take seconds; without one it must have been. `sandbox` is
    the thread's own object, whose `stop` ends its session and whose `delete` removes the thread: an agent's end does
    neither. deepagents reads, searches and edits files by `python3` in the sandbox, so the profile needs a Python.

    Errors as of `Sandbox.create` and `Sandbox.connect`.
    """

    def __init__(self, thread: str, *, profile: str | Path | None = None, storage: str | Path | None = None) -> None:
        """Apply the profile, if there is one, and connect with the thread."""
        if profile is None:
            self.sandbox = Sandbox.connect(thread, storage=storage)
        else:
            self.sandbox = Sandbox.create(profile, thread, storage=storage)
        self._storage = storage
        self._awaiting: AsyncSandbox | None = None

    @property
    def id(self) -> str:
        """The thread."""
        return self.sandbox.id

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Run a text by `bash --login -c`, with both streams in one, of which the first MiB is kept.

        `timeout` is in seconds. Without one, and with 0, a command may take the profile's `wall_time`. One whose time
        is up has the status 124. What no command can be, one with U+0000 or too long, has the status 2 and is told in
        the output: a model wrote it.
        """
        try:
            return _response(self.sandbox.run(command, timeout=timeout or None, merge=True))
        except UsageError as error:
            return _refusal(error)

    async def aexecute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Run a text likewise, without a thread that waits; a cancelled call ends its command alone."""
        sandbox = await self._async()
        try:
            return _response(await sandbox.run(command, timeout=timeout or None, merge=True))
        except UsageError as error:
            return _refusal(error)

    def upload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Write files at absolute paths, with the directories above them; each has its own error, or None."""
        return [FileUploadResponse(path, self._write(path, data)) for path, data in files]

    def download_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Read files at absolute paths, of 256 MiB each at most; each has its content or its own error."""
        return [self._read(path) for path in paths]

    def _write(self, path: str, data: bytes) -> str | None:
        if not path.startswith("/"):
            return INVALID_PATH
        try:
            self.sandbox.files.write(path, data)
        except SolvenError as error:
            return _code(error)
        return None

    def _read(self, path: str) -> FileDownloadResponse:
        if not path.startswith("/"):
            return FileDownloadResponse(path, error=INVALID_PATH)
        try:
            return FileDownloadResponse(path, self.sandbox.files.read(path, max_bytes=_LARGEST))
        except SolvenError as error:
            return FileDownloadResponse(path, error=_code(error))

    async def _async(self) -> AsyncSandbox:
        if self._awaiting is None:
            self._awaiting = await AsyncSandbox.connect(self.id, storage=self._storage)
        return self._awaiting


def _response(result: Result) -> ExecuteResponse:
    return ExecuteResponse(result.stdout, result.exit_code, result.truncated)


def _refusal(error: UsageError) -> ExecuteResponse:
    return ExecuteResponse(f"solven-env: {error}\n", _USAGE)


def _code(error: SolvenError) -> str:
    """The name of an error in the protocol, or its text where the protocol has none."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), str(error))
