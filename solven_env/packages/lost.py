"""Files that a build needs and a thread's commands removed, as its layer or its copy shows it.

A layer is read as the kernel's overlay reads it (Documentation/filesystems/overlayfs.rst): a device in the place of a
name hides it, an opaque directory hides all that the build has beneath it. An agent writes there: names alone are read,
and no link is followed (`workspace.root`).
"""

from __future__ import annotations

import os
from contextlib import suppress

from solven_env.errors import WorkspaceError
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.typed import TYPE_CHECKING
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.store import Build

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def find(build: Build, own: Path) -> str:
    """The first path in a build that it cannot do without and commands find no more; empty where they can work.

    `own` is the thread's upper directory or its copy (`layers.own`), which may not be there yet.
    """
    try:
        descriptor = os.open(own, READ_DIRECTORY_ITSELF)
    except OSError:  # not begun yet, or told by whoever mounts it
        return ""
    with Root(descriptor, None) as root:
        try:
            for path in ECOSYSTEMS[build.kind].NEEDED:
                if os.path.lexists(build.tree / path) and not _is_there(root, build, own, path):
                    return path
        except (WorkspaceError, FileNotFoundError):  # closed by the agent, or changed just now
            return ""
    return ""


def _is_there(root: Root, build: Build, own: Path, path: str) -> bool:
    """Tell whether commands see anything at a path of at most two names."""
    shows_build = own.name == "upper"
    first, _, rest = path.partition("/")
    for here in (first, path) if rest else (first,):
        entry = root.stat(here)
        if entry is None:
            return shows_build and os.path.lexists(build.tree / path)
        if entry.kind == "other" or (here != path and entry.kind == "file"):
            return False
        if here != path and entry.kind == "symlink":
            return True  # where to, nobody here asks
        shows_build = shows_build and not _is_opaque(own / here)
    return True


def _is_opaque(directory: Path) -> bool:
    for name in _OPAQUE:
        with suppress(OSError):  # it has none of that name
            if os.getxattr(directory, name, follow_symlinks=False) == b"y":
                return True
    return False
