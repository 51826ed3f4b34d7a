"""Everything about a tree of files, down to what only a write changes."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 20
"""Bytes of a file whose content is compared; of larger ones size and times are."""


def snapshot(top: Path) -> dict[str, tuple[object, ...]]:
    """What a write, a chmod, a chown or a removal would change of anything at or beneath `top`, by its path."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (top, *top.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        elif stat.S_ISREG(status.st_mode) and status.st_size < LARGEST:
            content = path.read_bytes()
        found[str(path)] = (
            *(status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_size),
            *(status.st_mtime_ns, status.st_ctime_ns, content),
        )
    return found
