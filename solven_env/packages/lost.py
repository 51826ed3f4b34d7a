"""Files of a build that commands of a thread find no more, as its layer or its copy shows it.

A layer is read as the kernel's overlay reads it (Documentation/filesystems/overlayfs.rst): a device in the place of a
name hides it, an opaque directory hides all that the build has beneath it. An agent writes there: names alone are read,
and no link is followed (`workspace.root`).
"""

from __future__ import annotations

import os

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
                if os.path.lexists(build.tree / path) and is_lost(root, path, is_upper=own.name == "upper"):
                    return path
        except (WorkspaceError, FileNotFoundError):  # closed by the agent, or changed just now
            return ""
    return ""


def is_lost(root: Root, path: str, *, is_upper: bool) -> bool:
    """Tell whether commands find nothing at a path that the build has.

    `root` is the thread's upper directory, or its copy of the build, which shows nothing but what it holds.
    """
    shows_build = is_upper
    names = path.split("/")
    for here in ("/".join(names[: depth + 1]) for depth in range(len(names))):
        entry = root.stat(here)
        if entry is None:
            return not shows_build
        if entry.kind == "other" or (here != path and entry.kind == "file"):
            return True
        if here != path and entry.kind == "symlink":
            return False  # where to, nobody here asks
        shows_build = shows_build and here != path and not is_opaque(root, here)
    return False


def is_opaque(root: Root, directory: str) -> bool:
    """Tell whether a directory of an upper hides all that the build has beneath it."""
    return any(root.attribute(directory, name) == b"y" for name in _OPAQUE)
