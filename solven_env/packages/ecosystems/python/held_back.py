"""The price of wheels only: packages that a lock holds back, compared with a resolution that takes sdists too. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import Version

from solven_env.packages.ecosystems.python.file_lists import MACHINES, Release, machines, on_linux, told_machines
from solven_env.packages.locks import HELD_BACK, PLATFORMS, Remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


# uv pip compile --annotation-style line
_ANNOTATED = re.compile(r"([a-z0-9-]+)==(\S+)(?: ; (.*?))?(?: +# via (.*))?")


class Graph(NamedTuple):
    """A resolution as Linux machines get it: versions by name, and by name the packages that ask for each."""

    versions: Mapping[str, str]
    parents: Mapping[str, frozenset[str]]


def graph(annotated: str, python: str) -> Graph:
    """The graph in a text of uv's that says in each line what asks for the package.

    >>> graph("idna==3.10  # via httpx, anyio", "3.12").parents["idna"] == {"httpx", "anyio"}
    True
    """
    lines = list(filter(None, map(_ANNOTATED.fullmatch, annotated.splitlines())))
    releases = on_linux([Release(line[1], line[2], line[3], (), False) for line in lines], python)
    versions = {name: release.version for name, release in releases.items()}
    return Graph(versions, {line[1]: frozenset((line[4] or "").split(", ")) for line in lines if line[1] in versions})


def differing(versions: Mapping[str, str], free: Mapping[str, str]) -> tuple[str, ...]:
    """The packages that the free resolution has in a newer version, or in one that is no pre-release.

    uv takes a pre-release that nobody asked for where no other version has a wheel.
    """
    return tuple(name for name, version in versions.items() if name in free and _is_back(version, free[name]))


def at_least(pins: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Constraints by which a resolution has nothing older than these pins, pre-releases aside.

    An old sdist that is taken for one that needs nothing would make room for newer versions of others.

    >>> at_least([("a", "2"), ("a", "1"), ("b", "3rc1")])
    ('a>=1',)
    """
    oldest: dict[str, Version] = {}
    for name, text in pins:
        version = Version(text)
        oldest[name] = min(version, oldest.get(name, version))
    return tuple(f"{name}>={version.public}" for name, version in oldest.items() if not version.is_prerelease)


def remarks(
    locked: Mapping[str, str], bound: Graph, free: Graph, files: Mapping[str, Release], python: str
) -> tuple[Remark, ...]:
    """A remark for each locked package that is held back for want of a wheel.

    `bound` is resolved with wheels alone, `free` with sdists too, neither with the versions of an older lock: what
    both keep old is not blamed on wheels. `files` has the releases of `free`, without those that are built.
    """
    wheelless = {name: release for name, release in files.items() if not machines(release.wheels, python)}
    # uv is content with a wheel for another system; then it is the lock that has an older version.
    versions = {
        name: locked.get(name, version) if name in wheelless and version == free.versions[name] else version
        for name, version in bound.versions.items()
    }
    back = [name for name in differing(versions, free.versions) if name in locked]
    lacking = {name: release for name, release in wheelless.items() if versions.get(name) != release.version}
    found = []
    for name in back:
        needs = [lacking[each] for each in _reached(name, free.parents) if each in lacking]
        if name in lacking:
            why = f"{_no_wheel(lacking[name], python)}{_see([lacking[name]])}"
        elif needs:
            why = f"needs {_told(needs, python)}{_see(needs)}"
        else:
            others = sorted(bound.parents.get(name, frozenset()) & set(back))
            named = " and ".join(f"{each} {locked[each]}" for each in others)
            are = "are" if len(others) > 1 else "is"
            why = f"does not go with {named or 'another package'}, which {are} held back for want of wheels"
        message = f"{name} {locked[name]}; {free.versions[name]} {why}"
        found.append(Remark(HELD_BACK, name, locked[name], message))
    return tuple(found)


def on_some_machines(releases: Mapping[str, Release], python: str) -> tuple[Remark, ...]:
    """A remark for each package that some kinds of machines have no wheel for."""
    found = []
    for name, release in releases.items():
        lacking = frozenset(MACHINES) - machines(release.wheels, python)
        if lacking:
            message = f"{name} {release.version} has no wheel for {told_machines(lacking)}"
            found.append(Remark(PLATFORMS, name, release.version, message))
    return tuple(found)


def _is_back(version: str, free: str) -> bool:
    mine, newest = Version(version), Version(free)
    return mine < newest or (mine.is_prerelease and not newest.is_prerelease)


def _reached(name: str, parents: Mapping[str, frozenset[str]]) -> list[str]:
    """The packages that one needs, directly or through others, nearest first."""
    children: dict[str, list[str]] = {}
    for child in sorted(parents):
        for parent in parents[child]:
            children.setdefault(parent, []).append(child)
    found = [name]
    for each in found:
        found += [child for child in children.get(each, ()) if child not in found]
    return found[1:]


def _told(releases: Sequence[Release], python: str) -> str:
    if len(releases) == 1:
        return f"{releases[0].name} {releases[0].version}, which {_no_wheel(releases[0], python)}"
    named = [f"{each.name} {each.version}" for each in releases]
    return f"{', '.join(named[:-1])} and {named[-1]}, which have no wheels"


def _no_wheel(release: Release, python: str) -> str:
    return f"has no wheel for Python {python} on Linux" if release.wheels else "has no wheel"


def _see(releases: Sequence[Release]) -> str:
    return ": see python.allow_builds" if all(each.has_sdist for each in releases) else ", and no source"
