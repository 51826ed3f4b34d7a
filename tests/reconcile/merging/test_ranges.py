"""Whether one range of versions lies within another."""

from __future__ import annotations

import pytest

from solven_env.reconcile.merging.ranges import npm_within, python_within


@pytest.mark.parametrize(
    ("one", "other", "is_within"),
    [
        (">=3.8", ">=3", True),
        (">=3", ">=3.8", False),
        (">=3", "", True),
        ("", ">=3", False),
        (">=3,<4", ">=3", True),
        (">3", ">=3", True),
        (">=3", ">3", False),
        ("<=3", "<3", False),
        ("<3", "<=3", True),
        ("==3.1", ">=3,<4", True),
        ("==3.*", ">=3", True),
        ("~=3.1", ">=3,<4", True),
        ("~=3.1.2", ">=3.1,<3.2", True),
        ("==4", ">=3,<4", False),
        ("!=3", ">=2", False),
        ("===3", ">=2", False),
        ("nonsense", ">=2", False),
    ],
)
def test_python_within(one: str, other: str, is_within: bool) -> None:
    assert python_within(one, other) is is_within


@pytest.mark.parametrize(
    ("one", "other", "is_within"),
    [
        ("^2.1.3", "^2.0.0", True),
        ("2.0.0", "^2.0.0", True),
        ("=2.0.0", "~2.0.0", True),
        ("~2.1.0", "^2.0.0", True),
        ("^0.2.3", "^0.2.0", True),
        ("^0.3.0", "^0.2.0", False),
        ("^0.0.3", "^0.0.3", True),
        ("^3.0.0", ">=2.0.0", True),
        (">=2.0.0 <3.0.0", "^2.0.0", True),
        (">2.0.0 <=2.5.0", "*", True),
        ("^2.0.0", "^2.1.0", False),
        ("^3.0.0", "^2.0.0", False),
        ("latest", "*", False),
        ("^2.0.0-rc.1", "^2.0.0", False),
        ("1 || 2", "*", False),
    ],
)
def test_npm_within(one: str, other: str, is_within: bool) -> None:
    assert npm_within(one, other) is is_within
