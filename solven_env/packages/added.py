"""Packages that a thread added to a build: those in its layer, or in its copy, that the build does not have.

An agent writes there. So names of directories are what is read, and small files with bounds; no link is followed
(`workspace.root`), and the reading ends after `LIMIT` names.
"""

from __future__ import annotations

import functools
import os

from solven_env.errors import WorkspaceError
from solven_env.packages.additions import Additions
from solven_env.packages.lost import is_lost
from solven_env.system.blocks import READ_DIRECTORY, READ_DIRECTORY_ITSELF
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.packages.additions import Installed
    from solven_env.packages.ecosystems import Ecosystem
    from solven_env.packages.store import Build

LIMIT = 10_000
"""Names that are read of one thread's build."""


class AddedPackage(NamedTuple):
    """A package by its name. `version` is empty where only a damaged file would tell."""

    name: str
    version: str = ""


class Added(NamedTuple):
    """The packages that a thread has and its build has not, sorted.

    `is_complete` is false where there is more than is read, or what cannot be.
    """

    kind: str
    packages: tuple[AddedPackage, ...] = ()
    is_complete: bool = True


class Found(NamedTuple):
    """The additions of a layer or a copy: packages, and the names of the build's that are gone."""

    packages: tuple[Installed, ...] = ()
    removed: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def by_name(self) -> dict[str, Installed]:
        """The packages by name; of two with one name the last."""
        return {package.name: package for package in self.packages}

    @property
    def additions(self) -> Additions:
        """The same as a record has it."""
        return Additions({name: package.asked for name, package in sorted(self.by_name.items())}, self.removed)


def look(build: Build, own: Path) -> Added:
    """List the packages in `own`, the thread's upper directory or copy of a build, that the build does not have.

    `own` may not exist: then there are none.
    """
    found = find(_row(build), own, {package.path: (package.name, package.version) for package in brought(build)})
    packages = sorted(AddedPackage(package.name, package.version) for package in found.packages)
    return Added(build.kind, tuple(packages), found.is_complete)


@functools.lru_cache(maxsize=16)  # a process reads them once: a build that is changed in place is damaged
def brought(build: Build) -> tuple[Installed, ...]:
    """The packages that a build brings."""
    with Root(os.open(build.tree, READ_DIRECTORY), None) as tree:
        return tuple(_row(build).installed(tree, 10 * LIMIT)[0])


def find(row: Ecosystem, own: Path, brings: Mapping[str, tuple[str, str]]) -> Found:
    """Find what `own` has over a build that brings these packages (name and version by path). It may not exist."""
    try:
        descriptor = os.open(own, READ_DIRECTORY_ITSELF)
    except FileNotFoundError:
        return Found()
    except OSError:
        return Found(is_complete=False)
    try:
        with Root(descriptor, None) as root:
            packages, is_complete = row.installed(root, LIMIT)
            is_upper = own.name == "upper"
            gone = {name for path, (name, _) in brings.items() if is_lost(root, path, is_upper=is_upper)}
    except (OSError, WorkspaceError):  # closed by the agent, or taken away just now
        return Found(is_complete=False)
    over = tuple(package for package in packages if _is_over(package, brings.get(package.path)))
    return Found(over, tuple(sorted(gone - {package.name for package in over})), is_complete)


def _is_over(package: Installed, brought: tuple[str, str] | None) -> bool:
    """True for a package that is not the build's, or in the place of that one: Bun's keep their directory.

    One whose metadata is damaged, or not in the layer at all, is the build's.
    """
    return brought is None or (bool(package.version) and package.version != brought[1])


def _row(build: Build) -> Ecosystem:
    from solven_env.packages.ecosystems import ECOSYSTEMS

    return ECOSYSTEMS[build.kind]
