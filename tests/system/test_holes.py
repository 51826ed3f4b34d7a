"""Holes of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.system.holes import stretches

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1 << 20


def test_what_is_no_hole_is_told_up_to_the_size_that_is_asked_for(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        for place in (MEBIBYTE, 3 * MEBIBYTE):
            file.seek(place)
            file.write(b"x" * MEBIBYTE)
        file.truncate(9 * MEBIBYTE)
        file.flush()
        opened = file.fileno()
        assert list(stretches(opened, 9 * MEBIBYTE)) == [(n * MEBIBYTE, (n + 1) * MEBIBYTE) for n in (1, 3)]
        assert list(stretches(opened, MEBIBYTE + 5)) == [(MEBIBYTE, MEBIBYTE + 5)]
        assert list(stretches(opened, MEBIBYTE)) == list(stretches(opened, 0)) == []
