"""Commands that outlive their callers, as a backend gives them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from solven_env.system.plain import Socket


class KeptOutput(NamedTuple):
    """The output that is kept of such a command: the last `most` bytes of each stream.

    With `merge` there is one stream; with a `size`, rows and columns, it has a terminal, which is one stream too.
    """

    most: int = 1 << 20
    merge: bool = False
    size: tuple[int, int] | None = None


class StartedProcess(NamedTuple):
    """A command that was started so, by its name in the session.

    Until its caller lets it go, it ends with that caller, who else would leave what nobody knows of.
    """

    name: str
    connection: Socket

    def let_go(self) -> None:
        """Have it outlive us from now on."""
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended with its session
            self.connection.send(b"claim")
        self.connection.close()


class Told(NamedTuple):
    """A session's answer about such commands, and the connection with the keeper of one, to which it was handed over.

    `answer` has a `kind`, and what belongs to it: `processes`, `killed`, `attached`, `unknown`.
    """

    answer: dict[str, Any]
    connection: Socket | None = None
