"""Files of the host that go into a session or come from one."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from solven_env.programs.host_files import read_opened

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


def _read(path: Path | str, offset: int, most: int) -> bytes:
    return read_opened(os.open(path, os.O_RDONLY), offset, most)
