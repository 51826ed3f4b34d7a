"""A file that was changed is read again, however like the former one it looks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.system import reread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _again(file: Path) -> None:
    file.write_bytes(b"second")


def _replaced(file: Path) -> None:
    file.with_name("other").write_bytes(b"second")
    os.replace(file.with_name("other"), file)


def _linked(file: Path) -> None:
    file.with_name("other").write_bytes(b"second")
    file.unlink()
    file.symlink_to("other")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is remembered: its times are as old as they are for a clock that ticks more finely."""
    monkeypatch.setattr(reread, "TICK", 0)
    file = tmp_path / "file"
    file.write_bytes(b"first.")
    os.utime(file, ns=(10**18, 10**18))
    assert reread.read(file) is reread.read(str(file))
    return file


@pytest.mark.parametrize("change", [_again, _replaced, _linked])
def test_a_change_is_seen_with_the_same_size_and_time(file: Path, change: Callable[[Path], None]) -> None:
    change(file)
    os.utime(file, ns=(10**18, 10**18))
    assert reread.read(file) == b"second"


def test_no_more_than_the_limit_is_given(file: Path) -> None:
    assert [reread.read(file, 3), reread.read(file, 6)] == [b"fir", b"first."]


def test_a_file_that_may_change_within_the_same_tick_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"first.")
    assert reread.read(file) is not reread.read(file)


def test_what_is_gone_is_an_error(file: Path) -> None:
    file.unlink()
    with pytest.raises(FileNotFoundError):
        reread.read(file)
