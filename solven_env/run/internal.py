"""Commands of ours in a thread's own sandbox: its network, its layers, and nothing of this host's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.packages import making, programs
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from solven_env.sandbox.request import Ended

_LONGEST = 300
"""Characters of what a program said that are told as the reason why it failed."""
_TIMED_OUT = 124


def failure(words: Sequence[str], start: Callable[[Request], Ended], *, seconds: float, cwd: str = "/") -> str:
    """Run a command to its end, for `seconds` at most; the reason why it failed, empty if it did not.

        >>> internal.failure(["uv", "lock"], start, seconds=60)  # doctest: +SKIP
        ''

    `start` runs a request in the thread's sandbox. Its errors (no sandbox, say) are the caller's to tell.
    """
    said = Capture(making.MOST_SAID, "tail")
    status = start(Request(tuple(words), cwd=cwd, timeout=seconds, streams=(None, said, said))).status
    if status == _TIMED_OUT:
        return f"it took longer than {seconds:.0f} s"
    return programs.last_words(said.data)[:_LONGEST] if status else ""
