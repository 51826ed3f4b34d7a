"""The grammar of names that become paths."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.system import names


@given(st.text("./a\0", max_size=12))
def test_a_path_that_is_taken_is_its_shortest_form_and_stays_beneath(path: str) -> None:
    if names.is_relative(path):
        assert posixpath.normpath(posixpath.join("/top", path)) == f"/top/{path}"
    if names.is_absolute(path):
        assert posixpath.normpath(path) == path


@pytest.mark.parametrize("path", ["", "/", "a/", "/a", "a//b", ".", "a/..", "../a", "a/./b", "a\0"])
def test_what_leads_out_or_back_is_none(path: str) -> None:
    assert not names.is_relative(path)


@pytest.mark.parametrize("text", ["", ".x", "..", "a/b", "-a", "a\n", "ä", "a" * 129])
def test_what_is_no_id(text: str) -> None:
    assert not names.ID.fullmatch(text)
