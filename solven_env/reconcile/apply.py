"""Effects: a plan's changes made one after the other, between a record of what is meant and one of what was done.

The record of what is meant (`Record.intended`) is written first. Whenever the process dies, the next apply tells by it
which files this one wrote, removes temporary files and goes on.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from solven_env.errors import ConflictError
from solven_env.reconcile.keep import Keeper, Kept
from solven_env.reconcile.model import SETTINGS, Observed
from solven_env.reconcile.resources import KINDS, file
from solven_env.reconcile.trees import remove_tree
from solven_env.state.records import Entry, Record, record_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from solven_env.reconcile.model import Change, Plan
    from solven_env.reconcile.model import State as ResourceState
    from solven_env.state import State
    from solven_env.workspace.root import Root


@dataclass(frozen=True)
class Outcome:
    """What an apply left: its generation, and what it replaced and kept."""

    generation: int
    kept: tuple[Kept, ...] = ()


def observe(root: Root | None, addresses: Iterable[str]) -> Observed:
    """What stands at the addresses; nothing at all where there is no workspace."""
    states: dict[str, ResourceState] = {}
    children: dict[str, tuple[str, ...]] = {}
    for address in addresses if root else ():
        assert root is not None
        kind, _, name = address.partition(":")
        state = KINDS[kind].observe(root, name)
        if state is not None:
            states[address] = state
        if kind == "directory" and name != "/" and state is not None and state.type == "directory":
            children[name] = root.list(name)
    return Observed(states, children)


def refuse_conflicts(plan: Plan) -> None:
    """Raise a `ConflictError` that names every conflict of the plan."""
    conflicts = [change for change in plan.changes if change.cause == "conflict"]
    if conflicts:
        listed = "; ".join(f"{change.name}: {change.reason}" for change in conflicts)
        raise ConflictError(
            f"nothing was written, since changes in the workspace would be lost ({listed})",
            fix="Look with diff; move them away, or apply with --on-conflict overwrite, which keeps them first.",
            location=plan.thread,
            changes=plan.changes,
        )


def apply(plan: Plan, open_root: Callable[[], Root], state: State) -> Outcome:
    """Make the plan's changes, conflicts too, and record them. The caller holds the thread's lock.

    Nothing at all is written where nothing changes.
    """
    if not plan.changes and plan.is_recorded:
        assert plan.base is not None
        return Outcome(plan.base.generation)
    base = plan.base or Record(incarnation=os.urandom(16).hex())
    generation = base.generation + 1
    key = record_key(plan.thread)
    _put(state, key, replace(base, intended=_also(base.intended or {}, plan.entries)))
    with open_root() as root:
        if base.generation == 0:
            root.adopt()
        keeper = Keeper(root, state, plan.thread, generation)
        if plan.is_interrupted:
            _clear(root, keeper, plan)
        entries = dict(plan.entries)
        for change in plan.changes:
            if change.address != SETTINGS:
                _note_mode(entries, change, KINDS[change.kind].apply(root, change, keeper))
    done = Record(
        incarnation=base.incarnation,
        generation=generation,
        profile=plan.desired.profile,
        inputs=plan.desired.inputs,
        settings=plan.desired.settings,
        resources=entries,
    )
    # One that an apply left which died right after is replaced.
    _put(state, f"threads/{plan.thread}/generations/{generation}/record.json", done)
    _put(state, key, done)
    return Outcome(generation, tuple(keeper.kept))


def _also(intended: Mapping[str, tuple[Entry, ...]], entries: Mapping[str, Entry]) -> dict[str, tuple[Entry, ...]]:
    """What is meant now beside what interrupted applies meant: each may have come as far as writing it."""
    return {
        address: (*intended.get(address, ()), *((entries[address],) if address in entries else ()))
        for address in {**intended, **entries}
    }


def _note_mode(entries: dict[str, Entry], change: Change, found: ResourceState | None) -> None:
    """Where the storage kept no mode, the record says so: else every look would find a difference."""
    wanted = change.after
    if wanted and found and wanted.type == "file" and found.digest == wanted.digest and found.mode != wanted.mode:
        entries[change.address] = replace(entries[change.address], mode="")


def _clear(root: Root, keeper: Keeper, plan: Plan) -> None:
    """Remove what an interrupted apply left under temporary names; what is not known to be ours is kept first."""
    base = plan.base
    assert base is not None
    entries = [*plan.entries.items(), *base.resources.items()]
    entries += [(address, entry) for address, versions in (base.intended or {}).items() for entry in versions]
    ours = {entry.digest for _, entry in entries if entry.digest}
    paths = {address.partition(":")[2] for address, entry in entries if entry.kind == "file"}
    for directory in sorted({posixpath.dirname(path) for path in paths}):
        for path in root.temporaries(directory):
            found = file.observe(root, path)
            is_known = found is None or found.digest in ours or (found.type == "file" and not found.size)
            if found and not is_known and not (found.type == "file" and keeper.has(found.digest)):
                keeper.keep(path)
            remove_tree(root, path)


def _put(state: State, key: str, record: Record) -> None:
    stored = state.get(key)
    if stored is None:
        state.create(key, record.dump())
    else:
        state.compare_and_swap(key, record.dump(), stored.version)
