"""Version ranges as npm writes them. The one module that knows the untyped semantic_version."""

from __future__ import annotations

import re

_GAP = re.compile(r"([<>=~^]) ")
_PREFIX = re.compile(r"\bv(?=\d)")
_PLAIN = re.compile(r"[~^]?[0-9]+\.[0-9]+\.[0-9]+")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def range_problem(text: str) -> str:
    """Why `text` is not a range of versions, in words that follow the text; empty where it is one."""
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
    from semantic_version import NpmSpec  # 20 ms: only for ranges that are not plain

    try:
        NpmSpec(_GAP.sub(r"\1", " ".join(text.split())))  # NpmSpec knows no space behind an operator; npm does
    except ValueError:
        return "is not a range of versions"
    return ""
