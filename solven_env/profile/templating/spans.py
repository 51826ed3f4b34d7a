"""Places of expressions and statements in a text, so that a mistake is told where it stands."""

from __future__ import annotations

import functools
import re

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENING = re.compile(r"\{\{|\{%|\{#")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}.*?(?:\{%[-+]?\s*endraw\s*[-+]?%\}|\Z)", re.DOTALL)
_TOKEN = re.compile(
    r"""
      (?P<text>'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z))
    | (?P<field>\.\s*[A-Za-z_]\w*)
    | (?P<filter>\|\s*[A-Za-z_]\w*)
    | (?P<option>[A-Za-z_]\w*\s*=(?!=))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<end>[-+]?(?:\}\}|%\}))
    | (?P<open>[({[]) | (?P<close>[)}\]])
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE_END = re.compile(r"\r\n|\r|\n")


class Span(NamedTuple):
    """One `{{ … }}` or `{% … %}`: the offsets where it begins and ends, and those of the names and fields in it."""

    begin: int
    end: int
    names: tuple[tuple[str, int], ...]
    fields: tuple[tuple[str, int], ...]

    def offset(self, name: str, *, is_field: bool = False) -> int | None:
        """The offset of a name that stands here once, or of a field; None if there is none, or are several."""
        found = [offset for each, offset in (self.fields if is_field else self.names) if each == name]
        return found[0] if len(found) == 1 else None


@functools.lru_cache(maxsize=8)
def expressions(text: str) -> tuple[Span, ...]:
    """The expressions of an expression text, where `{%` and `{#` are nothing special.

    >>> [(each.begin, each.end) for each in expressions("a {{ b }}{{ c.d }}")]
    [(2, 9), (9, 18)]
    """
    return tuple(_spans(text, ("{{",)))


@functools.lru_cache(maxsize=8)
def in_template(text: str) -> tuple[Span, ...]:
    """The expressions and statements of a template, without those in comments and raw text."""
    return tuple(_spans(text, ("{{", "{%")))


@functools.lru_cache(maxsize=64)  # thousands of files may have one template
def column(text: str, line: int, name: str, *, is_field: bool) -> int:
    """The column of what is wrong in a line of a template, from 1; 1 if it is not known for certain.

    A name that stands in the line once is the place, else the one expression or statement that begins there.

    >>> column("a {{ thred }}", 1, "thred", is_field=False), column("a {{ b }}{{ b }}", 1, "b", is_field=False)
    (6, 1)
    """
    begins = [0, *(found.end() for found in _LINE_END.finditer(text)), len(text) + 1]
    if not 0 < line < len(begins):
        return 1
    first, behind = begins[line - 1], begins[line]
    spans = in_template(text)
    named = [
        offset
        for span in spans
        for each, offset in (span.fields if is_field else span.names)
        if each == name and first <= offset < behind
    ]
    beginning = [span.begin for span in spans if first <= span.begin < behind]
    found = named if len(named) == 1 else beginning if len(beginning) == 1 else [first]
    return found[0] - first + 1


def _spans(text: str, openings: tuple[str, ...]) -> Iterator[Span]:
    position = 0
    while found := _OPENING.search(text, position):
        position = found.end()
        raw = _RAW.match(text, found.start()) if "{%" in openings else None
        if raw:
            position = raw.end()
        elif found[0] in openings:
            span = _span(text, found.start())
            position = span.end
            yield span
        elif "{%" in openings:  # a comment
            end = text.find("#}", position)
            position = end + 2 if end >= 0 else len(text)
        else:  # `{%{{` holds an expression
            position = found.start() + 1


def _span(text: str, begin: int) -> Span:
    names, fields, depth, position = [], [], 0, begin + 2
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None
        kind, position = token.lastgroup, token.end()
        word = token[0].lstrip(".").strip()
        if kind == "end" and depth == 0:
            break
        if kind == "end":  # two brackets of a mapping in a mapping
            position = token.start() + 1
            depth -= token[0][0] == "}"
        elif kind == "name":
            names.append((word, token.start()))
        elif kind == "field":
            fields.append((word, token.end() - len(word)))
        elif kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            depth = max(depth, 0)
    return Span(begin, position, tuple(names), tuple(fields))
