"""Additions: what a thread has over the packages that one of its builds brings. Pure.

They are always those over *one* need (a section and its lock). A record names the additions over its own needs; each
host notes beside a layer which of them it knew last, and looks at what the layer really has.
"""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Installed(NamedTuple):
    """A package as a layer, a copy or a build holds it. `path` is the directory by which it is known.

    `top` is the directory of packages that it stands in. `is_indexed` is false for one that an index cannot give: it
    came from a file or an address, or its own metadata is damaged.
    """

    name: str
    version: str
    path: str
    top: str
    is_indexed: bool = True

    @property
    def asked(self) -> str:
        """The version by which it can be installed elsewhere; empty where it cannot."""
        return self.version if self.is_indexed else ""


class Additions(NamedTuple):
    """Names of packages, as `Ecosystem.canonical` writes them, that a thread added to a build or removed from it.

    A version is empty where the package cannot be had by it: it came from a file, say. `removed` is sorted.
    """

    packages: Mapping[str, str] = {}
    removed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data, in which empty parts are left out.

        >>> Additions({"rich": "14.0.0"}).as_json()
        {'packages': {'rich': '14.0.0'}}
        """
        parts = {"packages": dict(sorted(self.packages.items())), "removed": sorted(self.removed)}
        return {name: part for name, part in parts.items() if part}


NONE = Additions()


def from_json(value: Mapping[str, Any]) -> Additions:
    """The additions that `as_json` wrote.

    >>> from_json({"removed": ["six"]})
    Additions(packages={}, removed=('six',))
    """
    return Additions(dict(value.get("packages", {})), tuple(value.get("removed", ())))


def merged(base: Additions, theirs: Additions, ours: Additions) -> Additions:
    """Merge what others recorded with what is here, three ways by name: ours where it differs from the base, else
    theirs.

    >>> merged(Additions({"a": "1", "b": "1"}), Additions({"a": "2", "b": "1", "c": "1"}), Additions({"a": "1"}))
    Additions(packages={'a': '2', 'c': '1'}, removed=())
    """
    states = [_states(each) for each in (base, theirs, ours)]
    found = {}
    for name in sorted(set().union(*states)):
        was, there, here = (each.get(name) for each in states)
        found[name] = here if here != was else there
    packages = {name: state for name, state in found.items() if state is not None and state is not _REMOVED}
    return Additions(packages, tuple(name for name, state in found.items() if state is _REMOVED))


def above(additions: Additions, was: Mapping[str, str], now: Mapping[str, str]) -> Additions:
    """The additions as those over another need: `was` and `now` are what the old and the new one bring, by name.

    What the new one brings is no addition any more, unless it brings the version that the old one brought: then what
    the thread has in its place stays. What it does not bring cannot be removed from it.

    >>> above(Additions({"rich": "14.0.0", "six": "1.17.0"}, ("httpx",)), {"six": "1.16.0"}, {"six": "1.16.0"})
    Additions(packages={'rich': '14.0.0', 'six': '1.17.0'}, removed=())
    """
    packages = {
        name: version
        for name, version in additions.packages.items()
        if name not in now or (was.get(name) == now[name] != version)
    }
    return Additions(packages, tuple(name for name in additions.removed if name in now))


def only(additions: Additions, keep: Callable[[str], bool]) -> Additions:
    """The additions of the names that `keep` is true for."""
    packages = {name: version for name, version in additions.packages.items() if keep(name)}
    return Additions(packages, tuple(filter(keep, additions.removed)))


_REMOVED = object()


def _states(additions: Additions) -> dict[str, Any]:
    return {**dict.fromkeys(additions.removed, _REMOVED), **additions.packages}
