"""The newest versions that the index has of the profile's Python packages, its ranges aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.errors import BuildError
from solven_env.packages.ecosystems.python import LOCK, indexes, pip_compile, requirements_txt, uv_questions
from solven_env.packages.locks import NewestVersion
from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from solven_env.packages.ecosystems.python import Python
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.toolchain import Toolchain

_OPTIONS = (
    *("--universal", "--no-deps", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
)


def held(section: Python, pins: Sequence[Pin], host: Toolchain) -> list[NewestVersion]:
    """The packages of which a requirement of the profile excludes the newest version, and the pins an older one.

    uv is asked for the bare names, without what they need, so that no package is looked into. BuildError.
    """
    from packaging.version import Version

    found = []
    names = [asked.name for asked in map(pep508.parse, section.packages) if asked]
    newest, pinned = dict[str, str](), _latest(pins)
    for asking, share in indexes.shares(names, host):
        newest |= _latest(_ask(section, share, asking))
    for text in section.packages:
        asked = pep508.parse(text)
        if asked is None or asked.name not in newest or asked.name not in pinned:
            continue
        version = newest[asked.name]
        if Version(version) > Version(pinned[asked.name]) and not pep508.satisfies(version, asked.specifier):
            found.append(NewestVersion(asked.name, version, asked.specifier))
    return found


def _ask(section: Python, names: Collection[str], host: Toolchain) -> tuple[Pin, ...]:
    asked = (each for each in map(pep508.parse, section.packages) if each and each.name in names)
    bare = (f"{each.name} ; {each.marker}" if each.marker else each.name for each in asked)
    declared = [pip_compile.Declared(name, "") for name in section.allow_builds]
    answer = uv_questions.with_wheels(bare, section.version, host, *_OPTIONS, declared=declared)
    if answer.problem:
        what = f"the index does not say which versions are the newest: {answer.problem}"
        raise BuildError(what, fix="Let this host reach its package index.")
    return requirements_txt.parse(answer.text.encode(), LOCK)


def _latest(pins: Sequence[Pin]) -> dict[str, str]:
    """The highest version of each package: other machines may have another pin."""
    from packaging.version import Version

    found: dict[str, str] = {}
    for pin in pins:
        found[pin.name] = max(pin.version, found.get(pin.name, pin.version), key=Version)
    return found
