"""What is memoised is never older than what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env import sources
from solven_env.errors import ProfileError
from solven_env.preparing import prepare

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = """version: 1
name: x
release: 1.0.0
dotfiles:
  a: {template: outer.j2}
  b: {source: b.txt}
"""


def rendered(profile: Path) -> list[bytes]:
    prepared = prepare(sources.find(profile), "t1", given={}, environ={}, recorded={})
    return [file.data for file in prepared.files]


def test_a_template_or_source_that_changes_is_rendered_anew(tmp_path: Path) -> None:
    profile, inner, source = tmp_path / "p.yaml", tmp_path / "inner.j2", tmp_path / "b.txt"
    profile.write_text(PROFILE)
    (tmp_path / "outer.j2").write_text("{% include 'inner.j2' %}")
    inner.write_text("1")
    source.write_text("2")
    assert rendered(profile) == rendered(profile) == [b"1", b"2"]
    inner.write_text("3")
    assert rendered(profile) == [b"3", b"2"]
    source.write_text("4")
    assert rendered(profile) == [b"3", b"4"]
    source.unlink()
    for _ in range(2):
        with pytest.raises(ProfileError, match="beside the profile"):
            rendered(profile)
    source.write_text("5")
    assert rendered(profile) == [b"3", b"5"]
