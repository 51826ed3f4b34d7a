"""Strays: what a thread changed of a build beside whole packages: files that it edited, added or removed by hand.

No package's record names them, so nobody knows whether they fit another build: they come along only above the same one.
An agent wrote there: names, kinds, sizes and times are read, and no link is followed (`workspace.root`).
"""

from __future__ import annotations

import os

from solven_env.errors import WorkspaceError
from solven_env.packages import transfer
from solven_env.packages.lost import is_opaque
from solven_env.packages.transfer import BYTECODE
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from solven_env.packages.added import Found
    from solven_env.packages.additions import Installed
    from solven_env.packages.ecosystems import Ecosystem

LIMIT = 20_000
"""Names that are read of one layer or copy, those of a copy's build aside."""


class Stray(NamedTuple):
    """A path of a build, and how a thread changed it: `added`, `edited` or `removed`. A directory is removed whole."""

    path: str
    how: str


class Strays(NamedTuple):
    """The strays of a layer or a copy, sorted. `is_complete` is false where there is more than is read."""

    found: tuple[Stray, ...] = ()
    is_complete: bool = True


class _TooManyError(Exception):
    """There are more names than `LIMIT`."""


def find(row: Ecosystem, own: Path, over: Found, build: Root | None, brings: Iterable[Installed] = ()) -> Strays:
    """Find the strays in `own`, which has `over` over a build of these packages.

    Where the build is gone (None), nothing can be told of a copy, nor of what was removed or is only edited.
    """
    is_upper = own.name == "upper"
    if build is None and not is_upper:
        return Strays(is_complete=False)
    try:
        with Root(os.open(own, READ_DIRECTORY_ITSELF), None) as root:
            claimed = _claimed(row, root, over.packages)
            # What the thread removed or replaced as a package is told as such.
            gone = {*over.removed, *over.by_name}
            passed = (
                _claimed(row, build, (each for each in brings if each.name in gone)) if build is not None else set()
            )
            walk = _Walk(root, build, claimed, passed, is_upper=is_upper)
            found = sorted(stray for stray in walk.look("") if stray.path.split("/")[0] not in row.UNTOLD)
    except FileNotFoundError:
        return Strays()
    except (OSError, WorkspaceError, _TooManyError):  # closed by the agent, or changed just now
        return Strays(is_complete=False)
    return Strays(tuple(found), build is not None)


class _Walk:
    """One look at all of a layer or a copy. `claimed` are paths of packages in it, `passed` those of the build's."""

    def __init__(
        self, root: Root, build: Root | None, claimed: Collection[str], passed: Collection[str], *, is_upper: bool
    ) -> None:
        self._root = root
        self._build = build
        self._claimed = claimed
        self._passed = passed
        self._is_upper = is_upper
        self._left = LIMIT

    def look(self, directory: str) -> Iterator[Stray]:
        """The strays in a directory that is there."""
        names = self._root.list(directory, LIMIT + 1)
        below = self._below(directory)
        if self._is_upper:
            self._count(len(names))
        for name in names:
            path = f"{directory}/{name}" if directory else name
            if name != BYTECODE and path not in self._claimed:
                yield from self._entry(path, is_below=name in below)
        hidden = below.difference(names)
        if self._is_upper and hidden and not (directory and is_opaque(self._root, directory)):
            hidden = set()  # the build shows them
        for name in sorted(hidden):
            yield from self._removed(f"{directory}/{name}" if directory else name)

    def _entry(self, path: str, *, is_below: bool) -> Iterator[Stray]:
        entry = self._root.stat(path)
        was = self._build.stat(path) if is_below and self._build is not None else None
        if entry is None:  # gone just now
            return
        if entry.kind == "directory" and (was is None or was.kind == "directory"):
            yield from self.look(path)
        elif entry.kind == "other" and self._is_upper:
            yield from self._removed(path) if was is not None else ()
        elif was is None:
            self._count(0 if self._is_upper else 1)
            yield Stray(path, "added")
        elif self._is_upper or not self._is_same(path):
            self._count(0 if self._is_upper else 1)
            yield Stray(path, "edited")

    def _removed(self, path: str) -> Iterator[Stray]:
        """The path, unless it is all of packages that are gone as such."""
        assert self._build is not None
        entry = self._build.stat(path)
        if self._is_passed(path) or path.rpartition("/")[2] == BYTECODE:
            return
        if entry is not None and entry.kind == "directory":
            pieces = transfer.expand(self._build, (f"{path}/",), lambda _: True)
            if all(self._is_passed(piece.path) or f"/{BYTECODE}/" in piece.path for piece in pieces):
                return
        yield Stray(path, "removed")

    def _is_passed(self, path: str) -> bool:
        while path and path not in self._passed:
            path = path.rpartition("/")[0]
        return bool(path)

    def _is_same(self, path: str) -> bool:
        assert self._build is not None
        return self._root.about(path) == self._build.about(path)

    def _below(self, directory: str) -> set[str]:
        if self._build is None:
            return set()
        entry = self._build.stat(directory) if directory else None
        if directory and (entry is None or entry.kind != "directory"):
            return set()
        return set(self._build.list(directory))

    def _count(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise _TooManyError


def _claimed(row: Ecosystem, root: Root, packages: Iterable[Installed]) -> set[str]:
    """The files and whole directories of these packages, as far as their records tell."""
    found = set()
    for package in packages:
        found |= {part.rstrip("/") for part in (package.path, *(row.carry(root, package) or ()))}
    return found
