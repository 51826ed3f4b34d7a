"""Requirements of Python packages (PEP 508). Only what is more than a name needs packaging: 17 ms to import."""

from __future__ import annotations

import re

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class Requirement(NamedTuple):
    """A requirement: its name in the canonical form, its marker, and whether an address says where the package is."""

    name: str
    marker: str = ""
    has_address: bool = False
    extras: tuple[str, ...] = ()
    specifier: str = ""
    """The versions that it takes (PEP 440), empty for any."""


def parse(text: str) -> Requirement | None:
    """The requirement that `text` writes; None where it is none."""
    if _NAME.fullmatch(text):
        return Requirement(canonical(text))
    if not text.isprintable():
        return None
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Pep508

    try:
        found = Pep508(text)
    except (InvalidRequirement, RecursionError):
        return None
    return Requirement(
        canonical(found.name),
        str(found.marker or ""),
        found.url is not None,
        tuple(sorted(map(canonical, found.extras))),
        str(found.specifier),
    )


def canonical(name: str) -> str:
    """The name of a Python package as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(marker: str, environment: Mapping[str, str]) -> bool:
    """Whether a marker, empty for always, is true. ValueError where it compares what cannot be compared."""
    if not marker:
        return True
    from packaging.markers import Marker

    return Marker(marker).evaluate(dict(environment))


def satisfies(version: str, specifier: str) -> bool:
    """Whether a version is one that the specifier, empty for any, takes. A pre-release is, where it is in the range."""
    if not specifier:
        return True
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def environment(version: str) -> dict[str, str]:
    """What markers find on this machine with CPython `version`, such as 3.12.1."""
    from packaging.markers import default_environment

    python = {
        "implementation_name": "cpython",
        "implementation_version": version,
        "platform_python_implementation": "CPython",
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
    }
    return {**{name: str(value) for name, value in default_environment().items()}, **python}
