"""The planner: desired, observed and recorded states in, ordered changes out. Pure; there is no other."""

from __future__ import annotations

from typing import Any

from solven_env.reconcile.compare import judge, same, same_bytes
from solven_env.reconcile.model import (
    DIRECTORY,
    FILLED,
    MOUNT,
    PLACE,
    SETTINGS,
    WORKSPACE,
    Change,
    Desired,
    Plan,
    State,
)
from solven_env.state.records import Entry
from solven_env.system.failures import shown
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from solven_env.reconcile.model import Action, Cause, Observed, Type
    from solven_env.state.records import Record

_TYPES: Mapping[str, Type] = {"directory": "directory", "file": "file", "build": "build"}
"""What stands where a record has an entry of each kind."""

_NAMED = 3

_LOST = "commands removed what it cannot do without"


def addresses(desired: Desired, record: Record | None) -> tuple[str, ...]:
    """What has to be observed before `plan` can be called."""
    recorded = {**record.resources, **(record.intended or {})} if record else {}
    return tuple(sorted({*desired.states, *recorded}))


def dropped(desired: Desired, record: Record | None) -> frozenset[str]:
    """The directories among these that may have to go: what is in them has to be observed too."""
    return (
        frozenset(address for address in addresses(desired, record) if address.startswith("directory:"))
        - desired.states.keys()
    )


def plan(thread: str, desired: Desired, observed: Observed, record: Record | None) -> Plan:
    """What has to be done, in this order: remove files, remove directories, make directories, write files, settings."""
    seen = {address: _look(address, desired, observed, record) for address in addresses(desired, record)}
    changed = changed_settings(record, desired)
    known = {address: each for address, each in seen.items() if not _is_closed(address, observed)}
    removals = list(_removals(desired, observed, known))
    additions = _additions(desired, known, {change.name for change in removals}, changed)
    entries = _entries(desired, seen, additions)
    changes = (*_openings(observed), *removals, *additions)
    computed = Plan(thread=thread, changes=changes, base=record, entries=entries, desired=desired)
    return computed._replace(changes=(*changes, *_settings(computed, changed)))


def _is_closed(address: str, observed: Observed) -> bool:
    """Whether it is not known what stands at an address, since it or a directory above it keeps us out."""
    name = address.partition(":")[2]
    return any(address == each or name.startswith(f"{each.partition(':')[2]}/") for each in observed.closed)


def _openings(observed: Observed) -> Iterator[Change]:
    """What keeps us out, to be opened before anything else: a line each, however much is beneath it."""
    for address, (state, reason) in sorted(observed.closed.items()):
        yield Change(address, "replace", "drift", reason, state, State(state.type))


class _Seen(NamedTuple):
    """What stands at an address, what the last whole apply left there, and what interrupted ones may have left."""

    address: str
    observed: State | None
    last: State | None
    intended: tuple[State, ...]

    @property
    def recorded(self) -> State | None:
        """What we left there: of all that we may have left, what the workspace shows."""
        for state in self._left:
            if same(state, self.observed, state):
                return state
        # Bytes of an interrupted apply, which never came to note whether the storage keeps modes.
        is_ours = any(same_bytes(state, self.observed) for state in self.intended)
        return self.observed if is_ours else self.last

    @property
    def is_ours(self) -> bool:
        """Whether what stands there is what we left, mode and all."""
        return any(same(state, self.observed, state) for state in self._left)

    @property
    def _left(self) -> tuple[State, ...]:
        return (*self.intended, *((self.last,) if self.last else ()))


def _look(address: str, desired: Desired, observed: Observed, record: Record | None) -> _Seen:
    if address.startswith(f"{MOUNT}:"):  # none is recorded
        is_new = record is None or record.generation == 0 or address in desired.hiding
        wanted = desired.states[address]
        found = _at_mount_point(wanted, observed.states.get(address), is_hidden_anew=address in desired.hiding)
        return _Seen(address, found, None if is_new else wanted, ())
    last = record.resources.get(address) if record else None
    intended = (record.intended or {}).get(address, ()) if record else ()
    return _Seen(address, observed.states.get(address), _state(last) if last else None, tuple(map(_state, intended)))


def _at_mount_point(wanted: State, found: State | None, *, is_hidden_anew: bool) -> State | None:
    """What stands at a mount point, or `wanted` where that is as good: the sandbox makes directories that are missing,
    and what a command wrote where something is mounted already is its own business.
    """
    if wanted == DIRECTORY:
        is_good = found is None or (found == FILLED and not is_hidden_anew)
    else:
        is_good = found is not None and found.type == "file" and not (found.size and is_hidden_anew)
    return wanted if is_good else found


def recorded_as_desired(record: Record) -> Desired:
    """What the last apply left, as if a profile asked for it: planning it shows drift alone."""
    return Desired(
        profile=record.profile,
        inputs=record.inputs,
        settings=record.settings,
        states={address: _state(entry) for address, entry in record.resources.items()},
        own={address: entry.own for address, entry in record.resources.items() if entry.kind == "file"},
    )


