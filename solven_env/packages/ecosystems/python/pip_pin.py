"""The pip that every virtual environment has: locked with the profile's packages, or pinned by us where it has none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIP = re.compile(r"pip(?![\w.-])", re.IGNORECASE)


def with_pip(packages: Sequence[str]) -> tuple[str, ...]:
    """The requirements, with pip among them."""
    return tuple(packages) if any(map(_PIP.match, packages)) else (*packages, "pip")


def alone() -> bytes:
    """python.txt for a profile that has Python and no packages, which needs no lock."""
    return Path(__file__).with_name("pip.txt").read_bytes()
