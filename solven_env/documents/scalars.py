"""The place of a part of a scalar in the text of its document, where that is certain."""

from __future__ import annotations

import re

from solven_env.documents.diagnostics import Location
from solven_env.documents.excerpts import lines
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCK = re.compile(r"\|[-+]?[1-9]?[-+]?[ \t]*(?:#.*)?")
_ESCAPING = {'"': "\\", "'": "'"}
"""For each quote, the character that begins an escape between two of them."""


def place_within(texts: Mapping[str, str], start: Location, value: str, offset: int, length: int = 1) -> Location:
    """The place of the part of a scalar that begins at this offset of its value and has this length.

    `start` is where the scalar begins in one of the `texts`. It is the answer too where the text is not, character for
    character, the value up to the end of the part: in a scalar that is folded, escaped or repeated by an alias.

    >>> place_within({"a": "b: 'x {{ y }}'"}, Location("a", 1, 4), "x {{ y }}", 2)
    Location(file='a', line=1, column=7)
    """
    all_lines = lines(texts.get(start.file, ""))
    line = all_lines[start.line - 1] if 0 < start.line <= len(all_lines) else ""
    first, before = line[start.column - 1 : start.column], value[: offset + length]
    if first == "|":
        return _within_block(all_lines, start, value, offset) if _BLOCK.fullmatch(line, start.column - 1) else start
    quote = first if first in _ESCAPING else ""
    is_exact = line.startswith(quote + before, start.column - 1) and not (quote and _ESCAPING[quote] in before)
    return start._replace(column=start.column + len(quote) + offset) if is_exact else start


def _within_block(all_lines: list[str], start: Location, value: str, offset: int) -> Location:
    """A place in a block scalar that keeps its lines (`|`): each is the value's behind the same indentation."""
    number, indents = value.count("\n", 0, offset), set[int]()
    for written, text in zip(all_lines[start.line :], value.split("\n")[: number + 1], strict=False):
        indent = len(written) - len(text)
        if text and written == " " * indent + text:
            indents.add(indent)
        elif text or written.strip(" "):
            return start
    if len(indents) != 1:
        return start
    column = offset - (value.rfind("\n", 0, offset) + 1)
    return Location(start.file, start.line + 1 + number, indents.pop() + column + 1)
