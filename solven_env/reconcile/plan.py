"""The planner: desired, observed and recorded states in, ordered changes out. Pure; there is no other."""

from __future__ import annotations

from typing import Any

from solven_env.reconcile import compare, pairs, places
from solven_env.reconcile.compare import Seen, changed_settings
from solven_env.reconcile.kinds import KINDS, kind_of, setup, state_of
from solven_env.reconcile.kinds.directory import WORKSPACE
from solven_env.reconcile.model import Change, Desired, Note, Plan, State, name_in
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from solven_env.reconcile.model import Action, Cause, Observed, OnConflict
    from solven_env.state.records import Record, Recorded


def addresses(desired: Desired, record: Record | None) -> tuple[str, ...]:
    """The addresses that have to be observed before `plan` can be called, sorted."""
    recorded = {**record.resources, **(record.intended or {})} if record else {}
    return tuple(sorted({*desired.states, *recorded}))


def plan(
    thread: str, desired: Desired, observed: Observed, record: Record | None, on_conflict: OnConflict = "fail"
) -> Plan:
    """The changes that have to be made, in this order: removals (files, then directories), then what is made or
    replaced, in the order of `KINDS`, then the settings. With `on_conflict` what it settles is no conflict.
    """
    seen = {address: _look(address, desired, observed, record, on_conflict) for address in addresses(desired, record)}
    seen = pairs.settle(seen, desired, record)
    changed = changed_settings(record, desired)
    known = {address: each for address, each in seen.items() if not _is_closed(address, observed)}
    removals = list(_removals(desired, known))
    # What is removed first stands in nobody's way: a file becomes a directory, or the other way round.
    gone = {change.name for change in removals if change.after is None}
    freed = {
        address: _look(address, desired, observed, record, on_conflict, is_free=True)
        for address in known
        if address in desired.states and name_in(address) in gone
    }
    known, seen = {**known, **freed}, {**seen, **freed}
    additions = _additions(desired, known, changed)
    computed = Plan(
        thread=thread,
        changes=(*_openings(observed), *removals, *additions),
        base=record,
        entries=_entries(desired, seen, additions),
        desired=desired,
        on_conflict=on_conflict,
        behind=pairs.behind(seen, desired, record),
        inputs=observed.inputs,
        **_kept_and_noted(seen.values()),
    )
    for kind in KINDS.values():
        computed = computed._replace(changes=(*computed.changes, *kind.further_changes(computed, changed)))
    beyond = [
        Note(path, "it has more than is looked at, so that no change of it has a command of setup run again")
        for path in setup.beyond(computed)
    ]
    return computed._replace(notes=(*computed.notes, *beyond))


def _is_closed(address: str, observed: Observed) -> bool:
    """True if nobody knows what stands at an address, since it or a directory above it keeps us out."""
    name = name_in(address)
    return any(address == each or name.startswith(f"{name_in(each)}/") for each in observed.closed)


def _openings(observed: Observed) -> Iterator[Change]:
    """Changes that open what keeps us out, before anything else: one each, however much is beneath it."""
    for address, (state, reason) in sorted(observed.closed.items()):
        yield Change(address, "replace", "drift", reason, state, State(state.type))


def _look(
    address: str,
    desired: Desired,
    observed: Observed,
    record: Record | None,
    choice: OnConflict,
    *,
    is_free: bool = False,
) -> Seen:
    """The states of an address; with `is_free` as if nothing stood there."""
    last = record.resources.get(address) if record else None
    intended = (record.intended or {}).get(address, ()) if record else ()
    seen = Seen(
        address,
        desired.states.get(address),
        None if is_free else observed.states.get(address),
        state_of(last) if last else None,
        tuple(map(state_of, intended)),
        choice,
        observed.rendered,
        is_anew=WORKSPACE not in observed.states,
    )
    return kind_of(address).look(seen, desired, record)


def _removals(desired: Desired, known: Mapping[str, Seen]) -> Iterator[Change]:
    dropped = [each for address, each in known.items() if address not in desired.states and _was_ours(each)]
    gone: set[str] = set()
    for kind in reversed(KINDS.values()):
        for each, cause in kind.removals([each for each in dropped if kind_of(each.address) is kind], desired, gone):
            if each.desired is None:
                gone.add(name_in(each.address))
            yield _change(each, cause, each.observed, "", desired)


def _was_ours(each: Seen) -> bool:
    """True for what an apply left, or may have left of a file that it merged."""
    return each.recorded is not None or (bool(each.intended) and each.verdict is not None)


def _additions(desired: Desired, known: Mapping[str, Seen], changed: Sequence[str]) -> list[Change]:
    additions = []
    for address, each in known.items():
        if address not in desired.states:
            continue
        cause = kind_of(address).judge(each, each.observed, desired)
        if cause:
            read = desired.reads.get(address, frozenset())
            because = [name for name in changed if compare.is_read(name, read)]
            additions.append(_change(each, cause, each.observed, places.cited(because, changed, desired), desired))
    rows = list(KINDS)
    return sorted(additions, key=lambda change: (rows.index(change.kind), change.name != "/", change.name))


def _change(each: Seen, cause: Cause, found: State | None, changed: str, desired: Desired) -> Change:
    kind = kind_of(each.address)
    action: Action = "create" if found is None else "remove" if each.desired is None else "replace"
    verdict = each.verdict
    reason = (verdict.reason if verdict else "") or kind.reason(cause, each.desired, found, each.recorded, changed)
    if cause == "pending" and not changed:
        reason += places.place_of(each.address, desired)
    is_foreign = found is not None and kind.LIES == "workspace" and not each.is_ours
    stays = found is not None and found.type == "directory" and compare.same_bytes(found, each.desired)
    if found is not None and found.at:
        reason = f"{reason}, at {found.at}, where a link leads"
    if cause == "conflict" and each.choice == "overwrite":
        cause, reason = "pending", f"{reason}; what was there is kept"
    change = Change(each.address, action, cause, reason, found, each.desired, keep=is_foreign and not stays)
    if cause != "conflict":
        return change
    return change._replace(**({"clashes": verdict.clashes, "choices": verdict.choices} if verdict else _ELSEWHERE))


_ELSEWHERE: Mapping[str, Any] = {"choices": {"overwrite": "it is moved aside, and kept"}}


def _kept_and_noted(seen: Iterable[Seen]) -> dict[str, Any]:
    """The fields of a plan that tell of files which stay otherwise than the profile says, and of those behind links."""
    verdicts = [(name_in(each.address), each.verdict) for each in seen if each.verdict]
    kept = [verdict.kept for _, verdict in verdicts if verdict.kept]
    return {
        "kept": {state.digest: state.data for state in kept if state.data is not None},
        "notes": tuple(Note(name, verdict.note) for name, verdict in verdicts if verdict.note),
        "places": frozenset(each.observed.at for each in seen if each.observed and each.observed.at),
    }


def _entries(desired: Desired, seen: Mapping[str, Seen], additions: Iterable[Change]) -> dict[str, Recorded]:
    """The resources of the next record."""
    made = {change.address for change in additions}
    entries = {}
    for address in desired.states:
        entry = kind_of(address).entry(seen[address], desired, is_made=address in made)
        if entry is not None:
            entries[address] = entry
    return entries
