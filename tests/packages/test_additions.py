"""What a thread has over its packages, as data: JSON, three ways merged, and above another need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.packages.additions import NONE, Additions, above, from_json, merged

if TYPE_CHECKING:
    from collections.abc import Mapping

STATES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2", "", None]))


def of(states: Mapping[str, str | None]) -> Additions:
    """None stands for a package that was removed."""
    packages = {name: version for name, version in states.items() if version is not None}
    return Additions(packages, tuple(sorted(name for name, version in states.items() if version is None)))


ADDITIONS = STATES.map(of)


@given(ADDITIONS)
def test_json_keeps_all(additions: Additions) -> None:
    assert from_json(additions.as_json()) == additions


def test_nothing_is_written_of_nothing() -> None:
    assert NONE.as_json() == {}


@given(ADDITIONS, ADDITIONS)
def test_what_only_one_side_changed_is_taken(base: Additions, other: Additions) -> None:
    assert merged(base, other, base) == other
    assert merged(base, base, other) == other


@given(ADDITIONS, ADDITIONS, ADDITIONS)
def test_of_two_changes_ours_is_taken_and_no_name_is_lost(base: Additions, theirs: Additions, ours: Additions) -> None:
    found = merged(base, theirs, ours)
    for name in "abcdef":
        was, here = ((each.packages.get(name), name in each.removed) for each in (base, ours))
        wanted = ours if was != here else theirs
        assert (found.packages.get(name), name in found.removed) == (
            wanted.packages.get(name),
            name in wanted.removed,
        )


ABOVE: tuple[tuple[Additions, dict[str, str], dict[str, str], Additions], ...] = (
    # what the thread has, what the old need brings, what the new one brings, what the thread has above that
    (of({"a": "1"}), {}, {}, of({"a": "1"})),
    (of({"a": "1"}), {}, {"a": "1"}, NONE),
    (of({"a": "1"}), {}, {"a": "2"}, NONE),
    (of({"a": "3"}), {"a": "1"}, {"a": "2"}, NONE),
    (of({"a": "3"}), {"a": "1"}, {"a": "1"}, of({"a": "3"})),  # in the place of the same version
    (of({"a": "3"}), {"a": "1"}, {}, of({"a": "3"})),
    (of({"a": "3"}), {"a": "1"}, {"a": "3"}, NONE),
    (of({"a": None}), {"a": "1"}, {"a": "2"}, of({"a": None})),
    (of({"a": None}), {"a": "1"}, {}, NONE),
)


@pytest.mark.parametrize(("had", "was", "now", "has"), ABOVE)
def test_above_another_need(had: Additions, was: Mapping[str, str], now: Mapping[str, str], has: Additions) -> None:
    assert above(had, was, now) == has
