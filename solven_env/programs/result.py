"""Results of commands, and what is said of files, as frozen data."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from solven_env.sandbox.limits import Reached


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a command.

    `exit_code` is its status: 128 and more for a signal, 124 when its time was up (`timed_out`), 126 and 127 when it
    cannot be executed or is not found. The bytes of its two streams are what was kept of them: `truncated` says that
    more was printed. `limits` are those of the profile, and the timeout, that it reached, and `seconds` passed from the
    call to its end.
    """

    exit_code: int
    stdout_bytes: bytes
    stderr_bytes: bytes
    truncated: bool
    timed_out: bool
    limits: tuple[Reached, ...]
    seconds: float

    @property
    def stdout(self) -> str:
        """Standard output as text: UTF-8, with U+FFFD for what is none."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Standard error likewise; empty where the two were merged."""
        return self.stderr_bytes.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some output of a process: the bytes, and the same as text, in which no character is cut in two.

    `skipped` bytes of this stream came before it and were not kept until they were asked for.
    """

    stream: Literal["stdout", "stderr"]
    data: bytes
    text: str
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process of a session: its name, its command (200 characters of it), how long it has run, and its status.

    `exit_code` is None while it runs.
    """

    id: str
    command: str
    seconds: float
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A name inside. `size` is in bytes, `mtime` in seconds since 1970, `target` is a link's text."""

    path: str
    kind: Literal["file", "directory", "link", "other"]
    size: int
    mode: int
    mtime: float
    target: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)


@dataclass(frozen=True, slots=True)
class Match:
    """A line, numbered from 1, of a file that has the text; the first 500 characters of it."""

    path: str
    line: int
    text: str
