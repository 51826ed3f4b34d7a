"""The plan for a thread: what a profile asks of it, or its last apply, held against its workspace and this host."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import LockError, PlatformError, ProfileError, StateError, UsageError, raise_together
from solven_env.packages import builds, layers, locks
from solven_env.packages.ecosystems import ECOSYSTEMS, rows
from solven_env.profile.model import DEFAULT_MODE, Mount
from solven_env.profile.prepare import diagnose, example, packages, prepare
from solven_env.reconcile import kinds
from solven_env.reconcile.desired import desired, desired_here, recorded_as_desired
from solven_env.reconcile.kinds import kind_of
from solven_env.reconcile.kinds.mount_point import PLACE
from solven_env.reconcile.model import DIRECTORY, HostFacts, NeededBuild, Pair, State, name_in
from solven_env.reconcile.observing import observe
from solven_env.reconcile.plan import plan as make_plan
from solven_env.sandbox import backends
from solven_env.state import contents
from solven_env.state.records import rendered_key
from solven_env.system.lately import lately

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from solven_env.errors import SolvenError
    from solven_env.packages.builds import Need
    from solven_env.packages.store import Build
    from solven_env.profile.inputs import InputValues
    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.profile.source import ProfileSource
    from solven_env.reconcile.model import Change, Desired, Observed, OnConflict, Plan
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread


class Wanted(NamedTuple):
    """All that a plan starts from: the desired state, the same on every host, and the builds for it."""

    desired: Desired
    needs: tuple[Need, ...]
    cause: str = "apply"
    """Cause of the generation that comes of it, as the history tells it."""
    check: Callable[[Plan], None] = lambda _: None
    """Called with each plan that is made of it; its error says that this one may not be applied."""


def plan_drift(thread: Thread, record: Record) -> Plan:
    """Plan that would put right where the workspace and this host differ from what the last apply left."""
    return plan(thread, wanted_by_record(thread, record), record)[0]


def wanted_by_record(thread: Thread, record: Record) -> Wanted:
    """The wanted state that the last apply left."""
    return Wanted(recorded_as_desired(record), thread.needs(record))


def name(source: ProfileSource) -> str:
    """The name that a valid profile gives itself."""
    return example(source, rows(), os.environ).name


def check(source: ProfileSource, thread: str, inputs: InputValues, unset: Collection[str] = ()) -> locks.Lock:
    """The lock of a profile that many threads are to have, once it is known that the profile can be had by one.

    ProfileError and LockError for what is wrong with it, UsageError for what is no input. Each thread may have a value
    of its own for a required input that is not given.
    """
    mistakes = diagnose(source, thread, rows(), given=inputs, environ=os.environ, unset=unset)
    if mistakes:
        raise ProfileError(mistakes)
    return builds.read_lock(packages(source, rows(), os.environ), source.lock, source.name)


def wanted_by_profile(
    thread: Thread,
    record: Record | None,
    source: ProfileSource,
    inputs: InputValues,
    unset: Collection[str] = (),
    lock: locks.Lock | None = None,
) -> Wanted:
    """The wanted state that a profile asks for where this is recorded. The workspace is not looked at.

    What is wrong with inputs, mounts and lock is raised together. `lock` is that of the profile, if it was checked.
    """
    recorded = record.inputs if record else {}
    met: list[SolvenError] = []
    try:
        prepared = prepare(
            source, thread.name, rows(), given=inputs, environ=os.environ, recorded=recorded, unset=unset
        )
        sections = prepared.profile.locked
        met += _unmountable(prepared.profile.mounts)
    except UsageError as error:
        met.append(error)
        sections = packages(source, rows(), os.environ)  # which are the same whatever the inputs
    try:
        lock = builds.read_lock(sections, source.lock, source.name) if lock is None else lock
    except LockError as error:
        met.append(error)
    raise_together(met)
    assert lock is not None
    needs = builds.needs(prepared.profile.packages, lock)
    return Wanted(_desired(prepared.profile, prepared.files, prepared.given), needs)


@lately(32)
def _desired(profile: Profile, files: Sequence[RenderedFile], given: Mapping[str, str]) -> Desired:
    return desired(profile, files, given)


def wanted_by_generation(thread: Thread, former: Record) -> Wanted:
    """The wanted state that a former generation left: its files to the byte, settings, inputs and builds.

    StateError where the bytes of a file or the text of a lock are gone; PlatformError for mounts that no host path is
    there for. The workspace is not looked at.
    """
    needs = thread.needs(former)
    check_mounts(former.settings["mounts"])
    found = recorded_as_desired(former)
    states = {
        address: _with_bytes(thread, former, address, state) if kind_of(address).TYPE == "file" else state
        for address, state in found.states.items()
    }
    for address, state in found.kept.items():
        _with_bytes(thread, former, address, state)  # the planner reads them by itself
    # Those that an agent had already are in no record, and may be gone by now.
    workdir = former.settings.get("workdir", "/")[1:]
    above = kinds.directory.above([*kinds.files(states), *([f"{workdir}/"] if workdir else [])])
    desired = found._replace(states={**above, **states}, brought=_brought(former, needs))
    return Wanted(desired, needs, f"rollback to {former.generation}")


def check_mounts(mounts: Iterable[Mapping[str, Any]]) -> None:
    """PlatformError about recorded mounts without which no command would start on this host."""
    raise_together(list(_unmountable(Mount(**each) for each in mounts)))


def _with_bytes(thread: Thread, former: Record, address: str, state: State) -> State:
    key = rendered_key(state.digest)
    data = contents.read(thread.state, key, state.digest.removeprefix("sha256:"))
    if data is None:
        raise StateError(
            f"the bytes that generation {former.generation} had for {name_in(address)} are gone or damaged",
            fix=f"Nothing was changed. Take another generation (solven-env history {thread.name}), or apply the"
            f" profile's release {former.profile['release']}.",
            location=thread.state.location(key),
        )
    # Where the storage kept no modes, the record has none: the one that is asked for then may be any.
    return state._replace(mode=state.mode or DEFAULT_MODE, size=len(data), data=data)


def _brought(record: Record, needs: Sequence[Need]) -> dict[str, str]:
    """The recorded files that builds brought (a profile has no such file of `own: keys`), as `Desired.brought`."""
    found = {
        kinds.file.address_of(need.ecosystem.WORKSPACE_LOCK): kinds.build.address_of(need.kind)
        for need in needs
        if need.lock is not None
    }
    return {
        address: by
        for address, by in found.items()
        if address in record.resources and record.resources[address].own == "keys"
    }


def missing_sources(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The mounts whose host paths are not there, or out of this user's reach; optional ones too."""
    return tuple(mount for mount in mounts if mount.kind == "bind" and not os.path.exists(mount.source))  # noqa: PTH110


