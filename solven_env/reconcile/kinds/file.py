"""Files whose bytes the profile says: `file:.bashrc`."""

from __future__ import annotations

from solven_env.reconcile import compare, replacing
from solven_env.reconcile.kinds import directory, kind
from solven_env.reconcile.model import DIRECTORY, State, name_in
from solven_env.state.records import Recorded
from solven_env.system import names
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Cause, Change, Desired
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
    address = f"file:{path}"
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
    """The states as they are; but a workspace keeps the file that it has of the same build: a build that was made
    again may say the same in other bytes.
    """
    by = desired.brought.get(seen.address)
    before = record.resources.get(by) if record and by else None
    is_same = by is not None and before is not None and before.digest == desired.states[by].digest
    if is_same and seen.last and seen.observed and seen.observed.type == TYPE:
        return seen._replace(desired=seen.last)
    return seen


def judge(seen: Seen, found: State | None, desired: Desired) -> Cause | None:
    """As `compare` says. An edit of a file of `own: keys` stays (`uv add` and `bun add` make some) until the profile
    changes the file; keys are not merged yet.
    """
    is_edited = desired.own[seen.address] == "keys" and found is not None and found.type == TYPE
    if is_edited and compare.same(seen.desired, seen.recorded, seen.recorded):
        return None
    return compare.judge(seen.desired, found, seen.recorded)


def removals(dropped: Sequence[Seen], desired: Desired, gone: Collection[str]) -> Iterator[tuple[Seen, Cause]]:
    """Files that the profile asks for no more; but a directory that the agent made already where one is to be stays."""
    for each in dropped:
        if each.observed == DIRECTORY and directory.address_of(name_in(each.address)) in desired.states:
            continue
        cause = compare.judge(None, each.observed, each.recorded)
        if cause:
            yield each, cause


def entry(seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
    """Digest and mode of every file; no mode where the storage keeps none."""
    state, before = seen.desired, seen.recorded
    assert state is not None
    keeps_modes = before is None or before.type != TYPE or before.mode
    kind_name = seen.address.partition(":")[0]
    return Recorded(kind_name, desired.own[seen.address], state.digest, state.mode if keeps_modes else "")


def apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """Write, replace or remove the file."""
    if change.after is None:
        replacing.take_away(root, change, keeper)
        return None
    return replacing.write(root, change, keeper)


def _state(data: bytes, mode: str) -> State:
    return State(TYPE, replacing.digest(data), mode, len(data), data)
