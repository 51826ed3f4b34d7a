"""One module a kind of resource: how it is observed in the workspace, and how a change of it is made.

`KINDS` is the only list of them: a new kind is a module and a row here. Settings are recorded, not made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from solven_env.reconcile.kinds import directory, file, mount_point

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Change, State
    from solven_env.workspace.root import Root


class Kind(Protocol):
    """What a module of this package offers."""

    def observe(self, root: Root, name: str) -> State | None:
        """What stands at `name`; None where nothing does."""

    def apply(self, root: Root, change: Change, keeper: Keeper) -> State | None:
        """Make the change; what we left there. `change.before` is in the generation already where it has to be kept.

        `ConflictError` or OSError where the workspace is no longer as the plan saw it: nothing of it is lost then.
        """


KINDS: Mapping[str, Kind] = {"directory": directory, "file": file, "mount": mount_point}
