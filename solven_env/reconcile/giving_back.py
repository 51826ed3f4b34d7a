"""Giving back to a workspace what a generation kept: a file with its bytes and mode, a link, or what was moved whole.

What stands in its place is a conflict. It is kept, like all that an apply replaces, before it is taken away.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import StateError, WorkspaceError
from solven_env.reconcile import replacing
from solven_env.reconcile.desired import recorded_as_desired
from solven_env.reconcile.kinds.kind import article
from solven_env.reconcile.model import Change, Plan, State, parents
from solven_env.state import contents
from solven_env.system.failures import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.reconcile.keep import Keeper, Kept
    from solven_env.reconcile.model import Cause, OnConflict
    from solven_env.state.contents import StateStore
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root


_PARTS = 4
"""Number of `/` in the key of what was moved by itself: `threads/t1/moved/3-0a1b2c3d/data`."""


class Gift(NamedTuple):
    """One thing that was kept by a generation, and the bytes of a file that was copied."""

    kept: Kept
    generation: int
    data: bytes | None = None

    @property
    def state(self) -> State:
        """State of the workspace once it is given back."""
        if self.data is not None:
            return State("file", self.kept.digest, self.kept.mode, len(self.data), self.data)
        if self.kept.type == "symlink":
            return State("symlink", replacing.digest(self.kept.target.encode(errors="surrogateescape")))
        return State(self.kept.type, mode=self.kept.mode)


def find(state: StateStore, kept: Kept, generation: int) -> Gift:
    """Find what was kept, with the bytes of a file. StateError where they are gone or are others."""
    if kept.digest:
        data = contents.read(state, kept.kept, kept.digest.removeprefix("sha256:"))
        if data is None:
            raise StateError(
                f"the bytes that generation {generation} kept of {shown(kept.path)} are gone or damaged",
                fix="Nothing was changed. Restore them from a backup of the storage, or take another generation.",
                location=state.location(kept.kept),
            )
        return Gift(kept, generation, data)
    if not kept.kept and kept.type != "symlink":
        raise StateError(
            f"{shown(kept.path)} was neither a file, a link nor a directory: nothing of it was kept",
            fix="Nothing was changed. Make it again by a command.",
        )
    if (
        kept.is_moved
        and posixpath.dirname(posixpath.dirname(kept.kept)) == f"{kept.kept.partition('/moved/')[0]}/moved"
    ):
        return Gift(kept, generation)
    if kept.is_moved:
        raise StateError(
            f"temporary files were moved together out of {shown(posixpath.dirname(kept.path)) or 'the workspace'}",
            fix="Nothing was changed. Look at them and copy what you need.",
            location=state.location(kept.kept),
        )
    return Gift(kept, generation)


def plan(root: Root | None, gift: Gift, thread: str, record: Record, on_conflict: OnConflict) -> Plan:
    """The plan that has a gift stand in the workspace again; without a change where it does already.

    WorkspaceError where something else than a directory stands above it.
    """
    path = gift.kept.path
    for above in parents(path) if root else ():
        assert root is not None
        entry = root.stat(above)
        if entry is not None and entry.kind != "directory":
            raise WorkspaceError(
                f"{article(State(entry.kind))} stands here, above what was kept",
                fix="Nothing was changed. Look at it and move it away.",
                location=shown(above),
            )
    found, after = replacing.look(root, path) if root else None, gift.state
    is_moved = gift.kept.is_moved
    is_other = found is not None and (is_moved or (found.type, found.digest) != (after.type, after.digest))
    cause: Cause = "conflict" if is_other and on_conflict == "fail" else "pending"
    reason = f"{article(found)} stands there" if is_other else f"generation {gift.generation} kept it"
    address = f"{'directory' if after.type == 'directory' else 'file'}:{path}"
    change = Change(address, "replace" if found else "create", cause, reason, found, after, keep=is_other)
    desired = recorded_as_desired(record)._replace(builds=record.builds)
    return Plan(
        thread, () if found == after and not is_moved else (change,), record, record.resources, desired, on_conflict
    )


def making(gift: Gift, state: StateStore) -> Callable[[Root, Change, Keeper, Callable[[str], None]], None]:
    """The way to make the one change of such a plan."""

    def make(root: Root, change: Change, keeper: Keeper, _: Callable[[str], None]) -> None:
        for above in parents(change.name):
            if root.stat(above) is None:
                root.mkdir(above)
        if gift.data is not None:
            replacing.write(root, change, keeper)
            return
        if change.before is not None:
            replacing.take_away(root, change, keeper)
        if gift.kept.is_moved:
            with state.place(posixpath.dirname(gift.kept.kept)) as place:
                root.move_in(place, posixpath.basename(gift.kept.kept), change.name)
        else:
            root.link(change.name, gift.kept.target)

    return make