def _unmountable(mounts: Iterable[Mount]) -> Iterator[PlatformError]:
    """The error about mounts without which no command would start on this host."""
    lost = [mount for mount in missing_sources(mounts) if not mount.optional]
    if lost:
        listed = ", ".join(f"{mount.source} (mounted at {mount.target})" for mount in lost)
        yield PlatformError(
            f"the profile mounts what is not on this host: {listed}",
            fix="Provide it, let this user reach it, or write 'optional: true' for the mount in the profile.",
        )


def plan(
    thread: Thread, wanted: Wanted, record: Record | None, on_conflict: OnConflict = "fail"
) -> tuple[Plan, tuple[Need, ...]]:
    """Plan that makes a thread as it is wanted where this is recorded, and the builds that this host lacks for it."""
    asked, needs = wanted.desired, wanted.needs
    found = [(need, thread.build(need)) for need in needs]
    backend = backends.find(asked.settings["backend"])
    needed = tuple(_needed(thread, need, build, record, backend) for need, build in found)
    if asked.settings.get("setup"):
        begun = (_is_begun(thread, build, record) for _, build in found)
        needed = tuple(each._replace(is_begun=is_begun) for each, is_begun in zip(needed, begun, strict=True))
    targets = {name: row.TARGET for name, row in ECOSYSTEMS.items()}
    like = record and _without_own(record)
    host = HostFacts(_sources(thread, asked, record), targets, needed, builds.texts(needs), pairs())
    asked = _desired_here(asked, like, host)
    root = thread.open_root()
    with root or nullcontext():
        observed = observe(root, asked, record, host, thread.rendered)
    computed = _planned(asked, _Exactly(observed), like, on_conflict)._replace(thread=thread.name, base=record)
    changes = tuple(_with_versions(change, computed, needs, thread) for change in computed.changes)
    wanted.check(computed)
    return computed._replace(changes=changes), tuple(need for need, build in found if build is None)


