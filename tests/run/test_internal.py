"""The reason why a command of ours failed inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.run import internal
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.request import Ended

if TYPE_CHECKING:
    from solven_env.sandbox.request import Request


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        (b"Resolved 4 packages\n", 0, ""),
        (b"error: no such package\n", 1, "no such package"),
        (b"\x1b[31merror\x1b[0m: " + b"x" * 5000, 2, "x" * 300),
        (b"", 3, "it said nothing"),
        (b"still at it\n", 124, "it took longer than 5 s"),
    ],
)
def test_a_failure_is_told_in_few_words(said: bytes, status: int, reason: str) -> None:
    def start(request: Request) -> Ended:
        stdin, stdout, stderr = request.streams
        assert stdin is None
        assert isinstance(stdout, Capture)
        assert stderr is stdout
        stdout.take(said)
        return Ended(status)

    assert internal.failure(["tool"], start, seconds=5) == reason
