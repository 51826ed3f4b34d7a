"""Packages in a node_modules that an agent wrote: directories with a package.json, of which nothing is believed."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError
from solven_env.packages.additions import Installed
from solven_env.profile import npm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.workspace.root import Root

BIN = ".bin"
_MANIFEST_LIMIT = 4 * 1024 * 1024
"""Bytes of a package.json that are read; the largest of the registry's are smaller than one MiB."""
_LINKS = 10_000
_SCOPES = 1_000
_SCOPE = re.compile("@[A-Za-z0-9~-][A-Za-z0-9._~-]*")
_VERSION = re.compile(r"[0-9]{1,16}\.[0-9]{1,16}\.[0-9]{1,16}(?:[-+][0-9A-Za-z.+-]{1,200})?")
"""https://semver.org, as far as a version must be known by its look."""


def watched(root: Root) -> list[str]:
    """The directories that a package adds an entry to."""
    names = root.list("", _SCOPES)
    return ["", *(name for name in names if name == BIN or _SCOPE.fullmatch(name))]


def find(root: Root, limit: int) -> tuple[list[Installed], bool]:
    """The packages at the top, and in scopes there; false where there is more than is read.

    A package under another name than its own (an alias) has its own one in its version, as Bun is asked for it.
    """
    names = list(root.list("", limit + 1))
    left = limit - len(names)
    for scope in filter(_SCOPE.fullmatch, names[:limit]):
        if _is_directory(root, scope):
            within = root.list(scope, max(left, 0) + 1)
            left -= len(within)
            names += [f"{scope}/{name}" for name in within]
    paths = [path for path in names[:limit] if npm.is_name(path) and _is_directory(root, path)]
    return [_installed(root, path) for path in paths], left >= 0


def parts(root: Root, package: Installed) -> tuple[str, ...]:
    """The paths that a package consists of: its directory, and the links in `.bin` that lead into it."""
    return (f"{package.path}/", *_links(root, package.path))


def _installed(root: Root, path: str) -> Installed:
    try:
        manifest = json.loads(root.read(f"{path}/package.json", _MANIFEST_LIMIT))
        name, version = manifest["name"], manifest["version"]
        is_known = all(map(npm.is_name, (path, name))) and _VERSION.fullmatch(version) is not None
    except (OSError, WorkspaceError, ValueError, TypeError, KeyError, RecursionError):
        is_known = False
    if not is_known or path.startswith("-") or name.startswith("-"):  # which commands take for an option
        return Installed(path, "", path, "", is_indexed=False)
    return Installed(path, version if name == path else f"npm:{name}@{version}", path, "")


def _links(root: Root, path: str) -> Iterator[str]:
    try:
        names = root.list(BIN, _LINKS)
    except (OSError, WorkspaceError):
        return
    for name in names:
        try:
            target = root.read_link(f"{BIN}/{name}")
        except (OSError, WorkspaceError):  # no link
            continue
        if posixpath.normpath(f"{BIN}/{target}").startswith(f"{path}/"):
            yield f"{BIN}/{name}"


def _is_directory(root: Root, path: str) -> bool:
    entry = root.stat(path)
    return entry is not None and entry.kind == "directory"
