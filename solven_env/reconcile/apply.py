"""Effects: a plan's changes made one after the other, between a record of what is meant and one of what was done.

The record of what is meant (`Record.intended`) is written first. Whenever the process dies, the next apply tells by it
which files this one wrote, removes temporary files and goes on.

Each step is on disk before the next one begins: the record of what is meant, with the bytes of all new files under
temporary names; their names; the generation; the record. Each is one wait, however many files there are.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from typing import NamedTuple

from solven_env.errors import ConflictError, SolvenError, WorkspaceError
from solven_env.reconcile.keep import Keeper, Kept
from solven_env.reconcile.kinds import directory, kind_of, setup, state_of
from solven_env.reconcile.model import name_in
from solven_env.reconcile.ownership import AGENTS_MODE
from solven_env.reconcile.replacing import changed_meanwhile, discard, look
from solven_env.state import contents
from solven_env.state.contents import Write
from solven_env.state.records import Record, Recorded, lock_key, record_key, rendered_key
from solven_env.system.failures import shown
from solven_env.system.unsynced import Unsynced
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import Any

    from solven_env.reconcile import model
    from solven_env.reconcile.model import Change, OnConflict, Plan
    from solven_env.state.contents import StateStore
    from solven_env.workspace.root import Root


_LEFTOVERS = 8
"""Temporary files of a directory that are read: an apply leaves one. An agent may make any number of such names."""


class Applied(NamedTuple):
    """Result of an apply: its generation, what it replaced and kept, and the recorded locks that it wrote again."""

    generation: int
    kept: tuple[Kept, ...] = ()
    locks: tuple[str, ...] = ()


NOBODY: Mapping[str, str] = {}
"""For an apply of which nobody wants to know anything."""


def no_renewal(name: str) -> None:
    """For threads that have no builds."""


def by_kind(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> model.State | None:
    """Make a change as its kind does, and give the state that is there now."""
    return kind_of(change.address).apply(root, change, keeper, renew)


def let_in(plan: Plan, open_root: Callable[[], Root]) -> tuple[Change, ...]:
    """Open the directories that keep their owner out; the changes that were made. The plan is to be made again then.

    WorkspaceError for what belongs to somebody else: nothing is given rights but what is ours.
    """
    if plan.closed:
        with open_root() as root:
            for change in plan.closed:
                with _changing(change.name):
                    if change.before is None or change.before.type == "file" or not root.let_owner_in(change.name):
                        fix = "Run as the user that owns it, or give this user access."
                        raise WorkspaceError(change.reason, fix=fix, location=shown(change.name))
                    recorded = plan.base.resources.get(change.address) if plan.base else None
                    if recorded is not None and recorded.mode:
                        root.set_mode(change.name, int(recorded.mode, 8))
    return plan.closed


def refuse_conflicts(plan: Plan, look: str = "Look with diff; move") -> None:
    """Raise a `ConflictError` that names every conflict of the plan: those that the caller's choice does not settle.

    `look` begins its fix: where no profile asks for the changes, `diff` does not show them.
    """
    conflicts = [change for change in plan.changes if change.cause == "conflict"]
    if conflicts:
        listed = "; ".join(f"{change.name}: {change.reason}" for change in conflicts)
        raise ConflictError(
            f"nothing was written, since changes in the workspace would be lost ({listed})",
            fix=_fix(conflicts, plan.on_conflict, look),
            location=plan.thread,
            changes=plan.changes,
            generation=plan.base.generation if plan.base else 0,
        )


def _fix(conflicts: Sequence[Change], chosen: OnConflict, look: str) -> str:
    """Words that say what each other choice would do about these conflicts."""
    told = f"{look} them away, or use --on-conflict overwrite, which keeps them first"
    words = {"keep": "leaves the workspace's version", "merge": "takes the lines of both"}
    others = [choice for choice in words if choice != chosen and all(choice in each.choices for each in conflicts)]
    return f"{told}{''.join(f', or {choice}, which {words[choice]}' for choice in others)}."


def refuse_closed(plan: Plan) -> None:
    """Raise a WorkspaceError for a directory that keeps its owner out: nothing is known of what is beneath it."""
    for change in plan.closed:
        raise WorkspaceError(change.reason, fix="Open it, and plan again.", location=shown(change.name))


def apply(
    plan: Plan,
    open_root: Callable[[], Root],
    state: StateStore,
    fresh: Record | None = None,
    renew: Callable[[str], None] = no_renewal,
    about: Mapping[str, str] = NOBODY,
    added: Mapping[str, Any] = NOBODY,
    make: Callable[[Root, Change, Keeper, Callable[[str], None]], model.State | None] = by_kind,
) -> Applied:
    """Make the plan's changes, conflicts too, and record them. The caller holds the thread's lock.

    Nothing at all is written where nothing changes and none of what the record names was lost. `fresh` is the record
    that a new thread begins with, and whose `uid` is recorded of any. `renew` has the thread begin anew with a build of
    that name.
    `about` is what the generation says of this apply (`Record.about`), and `added` what the thread has over its builds.
    `make` makes one change.
    """
    made = [change for change in plan.changes if kind_of(change.address).LIES != "sandbox"]
    is_noop = not made and plan.is_recorded  # the record names all that it needs already
    with nullcontext() if is_noop else state.sharing():
        return _apply(plan, open_root, state, fresh, renew, about, added, make, is_noop=is_noop)


def _apply(
    plan: Plan,
    open_root: Callable[[], Root],
    state: StateStore,
    fresh: Record | None,
    renew: Callable[[str], None],
    about: Mapping[str, str],
    added: Mapping[str, Any],
    make: Callable[[Root, Change, Keeper, Callable[[str], None]], model.State | None],
    *,
    is_noop: bool,
) -> Applied:
    fresh = fresh or Record(incarnation=os.urandom(16).hex())
    base = (plan.base or fresh)._replace(uid=fresh.uid)
    refuse_closed(plan)
    key = record_key(plan.thread)
    locks = {lock_key(digest): text for digest, text in plan.desired.locks.items()}
    lost = [
        Write(name, text, contents.ANY)
        for name, text in locks.items()
        if not state.holds(name, text, renew=not is_noop)
    ]
    written = {each.key for each in lost}
    again = tuple(name for name, build in base.builds.items() if lock_key(build["lock"]) in written)
    lost += contents.lacking(state, _bytes(plan), renew=not is_noop)
    if is_noop:
        state.write(lost)
        now = base._replace(added=added, setup=setup.left(plan))
        if now != plan.base:
            contents.put(state, key, now.dump())
        return Applied(base.generation, locks=again)
    generation = _unused(state, plan.thread, base.generation + 1)
    intended = base._replace(intended=_intended(base, plan)).dump()
    names = Unsynced()
    # Its name is on disk before anything in the workspace has one: one wait with the workspace's new files.
    state.write(
        lost,
        [Write(key, intended, None if plan.base is None else contents.ANY)],
        unsynced=names,
    )
    with open_root() as root:
        root.unsynced.take(names)
        keeper = Keeper(root, state, plan.thread, generation)
        with _changing(plan.thread):
            _prepare(root, keeper, plan)
        entries = dict(plan.entries)
        try:
            for change, is_first in _with_first_file(plan):
                state.check_held(plan.thread)
                if is_first:
                    root.stage_all(_files(plan))
                if is_first or change.before is not None:
                    root.wait()
                with _changing(change.name):
                    _note_mode(entries, change, make(root, change, keeper, renew))
        except BaseException:
            _discard(root, keeper, plan)
            raise
        _note_modes(entries, root)
        root.add_names()
        done = Record(
            incarnation=base.incarnation,
            generation=generation,
            profile=plan.desired.profile,
            inputs=plan.desired.inputs,
            settings=plan.desired.settings,
            resources=entries,
            builds=plan.desired.builds,
            uid=base.uid,
            added=added,
            setup=setup.left(plan),
        )
        told = {**about, "kept": [each._asdict() for each in keeper.kept]}
        state.write(
            # Never replaced: of two hosts that write one generation's, one alone goes on.
            [Write(_generation_key(plan.thread, generation), done._replace(about=told).dump(), None)],
            [Write(key, done.dump(), hashlib.sha256(intended).hexdigest())],
            unsynced=root.unsynced,
        )
        root.wait()
    return Applied(generation, keeper.kept, again)


def _bytes(plan: Plan) -> dict[str, bytes]:
    """The bytes that the plan renders, merges or was told to keep, by their keys."""
    rendered = {each.digest: each.data for each in plan.desired.states.values() if each.data is not None}
    merged = {change.after.digest: change.after.data for change in plan.changes if change.after and change.after.data}
    return {rendered_key(digest): data for digest, data in {**rendered, **plan.kept, **merged}.items()}


def _files(plan: Plan) -> dict[str, tuple[bytes, int]]:
    """Bytes and mode of each file that the plan writes, by its place."""
    return {
        change.place: (change.after.data, int(change.after.mode, 8))
        for change in plan.changes
        if change.after is not None and change.after.type == "file" and change.after.data is not None
    }


def _with_first_file(plan: Plan) -> Iterator[tuple[Change, bool]]:
    """The changes in order, and whether it is the first that writes a file: directories are made before."""
    files = _files(plan)
    first = next((change for change in plan.changes if change.place in files), None)
    return ((change, change is first) for change in plan.changes)


def _discard(root: Root, keeper: Keeper, plan: Plan) -> None:
    """Remove the files that were written beside their places and did not come there: an error is on its way."""
    staged = root.not_published()
    for change in plan.changes:
        if change.place in staged and change.after is not None and change.after.data is not None:
            with suppress(SolvenError, OSError):  # the next apply removes them
                discard(root, change, staged[change.place], change.after.data, keeper)


def _unused(state: StateStore, thread: str, number: int) -> int:
    """First number from this one that no generation has: an apply may have died between its two records."""
    while state.has(_generation_key(thread, number)):
        number += 1
    return number


def _generation_key(thread: str, generation: int) -> str:
    return f"threads/{thread}/generations/{generation}/record.json"


def _left(plan: Plan) -> dict[str, Recorded]:
    """The entries of what a plan may leave: with the digest of what is written in the place of a rendering."""
    left = dict(plan.entries)
    for change in plan.changes:
        before = left.get(change.address) or (plan.base.resources.get(change.address) if plan.base else None)
        if change.after is not None and change.after.type == "file" and before is not None and before.digest:
            left[change.address] = before._replace(
                kept="" if change.after.digest == before.digest else change.after.digest
            )
    return left


def _intended(base: Record, plan: Plan) -> dict[str, tuple[Recorded, ...]]:
    """All that applies may leave that did not end, this one too; and the names where it changes what nobody records."""
    recorded = (change.address for change in plan.changes if kind_of(change.address).IS_RECORDED)
    return {**dict.fromkeys(recorded, ()), **_also(base.intended or {}, _left(plan))}


def _also(
    intended: Mapping[str, tuple[Recorded, ...]], entries: Mapping[str, Recorded]
) -> dict[str, tuple[Recorded, ...]]:
    """All that this apply and interrupted ones may leave: each of those may have come as far as writing it."""
    both = {**intended, **{address: (*intended.get(address, ()), entry) for address, entry in entries.items()}}
    return {address: tuple(dict.fromkeys(versions)) for address, versions in both.items()}


@contextmanager
def _changing(name: str) -> Iterator[None]:
    """Turn an OSError from the workspace's root into a ConflictError: a name came or went since the plan was made."""
    try:
        yield
    except OSError as error:
        raise changed_meanwhile(name) from error


