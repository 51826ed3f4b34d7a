"""What a tree of files looks like, down to what only a write changes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def photograph(top: Path) -> dict[str, tuple[object, ...]]:
    """Inode, mode, owner, size, times and content of everything beneath `top`, `top` included."""
    picture: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(top):
        for path in (directory, *(os.path.join(directory, name) for name in (*names, *files))):
            status = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            times = (status.st_mtime_ns, status.st_ctime_ns)
            picture[path] = (status.st_ino, status.st_mode, status.st_uid, status.st_size, times, content)
    return picture
