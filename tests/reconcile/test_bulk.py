"""What an agent makes in bulk: no system call of ours, and no wait for the disk, is multiplied by more than its number."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from solven_env.workspace.root import Owner, Root
from tests.hostile.test_planted_links import plant_deep
from tests.reconcile.calls import counting
from tests.reconcile.crashes import dies_at
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread
from tests.reconcile.users import USER, needs_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASKED = wanted({".bashrc": text("x"), "bin/hello": text("hello"), "bin/deep/b": text("b")})
EDITED = wanted({".bashrc": text("y"), "bin/hello": text("hello"), "bin/deep/b": text("b")})
DROPPED = wanted({".bashrc": text("x")})
COUNTS = (50, 100)


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread that was applied."""
    made = Thread(tmp_path / "storage")
    made.apply(ASKED)
    return made


def planted(thread: Thread, count: int, start: int = 0) -> None:
    """Names as an apply gives temporary files, of files that are read neither whole nor in part."""
    for number in range(start, start + count):
        path = thread.workspace / f"bin/.solven-env-{number:016x}.tmp"
        with path.open("wb") as sparse:
            sparse.truncate((1 << 40) + number)


def others(thread: Thread, count: int, start: int = 0) -> None:
    """Names of the agent's own."""
    for number in range(start, start + count):
        (thread.workspace / f"bin/{number}").touch()


@pytest.mark.parametrize("plant", [planted, others])
def test_a_look_costs_as_much_whatever_is_in_our_directories(
    thread: Thread, plant: Callable[[Thread, int, int], None]
) -> None:
    counted = []
    for start in (0, 100):
        plant(thread, 100, start)
        with counting() as calls:
            assert thread.plan(ASKED).changes == ()
        counted.append(calls.count)
    assert counted[0] == counted[1]


@pytest.mark.parametrize("plant", [planted, others])
def test_a_directory_that_is_dropped_is_listed_once(thread: Thread, plant: Callable[[Thread, int, int], None]) -> None:
    plant(thread, 100, 0)
    with counting() as calls:
        thread.plan(DROPPED)
    assert calls.by["scandir"] == 3  # the workspace, bin and bin/deep
    thread.apply(DROPPED)
    assert len(list((thread.workspace / "bin").iterdir())) == 100


@needs_root
def test_a_deep_tree_is_given_to_its_owner_by_calls_that_grow_as_it_does(tmp_path: Path) -> None:
    """Looked up from the top, a tree of 4,000 directories in each other took 40 s."""
    counted = []
    for depth in (400, 800):
        place = tmp_path / str(depth)
        place.mkdir()
        plant_deep(place, depth, "z")
        with counting() as calls, Root(os.open(place, os.O_RDONLY), Owner(USER, USER)) as root:
            assert root.adopt() == ()
        counted.append(calls.count)
        owners = subprocess.run(
            ["find", place, "-printf", "%U %G\n"], check=True, capture_output=True, text=True
        ).stdout
        assert owners == f"{USER} {USER}\n" * (2 * depth + 2)
        subprocess.run(["rm", "-rf", place], check=True)
    assert counted[1] < counted[0] * 2.5


def test_what_was_planted_before_an_interrupted_apply_is_finished_is_moved_by_a_rename_each(tmp_path: Path) -> None:
    """It took 20 ms a file, and each list that was written held all of them."""
    counted = []
    for count in COUNTS:
        thread = Thread(tmp_path / str(count))
        thread.apply(ASKED)
        assert dies_at(12, lambda thread=thread: thread.apply(EDITED))  # type: ignore[misc]
        planted(thread, count)
        with counting() as calls:
            outcome = thread.apply(EDITED)
        counted.append((calls.count, calls.by["fsync"]))
        thread.check_in_sync(EDITED)
        (moved,) = outcome.kept
        assert (moved.path, moved.is_moved) == ("bin/.solven-env-*.tmp", True)
        sizes = sorted(path.stat().st_size for path in thread.at(moved.kept).iterdir())
        assert sizes == [(1 << 40) + number for number in range(count)]
    (few, waits), (many, as_many) = counted
    assert many - few == COUNTS[1] - COUNTS[0]
    assert as_many == waits


def test_an_interrupted_move_of_many_is_finished(tmp_path: Path) -> None:
    """Every moment is tried, and what was moved before it is listed too."""
    number, died = 0, True
    while died:
        thread = Thread(tmp_path / str(number))
        thread.apply(ASKED)
        (thread.workspace / ".bashrc").write_text("mine")
        assert dies_at(20, lambda thread=thread: thread.apply(ASKED))  # type: ignore[misc]
        planted(thread, 3)
        others(thread, 3)
        died = dies_at(number, lambda thread=thread: thread.apply(ASKED))  # type: ignore[misc]
        thread.apply(ASKED)
        thread.check_in_sync(ASKED)
        moved = [path for kept in thread.kept() if not kept["digest"] for path in thread.at(kept["kept"]).iterdir()]
        assert sorted(path.stat().st_size for path in moved) == [(1 << 40) + count for count in range(3)]
        assert len(list((thread.workspace / "bin").iterdir())) == 5
        number += 1
    assert number > 10
