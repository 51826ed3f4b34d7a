"""Three-way merges of a base, what the profile wants and what the workspace has. Pure: bytes in, bytes out."""

from __future__ import annotations

from solven_env.typed import NamedTuple


class Clash(NamedTuple):
    """A place that both sides changed differently: a key, a package or lines, and what each side has there."""

    where: str
    ours: str
    theirs: str


class Merged(NamedTuple):
    """The result of a merge, None where nothing is left; with clashes it is what the preferred side wants of them."""

    data: bytes | None
    clashes: tuple[Clash, ...] = ()
