"""Directories that hold our files, and the workspace itself, whose name is `/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.reconcile.kinds import file
from solven_env.reconcile.model import DIRECTORY, State

if TYPE_CHECKING:
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Change
    from solven_env.workspace.root import Root


def observe(root: Root, name: str) -> State | None:
    """What stands at `name`; directories are all alike, whatever their mode."""
    return DIRECTORY if name == "/" else file.observe(root, name)


def apply(root: Root, change: Change, keeper: Keeper) -> State | None:
    """Make the directory, or remove it while it is empty."""
    if change.name == "/":
        return DIRECTORY  # opening the workspace made it
    if change.after is None:
        try:
            root.remove_directory(change.name)
        except OSError:
            return DIRECTORY  # no longer empty: it is the agent's now
        return None
    if change.before is not None:
        file.take_away(root, change, keeper)
    root.mkdir(change.name)
    return DIRECTORY
