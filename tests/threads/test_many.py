"""Many threads at once: results as they end, errors of single threads, canaries, interrupts, slow callers."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from solven_env.errors import BuildError, HeldError, SolvenError
from solven_env.system import at_once
from solven_env.threads import many
from solven_env.threads.many import Once, each

NAMES = [f"t{number}" for number in range(100)]


def told(name: str, error: SolvenError) -> str:
    return f"{name}: {error.message}"


def test_each_name_is_called_once_and_what_fails_is_told_of_it() -> None:
    def call(name: str) -> str:
        if name in ("t3", "t7"):
            raise HeldError("held")
        return name

    found = list(each([*NAMES, "t1", "t3"], call, told))
    assert sorted(found) == sorted({*NAMES, "t3: held", "t7: held"} - {"t3", "t7"})
    assert list(each([], call, told)) == []


def test_results_come_as_they_end() -> None:
    slow = threading.Event()

    def call(name: str) -> str:
        if name == "t0":
            assert slow.wait(30)
        return name

    found = each(NAMES[:3], call, told)
    first = [next(found), next(found)]
    slow.set()
    assert sorted(first) == ["t1", "t2"]
    assert list(found) == ["t0"]


def test_calls_that_wait_have_others_beside_them() -> None:
    """All meet at one barrier, which no small number of threads would pass."""
    barrier = threading.Barrier(40, timeout=30)
    assert len(list(each(NAMES[:40], lambda name: barrier.wait() and name, told))) == 40
    live = 0
    most = 0
    turn = threading.Lock()

    def call(name: str) -> str:
        nonlocal live, most
        with turn:
            live += 1
            most = max(most, live)
        time.sleep(0.01)
        with turn:
            live -= 1
        return name

    assert len(list(each([f"t{number}" for number in range(1000)], call, told))) == 1000
    assert most <= many.MOST


def test_any_other_error_lets_no_more_begin_and_is_raised_at_the_end() -> None:
    begun = []

    def call(name: str) -> str:
        begun.append(name)
        time.sleep(0.01)
        if name == "t1":
            raise ZeroDivisionError
        return name

    found: list[str] = []
    with pytest.raises(ZeroDivisionError):
        found.extend(each(NAMES, call, told))
    assert len(begun) < len(NAMES)
    assert not _live()


@pytest.mark.parametrize(("bad", "count"), [("t1", 2), ("t50", 100), ("", 100)])
def test_the_others_come_after_the_canaries_unless_one_is_bad(bad: str, count: int) -> None:
    found = list(each(NAMES, lambda name: name, told, canary=2, is_bad=lambda name: name == bad))
    assert (sorted(found[:2]), len(found)) == (["t0", "t1"], count)


def test_an_interrupt_lets_what_began_end_and_gives_its_results() -> None:
    begun = []
    found: list[str] = []

    def call(name: str) -> str:
        begun.append(name)
        if name == "t0":  # waits for what never comes, and is interrupted
            while True:
                at_once.check()
                time.sleep(at_once.wait() or 1)
        if name in ("t1", "t2", "t3"):
            return name
        while len(found) < 3:
            time.sleep(0.01)
        time.sleep(0.02)  # the caller waits for us again
        if name == "t4":
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        return name

    with pytest.raises(KeyboardInterrupt):
        for name in each(NAMES, call, told):
            found.append(name)
    assert sorted(found) == sorted(set(begun) - {"t0"})
    assert "t4" in found
    assert len(begun) < len(NAMES)
    assert not _live()


def test_an_interrupt_that_is_told_by_a_descriptor_is_one_too() -> None:
    reading, writing = os.pipe()

    def call(name: str) -> str:
        if name == "t5":
            os.close(writing)
        time.sleep(0.01)
        return name

    found: list[str] = []
    with pytest.raises(KeyboardInterrupt), at_once.interrupted_by(reading):
        for name in each(NAMES, call, told):
            found.append(name)
    os.close(reading)
    assert "t5" in found
    assert len(found) < len(NAMES)
    assert at_once.interruption() is None


def test_closing_the_iterator_ends_all() -> None:
    before = len(os.listdir("/proc/self/fd"))
    begun = []

    def call(name: str) -> str:
        begun.append(name)
        time.sleep(0.01)
        return name

    found = each(NAMES, call, told)
    next(found)
    found.close()
    assert not _live()
    assert len(begun) < len(NAMES)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_slow_caller_is_waited_for() -> None:
    ended = []

    def call(name: str) -> str:
        ended.append(name)
        return name

    found = each([f"t{number}" for number in range(1000)], call, told)
    next(found)
    time.sleep(0.2)
    assert len(ended) <= 3 * many.MOST
    assert len(list(found)) == 999


def test_an_error_keeps_nothing_open() -> None:
    def call(name: str) -> SolvenError:
        try:
            raise ValueError(name)
        except ValueError as error:
            raise BuildError(name) from error

    (error,) = each(["t1"], call, lambda _, error: error)
    assert error.__cause__ is not None
    assert (error.__traceback__, error.__cause__.__traceback__) == (None, None)


def test_what_many_need_is_made_once() -> None:
    once, made = Once(), []

    def make() -> str:
        made.append(1)
        time.sleep(0.05)
        return "build"

    assert list(each(NAMES, lambda _: once("python", make), told)) == ["build"] * 100
    assert made == [1]


def test_what_cannot_be_made_is_tried_once_and_told_of_each() -> None:
    once, tried = Once(), []

    def make() -> str:
        tried.append(1)
        raise BuildError("no network")

    found = list(each(NAMES, lambda _: once("python", make), told))
    assert sorted(found) == sorted(f"{name}: no network" for name in NAMES)
    assert tried == [1]


def _live() -> list[threading.Thread]:
    """Threads of calls that go on; the last moments of one that has ended are waited for."""
    end = time.monotonic() + 5
    while (found := [each for each in threading.enumerate() if "_work" in each.name]) and time.monotonic() < end:
        time.sleep(0.01)
    return found
