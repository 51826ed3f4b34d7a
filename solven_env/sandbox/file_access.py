"""Access to the files of a session, as a backend gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class FileAnswer(NamedTuple):
    """The value of a call: nobody has looked yet whether it is of the kind that the call gives.

    `descriptor`, of a regular file, is its receiver's to close.
    """

    value: Any
    descriptor: int | None = None


class Refused(Exception):  # noqa: N818 (a caller turns it into an error with words)
    """A call failed, at a `path`, with an errno. `kind` is what stands there, where that is why."""

    def __init__(self, number: int, path: bytes, kind: str) -> None:
        super().__init__(number, path)
        self.number = number
        self.path = path
        self.kind = kind


class FileAccess(Protocol):
    """A connection with what reads and writes files inside of a session."""

    is_open: bool

    async def ask(
        self,
        call: str,
        data: bytes | int | None = None,
        more: Callable[[dict[str, Any]], None] | None = None,
        **values: Any,
    ) -> FileAnswer:
        """Make a call. `data` is what is written, or a regular file that has it; `more` gets what comes before the end.

        Refused for a call that fails, ConnectionError when the session is gone.
        """

    def close(self) -> None:
        """Let go of it."""
