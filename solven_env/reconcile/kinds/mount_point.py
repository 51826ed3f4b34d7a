"""Places in the workspace that sandboxes mount upon: a directory, or nothing, since the sandbox makes what is missing.

Object storage keeps no empty directories, so none is made here, and none is recorded. What an agent put in the place of
one is kept and taken away; so is a directory that holds something where nothing was mounted yet, moved aside whole.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError
from solven_env.reconcile.desired import parents
from solven_env.reconcile.kinds import file
from solven_env.reconcile.model import DIRECTORY, FILLED, PLACE, State

if TYPE_CHECKING:
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Change
    from solven_env.workspace.root import Root


def observe(root: Root, name: str) -> State | None:
    """What stands at `name`; of a directory, what is in it."""
    found = file.observe(root, name)
    if found != DIRECTORY:
        return found
    try:
        names = root.list(name)
        return replace(FILLED, names=names) if names else DIRECTORY
    except FileNotFoundError:
        return None  # gone between two looks
    except WorkspaceError:
        return FILLED  # closed: there may be something in it


def apply(root: Root, change: Change, keeper: Keeper) -> State | None:
    """Take away what is no directory, or a directory with all that is in it; make the file that one is mounted upon."""
    if change.before is not None:
        file.take_away(root, change, keeper)
    if change.after == PLACE:
        for parent in parents(change.name):
            with suppress(FileExistsError):
                root.mkdir(parent)
        root.publish(root.stage(change.name, b"", 0o644), change.name)
    return None
