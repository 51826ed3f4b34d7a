"""The plan for a thread: what a profile asks of it, or its last apply, held against its workspace and this host."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from typing import TYPE_CHECKING

from solven_env.packages import builds
from solven_env.profile.prepare import prepare
from solven_env.reconcile.apply import observe
from solven_env.reconcile.desired import desired, with_builds, with_mount_points
from solven_env.reconcile.model import BUILD, DIRECTORY, PLACE, State
from solven_env.reconcile.plan import addresses, dropped, recorded_as_desired
from solven_env.reconcile.plan import plan as make_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from solven_env.packages.builds import Need
    from solven_env.profile.source import ProfileSource
    from solven_env.reconcile.model import Desired, Observed, Plan
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread


def plan(
    thread: Thread, record: Record | None, source: ProfileSource, inputs: Mapping[str, str], unset: Collection[str]
) -> tuple[Plan, tuple[Need, ...]]:
    """What has to be done for a profile where this is recorded, and which builds this host lacks for it."""
    return _plan(thread, *_wanted(thread, source, inputs, unset, record), record)


def check(thread: Thread, source: ProfileSource, inputs: Mapping[str, str], unset: Collection[str]) -> None:
    """Raise what `plan` would raise of the profile, its lock or the inputs of a new thread, without a look at it."""
    _wanted(thread, source, inputs, unset, None)


def plan_drift(thread: Thread, record: Record) -> Plan:
    """Where the workspace and this host differ from what the last apply left."""
    return _plan(thread, recorded_as_desired(record), thread.needs(record), record)[0]


def _wanted(
    thread: Thread,
    source: ProfileSource,
    inputs: Mapping[str, str],
    unset: Collection[str],
    record: Record | None,
) -> tuple[Desired, tuple[Need, ...]]:
    recorded = record.inputs if record else {}
    prepared = prepare(source, thread.name, given=inputs, environ=os.environ, recorded=recorded, unset=unset)
    python, bun = prepared.profile.python, prepared.profile.bun
    needs: tuple[Need, ...] = ()
    if python or bun:
        needs = builds.needs(python, bun, builds.read_lock(python, bun, source.lock, source.name))
    return desired(prepared.profile, prepared.files, prepared.given), needs


def _plan(
    thread: Thread, wanted: Desired, needs: Sequence[Need], record: Record | None
) -> tuple[Plan, tuple[Need, ...]]:
    wanted = with_mount_points(wanted, record, _to_mount_upon)
    root = thread.open_root()
    with root or nullcontext():
        observed = observe(root, {*addresses(wanted, record), "file:uv.lock", "file:bun.lock"}, dropped(wanted, record))
    lacking: tuple[Need, ...] = ()
    if needs:
        wanted, observed, lacking = _with_needs(thread, wanted, observed, record, needs)
    return make_plan(thread.name, wanted, observed, record), lacking


def _to_mount_upon(source: str) -> State | None:
    """What a path of the host is mounted upon; None where nothing is there."""
    try:
        return DIRECTORY if stat.S_ISDIR(os.stat(source).st_mode) else PLACE  # noqa: PTH116 (as its own links lead)
    except OSError:
        return None


def _with_needs(
    thread: Thread, wanted: Desired, observed: Observed, record: Record | None, needs: Sequence[Need]
) -> tuple[Desired, Observed, tuple[Need, ...]]:
    found = [(need, builds.find(need, thread.config)) for need in needs]
    identities: dict[str, str] = {need.kind: need.identity for need in needs}
    files = dict(filter(None, (builds.workspace_lock(need, build) for need, build in found)))
    wanted = with_builds(wanted, identities, files, observed, record)._replace(
        builds={need.kind: builds.describe(need, build) for need, build in found if build},
        locks=builds.texts(needs),
    )
    backend = wanted.settings["backend"]
    there = {
        f"{BUILD}:{need.kind}": State("build")
        if record is not None and thread.lost(record, build, backend)
        else State("build", need.identity)
        for need, build in found
        if build
    }
    lacking = tuple(need for need, build in found if build is None)
    return wanted, observed._replace(states={**observed.states, **there}), lacking
