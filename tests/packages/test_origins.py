"""Which packages somebody asked for: named ones, and those that no other one needs."""

from __future__ import annotations

import pytest

from solven_env.packages.origins import Origin, asked

LEAF = Origin()


def needing(*names: str, requested: bool = True) -> Origin:
    return Origin(frozenset(names), requested)


@pytest.mark.parametrize(
    ("origins", "named", "expected"),
    [
        ({}, set(), set()),
        ({"a": LEAF}, set(), {"a"}),
        ({"a": needing("b"), "b": LEAF}, set(), {"a"}),
        ({"a": needing("b"), "b": LEAF}, {"b"}, {"a", "b"}),
        ({"a": needing("b"), "b": needing("c"), "c": LEAF}, {"x"}, {"a"}),
        ({"a": needing("a")}, set(), {"a"}),
        ({"a": needing("b"), "b": needing("a"), "c": LEAF}, set(), {"a", "c"}),
        ({"a": Origin(is_requested=False)}, set(), set()),  # pip brought it for what was removed since
        ({"a": Origin(is_requested=False)}, {"a"}, {"a"}),
        ({"a": needing("x")}, set(), {"a"}),
    ],
)
def test_a_package_is_asked_for_or_needed(origins: dict[str, Origin], named: set[str], expected: set[str]) -> None:
    assert asked(origins, named) == expected
