"""Lines for people on a terminal of 80 columns, and elsewhere."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios
from typing import TYPE_CHECKING

import pytest

from solven_env.cli.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

WORDS = "word " * 30
PATH = "/" + "a-long/" * 14
COMMAND = f"Run: solven-env apply --storage {PATH} PROFILE thread-1"


@pytest.fixture
def terminal() -> Iterator[Callable[[int], TextIO]]:
    """A terminal with so many columns."""
    main, replica = os.openpty()

    def sized(columns: int) -> TextIO:
        fcntl.ioctl(replica, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        return stream

    with os.fdopen(main, "rb"), os.fdopen(replica, "w") as stream:
        yield sized


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", ["  short"]),
        ("", [""]),
        (WORDS.strip(), ["  " + ("word " * 15).strip(), "    " + ("word " * 15).strip()]),
        (f"error: {PATH}: no", ["  error:", f"    {PATH}:", "    no"]),
        # a command stays on one line, to be pasted
        (COMMAND, [f"  {COMMAND}"]),
        (f"Nothing is there. {COMMAND}", ["  Nothing is there.", f"    {COMMAND}"]),
        ("Nothing is there. Run: make it", ["  Nothing is there. Run: make it"]),
        ("See docs, or run: solven-env doctor", ["  See docs, or run: solven-env doctor"]),
    ],
)
def test_a_terminal_of_80_columns(text: str, expected: list[str], terminal: Callable[[int], TextIO]) -> None:
    assert wrapped(text, terminal(80), indent=2) == expected
    assert wrapped(text, io.StringIO(), indent=2) == [f"  {text}"]


@pytest.mark.parametrize(("columns", "widest"), [(0, 40), (20, 40), (80, 80), (200, 149)])
def test_other_widths(columns: int, widest: int, terminal: Callable[[int], TextIO]) -> None:
    lines = wrapped(WORDS, terminal(columns), hang=0)
    assert widest - 5 < max(map(len, lines)) <= widest
    assert " ".join(lines) == WORDS.strip()
