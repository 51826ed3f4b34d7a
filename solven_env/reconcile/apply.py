"""Effects: a plan's changes made one after the other, between a record of what is meant and one of what was done.

The record of what is meant (`Record.intended`) is written first. Whenever the process dies, the next apply tells by it
which files this one wrote, removes temporary files and goes on.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager, suppress
from itertools import chain

from solven_env.errors import ConflictError, WorkspaceError
from solven_env.reconcile.keep import Keeper, Kept
from solven_env.reconcile.kinds import KINDS, file
from solven_env.reconcile.kinds.file import changed_meanwhile
from solven_env.reconcile.model import BUILD, CLOSED, DIRECTORY, WORKSPACE, Closed, Observed
from solven_env.reconcile.model import State as ResourceState
from solven_env.state import contents
from solven_env.state.records import Entry, Record, lock_key, record_key
from solven_env.system.failures import shown
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import is_temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from solven_env.reconcile.model import Change, Plan
    from solven_env.state import State
    from solven_env.workspace.root import Root


_LEFTOVERS = 8
"""How many temporary files of a directory are read: an apply leaves one. An agent may make any number of such names."""


class Outcome(NamedTuple):
    """What an apply left: its generation, what it replaced and kept, and the recorded locks that it wrote again."""

    generation: int
    kept: tuple[Kept, ...] = ()
    locks: tuple[str, ...] = ()


def observe(root: Root | None, addresses: Iterable[str], dropped: Collection[str]) -> Observed:
    """What stands at the addresses, and what is in the directories among them that are `dropped`; nothing at all where
    there is no workspace.
    """
    states: dict[str, ResourceState] = {}
    children: dict[str, tuple[str, ...]] = {}
    closed: dict[str, Closed] = {}
    for address in addresses if root else ():
        assert root is not None
        kind, _, name = address.partition(":")
        if kind == BUILD:
            continue  # the store's, not the workspace's
        try:
            state = KINDS[kind].observe(root, name)
            if state is not None:
                states[address] = state
            if address in dropped and state == DIRECTORY:
                children[name] = _children(root, name)
        except WorkspaceError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            closed.update([_closed(root, address)])
    return Observed(states, children, closed)


def let_in(plan: Plan, open_root: Callable[[], Root]) -> tuple[Change, ...]:
    """Open the directories that keep their owner out; the changes that were made. The plan is to be made again then.

    WorkspaceError for what belongs to somebody else: nothing is given rights but what is ours.
    """
    if plan.closed:
        with open_root() as root:
            for change in plan.closed:
                with _changing(change.name):
                    if change.kind == "file" or not root.let_owner_in(change.name):
                        fix = "Run as the user that owns it, or give this user access."
                        raise WorkspaceError(change.reason, fix=fix, location=shown(change.name))
    return plan.closed


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
            generation=plan.base.generation if plan.base else 0,
        )


def apply(plan: Plan, open_root: Callable[[], Root], state: State, fresh: Record | None = None) -> Outcome:
    """Make the plan's changes, conflicts too, and record them. The caller holds the thread's lock.

    Nothing at all is written where nothing changes and no text of a lock was lost. `fresh` is the record that a new
    thread begins with, and whose `uid` is recorded of any.
    """
    fresh = fresh or Record(incarnation=os.urandom(16).hex())
    base = (plan.base or fresh)._replace(uid=fresh.uid)
    for change in plan.closed:  # nothing is known of what is beneath it
        raise WorkspaceError(change.reason, fix="Open it, and plan again.", location=shown(change.name))
    key = record_key(plan.thread)
    written = {digest for digest, text in plan.desired.locks.items() if contents.keep(state, lock_key(digest), text)}
    again = tuple(kind for kind, build in base.builds.items() if build["lock"] in written)
    if not plan.changes and plan.is_recorded:
        if base != plan.base:
            contents.put(state, key, base.dump())
        return Outcome(base.generation, locks=again)
    generation = _unused(state, plan.thread, base.generation + 1)
    contents.put(state, key, base._replace(intended=_also(base.intended or {}, plan.entries)).dump())
    with open_root() as root:
        keeper = Keeper(root, state, plan.thread, generation)
        with _changing(plan.thread):
            _prepare(root, keeper, plan)
        entries = dict(plan.entries)
        for change in plan.changes:
            state.check_held(plan.thread)
            if change.kind in KINDS:  # settings are recorded, and builds were made before
                with _changing(change.name):
                    _note_mode(entries, change, KINDS[change.kind].apply(root, change, keeper))
        root.sync()
    done = Record(
        incarnation=base.incarnation,
        generation=generation,
        profile=plan.desired.profile,
        inputs=plan.desired.inputs,
        settings=plan.desired.settings,
        resources=entries,
        builds=plan.desired.builds,
        uid=base.uid,
    )
    # Never replaced: of two hosts that write one generation's, one alone goes on.
    state.create(_generation_key(plan.thread, generation), done.dump())
    contents.put(state, key, done.dump())
    return Outcome(generation, keeper.kept, again)


def _closed(root: Root, address: str) -> tuple[str, Closed]:
    """What keeps us from looking at an address, by its own address: a directory on the way, or what stands there."""
    name = address.partition(":")[2]
    directory = root.closed_directory(name)
    if directory is not None:
        address, name = f"directory:{directory}", directory
    entry = root.stat(name)
    assert entry is not None
    state = ResourceState("file" if entry.kind == "file" else "directory", CLOSED, f"{entry.mode:04o}")
    if root.is_ours(name):
        return address, Closed(state, f"its mode {state.mode} keeps its owner out, whom apply lets in again")
    return address, Closed(state, "it belongs to another user and may not be read")


def _unused(state: State, thread: str, number: int) -> int:
    """The first number from this one that no generation has: an apply may have died between its two records."""
    while state.get(_generation_key(thread, number)) is not None:
        number += 1
    return number


def _generation_key(thread: str, generation: int) -> str:
    return f"threads/{thread}/generations/{generation}/record.json"


def _children(root: Root, directory: str) -> tuple[str, ...]:
    """The names in a directory, without those that an interrupted apply left and the next one removes."""
    try:
        return tuple(name for name in root.list(directory) if not is_temporary(name))
    except FileNotFoundError:
        return ()


def _also(intended: Mapping[str, tuple[Entry, ...]], entries: Mapping[str, Entry]) -> dict[str, tuple[Entry, ...]]:
    """What is meant now beside what interrupted applies meant: each may have come as far as writing it."""
    both = {**intended, **{address: (*intended.get(address, ()), entry) for address, entry in entries.items()}}
    return {address: tuple(dict.fromkeys(versions)) for address, versions in both.items()}


@contextmanager
def _changing(name: str) -> Iterator[None]:
    """Tell of the workspace what its root leaves to its caller: a name that came or went since the plan was made."""
    try:
        yield
    except OSError as error:
        raise changed_meanwhile(name) from error


def _prepare(root: Root, keeper: Keeper, plan: Plan) -> None:
    """Before the first change: adopt, clear up after an interrupted apply, and keep all that is to be replaced.

    What cannot be kept is thus found out while the workspace is still untouched.
    """
    if plan.base is None or plan.base.generation == 0:
        root.adopt()
    if os.geteuid() != 0:  # whom no mode keeps out
        for directory in sorted(
            {posixpath.dirname(change.name).strip("/") for change in plan.changes if change.kind in KINDS}
        ):
            if directory and root.closed_directory(f"{directory}/x") is None:
                # Nothing may be there, or a link in its place: it is the changes that tell what cannot be done.
                with suppress(OSError, WorkspaceError):
                    root.let_owner_in(directory)
    if plan.is_interrupted:
        _clear(root, keeper, plan)
    keeper.copy(change.name for change in plan.changes if change.keep)


def _note_mode(entries: dict[str, Entry], change: Change, left: ResourceState | None) -> None:
    """Where the storage keeps no modes, the record says so: else every look would find a difference."""
    if change.after and left and left.type == "file":
        kept = change.after.mode if left.mode == change.after.mode else ""
        entries[change.address] = entries[change.address]._replace(mode=kept)


def _clear(root: Root, keeper: Keeper, plan: Plan) -> None:
    """Remove what an interrupted apply left under temporary names; what is not known to be ours is moved aside."""
    assert plan.base is not None
    intended = plan.base.intended or {}
    entries = [*plan.entries.values(), *plan.base.resources.values(), *chain.from_iterable(intended.values())]
    ours = {entry.digest for entry in entries if entry.digest}
    addresses = {*plan.entries, *plan.desired.states, *plan.base.resources, *intended} - {WORKSPACE}
    for directory in sorted({posixpath.dirname(address.partition(":")[2]) for address in addresses}):
        names = root.temporaries(directory)
        leftovers = [name for name in names[:_LEFTOVERS] if _is_leftover(root, keeper, directory, name, ours)]
        for name in leftovers:
            root.remove(posixpath.join(directory, name))
        keeper.sweep(directory, [name for name in names if name not in leftovers])
    for address, entry in plan.entries.items():
        if entry.kind == "directory":
            root.adopt_directory(address.partition(":")[2].strip("/"))


def _is_leftover(root: Root, keeper: Keeper, directory: str, name: str, ours: Collection[str]) -> bool:
    """Whether nothing is lost with a temporary file: bytes of ours, none at all, or such as are kept already."""
    found = file.observe(root, posixpath.join(directory, name))
    if found is None or found.type != "file":
        return False
    return found.digest in ours or not found.size or keeper.has(found.digest)
