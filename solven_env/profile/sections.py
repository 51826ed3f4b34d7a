"""The sections of packages: all that builds and locks know of a profile."""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGETS = {"python": "/.venv", "bun": "/node_modules"}
"""Where commands see the packages of each section."""


class Python(NamedTuple):
    """The virtual environment: `version` is major and minor, `packages` are PEP 508 requirements."""

    version: str
    packages: tuple[str, ...] = ()


class Bun(NamedTuple):
    """The JavaScript packages: names and npm version ranges."""

    packages: Mapping[str, str]
