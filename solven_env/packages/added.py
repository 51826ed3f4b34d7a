"""Packages that a thread added to a build: those in its layer, or in its copy, that the build does not have.

An agent writes there. So names of directories are all that is read, never a file; no link is followed
(`workspace.root`), and the reading ends after `LIMIT` names.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import WorkspaceError
from solven_env.system.blocks import READ_DIRECTORY, READ_DIRECTORY_ITSELF
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from solven_env.packages.ecosystems import Ecosystem
    from solven_env.packages.store import Build

LIMIT = 10_000
"""Names that are read of one thread's build."""

_SCOPE = re.compile("@[A-Za-z0-9~-][A-Za-z0-9._~-]*")


class AddedPackage(NamedTuple):
    """A package by its name. `version` is empty for one of JavaScript, which only a file of the agent's would tell."""

    name: str
    version: str = ""


class Added(NamedTuple):
    """The packages that a thread has and its build has not, sorted.

    `is_complete` is false where there is more than is read, or what cannot be.
    """

    kind: str
    packages: tuple[AddedPackage, ...] = ()
    is_complete: bool = True


def look(build: Build, own: Path) -> Added:
    """List the packages in `own`, the thread's upper directory or copy of a build, that the build does not have.

    `own` may not exist: then there are none.
    """
    try:
        descriptor = os.open(own, READ_DIRECTORY_ITSELF)
    except FileNotFoundError:
        return Added(build.kind)
    except OSError:
        return Added(build.kind, is_complete=False)
    try:
        with Root(descriptor, None) as root:
            paths = _paths(root, _row(build).tops(build))
            found = {package for path in paths[:LIMIT] if (package := _added(root, build, path))}
    except (WorkspaceError, FileNotFoundError):  # closed by the agent, or taken away just now
        return Added(build.kind, is_complete=False)
    return Added(build.kind, tuple(sorted(found)), len(paths) <= LIMIT)


def _row(build: Build) -> Ecosystem:
    from solven_env.packages.ecosystems import ECOSYSTEMS

    return ECOSYSTEMS[build.kind]


def _paths(root: Root, tops: Iterable[str]) -> list[str]:
    """The paths of all that stands in these directories, and in their npm scopes; one more than `LIMIT` at most."""
    paths: list[str] = []
    pending = list(tops)
    while pending and len(paths) <= LIMIT:
        directory = pending.pop()
        if not directory or _is_directory(root, directory):
            names = root.list(directory, LIMIT + 1 - len(paths))
            found = [posixpath.join(directory, name) for name in names]
            paths += found
            pending += filter(_SCOPE.fullmatch, found)
    return paths


def _added(root: Root, build: Build, path: str) -> AddedPackage | None:
    """The package at `path`, unless it is none, or the build has it: a file that changes takes its directory along."""
    package = _row(build).package(path)
    return package if package and not _has(build, path) and _is_directory(root, path) else None


def _has(build: Build, path: str) -> bool:
    """Tell whether the build has something at a path. Behind a link, which a script may have left, it has nothing."""
    with Root(os.open(build.tree, READ_DIRECTORY), None) as tree:
        return tree.stat(path) is not None


def _is_directory(root: Root, path: str) -> bool:
    entry = root.stat(path)
    return entry is not None and entry.kind == "directory"
