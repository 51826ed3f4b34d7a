"""Lines for people, kept to the width of a terminal. Elsewhere they stay whole: grep(1) finds whole phrases in them."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_NARROWEST = 40
"""Columns; a terminal that nobody told its size has none."""

_COMMAND = re.compile(r"(?:^|(?<= ))(?:Run|run|Type|Write|Quote it): \S.*$")
"""Text for the reader to paste, mostly a command, with the words before it. It ends its line."""


def columns(terminal: TextIO) -> int:
    """The width of a terminal."""
    return max(os.get_terminal_size(terminal.fileno()).columns, _NARROWEST)


def wrapped(text: str, stream: TextIO | None, *, indent: int = 0, hang: int = 2) -> list[str]:
    """The lines that show one line of prose on a stream, with their indentation: more than one on a terminal only.

    Paths and commands stay whole. Lines after the first are indented by `indent` and `hang` spaces. A closed standard
    stream is None.
    """
    if stream is None or not stream.isatty():
        return [" " * indent + text]
    found = _COMMAND.search(text)
    command = found[0] if found else ""
    lines = textwrap.wrap(
        text.removesuffix(command).rstrip(),
        columns(stream),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
    if command and lines and len(lines[-1]) + 1 + len(command) <= columns(stream):
        lines[-1] += f" {command}"
    elif command:
        lines.append(" " * (indent + hang if lines else indent) + command)
    return lines or [""]
