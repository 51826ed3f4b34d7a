"""Directories that hold our files: made with them, and removed when nothing is left in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.reconcile.compare import Seen
from solven_env.reconcile.kinds import directory
from solven_env.reconcile.kinds.directory import MADE
from tests.reconcile.states import DIR, LINK, text, wanted

if TYPE_CHECKING:
    from solven_env.reconcile.model import State


def test_the_directories_above_paths() -> None:
    assert directory.above(["a/b/f", "a/g", "h"]) == {"directory:a": DIR, "directory:a/b": DIR}


def holding(address: str, *names: str) -> Seen:
    """A directory that we made, with these names in it."""
    return Seen(address, None, DIR._replace(names=names), DIR)


@pytest.mark.parametrize(
    ("dropped", "gone", "going"),
    [
        ([holding("directory:a")], set(), ["directory:a"]),
        ([holding("directory:a", "f")], {"a/f"}, ["directory:a"]),
        ([holding("directory:a", "f", "x")], {"a/f"}, []),
        ([holding("directory:a", "b"), holding("directory:a/b", "f")], {"a/b/f"}, ["directory:a/b", "directory:a"]),
        ([holding("directory:a", "b"), holding("directory:a/b", "x")], set(), []),
        ([Seen("directory:a", None, LINK, DIR)], set(), []),
        ([Seen("directory:a", None, text("f"), DIR)], set(), []),
        ([Seen("directory:a", None, None, DIR)], set(), []),
    ],
)
def test_directories_go_when_nothing_is_left_in_them(dropped: list[Seen], gone: set[str], going: list[str]) -> None:
    found = list(directory.removals(dropped, wanted({}), gone))
    assert [(each.address, cause) for each, cause in found] == [(address, "pending") for address in going]


@pytest.mark.parametrize(
    ("states", "observed", "recorded", "cause"),
    [
        ({}, None, None, "pending"),
        ({}, None, DIR, None),
        ({}, DIR, DIR, None),
        ({}, DIR, None, None),
        ({}, LINK, DIR, "drift"),
        ({}, text("f"), None, "conflict"),
        ({"directory:a/b": DIR}, None, DIR, None),
        ({"file:a/f": text("f")}, None, DIR, "drift"),
        ({"file:ab": text("f")}, None, DIR, None),
    ],
)
def test_one_that_holds_no_file_of_ours_may_be_missing(
    states: dict[str, State], observed: State | None, recorded: State | None, cause: str | None
) -> None:
    """Object storage keeps no empty directories."""
    seen = Seen("directory:a", DIR, observed, recorded)
    desired = wanted({})._replace(states={"directory:a": DIR, **states})
    assert directory.judge(seen, observed, desired) == cause


def test_the_workspace_itself_may_not_be_missing() -> None:
    assert directory.judge(Seen("directory:/", DIR, None, DIR), None, wanted({})) == "drift"


def having(mode: str) -> State:
    return DIR._replace(mode=mode)


MODES = (
    # what is there, what the last apply and interrupted ones left, the cause, the mode of the next record
    (None, None, (), "pending", "0755"),
    (having("0755"), MADE, (), None, "0755"),
    (having("0700"), MADE, (), "drift", "0755"),
    (having("0000"), MADE, (), "drift", "0755"),
    (having("1777"), MADE, (), "drift", "0755"),
    (LINK, MADE, (), "drift", "0755"),
    (having("0700"), None, (MADE,), "pending", "0755"),
    (having("0700"), DIR, (MADE,), "pending", "0755"),
    (having("0755"), DIR, (MADE,), None, "0755"),
    (having("0000"), DIR, (), "drift", "0755"),  # closed since: a record of an earlier release
    (having("0777"), DIR, (), None, ""),  # a storage without modes, or a record of an earlier release
    (LINK, DIR, (), "drift", "0755"),
    (having("0700"), None, (), None, None),  # the agent's
)


@pytest.mark.parametrize(("observed", "last", "intended", "cause", "mode"), MODES)
def test_the_mode_of_a_directory_that_we_made_is_compared(
    observed: State | None, last: State | None, intended: tuple[State, ...], cause: str | None, mode: str | None
) -> None:
    desired = wanted({"a/f": text("f")})
    seen = directory.look(Seen("directory:a", DIR, observed, last, intended), desired, None)
    assert directory.judge(seen, seen.observed, desired) == cause
    entry = directory.entry(seen, desired, is_made=cause is not None)
    assert (entry and entry.mode) == mode


def test_why_a_directory_changes() -> None:
    assert (
        directory.reason("drift", DIR, having("0700"), MADE, "") == "the workspace changed its mode, which is 0700 now"
    )
    assert directory.reason("pending", None, DIR, MADE, "") == "the profile no longer asks for it"


def test_a_dropped_directory_goes_whatever_its_mode() -> None:
    seen = directory.look(Seen("directory:a", None, having("0700"), MADE), wanted({}), None)
    assert [each.address for each, _ in directory.removals([seen], wanted({}), set())] == ["directory:a"]
