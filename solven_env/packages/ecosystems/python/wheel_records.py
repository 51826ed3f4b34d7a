"""RECORDs of wheels: the files that they installed (packaging.python.org, "Recording installed projects")."""

from __future__ import annotations

import base64
import csv
import io
import posixpath
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.workspace.root import Root


def files(root: Root) -> Iterator[tuple[str, bytes, int]]:
    """Path in the tree, SHA-256 and size of every file of the installed wheels that has a digest."""
    for site in _sites(root):
        for name in root.list(site):
            if name.endswith(".dist-info"):
                yield from _rows(root, site, f"{name}/RECORD")


def _sites(root: Root) -> list[str]:
    """The directories of packages: lib/python3.12/site-packages."""
    names = root.list("lib") if _is_directory(root, "lib") else ()
    sites = (f"lib/{name}/site-packages" for name in names if name.startswith("python"))
    return [site for site in sites if _is_directory(root, site)]


def _rows(root: Root, site: str, record: str) -> Iterator[tuple[str, bytes, int]]:
    """The rows of a wheel's RECORD. A row may name any path; one that leads out of the tree is left out."""
    try:
        text = root.read(f"{site}/{record}").decode(errors="replace")
        for path, digest, size in csv.reader(io.StringIO(text, newline="")):
            method, _, encoded = digest.partition("=")
            if method == "sha256":
                where = posixpath.normpath(f"{site}/{path}")
                yield where, base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), int(size or 0)
    except (OSError, ValueError, csv.Error, WorkspaceError):
        yield f"{site}/{record}", b"", -2  # no file has that size


def _is_directory(root: Root, path: str) -> bool:
    entry = root.stat(path)
    return entry is not None and entry.kind == "directory"
