"""Directories that hold our files: made with them, and removed when nothing is left in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.reconcile.compare import Seen
from solven_env.reconcile.kinds import directory
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