def _without_own(record: Record) -> Record:
    """The record without what no plan depends on: threads of one profile have the same."""
    return record._replace(incarnation="", generation=min(record.generation, 1), uid=None, added={}, about={})


@lately(32)
def _desired_here(wanted: Desired, record: Record | None, host: HostFacts) -> Desired:
    return desired_here(wanted, record, host)


class _Exactly:
    """Observed states, equal only to those that differ in nothing: two states are equal already if one lacks bytes."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        closed = ((address, each.reason, *each.state) for address, each in observed.closed.items())
        self._parts = (
            [(address, *state) for address, state in observed.states.items()],
            list(closed),
            observed.rendered,
            observed.inputs,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Exactly) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(len(self._parts[0]))


@lately(32)
def _planned(asked: Desired, observed: _Exactly, record: Record | None, on_conflict: OnConflict) -> Plan:
    return make_plan("", asked, observed.observed, record, on_conflict)


@dataclass(frozen=True)
class _Sources:
    """The states that mount points must have for paths of the host: `HostFacts.mounted_upon`, as plain data."""

    states: Mapping[str, State | None]

    def __call__(self, source: str) -> State | None:
        return self.states[source]


def _sources(thread: Thread, asked: Desired, record: Record | None) -> _Sources:
    mounts = (*asked.settings["mounts"], *(record.settings["mounts"] if record and record.generation else ()))
    sources = {each["source"] for each in mounts if each["kind"] == "bind"}
    return _Sources({each: thread.looks.at(("source", each), partial(_mounted_upon, each)) for each in sources})


def _with_versions(change: Change, computed: Plan, needs: Sequence[Need], thread: Thread) -> Change:
    """The change, with the versions that become others if it is that of a lock which a build brings."""
    by = computed.desired.brought.get(change.address)
    if by is None or change.action != "replace" or computed.base is None:
        return change
    need = next(need for need in needs if need.kind == name_in(by))
    before = thread.recorded_lock(computed.base, need.kind)
    try:
        return change._replace(versions=locks.version_changes(need.kind, before or b"", need.lock or b""))
    except LockError:  # of a lock that an older solven-env believed
        return change


def _is_begun(thread: Thread, build: Build | None, record: Record | None) -> bool:
    """True if the thread has a layer above a build."""
    if build is None or record is None:
        return False
    now = layers.present(thread.home(record), build.kind)
    return now is not None and now.instance == build.instance


def _needed(thread: Thread, need: Need, build: Build | None, record: Record | None, backend: Backend) -> NeededBuild:
    brought = builds.workspace_lock(need, build)
    return NeededBuild(
        name=need.kind,
        identity=need.identity,
        recorded=builds.describe(need, build) if build else None,
        is_lost=build is not None and record is not None and bool(thread.lost(record, build, backend)),
        files=dict([brought] if brought else []),
    )


def pairs() -> tuple[Pair, ...]:
    """The manifest and the lock of each ecosystem."""
    place = kinds.file.address_of
    return tuple(
        Pair(name, place(row.MANIFEST), place(row.WORKSPACE_LOCK), row.is_readable, row.is_behind, row.beginning)
        for name, row in ECOSYSTEMS.items()
    )


def _mounted_upon(source: str) -> State | None:
    """State of a mount point for a path of the host; None where nothing is there."""
    try:
        return DIRECTORY if stat.S_ISDIR(os.stat(source).st_mode) else PLACE  # noqa: PTH116 (as its own links lead)
    except OSError:
        return None
