"""Names in an open directory: old or new, never half of either, and no link is followed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.durable import (
    exists,
    link_new,
    make_directory,
    rename_new,
    rename_over,
    write_new,
    write_over,
)
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[int]:
    with holding(os.open(tmp_path, READ_DIRECTORY)) as directory:
        yield directory


def test_a_new_file_has_its_bytes_and_mode_whatever_the_umask(opened: int, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_new(opened, "file", b"bytes", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == b"bytes"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("stands", ["file", "link", "nothing"])
def test_what_stands_at_a_name_gives_way_and_a_link_leads_nowhere(opened: int, tmp_path: Path, stands: str) -> None:
    (tmp_path / "outside").write_bytes(b"kept")
    if stands == "file":
        (tmp_path / "name").write_bytes(b"old")
    elif stands == "link":
        (tmp_path / "name").symlink_to("outside")
    write_over(opened, "name", "staged", b"new", mode=0o600)
    assert (tmp_path / "name").read_bytes() == b"new"
    assert not (tmp_path / "name").is_symlink()
    assert (tmp_path / "outside").read_bytes() == b"kept"
    assert sorted(os.listdir(tmp_path)) == ["name", "outside"]


def test_what_cannot_be_replaced_leaves_everything_as_it_was(opened: int, tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    before = snapshot(tmp_path / "name")
    with pytest.raises(IsADirectoryError):
        write_over(opened, "name", "staged", b"new", mode=0o600)
    assert os.listdir(tmp_path) == ["name"]
    assert snapshot(tmp_path / "name") == before


MAKERS: dict[str, Callable[[int], object]] = {
    "write_new": lambda directory: write_new(directory, "new", b"x", mode=0o600),
    "rename_new": lambda directory: rename_new(directory, "old", directory, "new"),
    "link_new": lambda directory: link_new(directory, "old", directory, "new"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_name_that_is_taken_is_refused_for_a_dangling_link_too(opened: int, tmp_path: Path, maker: str) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").symlink_to("nowhere")
    assert exists(opened, "new")
    with pytest.raises(FileExistsError):
        MAKERS[maker](opened)
    assert (tmp_path / "old").read_bytes() == b"old"
    assert os.readlink(tmp_path / "new") == "nowhere"


def test_two_names_trade_places(opened: int, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "name").mkdir()
    (tmp_path / "name/held").write_bytes(b"")
    rename_over(opened, "new", "name")
    assert os.listdir(tmp_path / "name") == []
    assert os.listdir(tmp_path / "new") == ["held"]


def test_directories_are_made_with_their_mode_and_a_file_is_none(tmp_path: Path) -> None:
    make_directory(tmp_path / "a/b", 0o700)
    assert [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        make_directory(tmp_path / "file")
