"""Origins of installed packages: which of them somebody asked for, and which others only need. Pure."""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Origin(NamedTuple):
    """Origin of an installed package, as it tells it: the names that it needs, and whether it was asked for.

    uv and Bun note that of every package, pip only of those that were named.
    """

    needs: frozenset[str] = frozenset()
    is_requested: bool = True


def asked(origins: Mapping[str, Origin], named: Collection[str]) -> frozenset[str]:
    """The packages that somebody asked for: those that a manifest has `named`, and those that no other one needs.

    >>> sorted(asked({"rich": Origin(frozenset({"mdurl"})), "mdurl": Origin(), "six": Origin()}, {"mdurl"}))
    ['mdurl', 'rich', 'six']
    """
    needed = {name for package, origin in origins.items() for name in origin.needs - {package}}
    found = {name for name, origin in origins.items() if name in named or (origin.is_requested and name not in needed)}
    reached = _reached(origins, found)
    for name in sorted(origins):  # in a circle each needs the other: the first stands for all
        if origins[name].is_requested and name not in reached:
            found.add(name)
            reached |= _reached(origins, [name])
    return frozenset(found)


def _reached(origins: Mapping[str, Origin], names: Iterable[str]) -> set[str]:
    """The packages that are needed by these, directly or not, and themselves."""
    reached, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += origins[name].needs if name in origins else ()
    return reached
