from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.packages.certificates import bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_a_hosts_own_authorities_are_added_to_the_systems(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("BASE\n")
    (tmp_path / "acme").write_text("ACME")
    path = bundle((str(tmp_path / "base"), str(tmp_path / "acme"), str(tmp_path / "acme")), tmp_path / "c")
    assert path is not None
    assert path.read_text().split() == ["BASE", "ACME"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert bundle((str(tmp_path / "base"), str(tmp_path / "acme")), tmp_path / "c") == path
    assert [each.name for each in (tmp_path / "c/certificates").glob("[!.]*")] == [path.name]


def test_a_change_of_the_hosts_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("ONE")
    first = bundle((str(tmp_path / "base"),), tmp_path / "c")
    (tmp_path / "base").write_text("TWO")
    second = bundle((str(tmp_path / "base"),), tmp_path / "c")
    assert first and second and first != second
    assert first.read_text() == "ONE\n"


def test_a_host_without_any_has_no_file(tmp_path: Path) -> None:
    assert bundle((str(tmp_path / "missing"),), tmp_path / "c") is None
