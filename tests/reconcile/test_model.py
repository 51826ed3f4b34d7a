"""Plain data of the reconciler: states that are equal, and names in addresses."""

from __future__ import annotations

import pytest

from solven_env.reconcile.model import State, name_in, parents


@pytest.mark.parametrize(
    ("path", "above"),
    [(".bashrc", []), ("bin/hello", ["bin"]), ("a/b/c", ["a", "a/b"])],
)
def test_the_parents_of_a_path(path: str, above: list[str]) -> None:
    assert parents(path) == above


@pytest.mark.parametrize(
    ("address", "name"), [("file:.bashrc", ".bashrc"), ("file:a:b", "a:b"), ("directory:/", "/"), ("build:x", "x")]
)
def test_the_name_in_an_address(address: str, name: str) -> None:
    assert name_in(address) == name


A = State("file", "sha256:a", "0644", 1, b"a")


@pytest.mark.parametrize(
    ("other", "is_equal"),
    [
        (State("file", "sha256:a", "0644"), True),
        (A._replace(names=("x",)), True),
        (A._replace(mode="0600"), False),
        (A._replace(digest="sha256:b"), False),
        (A._replace(type="symlink"), False),
        (tuple(A), False),
        (None, False),
    ],
)
def test_states_are_equal_by_type_digest_and_mode(other: object, is_equal: bool) -> None:
    assert (other == A, other != A) == (is_equal, not is_equal)
    assert not is_equal or hash(A) == hash(other)
