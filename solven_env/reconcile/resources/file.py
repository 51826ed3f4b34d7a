"""Files whose bytes the profile says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from solven_env.errors import ConflictError, ExchangeUnsupportedError
from solven_env.reconcile.model import State
from solven_env.reconcile.trees import remove_tree
from solven_env.workspace.root import READ_LIMIT

if TYPE_CHECKING:
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Change
    from solven_env.workspace.root import Root


def observe(root: Root, name: str) -> State | None:
    """What stands at `name`, with a file's bytes. A file too large to be ours is told by its size alone."""
    try:
        entry = root.stat(name)
        if entry is None:
            return None
        mode = f"{entry.mode:04o}"
        if entry.kind == "file" and entry.size > READ_LIMIT:
            return State("file", f"size:{entry.size}", mode, entry.size)
        if entry.kind == "file":
            data = root.read(name)
            return State("file", _digest(data), mode, len(data), data)
        if entry.kind == "symlink":
            return State("symlink", _digest(root.read_link(name).encode(errors="surrogateescape")))
        return State(entry.kind)
    except FileNotFoundError:
        return None  # gone between two looks


def apply(root: Root, change: Change, keeper: Keeper) -> State | None:
    """Write, replace or remove the file; what stands there then."""
    if change.keep:
        keeper.keep(change.name)
    if change.after is None:
        take_away(root, change, keeper)
        return None
    assert change.after.data is not None
    staged = root.stage(change.name, change.after.data, int(change.after.mode, 8))
    try:
        _put(root, change, staged, keeper)
    except BaseException:
        _discard(root, staged, change)
        raise
    return observe(root, change.name)


def take_away(root: Root, change: Change, keeper: Keeper) -> None:
    """Remove what stands in the change's place, if it still is what the plan saw; it is looked at once it is ours."""
    try:
        aside = root.set_aside(change.name)
    except FileNotFoundError:
        return
    if not _is_expected(root, change, aside):
        root.publish(aside, change.name)
        raise changed_meanwhile(change)
    _dispose(root, change, aside, keeper)


def changed_meanwhile(change: Change) -> ConflictError:
    """Something else stands there than when the plan was made."""
    return ConflictError(
        "the workspace changed while apply ran",
        fix="Run apply again: it finishes what was begun.",
        location=change.name,
    )


def _put(root: Root, change: Change, staged: str, keeper: Keeper) -> None:
    if change.before is not None:
        try:
            root.exchange(staged, change.name)
        except ExchangeUnsupportedError:
            take_away(root, change, keeper)  # a bucket's mount: for a moment nothing is there
        except FileNotFoundError:
            pass  # removed meanwhile: nothing is there to be lost
        else:
            if not _is_expected(root, change, staged):
                root.exchange(staged, change.name)
                raise changed_meanwhile(change)
            _dispose(root, change, staged, keeper)
            return
    try:
        root.publish(staged, change.name)
    except FileExistsError:
        raise changed_meanwhile(change) from None


def _is_expected(root: Root, change: Change, aside: str) -> bool:
    return observe(root, aside) == change.before


def _dispose(root: Root, change: Change, aside: str, keeper: Keeper) -> None:
    if change.before and change.before.type == "directory":
        keeper.keep(change.name, aside)  # the agent may have added to it until it was ours
    remove_tree(root, aside)


def _discard(root: Root, staged: str, change: Change) -> None:
    """Remove a staged file after a failure, unless an exchange left something else under its name."""
    found = observe(root, staged)
    if found is not None and change.after is not None and found.digest == change.after.digest:
        root.remove(staged)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
