"""Holding a build against what was written down of it: its directories, and the digests that its packages bring."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import WorkspaceError
from solven_env.packages import store
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.system.blocks import READ_DIRECTORY
from solven_env.system.publishing import refusals_told
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from solven_env.packages.store import Build


class Verified(NamedTuple):
    """Paths in the tree that are not as they were made. `seen` of `known` digests were compared in the given time."""

    wrong: tuple[str, ...]
    seen: int
    known: int


def verify(build: Build, seconds: float) -> Verified:
    """Compare a build's files with what its packages say of them.

    Sizes first, then digests from the smallest file on, until the time is up. StoreError where the store cannot be
    read.
    """
    end = time.monotonic() + seconds
    with refusals_told(build.tree), Root(os.open(build.tree, READ_DIRECTORY), None) as root:
        files = sorted(ECOSYSTEMS[build.kind].recorded_files(root), key=lambda file: file[2])
        wrong = [path for path, _, size in files if _size(root, path) != size]
        seen = 0
        for path, digest, _ in files:
            if time.monotonic() > end:
                break
            seen += 1
            if path not in wrong and _sha256(root, path) != digest:
                wrong.append(path)
    changed = store.first_changed(build)
    if changed is not None and not wrong:
        wrong.append(changed)
    return Verified(tuple(wrong), seen, len(files))


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
