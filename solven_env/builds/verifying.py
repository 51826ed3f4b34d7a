"""Holding a build against what was written down of it: its directories, and the digests that Python's wheels bring."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import time

from solven_env.builds import store
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.builds.store import Build


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
    tree = str(build.tree)
    end = time.monotonic() + seconds
    files = sorted(_recorded(tree), key=lambda file: file.size)
    wrong = [file.path for file in files if _size(f"{tree}/{file.path}") != file.size]
    seen = 0
    for file in files:
        if time.monotonic() > end:
            break
        seen += 1
        if file.path not in wrong and _sha256(f"{tree}/{file.path}") != file.digest:
            wrong.append(file.path)
    changed = store.first_changed(build)
    if changed is not None and not wrong:
        wrong.append(changed)
    return Verified(tuple(wrong), seen, len(files))


def _recorded(tree: str) -> Iterator[_File]:
    """Every file of the installed wheels that has a digest, by its path in the tree."""
    for site in _sites(tree):
        for name in sorted(os.listdir(f"{tree}/{site}")):
            if name.endswith(".dist-info"):
                yield from _rows(tree, site, f"{name}/RECORD")


def _sites(tree: str) -> list[str]:
    """The directories of packages: lib/python3.12/site-packages."""
    try:
        versions = sorted(name for name in os.listdir(f"{tree}/lib") if name.startswith("python"))
    except FileNotFoundError:
        return []
    sites = (f"lib/{name}/site-packages" for name in versions)
    return [site for site in sites if os.path.isdir(f"{tree}/{site}")]


def _rows(tree: str, site: str, record: str) -> Iterator[_File]:
    try:
        with open(f"{tree}/{site}/{record}", newline="", encoding="utf-8", errors="replace") as file:
            for path, digest, size in csv.reader(file):
                method, _, text = digest.partition("=")
                if method == "sha256":
                    where = os.path.normpath(f"{site}/{path}")
                    yield _File(where, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), int(size or 0))
    except (OSError, ValueError):
        yield _File(f"{site}/{record}", b"", -2)  # no file has that size


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def _sha256(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
