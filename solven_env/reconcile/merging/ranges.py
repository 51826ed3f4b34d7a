"""Ranges of versions, as far as one can be seen to lie within another. Pure.

`uv add` and `bun add` write a lower bound or `^`, and so does a release: of two such ranges one mostly lies within the
other, and has what both sides ask for.
"""

from __future__ import annotations

import re
from typing import Any

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_NPM_CLAUSE = re.compile(r"(\^|~|>=|<=|>|<|=|)v?(\d+)\.(\d+)\.(\d+)")


class _Span(NamedTuple):
    """Versions from a lower to an upper bound, each None for no bound; with the second part 1 a bound is just above."""

    low: tuple[Any, int] | None = None
    high: tuple[Any, int] | None = None


def python_within(one: str, other: str) -> bool:
    """True if all versions that a specifier (PEP 440) allows are known to be allowed by another one.

    >>> python_within(">=3.8", ">=3"), python_within(">=3", "<4"), python_within("==2.*", "")
    (True, False, True)
    """
    from packaging.specifiers import InvalidSpecifier

    try:
        return _is_within(_python_span(one), _python_span(other))
    except (InvalidSpecifier, ValueError):
        return False


def npm_within(one: str, other: str) -> bool:
    """True if all versions that an npm range allows are known to be allowed by another one.

    >>> npm_within("^2.1.3", "^2.0.0"), npm_within("^3.0.0", "^2.0.0"), npm_within("latest", "^2.0.0")
    (True, False, False)
    """
    try:
        return _is_within(_npm_span(one), _npm_span(other))
    except ValueError:
        return False


def _is_within(one: _Span, other: _Span) -> bool:
    is_above = other.low is None or (one.low is not None and one.low >= other.low)
    return is_above and (other.high is None or (one.high is not None and one.high <= other.high))


def _narrowed(span: _Span, low: tuple[Any, int] | None, high: tuple[Any, int] | None) -> _Span:
    return _Span(
        max((each for each in (span.low, low) if each is not None), default=None),
        min((each for each in (span.high, high) if each is not None), default=None),
    )


_BOUNDS: dict[str, Callable[[Any, Any], tuple[tuple[Any, int] | None, tuple[Any, int] | None]]] = {
    ">=": lambda version, _next: ((version, 0), None),
    ">": lambda version, _next: ((version, 1), None),
    "<": lambda version, _next: (None, (version, 0)),
    "<=": lambda version, _next: (None, (version, 1)),
    "==": lambda version, _next: ((version, 0), (version, 1)),
    "until": lambda version, next_one: ((version, 0), (next_one, 0)),
}


def _python_span(specifier: str) -> _Span:
    """The versions of a specifier. `ValueError` for one that is no span."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    span = _Span()
    for clause in SpecifierSet(specifier):
        operator, text = clause.operator, clause.version
        if operator == "~=" or (operator == "==" and text.endswith(".*")):
            version = Version(text.removesuffix(".*"))
            kept = version.release[:-1] if operator == "~=" else version.release
            following = Version(".".join(map(str, (*kept[:-1], kept[-1] + 1))))
            span = _narrowed(span, *_BOUNDS["until"](version, following))
        elif operator in _BOUNDS:
            span = _narrowed(span, *_BOUNDS[operator](Version(text), None))
        else:
            raise ValueError(specifier)
    return span


def _npm_span(text: str) -> _Span:
    """The versions of a range. `ValueError` for one that is no span, or that is written in a rarer way."""
    span = _Span()
    for clause in [] if text in ("", "*") else text.split(" "):
        found = _NPM_CLAUSE.fullmatch(clause)
        if found is None:
            raise ValueError(text)
        version = tuple(map(int, found.groups()[1:]))
        operator = found[1]
        if operator in ("^", "~"):
            # How many numbers stay: ^ keeps those up to the first that is not 0, ~ keeps two.
            kept = 2 if operator == "~" else next((at for at, number in enumerate(version) if number), 2) + 1
            following = (*version[: kept - 1], version[kept - 1] + 1, *(0,) * (3 - kept))
            span = _narrowed(span, *_BOUNDS["until"](version, following))
        else:
            span = _narrowed(span, *_BOUNDS["==" if operator in ("", "=") else operator](version, None))
    return span
