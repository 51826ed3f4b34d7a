"""Places in the workspace that sandboxes mount upon: a directory, or nothing, since the sandbox makes what is missing.

Object storage keeps no empty directories, so none is made here, and none is recorded. What an agent put in the place of
one goes into the generation and is taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.reconcile.model import DIRECTORY, State
from solven_env.reconcile.resources import file

if TYPE_CHECKING:
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Change
    from solven_env.workspace.root import Root


def observe(root: Root, name: str) -> State | None:
    """What stands at `name`; directories are all alike, whatever is in them."""
    return file.observe(root, name)


def apply(root: Root, change: Change, keeper: Keeper) -> State | None:
    """Take away what is no directory."""
    file.take_away(root, change, keeper)
    return DIRECTORY
