"""Profiles, schemas, templates and pages that come with solven-env: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

import functools
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@functools.cache
def directory(kind: str) -> Path:
    """The directory of the shipped `profiles`, `schemas`, `templates` or `docs`."""
    packaged = installed(kind)
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def installed(kind: str) -> Path:
    """The directory of them in an installed solven-env: it belongs to the version. A checkout has none."""
    return _PACKAGE / "_shipped" / kind


def pages() -> dict[str, Path]:
    """The pages of the documentation by name, in alphabetical order.

    >>> pages()["profile"].name
    'profile.md'
    """
    return {path.stem: path for path in sorted(directory("docs").glob("*.md"))} | {"errors": _errors() / "README.md"}


def pages_of_codes() -> dict[str, Path]:
    """The pages about mistakes by their codes, in order.

    >>> pages_of_codes()["SE101"].name
    'SE101.md'
    """
    return {path.stem: path for path in sorted(_errors().glob("SE*.md"))}


def _errors() -> Path:
    return directory("docs") / "errors"
