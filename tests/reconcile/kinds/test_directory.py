"""Directories that hold our files: made with them, and removed when nothing is left in them."""

from __future__ import annotations

import pytest

from solven_env.reconcile.compare import Seen
from solven_env.reconcile.kinds import directory
from tests.reconcile.states import DIR, LINK, text, wanted


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
