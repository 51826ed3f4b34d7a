"""Requirements of Python packages (PEP 508)."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class Requirement(NamedTuple):
    """A requirement's name in its canonical form, and whether an address says where the package is."""

    name: str
    has_address: bool


def parse(text: str) -> Requirement | None:
    """The requirement that `text` writes; None where it is none."""
    if _NAME.fullmatch(text):
        return Requirement(_canonical(text), False)
    from packaging.requirements import InvalidRequirement  # 17 ms: only for more than a name
    from packaging.requirements import Requirement as Pep508

    try:
        requirement = Pep508(text)
    except InvalidRequirement:
        return None
    return Requirement(_canonical(requirement.name), requirement.url is not None)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
