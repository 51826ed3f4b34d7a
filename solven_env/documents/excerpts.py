"""Excerpts: the line of a text that a mistake is about, with carets below the place.

An excerpt is taken from a text that was read already, never from a file that a message names. It is harmless on a
terminal, and a line in which an address holds credentials has none.
"""

from __future__ import annotations

import functools
import re

from solven_env.errors import printable
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.documents.diagnostics import Location

MOST = 200
"""The characters that an excerpt keeps on each side of the mark, and of the mark: a line may have a million of them,
and each of its words may be a mistake."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_OTHER_LINE_ENDS = re.compile("[\u2028\u2029]")
CREDENTIALS = re.compile(r"://[^/\s]*@")
"""The user and the password in an address, which no message repeats."""
_MARKED = re.compile(
    r"""
      "(?:[^"\\]|\\.)*"?  |  '(?:[^']|'')*'?      # in quotes
    | \{\{.*?\}\}  |  \{%.*?%\}                   # an expression, a statement
    | (?: (?! : (?:\s|$) | \s\# ) [^,\[\]{}"'] )+ # a key, or a plain value
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"\w+")
_TAB = "    "


class Excerpt(NamedTuple):
    """One line of a text, the marked part apart from what is before and after it; `…` stands for what was left out."""

    line: int
    before: str
    marked: str
    after: str


def excerpt(texts: Mapping[str, str], location: Location) -> Excerpt | None:
    """The line at a place, if the text of its file is among `texts`; None for a place that is no line.

    >>> from solven_env.documents.diagnostics import Location
    >>> excerpt({"team.yaml": "version: 1\\nbum: x\\n"}, Location("team.yaml", 2, 1))
    Excerpt(line=2, before='', marked='bum', after=': x')
    """
    text = texts.get(location.file)
    if text is None or not location.line or not (known := lines(text)):
        return None
    line = known[location.line - 1] if location.line <= len(known) else ""
    if _holds_credentials(line):
        return None
    column = min(location.column - 1, len(line))
    before = line[max(0, column - 2 * MOST) : column]
    inside = before.rfind("{{") > before.rfind("}}")
    found = (_WORD if inside else _MARKED).match(line, column, column + 2 * MOST)
    marked = found[0].rstrip() if found else line[column : column + 1]
    after = line[column + len(marked) : column + len(marked) + MOST + 1]
    return Excerpt(location.line, _end_of(before, MOST), _start_of(marked, MOST), _start_of(after, MOST))


@functools.lru_cache(maxsize=8)
def _holds_credentials(line: str) -> bool:
    return CREDENTIALS.search(line) is not None


@functools.lru_cache(maxsize=8)
def lines(text: str) -> list[str]:
    """The lines of a text; none of one with a character that ends a line for YAML, and not for Jinja."""
    return [] if _OTHER_LINE_ENDS.search(text) else _LINE_END.split(text)


def shown(found: Excerpt, columns: int) -> list[str]:
    """Two lines for a terminal of so many columns: the number with the text, and carets below the mark.

    >>> shown(Excerpt(2, "", "bum", ": x"), 80)
    ['  2 | bum: x', '    | ^^^']
    """
    number = str(found.line)
    room = max(columns - len(number) - len("   | ") - 1, 16)  # a terminal may wrap a line that fills it
    before, marked, after = map(_cells, (found.before, found.marked, found.after))
    marked = _fitting(marked, room // 2)
    rest = room - sum(map(_width, marked))
    before = _fitting(before, max(rest // 2, rest - sum(map(_width, after))), from_its_end=True)
    after = _fitting(after, rest - sum(map(_width, before)))
    carets = "^" * max(sum(map(_width, marked)), 1)
    indent = " " * sum(map(_width, before))
    text = "".join((*before, *marked, *after)).rstrip()
    return [f"  {number} | {text}", f"  {' ' * len(number)} | {indent}{carets}"]


def _cells(text: str) -> list[str]:
    """Texts that a terminal shows for single characters, each with the marks that combine with it."""
    cells: list[str] = []
    for char in text:
        said = _TAB if char == "\t" else printable(char)
        if cells and said == char and not _width(char):
            cells[-1] += char
        else:
            cells.append(said)
    return cells


def _width(cell: str) -> int:
    """The columns that a terminal gives a text (Unicode Standard Annex #11)."""
    import unicodedata  # a profile without mistakes does not need it

    wide, none = ("W", "F"), ("Mn", "Me")
    return sum(
        0 if unicodedata.category(char) in none else 2 if unicodedata.east_asian_width(char) in wide else 1
        for char in cell
    )


def _fitting(cells: list[str], room: int, *, from_its_end: bool = False) -> list[str]:
    """The cells that fit into so many columns, with a `…` where some are left out."""
    widths = [*map(_width, cells)]
    if sum(widths) <= room:
        return cells
    step = -1 if from_its_end else 1
    kept, left = [], room - 1
    for cell, width in zip(cells[::step], widths[::step], strict=True):
        if width > left:
            break
        kept.append(cell)
        left -= width
    return [*kept, "…"][::step] if room > 0 else []


def _start_of(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _end_of(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[-most:]}"
