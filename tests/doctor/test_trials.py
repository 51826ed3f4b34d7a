"""Commands that are started to see whether they start: what they print is kept as far as a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.doctor import trials
from solven_env.sandbox.request import Ended

if TYPE_CHECKING:
    from solven_env.sandbox.capture import Capture


def test_what_is_printed_without_end_fills_nothing() -> None:
    def run(streams: tuple[None, Capture, Capture]) -> Ended:
        _, out, err = streams
        err.take(b"complaint")
        for _ in range(2 * trials.LONGEST >> 16):
            out.take(b"x" * 65536)
        return Ended(3)

    done = trials.finish(run)
    assert (done.status, done.err, done.is_whole, len(done.out)) == (3, b"complaint", False, trials.LONGEST)
