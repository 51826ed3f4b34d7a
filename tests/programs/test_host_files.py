"""Files of the host that go into a session or come from one."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from solven_env.programs.host_files import opened_beneath, read_opened, tree
from solven_env.system.blocks import holding

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1 << 20


@pytest.mark.parametrize("offset", [0, 1, 3 * MEBIBYTE, 3 * MEBIBYTE + 5, 4 * MEBIBYTE])
@pytest.mark.parametrize("most", [0, 1, MEBIBYTE, 3 * MEBIBYTE + 5, 8 * MEBIBYTE])
def test_a_file_is_read_from_an_offset_up_to_a_bound(tmp_path: Path, offset: int, most: int) -> None:
    content = os.urandom(3 * MEBIBYTE + 5)
    (tmp_path / "file").write_bytes(content)
    assert _read(tmp_path / "file", offset, most) == content[offset : offset + most]


def test_a_file_whose_size_says_nothing_is_read_to_its_end() -> None:
    assert os.stat("/proc/self/limits").st_size == 0
    assert b"Max open files" in _read("/proc/self/limits", 0, MEBIBYTE)


def test_a_large_file_takes_its_memory_once(tmp_path: Path) -> None:
    """Pieces that are joined are there twice, which took half of the time."""
    size = 32 * MEBIBYTE
    (tmp_path / "file").write_bytes(bytes(size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert len(_read(tmp_path / "file", 0, size + 1)) == size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 1.5 * size / resource.getpagesize()


def test_a_tree_is_read_through_no_link(tmp_path: Path) -> None:
    """A tree of this host may be a workspace, whose agent swaps a directory or a file for a link meanwhile."""
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/file").write_text("ours")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    with holding(os.open(tmp_path / "tree", os.O_RDONLY)) as top:
        assert [each.parts for each in tree(top)] == [("file",), ("sub",)]
        with holding(opened_beneath(top, ("file",))) as opened:
            assert os.read(opened, 10) == b"ours"
        (tmp_path / "tree/file").unlink()
        (tmp_path / "tree/file").symlink_to(tmp_path / "secret/file")
        (tmp_path / "tree/sub").rmdir()
        (tmp_path / "tree/sub").symlink_to(tmp_path / "secret")
        for parts in (("file",), ("sub", "file")):
            with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
                opened_beneath(top, parts)


def _read(path: Path | str, offset: int, most: int) -> bytes:
    return read_opened(os.open(path, os.O_RDONLY), offset, most)