def changed_settings(record: Record | None, desired: Desired) -> tuple[str, ...]:
    """The dotted names of what a record and a profile say differently: `env.MPLBACKEND`, `limits.memory`."""
    if record is None or not record.generation:
        return ()
    about = ("name", "release")
    before = {**record.settings, **{key: record.profile.get(key) for key in about}, "inputs": record.inputs}
    after = {**desired.settings, **{key: desired.profile.get(key) for key in about}, "inputs": desired.inputs}
    return tuple(_differences(before, after, ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"


def _state(entry: Entry) -> State:
    return State(_TYPES[entry.kind], entry.digest, entry.mode)


def _removals(desired: Desired, observed: Observed, seen: Mapping[str, _Seen]) -> Iterator[Change]:
    dropped = [each for address, each in seen.items() if address not in desired.states and each.recorded]
    gone = set()
    for each in (each for each in dropped if each.address.startswith("file:")):
        path = each.address.partition(":")[2]
        if each.observed == DIRECTORY and f"directory:{path}" in desired.states:
            continue  # the profile wants a directory there now, and the agent made one
        cause = judge(None, each.observed, each.recorded)
        if cause:
            gone.add(path)
            yield _change(each, cause, None, each.observed, ())
    for each in sorted(dropped, key=lambda each: each.address, reverse=True):
        kind, _, path = each.address.partition(":")
        left = {f"{path}/{name}" for name in observed.children.get(path, ())} - gone
        if kind == "directory" and each.observed == each.recorded and not left:
            gone.add(path)
            yield _change(each, "pending", None, each.observed, ())


def _additions(
    desired: Desired, seen: Mapping[str, _Seen], gone: Collection[str], changed: tuple[str, ...]
) -> list[Change]:
    additions = []
    for address, wanted in desired.states.items():
        if address not in seen:
            continue  # closed
        each = seen[address]
        # What is removed first stands in nobody's way: a file becomes a directory, or the other way round.
        found = None if address.partition(":")[2] in gone else each.observed
        is_edited = desired.own.get(address) == "keys" and found is not None and found.type == "file"
        if is_edited and same(wanted, each.recorded, each.recorded):
            continue  # `uv add` and `bun add` edit these; until keys are merged an edit stays as it is
        cause = judge(wanted, found, each.recorded)
        if cause and wanted.type == "build" and wanted != each.recorded:
            cause = "pending"  # only the wanted build was looked for on this host; the recorded one may well be there
        if cause:
            additions.append(_change(each, cause, wanted, found, changed))
    return sorted(additions, key=lambda change: (change.kind, change.address != WORKSPACE, change.name))


def _change(each: _Seen, cause: Cause, desired: State | None, found: State | None, changed: tuple[str, ...]) -> Change:
    action: Action = "create" if found is None else "remove" if desired is None else "replace"
    reason = _reason(cause, desired, found, each.recorded, changed)
    is_foreign = found is not None and found.type != "build" and not each.is_ours
    return Change(each.address, action, cause, reason, found, desired, keep=is_foreign)


def _reason(
    cause: Cause, desired: State | None, observed: State | None, recorded: State | None, changed: tuple[str, ...]
) -> str:
    if cause == "conflict":
        if observed is not None and observed == FILLED:
            return f"{_listed(observed.names)} in it would be hidden by what is mounted there"
        if observed is not None and observed.type == "file" and desired == PLACE:
            return f"its {observed.size:,} bytes would be hidden by what is mounted there"
        if recorded is None:
            return f"{_article(observed)} that solven-env did not write stands there"
        if desired is None:
            return "the profile drops it, and the workspace changed it"
        return "the profile and the workspace both changed it"
    if cause == "drift":
        if observed is None:
            is_build = desired is not None and desired.type == "build"
            return "this host does not have it" if is_build else "it is missing from the workspace"
        if observed.type == "build":
            return _LOST
        if observed.type != "file" or (desired and desired.type != "file"):
            return f"{_article(observed)} stands in its place"
        same_bytes = recorded is not None and observed.digest == recorded.digest
        return "the workspace changed its mode" if same_bytes else "the workspace changed it"
    if desired is None:
        return "the profile no longer asks for it"
    if recorded is None:
        return "the profile asks for it"
    if observed is not None and observed.type == "build":
        return f"the profile asks for it, and {_LOST}"
    return f"the profile changed {', '.join(changed)}" if changed else "the profile changed it"


def _listed(names: Sequence[str]) -> str:
    """The first names in a directory, and how many more there are."""
    told = [shown(name) for name in names[:_NAMED]]
    more = len(names) - len(told)
    return f"{', '.join(told)} and {more:,} more" if more else ", ".join(told) or "whatever is"


def _article(state: State | None) -> str:
    words = {"file": "a file", "directory": "a directory", "symlink": "a symbolic link"}
    return words.get(state.type, "something that is no file") if state else "nothing"


def _settings(computed: Plan, changed: tuple[str, ...]) -> Iterator[Change]:
    """The change of the settings, which stands for all that is recorded and makes no other change."""
    state = State("settings")
    if computed.base is None or not computed.base.generation:
        yield Change(SETTINGS, "create", "pending", "the profile asks for it", None, state)
    elif changed or not (computed.changes or computed.says_the_same):
        what = f" {', '.join(changed)}" if changed else ", and the workspace is so already"
        yield Change(SETTINGS, "replace", "pending", f"the profile changed{what}", state, state)


def _entries(desired: Desired, seen: Mapping[str, _Seen], additions: Iterable[Change]) -> dict[str, Entry]:
    """The resources of the next record: the workspace, every file, and the directories that we made."""
    made = {change.address for change in additions} | {WORKSPACE}
    entries = {}
    for address, state in desired.states.items():
        before = seen[address].recorded
        if address.startswith(f"{MOUNT}:"):
            continue
        if state.type == "file":
            keeps_modes = before is None or before.type != "file" or before.mode
            entries[address] = Entry("file", desired.own[address], state.digest, state.mode if keeps_modes else "")
        elif state.type == "build":
            entries[address] = Entry("build", digest=state.digest)
        elif address in made or before:
            entries[address] = Entry("directory")
    return entries