def _prepare(root: Root, keeper: Keeper, plan: Plan) -> None:
    """Adopt the workspace, clear up after an interrupted apply, and keep all that is to be replaced.

    This comes before the first change: what cannot be kept is found out while the workspace is untouched.
    """
    if (plan.base is None or plan.base.generation == 0) and not root.is_new:
        root.adopt()
    if os.geteuid() != 0:  # whom no mode keeps out
        ours = (change for change in plan.changes if kind_of(change.address).LIES == "workspace")
        for above in sorted({posixpath.dirname(change.place).strip("/") for change in ours}):
            if above and root.closed_directory(f"{above}/x") is None:
                # Nothing may be there, or a link in its place: it is the changes that tell what cannot be done.
                with suppress(OSError, WorkspaceError):
                    root.let_owner_in(above)
    if plan.is_interrupted:
        _clear(root, keeper, plan)
    keeper.copy(change.place for change in plan.changes if change.keep)


def _note_mode(entries: dict[str, Recorded], change: Change, left: model.State | None) -> None:
    """Note in the record where the storage keeps no modes: else every look would find a difference."""
    entry = entries.get(change.address)
    if entry is not None and entry.own not in AGENTS_MODE and change.after and change.after.mode and left:
        kept = change.after.mode if left.mode == change.after.mode else ""
        entries[change.address] = entry._replace(mode=kept)


