from __future__ import annotations

import re
import time

import pytest

from solven_env.packages.steps import Doing, Finished, step, watched, within


def test_a_step_tells_its_begin_and_its_end() -> None:
    told: list[str] = []
    with step(told.append, "making it (2 parts)", "made it") as tell:
        within(tell, "first")
        with step(tell, "fetching it", "fetched it"):
            tell("a notice")
    assert [re.sub(r"0\.\d", "N", line) for line in told] == [
        *("making it (2 parts) …", "  first …", "fetching it …", "a notice", "fetched it in N s", "made it in N s")
    ]
    whole, part = ("making it (2 parts) …",), ("making it (2 parts) …", "fetching it …")
    assert [(type(line), getattr(line, "steps", None)) for line in told] == [
        *((Doing, whole), (Doing, whole), (Doing, part), (str, None), (Finished, part), (Finished, whole))
    ]


def test_a_step_that_fails_ends_without_a_word() -> None:
    told: list[str] = []
    with pytest.raises(ValueError, match="no"), step(told.append, "making it", "made it"):
        raise ValueError("no")
    assert (told, type(told[-1])) == (["making it …", ""], Finished)


def test_an_interrupt_is_no_end() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), step(told.append, "making it", "made it"):
        raise KeyboardInterrupt
    assert told == ["making it …"]


def test_what_is_counted_is_told_when_it_changes_and_not_afterwards() -> None:
    told: list[str] = []
    counts = iter(["1 of 2", "1 of 2", "", "2 of 2"])

    def count() -> str:
        found = next(counts, "2 of 2")
        if not found:
            raise FileNotFoundError
        return found

    with watched(told.append, "counting", count):
        deadline = time.monotonic() + 30
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert told == ["  counting …", "  counting: 1 of 2 …", "  counting: 2 of 2 …"]
