"""Requirements of Python packages (PEP 508)."""

from __future__ import annotations

import re

from solven_env.typed import NamedTuple

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class Requirement(NamedTuple):
    """A requirement: its name in the canonical form, its marker, and whether an address says where the package is."""

    name: str
    marker: str = ""
    has_address: bool = False


def parse(text: str) -> Requirement | None:
    """The requirement that `text` writes; None where it is none."""
    if _NAME.fullmatch(text):
        return Requirement(canonical(text))
    if not text.isprintable():
        return None
    from packaging.requirements import InvalidRequirement  # 17 ms: only for more than a name
    from packaging.requirements import Requirement as Pep508

    try:
        found = Pep508(text)
    except InvalidRequirement:
        return None
    return Requirement(canonical(found.name), str(found.marker or ""), found.url is not None)


def canonical(name: str) -> str:
    """The name of a Python package as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()
