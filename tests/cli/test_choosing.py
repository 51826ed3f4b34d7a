"""The threads that a command is given: by name, from a file, or all."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.cli.choosing import chosen, chosen_for, only
from solven_env.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def every() -> tuple[str, ...]:
    return ("a", "b")


@pytest.mark.parametrize(
    ("named", "text", "is_all", "expected"),
    [
        (["t2", "t1", "t2"], None, False, ("t2", "t1")),
        (None, None, True, ("a", "b")),
        (None, b"t1\n\n# comment\n  t2  # one more\r\nt1\nt3", False, ("t1", "t2", "t3")),
        (["t9"], b"\xef\xbb\xbft1\nt9\n", False, ("t9", "t1")),
        (None, b"", False, ()),
        (None, b"# none\n\n", False, ()),
    ],
)
def test_threads_are_named_once_each(
    tmp_path: Path, named: Sequence[str] | None, text: bytes | None, is_all: bool, expected: tuple[str, ...]
) -> None:
    file = None
    if text is not None:
        (tmp_path / "names").write_bytes(text)
        file = str(tmp_path / "names")
    assert chosen(named, file, is_all, every) == expected


@pytest.mark.parametrize(
    ("named", "text", "is_all", "message"),
    [
        (None, None, False, "there is no THREAD"),
        (["t1"], None, True, "--all is given beside threads"),
        (None, b"t1\n", True, "--all is given beside threads"),
        (["../t1"], None, False, "'../t1' is no thread id"),
        (None, b"t1\n#\nt 2\n", False, "names:3: 't 2' is no thread id"),
        (None, b"t1\n\xff\n", False, r"names:2: '\\xff' is no thread id"),
        (None, b"t\0\n", False, r"names:1: 't\x00' is no thread id"),
        (None, b"x" * 1000000, False, f"names:1: '{'x' * 80}…' is no thread id"),
    ],
)
def test_what_is_no_thread_is_told_with_its_line(
    tmp_path: Path, named: Sequence[str] | None, text: bytes | None, is_all: bool, message: str
) -> None:
    file = None
    if text is not None:
        (tmp_path / "names").write_bytes(text)
        file = str(tmp_path / "names")
    with pytest.raises(UsageError) as raised:
        chosen(named, file, is_all, every)
    assert f"{raised.value.location and 'names:' + raised.value.location.rpartition(':')[2] + ': '}" in message
    assert raised.value.message in message


@pytest.mark.parametrize("file", ["nowhere", ".", "\0"])
def test_a_file_that_cannot_be_read_is_told(file: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        chosen(None, file, False, every)


def test_names_come_on_standard_input_unless_the_profile_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"t1\nt2\n")))
    assert chosen(None, "-", False, every) == ("t1", "t2")
    with pytest.raises(UsageError, match="cannot be both"):
        chosen_for("-", None, "-", False, None)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        chosen(None, "-", False, every)


def test_one_thread_is_one_that_was_named() -> None:
    assert only(["t1", "t1"], None, False) == "t1"
    assert [only(["t1", "t2"], None, False), only(["t1"], "names", False), only(None, None, True)] == [None] * 3
