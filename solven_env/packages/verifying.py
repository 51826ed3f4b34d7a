"""Holding a build against what was written down of it: its directories, and the digests that Python's wheels bring."""

from __future__ import annotations

import base64
import csv
import io
import os
import posixpath
import time

from solven_env.errors import WorkspaceError
from solven_env.packages import store
from solven_env.system.publishing import refusals_told
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.packages.store import Build


class Verified(NamedTuple):
    """What is not as it was made, as paths in the tree. `seen` of `known` digests were compared in the time given."""

    wrong: tuple[str, ...]
    seen: int
    known: int


class _File(NamedTuple):
    path: str
    digest: bytes
    size: int


def verify(build: Build, seconds: float) -> Verified:
    """Compare a build's files with the RECORD of each wheel (packaging.python.org, "Recording installed projects").

    Sizes first, then digests from the smallest file on, until the time is up. Bytecode has none, and a Bun build
    either. StoreError where the store cannot be read.
    """
    end = time.monotonic() + seconds
    with refusals_told(build.tree), Root(os.open(build.tree, os.O_RDONLY | os.O_DIRECTORY), None) as root:
        files = sorted(_recorded(root), key=lambda file: file.size)
        wrong = [file.path for file in files if _size(root, file.path) != file.size]
        seen = 0
        for file in files:
            if time.monotonic() > end:
                break
            seen += 1
            if file.path not in wrong and _sha256(root, file.path) != file.digest:
                wrong.append(file.path)
    changed = store.first_changed(build)
    if changed is not None and not wrong:
        wrong.append(changed)
    return Verified(tuple(wrong), seen, len(files))


def _recorded(root: Root) -> Iterator[_File]:
    """Every file of the installed wheels that has a digest, by its path in the tree."""
    for site in _sites(root):
        for name in root.list(site):
            if name.endswith(".dist-info"):
                yield from _rows(root, site, f"{name}/RECORD")


def _sites(root: Root) -> list[str]:
    """The directories of packages: lib/python3.12/site-packages."""
    names = root.list("lib") if _is_directory(root, "lib") else ()
    sites = (f"lib/{name}/site-packages" for name in names if name.startswith("python"))
    return [site for site in sites if _is_directory(root, site)]


def _rows(root: Root, site: str, record: str) -> Iterator[_File]:
    """What a wheel says of its files. A row may name any path; one that leads out of the tree is no file of it."""
    try:
        text = root.read(f"{site}/{record}").decode(errors="replace")
        for path, digest, size in csv.reader(io.StringIO(text, newline="")):
            method, _, encoded = digest.partition("=")
            if method == "sha256":
                where = posixpath.normpath(f"{site}/{path}")
                yield _File(where, base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), int(size or 0))
    except (OSError, ValueError, csv.Error, WorkspaceError):
        yield _File(f"{site}/{record}", b"", -2)  # no file has that size


def _is_directory(root: Root, path: str) -> bool:
    entry = root.stat(path)
    return entry is not None and entry.kind == "directory"


def _size(root: Root, path: str) -> int:
    try:
        entry = root.stat(path)
    except WorkspaceError:
        return -1
    return entry.size if entry is not None else -1


def _sha256(root: Root, path: str) -> bytes:
    try:
        return root.sha256(path)
    except (OSError, WorkspaceError):
        return b""
