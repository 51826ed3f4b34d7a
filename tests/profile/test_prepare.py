"""What is memoised is never older than what it was made from."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import ProfileError
from solven_env.packages.ecosystems import rows
from solven_env.profile.prepare import prepare
from solven_env.profile.source import find_profile

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
    prepared = prepare(find_profile(profile), "t1", rows(), given={}, environ={}, recorded={})
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


def test_what_a_template_includes_imports_or_extends_is_part_of_what_a_rendering_is_known_by(tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text(PROFILE.replace("  b: {source: b.txt}\n", ""))
    (tmp_path / "outer.j2").write_text(
        "{% extends 'base.j2' %}{% import 'lib.j2' as lib %}{% block b %}{{ lib.x }}{% endblock %}"
    )
    (tmp_path / "base.j2").write_text("{% block b %}{% endblock %}{% include 'link.j2' %}")
    (tmp_path / "lib.j2").write_text("{% set x = 1 %}")
    (tmp_path / "inner.j2").write_text("2")
    (tmp_path / "link.j2").symlink_to("inner.j2")
    assert rendered(profile) == [b"12"]
    (tmp_path / "lib.j2").write_text("{% set x = 3 %}")
    assert rendered(profile) == [b"32"]
    (tmp_path / "inner.j2").write_text("4")
    assert rendered(profile) == [b"34"]
    (tmp_path / "link.j2").unlink()
    (tmp_path / "link.j2").symlink_to("/etc/passwd")
    with pytest.raises(ProfileError) as caught:
        rendered(profile)
    assert str(caught.value) == (
        f"{tmp_path}/base.j2:1:1: SE408 the template 'link.j2' is reached through a link that leads out of the profile's directory. "
        "Copy the file into the profile's directory."
    )


def test_a_template_is_kept_once_however_many_files_have_it(tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    (tmp_path / "outer.j2").write_text("{#" + "x" * 250_000 + "#}1")
    dotfiles = "".join(f"  f{number}: {{template: outer.j2}}\n" for number in range(400))
    profile.write_text(PROFILE.partition("  a:")[0] + dotfiles)
    tracemalloc.start()
    try:
        assert rendered(profile) == [b"1"] * 400
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_templates_are_bounded_together(tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    (tmp_path / "outer.j2").write_text("{#" + "x" * 250_000 + "#}1")
    dotfiles = "".join(f"  f{number}: {{template: {'./' * number}outer.j2}}\n" for number in range(300))
    profile.write_text(PROFILE.partition("  a:")[0] + dotfiles)
    with pytest.raises(ProfileError, match="is one of templates of more than 64 MiB together") as caught:
        rendered(profile)
    assert len(caught.value.diagnostics) == 300 - (64 << 20) // 250_005
