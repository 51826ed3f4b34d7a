"""RECORDs of wheels: the files that they installed (packaging.python.org, "Recording installed projects")."""

from __future__ import annotations

import io
import posixpath
import re
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError
from solven_env.packages.additions import Installed
from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.workspace.root import Root

_ROWS = 100_000
"""Rows that are read of one RECORD: the largest wheels have a fifth of them."""

# https://packaging.python.org/en/latest/specifications/recording-installed-packages: names and versions of PEP 503 and
# 440, escaped. setuptools writes .egg-info, which has no RECORD.
_INSTALLED = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)-([0-9][A-Za-z0-9.!+_]*?)(\.dist-info|(?:-py3\.[0-9]+)?\.egg-info)"
)

_SITES = 1_000
"""Names that are read in a `lib`, which has one."""


def installed(root: Root, limit: int) -> tuple[list[Installed], bool]:
    """The packages that a tree holds, by their directories of metadata; false where there is more than is read.

    One that came from a file or an address (PEP 610) is none that an index has.
    """
    found, left = list[Installed](), limit
    for site in sites(root):
        names = root.list(site, left + 1)
        for name in names[:left]:
            named = _INSTALLED.fullmatch(name)
            path = f"{site}/{name}"
            if named and is_directory(root, path):
                is_indexed = root.stat(f"{path}/direct_url.json") is None
                found.append(Installed(pep508.canonical(named[1]), named[2], path, site, is_indexed))
        left -= len(names)
        if left < 0:
            return found, False
    return found, True


def parts(root: Root, package: Installed) -> tuple[str, ...] | None:
    """The paths that a package consists of: its metadata, and the files that its RECORD names.

    None where it has no RECORD, a damaged one, or one that leads out of the tree.
    """
    import csv  # a command that looks for packages alone does not wait for it

    try:
        text = root.read(f"{package.path}/RECORD").decode()
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        paths = [row[0] for row, _ in zip(rows, range(_ROWS + 1), strict=False) if row]
    except (OSError, ValueError, csv.Error, WorkspaceError):
        return None
    metadata = f"{package.path}/"
    found = {metadata: None}
    for path in paths:
        where = posixpath.normpath(f"{package.top}/{path}")
        if not path or path.startswith("/") or where.startswith(("../", ".")) or len(paths) > _ROWS:
            return None
        if not where.startswith(metadata):
            found[where] = None
    return tuple(found)


def files(root: Root) -> Iterator[tuple[str, bytes, int]]:
    """Path in the tree, SHA-256 and size of every file of the installed wheels that has a digest."""
    for site in sites(root):
        for name in root.list(site):
            if name.endswith(".dist-info"):
                yield from _rows(root, site, f"{name}/RECORD")


def sites(root: Root) -> list[str]:
    """The directories of packages: lib/python3.12/site-packages."""
    names = root.list("lib", _SITES) if is_directory(root, "lib") else ()
    sites = (f"lib/{name}/site-packages" for name in names if name.startswith("python"))
    return [site for site in sites if is_directory(root, site)]


def _rows(root: Root, site: str, record: str) -> Iterator[tuple[str, bytes, int]]:
    """The rows of a wheel's RECORD. A row may name any path; one that leads out of the tree is left out."""
    import base64
    import csv

    try:
        text = root.read(f"{site}/{record}").decode(errors="replace")
        for path, digest, size in csv.reader(io.StringIO(text, newline="")):
            method, _, encoded = digest.partition("=")
            if method == "sha256":
                where = posixpath.normpath(f"{site}/{path}")
                yield where, base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), int(size or 0)
    except (OSError, ValueError, csv.Error, WorkspaceError):
        yield f"{site}/{record}", b"", -2  # no file has that size


def is_directory(root: Root, path: str) -> bool:
    entry = root.stat(path)
    return entry is not None and entry.kind == "directory"
