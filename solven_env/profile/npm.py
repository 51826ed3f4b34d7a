"""Names of packages and ranges of versions as npm writes them. Only this module uses semantic_version (untyped)."""

from __future__ import annotations

import re
from typing import Any

from solven_env.documents.diagnostics import quoted

_GAP = re.compile(r"([<>=~^]) ")
_BUILD = re.compile(r"\+[0-9A-Za-z.-]+")
_PREFIX = re.compile(r"\bv(?=\d)")
_PLAIN = re.compile(r"([~^]?)([0-9]+)\.([0-9]+)\.([0-9]+)")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_PART = r"(?![._])[A-Za-z0-9._~!'()*-]{1,214}"
NAME = rf"(?:@{_PART}/)?(?!(?:node_modules|favicon\.ico)(?:\Z|/)){_PART}"
"""A pattern of the names that the registry serves: old packages may have capitals and any of `~'!()*`
(https://github.com/npm/validate-npm-package-name, "Legacy Names").
"""
_NAME = re.compile(NAME)
_ALIAS = re.compile(r"npm:(.[^@]*)(?:@(.*))?", re.DOTALL)


def is_name(text: str) -> bool:
    """True for the name of a package that the registry can have, an old one with capitals included.

    >>> is_name("JSONStream"), is_name("@types/node"), is_name("_x")
    (True, True, False)
    """
    return _NAME.fullmatch(text) is not None


def alias(text: str) -> tuple[str, str] | None:
    """The name and the range that `npm:name@range` asks for under another name; None for a plain range.

    The range is empty where there is none.

    >>> alias("npm:string-width@^4.2.0"), alias("^4.2.0")
    (('string-width', '^4.2.0'), None)
    """
    found = _ALIAS.fullmatch(text)
    return (found[1], found[2] or "") if found else None


def range_problem(text: str) -> str:
    """The reason why `text` is no range of versions, nor one of a package under another name, in words that follow it.

    Empty if it is one.

    >>> range_problem("latest"), range_problem("^8.0.0"), range_problem("npm:string-width@^4.2.0")
    ('is a tag, whose version moves', '', '')
    """
    if _PLAIN.fullmatch(text):
        return ""
    if not text.isprintable():
        return "is not a range of versions"
    other = alias(text)
    if other is not None:
        return _alias_problem(*other)
    if text.startswith("workspace:"):
        return "names a package of the workspace"
    if ":" in text or "/" in text:
        return "is an address, not a range of versions"
    text = _PREFIX.sub("", text)  # npm ignores it, NpmSpec knows it not
    if _TAG.fullmatch(text) and text not in ("x", "X"):
        return "is a tag, whose version moves"
    try:
        _spec(text)
    except (ValueError, AttributeError):  # the latter from semantic_version itself
        return "is not a range of versions"
    return ""


def _alias_problem(name: str, wanted: str) -> str:
    if not is_name(name):
        return "has no name of an npm package behind 'npm:'"
    if not wanted:
        return f"asks for {name} without a range of versions"
    problem = "is another alias" if alias(wanted) else range_problem(wanted)
    return problem and f"asks for {name} by {quoted(wanted)}, which {problem}"


def example(text: str) -> str:
    """A value that could stand in the place of a `text` with a problem.

    >>> example("latest"), example("npm:string-width")
    ('^8.0.0', 'npm:string-width@^8.0.0')
    """
    other = alias(text)
    return "^8.0.0" if other is None else f"npm:{other[0] if is_name(other[0]) else 'docx'}@^8.0.0"


def satisfies(version: str, text: str) -> bool:
    """True if an exact version is in a valid range (https://github.com/npm/node-semver#ranges), or in an alias's.

    >>> satisfies("8.2.1", "^8.0.0"), satisfies("9.0.0", "^8.0.0"), satisfies("4.2.3", "npm:string-width@^4.2.0")
    (True, False, True)
    """
    other = alias(text)
    if other is not None:
        text = other[1]
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


def is_newer(version: str, other: str) -> bool:
    """True if an exact version is above another one (https://semver.org, 11).

    >>> is_newer("10.0.0", "9.1.0"), is_newer("1.0.0-rc.1", "1.0.0")
    (True, False)
    """
    from semantic_version import Version

    return bool(Version(version) > Version(other))


def _spec(text: str) -> Any:
    from semantic_version import NpmSpec  # 20 ms: only for ranges that are not plain

    return NpmSpec(_GAP.sub(r"\1", " ".join(text.split())))  # NpmSpec knows no space behind an operator; npm does
