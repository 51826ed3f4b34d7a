r"""Patterns of inputs: regular expressions that no text makes slow. Pure.

Python's `re` tries one way through a pattern after the other: for `(a+)+$` their number is exponential. Here all places
of a pattern that a text can have reached are followed together, character by character (Glushkov's automaton, with a
bit for each place). The work is at most the length of the text times the places, both of which are bounded. So a
pattern has no references, look-arounds and flags. What it has means what it means for `re` with `re.ASCII`:

    pattern = branch *("|" branch)
    branch  = *(part ["*" / "+" / "?" / "{m}" / "{m,}" / "{,n}" / "{m,n}"])
    part    = character / "." / "[" characters, ranges and escapes "]" / escape / "(" pattern ")" / "(?:" pattern ")"
    escape  = "\" and one of d D w W s S f n r t v, a sign, or xhh or uhhhh
"""

from __future__ import annotations

import re

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

MAX_PATTERN = 250
"""Characters of a pattern."""
MAX_VALUE = 1_000
"""Characters of a text that is held against one."""
MAX_PLACES = 256
"""Places of a pattern whose repetitions are written out: `[a-z]{2,8}` has eight."""
_MAX_DEPTH = 20
_MAX_PARTS = 4 * MAX_PLACES

_ESCAPE = r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[dDwWsSfnrtv]|[^A-Za-z0-9])"
_ONE = re.compile(rf"{_ESCAPE}|\[\^?(?:{_ESCAPE}|[^\[\]\\])+\]|[^\\\[\](){{}}|*+?^$]", re.DOTALL)
"""A text that stands for one character: `re` itself is asked whether a character is it."""
_TIMES = re.compile(r"([*+?])|\{([0-9]{1,3})?(?:(,)([0-9]{1,3})?)?\}")
_SIGNS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_SETS = ("--", "&&", "~~", "||")
"""Signs that `re` may once read as operators between sets of characters."""


class PatternError(ValueError):
    """A text is no pattern. The message's words follow it."""


class _Repeated(NamedTuple):
    """A part with how often it may come, without end if `most` is None."""

    part: _Node
    least: int
    most: int | None


class _Either(NamedTuple):
    """Branches, each a sequence of parts."""

    branches: tuple[tuple[_Node, ...], ...]


if TYPE_CHECKING:
    _Node: TypeAlias = str | _Repeated | _Either


class _Piece(NamedTuple):
    """A part of the automaton: whether it may be empty, and the places, as bits, that it begins and ends with."""

    may_be_empty: bool
    first: int
    last: int


class Pattern:
    """A pattern, ready to be held against texts. Raises `PatternError` for what is none.

    >>> Pattern("[A-Z]+-[0-9]+").matches("AB-12"), Pattern("(a+)+").matches("a" * 999 + "!")
    (True, False)
    """

    def __init__(self, text: str) -> None:
        self._ones: list[re.Pattern[str]] = []
        self._after: list[int] = []
        """The places that may follow each place, as bits."""
        self._parts = 0
        self._fitting: dict[str, int] = {}
        self._whole = self._made(_Parsing(text).whole())

    def matches(self, text: str) -> bool:
        """True if the whole of a text, of at most `MAX_VALUE` characters, is what the pattern says."""
        if not text or len(text) > MAX_VALUE:
            return not text and self._whole.may_be_empty
        allowed, reached = self._whole.first, 0
        for char in text:
            reached, allowed = allowed & self._fits(char), 0
            for place in _places(reached):
                allowed |= self._after[place]
        return bool(reached & self._whole.last)

    def _fits(self, char: str) -> int:
        """The places that a character can be at."""
        known = self._fitting.get(char)
        if known is None:
            known = self._fitting[char] = sum(1 << at for at, one in enumerate(self._ones) if one.fullmatch(char))
        return known

    def _made(self, node: _Node) -> _Piece:
        """Give a part its places, and let each be followed by those that may come behind it."""
        self._parts += 1
        if self._parts > _MAX_PARTS or len(self._ones) == MAX_PLACES:
            raise PatternError(f"has over {MAX_PLACES} places, its repetitions written out")
        if isinstance(node, str):
            self._ones.append(_one(node))
            self._after.append(0)
            place = 1 << (len(self._ones) - 1)
            return _Piece(False, place, place)
        if isinstance(node, _Either):
            may_be_empty, first, last = False, 0, 0
            for branch in node.branches:
                ends = self._joined([self._made(part) for part in branch])
                may_be_empty, first, last = may_be_empty or ends.may_be_empty, first | ends.first, last | ends.last
            return _Piece(may_be_empty, first, last)
        count = max(node.least, 1) if node.most is None else node.most
        copies = [self._made(node.part) for _ in range(count)]
        if node.most is None:
            self._follow(copies[-1].last, copies[-1].first)
        return self._joined([
            each._replace(may_be_empty=each.may_be_empty or at >= node.least) for at, each in enumerate(copies)
        ])  # fmt: skip

    def _joined(self, parts: list[_Piece]) -> _Piece:
        whole = _Piece(True, 0, 0)
        for part in parts:
            self._follow(whole.last, part.first)
            whole = _Piece(
                whole.may_be_empty and part.may_be_empty,
                whole.first | (part.first if whole.may_be_empty else 0),
                part.last | (whole.last if part.may_be_empty else 0),
            )
        return whole

    def _follow(self, before: int, after: int) -> None:
        for place in _places(before):
            self._after[place] |= after


