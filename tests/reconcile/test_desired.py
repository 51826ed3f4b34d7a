"""What a resolved profile and its rendered files ask of a workspace."""

from __future__ import annotations

import pytest

from solven_env.profile.render import RenderedFile
from solven_env.reconcile.desired import desired
from tests.reconcile.states import profile, text, wanted

BASE = {"f": text("x")}


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (wanted(BASE), True),
        (wanted(BASE, release="2.0.0"), True),
        (wanted({"f": text("y")}), False),
        (wanted({"f": text("x", "0755")}), False),
        (wanted({"g": text("x")}), False),
        (wanted(BASE, env={"A": "1"}), False),
    ],
)
def test_the_digest_is_that_of_settings_and_files(other: object, is_same: bool) -> None:
    assert (wanted(BASE).profile["digest"] == other.profile["digest"]) is is_same  # type: ignore[attr-defined]


def test_the_order_of_files_does_not_matter() -> None:
    files = [RenderedFile(path, b"x", "0644", "whole") for path in ("b", "a/c", "a/b")]
    assert desired(profile(), files, {}) == desired(profile(), files[::-1], {})
