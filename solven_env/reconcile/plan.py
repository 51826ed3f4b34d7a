"""The planner: desired, observed and recorded states in, ordered changes out. Pure; there is no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solven_env.reconcile.compare import judge
from solven_env.reconcile.model import SETTINGS, WORKSPACE, Change, Desired, Plan, State
from solven_env.state.records import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from solven_env.reconcile.model import Action, Cause, Observed
    from solven_env.state.records import Record


def addresses(desired: Desired, record: Record | None) -> tuple[str, ...]:
    """What has to be observed before `plan` can be called."""
    recorded = {**record.resources, **(record.intended or {})} if record else {}
    return tuple(sorted({*desired.states, *recorded}))


def plan(thread: str, desired: Desired, observed: Observed, record: Record | None) -> Plan:
    """What has to be done, in this order: remove files, remove directories, make directories, write files, settings."""
    recorded = {address: _recorded(address, observed, record) for address in addresses(desired, record)}
    changed = changed_settings(record, desired)
    removals = list(_removals(desired, observed, recorded))
    gone = {change.name for change in removals if change.cause != "conflict"}
    additions = []
    for address, wanted in desired.states.items():
        # what we remove first stands in nobody's way: a file becomes a directory, or the other way round
        found = None if address.partition(":")[2] in gone else observed.states.get(address)
        own = desired.own.get(address, "whole")
        before = recorded[address]
        if own == "keys" and wanted == before and found is not None and found.type == "file":
            continue  # `uv add` and `bun add` edit these; until keys are merged an edit stays as it is
        cause = judge(wanted, found, before)
        if cause:
            additions.append(_change(address, cause, wanted, found, before, changed))
    additions.sort(key=lambda change: (change.kind, change.address != WORKSPACE, change.name))  # directories first
    settings = list(_settings(record, changed))
    return Plan(
        thread=thread,
        changes=(*removals, *additions, *settings),
        base=record,
        entries=_entries(desired, recorded, additions),
        desired=desired,
    )


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
    before = {**record.settings, "release": record.profile.get("release"), "inputs": record.inputs}
    after = {**desired.settings, "release": desired.profile["release"], "inputs": desired.inputs}
    return tuple(_differences(before, after, ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"


def _recorded(address: str, observed: Observed, record: Record | None) -> State | None:
    """What we left there: by the last apply, or by one that was interrupted, whichever the workspace shows."""
    if record is None:
        return None
    for intended in map(_state, (record.intended or {}).get(address, ())):
        if judge(intended, observed.states.get(address), intended) is None:
            return intended
    entry = record.resources.get(address)
    return _state(entry) if entry else None


def _state(entry: Entry) -> State:
    return State("directory" if entry.kind == "directory" else "file", entry.digest, entry.mode)


def _removals(desired: Desired, observed: Observed, recorded: Mapping[str, State | None]) -> Iterator[Change]:
    dropped = [address for address in recorded if address not in desired.states and recorded[address]]
    gone = set()
    for address in (address for address in dropped if address.startswith("file:")):
        cause = judge(None, observed.states.get(address), recorded[address])
        if cause:
            change = _change(address, cause, None, observed.states.get(address), recorded[address], ())
            gone.add(change.name)
            yield change
    for address in sorted((address for address in dropped if address.startswith("directory:")), reverse=True):
        path = address.partition(":")[2]
        found = observed.states.get(address)
        left = {f"{path}/{name}" for name in observed.children.get(path, ())} - gone
        if found == recorded[address] and not left:
            gone.add(path)
            yield _change(address, "pending", None, found, recorded[address], ())


def _change(
    address: str,
    cause: Cause,
    desired: State | None,
    observed: State | None,
    recorded: State | None,
    changed: tuple[str, ...],
) -> Change:
    action: Action = "create" if observed is None else "remove" if desired is None else "replace"
    reason = _reason(cause, desired, observed, recorded, changed)
    keep = observed is not None and observed != recorded
    return Change(address, action, cause, reason, observed, desired, keep)


def _reason(
    cause: Cause, desired: State | None, observed: State | None, recorded: State | None, changed: tuple[str, ...]
) -> str:
    if cause == "conflict":
        if recorded is None:
            return f"{_article(observed)} that solven-env did not write stands there"
        if desired is None:
            return "the profile drops it, and the workspace changed it"
        return "the profile and the workspace both changed it"
    if cause == "drift":
        if observed is None:
            return "it is missing from the workspace"
        if observed.type != "file" or (desired and desired.type != "file"):
            return f"{_article(observed)} stands in its place"
        same_bytes = recorded is not None and observed.digest == recorded.digest
        return "the workspace changed its mode" if same_bytes else "the workspace changed it"
    if desired is None:
        return "the profile no longer asks for it"
    if recorded is None:
        return "the profile asks for it"
    return f"the profile changed {', '.join(changed)}" if changed else "the profile changed it"


def _article(state: State | None) -> str:
    words = {"file": "a file", "directory": "a directory", "symlink": "a symbolic link"}
    return words.get(state.type, "something that is no file") if state else "nothing"


def _settings(record: Record | None, changed: tuple[str, ...]) -> Iterator[Change]:
    state = State("settings")
    if record is None or not record.generation:
        yield Change(SETTINGS, "create", "pending", "the profile asks for it", None, state)
    elif changed:
        yield Change(SETTINGS, "replace", "pending", f"the profile changed {', '.join(changed)}", state, state)


def _entries(desired: Desired, recorded: Mapping[str, State | None], additions: list[Change]) -> dict[str, Entry]:
    """The resources of the next record: the workspace, every file, and the directories that we made."""
    made = {change.address for change in additions} | {WORKSPACE}
    entries = {}
    for address, state in desired.states.items():
        before = recorded[address]
        if state.type == "file":
            keeps_modes = before is None or before.type != "file" or before.mode
            entries[address] = Entry("file", desired.own[address], state.digest, state.mode if keeps_modes else "")
        elif address in made or before:
            entries[address] = Entry("directory")
    return entries
