"""The text of a lock and its files."""

from __future__ import annotations

import pytest

from solven_env.packages.lock_text import join, split

NAMES = ("a.txt", "b.txt", "c.txt")


@pytest.mark.parametrize(
    "files",
    [
        {"a.txt": b"a\n"},
        {"a.txt": b"a\n", "b.txt": b"b\n"},
        {"a.txt": b"a\n", "c.txt": b"c\n"},
        {"a.txt": b"# b.txt, says this comment\na\n", "b.txt": b"", "c.txt": b"c"},
    ],
)
def test_the_files_come_out_as_they_went_in(files: dict[str, bytes]) -> None:
    assert split(NAMES, join(NAMES, files)) == files


def test_one_file_is_its_own_text() -> None:
    assert join(NAMES, {"a.txt": b"a\n"}) == b"a\n"


def test_there_is_no_text_without_the_first_file() -> None:
    assert join(NAMES, {"b.txt": b"b\n"}) == b""
