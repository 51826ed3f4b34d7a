"""Calls in threads of this process: their results, their errors, and how an interrupt ends them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from solven_env.errors import BuildError, LockError
from solven_env.packages import programs
from solven_env.sandbox.streams import relay
from solven_env.system.at_once import at_once, check, in_groups
from solven_env.system.effects import drive
from solven_env.system.publishing import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _fails(error: Exception) -> Callable[[], NoReturn]:
    def call() -> NoReturn:
        raise error

    return call


def test_calls_go_on_at_the_same_time_and_give_their_results_in_order() -> None:
    both = threading.Barrier(2, timeout=30)
    assert at_once([lambda: both.wait() and 0, lambda: both.wait() and 0, lambda: 3]) == [0, 0, 3]
    assert at_once([threading.get_ident]) == [threading.get_ident()]
    assert at_once([]) == []


def test_all_errors_of_ours_are_told_and_no_call_goes_on() -> None:
    done = []

    def last() -> None:
        time.sleep(0.1)
        done.append(1)

    wrong, none = LockError("it is wrong"), BuildError("there is none")
    with pytest.raises(LockError) as raised:
        at_once([_fails(wrong), last, _fails(none)])
    assert (raised.value, raised.value.further, done) == (wrong, (none,), [1])
    with pytest.raises(ZeroDivisionError):
        at_once([_fails(wrong), _fails(ZeroDivisionError())])


def _waits_for_a_program() -> None:
    programs.run([sys.executable, "-c", "import time; time.sleep(60)"], cwd=Path("/"), environ={}, purpose="")


def _waits_for_a_command() -> None:
    never, _ = os.pipe()
    drive(relay([], never))


def _waits_in_calls_of_its_own() -> None:
    at_once([_waits_for_a_command, _waits_for_a_program])


@pytest.mark.parametrize("wait", [_waits_for_a_program, _waits_for_a_command, _waits_in_calls_of_its_own])
def test_an_interrupt_ends_what_the_calls_wait_for(wait: Callable[[], None]) -> None:
    ended = []

    def first() -> None:
        try:
            wait()
        except KeyboardInterrupt:
            ended.append("first")
            raise

    def second() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            time.sleep(0.01)
            check()

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        at_once([first, second])
    assert time.monotonic() - begun < 10
    assert ended == ["first"]
    assert [each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon] == []


def test_an_interrupt_while_threads_start_leaves_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    start, begun, ended = threading.Thread.start, list[int](), list[int]()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)

    def call() -> None:
        begun.append(1)
        try:
            _waits_for_a_command()
        finally:
            time.sleep(0.1)
            ended.append(1)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        at_once([call, call])
    assert ended == begun


def test_an_interrupt_ends_the_wait_for_a_lock_that_another_holds(tmp_path: Path) -> None:
    def second() -> None:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    def first() -> None:
        with locked(tmp_path, "name"):
            raise AssertionError

    with locked(tmp_path, "name"), pytest.raises(KeyboardInterrupt):
        at_once([first, second])


@pytest.mark.parametrize("count", [0, 1, 16, 17, 50])
def test_groups_give_a_result_for_each_thing_in_order(count: int) -> None:
    groups: list[int] = []

    def doubled(things: Sequence[int]) -> list[int]:
        groups.append(len(things))
        return [2 * each for each in things]

    assert in_groups(doubled, range(count)) == [2 * each for each in range(count)]
    assert (sum(groups), len(groups)) == (count, min(count, 16))
