"""Files whose bytes the profile says: `file:.bashrc`."""

from __future__ import annotations

from solven_env.reconcile import ownership, pairs, replacing
from solven_env.reconcile.kinds import directory, kind
from solven_env.reconcile.model import DIRECTORY, State, name_in
from solven_env.state.records import Recorded
from solven_env.system import names
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Cause, Change, Desired
    from solven_env.reconcile.ownership import Left
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root

LIES = "workspace"
TYPE = "file"
IS_RECORDED = True

BROUGHT_MODE = "0644"

desired_here = kind.basic_desired_here
observe_host = kind.basic_observe_host
further_changes = kind.no_further_changes
reason = kind.basic_reason


def address_of(path: str) -> str:
    """Address of the file at a path."""
    return f"file:{path}"


def is_name(name: str, ecosystems: Collection[str]) -> bool:
    """True for a path in a workspace."""
    return names.is_relative(name)


def desired(desired: Desired, profile: Profile, files: Sequence[RenderedFile]) -> Desired:
    """The rendered files and the directories that hold them."""
    return ask("file", desired, files)


def ask(name: str, desired: Desired, files: Sequence[RenderedFile]) -> Desired:
    """`desired` with these files as resources of the kind called `name`, and the directories that hold them."""
    return desired._replace(
        states={
            **desired.states,
            **directory.above(each.path for each in files),
            **{f"{name}:{each.path}": _state(each.data, each.mode) for each in files},
        },
        own={**desired.own, **{f"{name}:{each.path}": each.own for each in files}},
        reads={**desired.reads, **{f"{name}:{each.path}": each.reads for each in files}},
    )


def bring(desired: Desired, path: str, data: bytes | None, *, by: str) -> Desired:
    """`desired` with a file with which a workspace begins, and which is the agent's to change. `by` is the address of
    what brings it. Nothing is added where the profile or the record has such a file.
    """
    address = address_of(path)
    if address in desired.states:
        return desired
    state = State(TYPE, f"made with {by}", BROUGHT_MODE) if data is None else _state(data, BROUGHT_MODE)
    return desired._replace(
        states={**desired.states, address: state},
        own={**desired.own, address: "keys"},
        reads={**desired.reads, address: desired.reads.get(by, frozenset())},
        brought={**desired.brought, address: by},
    )


def observe(root: Root, name: str, *, is_dropped: bool) -> State | None:
    """State of what stands at `name`, with a file's bytes."""
    return replacing.look(root, name)


def look(seen: Seen, desired: Desired, record: Record | None) -> Seen:
    """The states with what merging comes to, as the file's ownership has it: `ownership`."""
    seen = _of_the_same_build(seen, desired, record)
    entry = record.resources.get(seen.address) if record else None
    intended = (record.intended or {}).get(seen.address, ()) if record else ()
    before = [each.own for each in (entry, *intended) if each is not None]
    own = desired.own.get(seen.address) or (before[0] if before else "whole")
    lock = pairs.alone(seen, desired, own)
    if lock is not None:
        return seen._replace(desired=lock.state, asked=seen.desired, verdict=lock)
    bytes_of = {**seen.rendered, **_bytes(seen.observed), **_bytes(seen.desired)}
    if seen.desired is not None and seen.desired.data is None:  # a record asks for it
        seen = seen._replace(desired=seen.desired._replace(data=bytes_of.get(seen.desired.digest)))
    last = _left(entry, bytes_of) if entry is not None else None
    verdict = ownership.judge(
        ownership.File(
            name_in(seen.address),
            own,
            seen.desired,
            seen.observed,
            last,
            tuple(_left(each, bytes_of) for each in intended),
            seen.choice,
            seen.is_anew,
            _with_bytes(desired.kept.get(seen.address), bytes_of),
        )
    )
    there = ownership.left_there(name_in(seen.address), last) if last is not None else None
    return seen._replace(desired=verdict.state, last=there, asked=seen.desired, verdict=verdict)


def _of_the_same_build(seen: Seen, desired: Desired, record: Record | None) -> Seen:
    """The states as they are; but a workspace keeps the file that it has of the same build: a build that was made
    again may say the same in other bytes.
    """
    by = desired.brought.get(seen.address)
    before = record.resources.get(by) if record and by else None
    is_same = by is not None and before is not None and before.digest == desired.states[by].digest
    if not is_same or seen.last is None or seen.observed is None or seen.observed.type != TYPE:
        return seen
    left = _with_bytes(seen.last, {**seen.rendered, **_bytes(seen.observed), **_bytes(seen.desired)})
    return seen._replace(desired=left) if left is not None and left.data is not None else seen


def _with_bytes(state: State | None, bytes_of: Mapping[str, bytes]) -> State | None:
    if state is None or state.digest not in bytes_of:
        return state
    data = bytes_of[state.digest]
    return state._replace(mode=state.mode or BROUGHT_MODE, size=len(data), data=data)


def _bytes(state: State | None) -> dict[str, bytes]:
    return {state.digest: state.data} if state is not None and state.data is not None else {}


def _left(entry: Recorded, bytes_of: Mapping[str, bytes]) -> Left:
    """The file that a record's entry tells of, with the bytes that are known."""

    def state(digest: str) -> State:
        data = bytes_of.get(digest)
        return State(TYPE, digest, entry.mode, len(data or b""), data)

    return ownership.Left(entry.own, state(entry.digest), state(entry.kept) if entry.kept else None)


def judge(seen: Seen, found: State | None, desired: Desired) -> Cause | None:
    """As the file's ownership has it."""
    return seen.verdict.cause if seen.verdict else None


def removals(dropped: Sequence[Seen], desired: Desired, gone: Collection[str]) -> Iterator[tuple[Seen, Cause]]:
    """Files that the profile asks for no more; but a directory that the agent made already where one is to be stays."""
    for each in dropped:
        if each.observed == DIRECTORY and directory.address_of(name_in(each.address)) in desired.states:
            continue
        if each.verdict and each.verdict.cause:
            yield each, each.verdict.cause


def entry(seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
    """Digest and mode of every file; no mode where the storage keeps none, nor for what stays of an agent's."""
    state, verdict, before = seen.asked, seen.verdict, seen.recorded
    assert state is not None
    assert verdict is not None
    own, kept = desired.own[seen.address], verdict.kept
    keeps_modes = before is None or before.type != TYPE or before.mode
    mode = kept.mode if kept is not None and own == "whole" and kept.mode else state.mode
    kind_name = seen.address.partition(":")[0]
    digest = state.digest if verdict.base is None else verdict.base
    return Recorded(kind_name, own, digest, mode if keeps_modes else "", kept.digest if kept is not None else "")


def apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """Write, replace or remove the file."""
    if change.after is None:
        replacing.take_away(root, change, keeper)
        return None
    return replacing.write(root, change, keeper)


def _state(data: bytes, mode: str) -> State:
    return State(TYPE, replacing.digest(data), mode, len(data), data)