def _note_modes(entries: dict[str, Recorded], root: Root) -> None:
    """Note the modes of directories that an earlier release recorded without, where they are as it left them."""
    for address, entry in entries.items():
        if entry.kind == "directory" and not entry.mode and address != directory.WORKSPACE:
            found = root.stat(name_in(address))
            if found is not None and f"{found.mode:04o}" == directory.MADE.mode:
                entries[address] = entry._replace(mode=directory.MADE.mode)


def _clear(root: Root, keeper: Keeper, plan: Plan) -> None:
    """Remove what an interrupted apply left under temporary names; what is not known to be ours is moved aside."""
    assert plan.base is not None
    intended = plan.base.intended or {}
    entries = [*plan.entries.values(), *plan.base.resources.values(), *chain.from_iterable(intended.values())]
    ours = {digest for entry in entries for digest in (entry.digest, entry.kept) if digest}
    names = {name_in(each) for each in (*plan.entries, *plan.desired.states, *plan.base.resources, *intended)}
    names |= plan.places
    for above in sorted({posixpath.dirname(name) for name in names - {"/"}}):
        found = root.temporaries(above)
        leftovers = [name for name in found[:_LEFTOVERS] if _is_leftover(root, keeper, above, name, ours)]
        for name in leftovers:
            root.remove(posixpath.join(above, name))
        keeper.sweep(above, [name for name in found if name not in leftovers])
    for address, entry in plan.entries.items():
        if state_of(entry).type == "directory":
            root.adopt_directory(name_in(address).strip("/"))


def _is_leftover(root: Root, keeper: Keeper, above: str, name: str, ours: Collection[str]) -> bool:
    """True if nothing is lost with a temporary file: its bytes are ours, none at all, or kept already."""
    found = look(root, posixpath.join(above, name))
    if found is None or found.type != "file":
        return False
    return found.digest in ours or not found.size or keeper.has(found.digest)