def _places(bits: int) -> Iterator[int]:
    while bits:
        yield bits.bit_length() - 1
        bits ^= 1 << (bits.bit_length() - 1)


class _Parsing:
    """Reads a pattern from the left."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise PatternError(f"has more than {MAX_PATTERN} characters")
        is_escaped = (len(text) - len(text[:-1].rstrip("\\"))) % 2 == 0  # the `$` at the end
        self.text = text.removesuffix("" if is_escaped else "$")
        self.at = 1 if text.startswith("^") else 0

    def whole(self) -> _Node:
        """All of it, of which nothing is left."""
        node = self._either(0)
        if self.at < len(self.text):
            raise PatternError("has a ')' too many")
        return node

    def _either(self, depth: int) -> _Either:
        branches = [self._branch(depth)]
        while self._skip("|"):
            branches.append(self._branch(depth))
        return _Either(tuple(branches))

    def _branch(self, depth: int) -> tuple[_Node, ...]:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._times(self._part(depth)))
        return tuple(parts)

    def _part(self, depth: int) -> _Node:
        if self._skip("("):
            if depth == _MAX_DEPTH:
                raise PatternError(f"nests more than {_MAX_DEPTH} groups")
            if self.text.startswith("?", self.at) and not self._skip("?:"):
                raise PatternError("has a '(?', of which '(?:' alone may be used")
            node = self._either(depth + 1)
            if not self._skip(")"):
                raise PatternError("lacks a ')'")
            return node
        found = _ONE.match(self.text, self.at)
        if not found:
            raise PatternError(f"has {_shown(self.text[self.at :])}, which cannot stand there")
        self.at = found.end()
        return found[0]

    def _times(self, part: _Node) -> _Node:
        found = _TIMES.match(self.text, self.at)
        if not found:
            return part
        self.at = found.end()
        sign, least, comma, most = found.groups()
        bounds = _SIGNS[sign] if sign else (int(least or 0), int(most) if most else None if comma else int(least or 0))
        if not (sign or least or most) or (bounds[1] is not None and bounds[1] < bounds[0]):
            raise PatternError(f"has {found[0]}, which is no number of times")
        if _TIMES.match(self.text, self.at):
            raise PatternError(f"has {_shown(self.text[found.start() :])}, which repeats a repetition")
        return _Repeated(part, *bounds)

    def _skip(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True


def _one(text: str) -> re.Pattern[str]:
    if text.startswith("[") and any(each in text for each in _SETS):
        raise PatternError(f"has two signs that follow each other in {text}: write a '\\' before each")
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise PatternError(f"has {text}, which is no set of characters: {error.msg}") from None


def _shown(text: str) -> str:
    return text if len(text) <= 3 else f"{text[:3]}…"
