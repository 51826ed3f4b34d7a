"""Files of a build that commands of a thread find no more, as its layer or its copy shows it.

A layer is read as the kernel's overlay reads it (Documentation/filesystems/overlayfs.rst): a device in the place of a
name hides it, an opaque directory hides all that the build has beneath it. An agent writes there: names alone are read,
and no link is followed (`workspace.root`).
"""

from __future__ import annotations

import functools
import os

from solven_env.errors import WorkspaceError
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.system.mounting import in_first_user_namespace
from solven_env.typed import TYPE_CHECKING
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.store import Build


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
    return root.attribute(directory, _opaque()) == b"y"


@functools.cache
def _opaque() -> str:
    """The attribute that overlays of ours mark such a directory with (`sandbox.roots.sources.overlay`).

    Beneath root's, a command may set the other one, which means nothing there.
    """
    is_roots = os.geteuid() == 0 and in_first_user_namespace()
    return "trusted.overlay.opaque" if is_roots else "user.overlay.opaque"
