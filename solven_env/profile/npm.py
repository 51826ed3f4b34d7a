"""Version ranges in npm's syntax. Only this module uses semantic_version, which has no types."""

from __future__ import annotations

import re
from typing import Any

_GAP = re.compile(r"([<>=~^]) ")
_BUILD = re.compile(r"\+[0-9A-Za-z.-]+")
_PREFIX = re.compile(r"\bv(?=\d)")
_PLAIN = re.compile(r"([~^]?)([0-9]+)\.([0-9]+)\.([0-9]+)")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def range_problem(text: str) -> str:
    """The reason why `text` is not a range of versions, in words that follow the text; empty if it is one.

    >>> range_problem("latest"), range_problem("^8.0.0")
    ('is a tag, whose version moves', '')
    """
    if _PLAIN.fullmatch(text):
        return ""
    if not text.isprintable():
        return "is not a range of versions"
    if text.startswith("workspace:"):
        return "names a package of the workspace"
    if ":" in text or "/" in text:
        return "is an address, not a range of versions"
    text = _PREFIX.sub("", text)  # npm ignores it, NpmSpec knows it not
    if _TAG.fullmatch(text) and text not in ("x", "X"):
        return "is a tag, whose version moves"
    try:
        _spec(text)
    except ValueError:
        return "is not a range of versions"
    return ""


def satisfies(version: str, text: str) -> bool:
    """True if an exact version is in a valid range (https://github.com/npm/node-semver#ranges).

    >>> satisfies("8.2.1", "^8.0.0"), satisfies("9.0.0", "^8.0.0")
    (True, False)
    """
    version, text = _BUILD.sub("", version), _BUILD.sub("", text)  # npm compares without it
    asked, found = _PLAIN.fullmatch(text), _PLAIN.fullmatch(version)
    if not asked or not found or found[1]:
        from semantic_version import Version

        return Version(version) in _spec(_PREFIX.sub("", text))
    least, given = tuple(map(int, asked.groups()[1:])), tuple(map(int, found.groups()[1:]))
    # How many numbers stay: ^ keeps those up to the first that is not 0, ~ keeps two, a bare version all.
    first = next((at for at, number in enumerate(least) if number), 2)
    kept = {"^": first + 1, "~": 2, "": 3}[asked[1]]
    return given[:kept] == least[:kept] and given >= least


def _spec(text: str) -> Any:
    from semantic_version import NpmSpec  # 20 ms: only for ranges that are not plain

    return NpmSpec(_GAP.sub(r"\1", " ".join(text.split())))  # NpmSpec knows no space behind an operator; npm does
