"""Commands that are started to see whether they start: what they print is read as far as a bound."""

from __future__ import annotations

import os
import threading

from solven_env.doctor import trials
from solven_env.sandbox.request import Ended


def test_what_is_printed_without_end_fills_nothing() -> None:
    """Whoever prints on is told that nobody reads (EPIPE), as by head(1)."""
    told = threading.Event()

    def run(streams: tuple[int, int, int]) -> Ended:
        _, out, err = streams
        with open(err, "wb", closefd=False) as file:
            file.write(b"complaint")
        try:
            while True:
                os.write(out, b"x" * 65536)
        except BrokenPipeError:
            told.set()
        return Ended(3)

    done = trials.finish(run)
    assert told.is_set()
    assert (done.status, done.err, done.is_whole, len(done.out)) == (3, b"complaint", False, trials.LONGEST)
    assert (
        trials.finish(lambda streams: Ended(os.write(streams[1], b"out") - os.write(streams[2], b"err"))).out == b"out"
    )
