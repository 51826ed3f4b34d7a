"""Sizes of trees: as du(1) counts them, whatever an agent does with its own."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.workspace.sizes import MOST, DiskUse, measure
from tests.hostile.test_planted_links import plant_deep
from tests.mounts import as_root, bound

if TYPE_CHECKING:
    from pathlib import Path


def measured(path: Path, most: int = MOST) -> DiskUse:
    with holding(os.open(path, READ_DIRECTORY)) as directory:
        return measure(directory, most=most)


def du(path: Path) -> int:
    said = subprocess.run(["du", "-sx", "--block-size=1", path], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def fill(place: Path) -> None:
    """Files, one with several names, a sparse one, a link to what is large, a FIFO, odd names."""
    (place / "a/b").mkdir(parents=True)
    (place / "a/large").write_bytes(b"x" * 300_000)
    os.link(place / "a/large", place / "a/b/again")
    os.link(place / "a/large", place / "third")
    (place / "sparse").touch()
    os.truncate(place / "sparse", 1 << 40)
    (place / "link").symlink_to("/usr")
    os.mkfifo(place / "a/fifo")
    (place / os.fsdecode(b"\xff\n")).write_bytes(b"y" * 5000)


def test_it_is_what_du_says(tmp_path: Path) -> None:
    fill(tmp_path)
    assert measured(tmp_path) == DiskUse(du(tmp_path))


def test_any_depth_is_measured(memory_path: Path) -> None:
    plant_deep(memory_path, 1500, "z" * 100)
    try:
        assert measured(memory_path) == DiskUse(du(memory_path))
    finally:
        subprocess.run(["rm", "-rf", memory_path / ("z" * 100)], check=True)  # shutil.rmtree recurses


def test_more_entries_than_are_looked_at_are_said(tmp_path: Path) -> None:
    fill(tmp_path)
    found = measured(tmp_path, most=3)
    assert not found.is_complete
    assert 0 < found.bytes <= du(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_closed_directory_is_said(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a").chmod(0)
    try:
        assert not measured(tmp_path).is_complete
    finally:
        (tmp_path / "a").chmod(0o700)


@as_root
def test_another_mount_is_not_counted(tmp_path: Path) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    (place / "inside").mkdir(parents=True)
    other.mkdir()
    before = measured(place)
    (other / "large").write_bytes(b"x" * 300_000)
    with bound(other, place / "inside"):
        assert measured(place) == before
