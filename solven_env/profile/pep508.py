"""Requirements of Python packages (PEP 508). What most are is read without `packaging`, whose import takes 17 ms."""

from __future__ import annotations

import re

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_USUAL = re.compile(
    rf"({_NAME.pattern})(?:\[({_NAME.pattern}(?:,{_NAME.pattern})*)\])?"
    r"((?:(?:==|!=|<=|>=|<|>)[0-9]+(?:\.[0-9]+)*|~=[0-9]+(?:\.[0-9]+)+)?)"
)
"""A name, extras without blanks, and one comparison with a plain version."""


class Requirement(NamedTuple):
    """A requirement. `name` is canonical (PEP 503); `has_address` is true for `name @ https://…`."""

    name: str
    marker: str = ""
    has_address: bool = False
    extras: tuple[str, ...] = ()
    specifier: str = ""
    """The versions that it accepts (PEP 440); empty for any."""


def parse(text: str) -> Requirement | None:
    """The requirement in `text`; None if it is not one.

    >>> parse("Python_DateUtil>=2").name
    'python-dateutil'
    """
    usual = _USUAL.fullmatch(text)
    if usual:
        extras = tuple(sorted(map(canonical, usual[2].split(",")))) if usual[2] else ()
        return Requirement(canonical(usual[1]), extras=extras, specifier=usual[3])
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


def united(packages: Iterable[str]) -> tuple[str, ...]:
    """The requirements, with those of the same package and marker joined into one at the place of the first.

    Their extras are added up, and the ranges hold together, as pip reads them. A single one stays as it is written.

    >>> united(["httpx[http2]>=0.27", "six", "httpx[cli]<1"])
    ('httpx[cli,http2]<1,>=0.27', 'six')
    """
    same: dict[tuple[str, str], dict[str, None]] = {}
    for text in packages:
        found = parse(text)
        same.setdefault((found.name, found.marker) if found else (text, ""), {})[text] = None
    return tuple(next(iter(texts)) if len(texts) == 1 else _joined(tuple(texts)) for texts in same.values())


def _joined(texts: Sequence[str]) -> str:
    from packaging.requirements import Requirement as Pep508

    first, *others = map(Pep508, texts)
    for each in others:
        first.extras |= each.extras
        first.specifier &= each.specifier
    return str(first)


def with_extras(text: str, extras: Iterable[str]) -> str:
    """A requirement with further extras.

    >>> with_extras("HTTPX [cli] >=0.27", {"http2"}), with_extras("six", {"x"})
    ('HTTPX[cli,http2]>=0.27', 'six[x]')
    """
    usual = _USUAL.fullmatch(text)
    if usual:
        named = {*map(canonical, usual[2].split(",") if usual[2] else ()), *extras}
        return f"{usual[1]}[{','.join(sorted(named))}]{usual[3]}"
    from packaging.requirements import Requirement as Pep508

    found = Pep508(text)
    found.extras = {*map(canonical, found.extras), *extras}
    return str(found)


def canonical(name: str) -> str:
    """The canonical name of a Python package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(marker: str, environment: Mapping[str, str]) -> bool:
    """True if a marker is true or empty. Raises `ValueError` for a comparison that means nothing."""
    if not marker:
        return True
    from packaging.markers import Marker

    return Marker(marker).evaluate(dict(environment))


def satisfies(version: str, specifier: str) -> bool:
    """True if a specifier accepts a version; an empty one accepts all. Pre-releases in the range count.

    >>> satisfies("0.28.1", ">=0.27"), satisfies("0.26", ">=0.27")
    (True, False)
    """
    if not specifier:
        return True
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def accepted(versions: Iterable[str], specifier: str) -> list[str]:
    """Those of the versions that a specifier accepts, pre-releases in the range too. `ValueError` for no specifier."""
    from packaging.specifiers import SpecifierSet

    found = SpecifierSet(specifier)
    return [version for version in versions if found.contains(version, prereleases=True)]


def comparable(specifier: str) -> object:
    """A value that is equal for specifiers which say the same in other letters; the text itself where it is none.

    >>> comparable(">=2.0-beta1,<3") == comparable("<3, >=2.0b1")
    True
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(specifier)
    except InvalidSpecifier:
        return specifier


def environment(version: str) -> dict[str, str]:
    """The variables of markers on this machine with CPython `version`, 3.12.1 say."""
    from packaging.markers import default_environment

    python = {
        "implementation_name": "cpython",
        "implementation_version": version,
        "platform_python_implementation": "CPython",
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
    }
    return {**{name: str(value) for name, value in default_environment().items()}, **python}
