"""The verbs, for programs and for the command line alike: typed, silent, with frozen results.

Every verb raises a subclass of `solven_env.errors.SolvenError` for what its user can mend.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, NamedTuple

from solven_env import sources
from solven_env.errors import UsageError
from solven_env.preparing import diagnose, prepare
from solven_env.reconcile.apply import apply as apply_plan
from solven_env.reconcile.apply import observe, refuse_conflicts
from solven_env.reconcile.desired import desired
from solven_env.reconcile.plan import addresses, recorded_as_desired
from solven_env.reconcile.plan import plan as make_plan
from solven_env.report import Report, ThreadReport, ThreadState
from solven_env.state import LocalState
from solven_env.state.records import Record, load, record_key
from solven_env.workspace import root as roots
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from solven_env.diagnostics import Diagnostic
    from solven_env.reconcile.model import Desired, Plan
    from solven_env.rendering import RenderedFile
    from solven_env.sources import ProfileSource

OnConflict = Literal["fail", "overwrite"]

EXAMPLE_THREAD = "example"
SANDBOX_UID = 61000
"""Whom a workspace belongs to on the host when root applies: the sandbox's user, never root."""


def validate(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: Mapping[str, str] | None = None
) -> tuple[Diagnostic, ...]:
    """Every mistake in a profile, in its order; empty when it is valid. Required inputs get a stand-in value."""
    return diagnose(sources.find(profile), storages.thread_id(thread), given=inputs or {}, environ=os.environ)


def render(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: Mapping[str, str] | None = None
) -> tuple[RenderedFile, ...]:
    """The rendered files, as `thread` would get them."""
    source, thread = sources.find(profile), storages.thread_id(thread)
    return prepare(source, thread, given=inputs or {}, environ=os.environ, recorded={}).files


def plan(
    profile: str | Path,
    thread: str,
    *,
    storage: str | Path | None = None,
    inputs: Mapping[str, str] | None = None,
    unset: Collection[str] = (),
) -> Plan:
    """What `apply` would do, with the exact bytes. Nothing is written, and no lock is taken."""
    return _Thread.find(thread, storage).plan(sources.find(profile), inputs or {}, unset)


def diff(
    profile: str | Path,
    thread: str,
    *,
    storage: str | Path | None = None,
    inputs: Mapping[str, str] | None = None,
    unset: Collection[str] = (),
) -> Report:
    """What `apply` would do, as a report."""
    return Report("diff", (_report(plan(profile, thread, storage=storage, inputs=inputs, unset=unset)),))


def status(
    thread: str,
    *,
    profile: str | Path | None = None,
    storage: str | Path | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Report:
    """Where the workspace differs from what the last apply left; with a profile, what is pending too."""
    found = _Thread.find(thread, storage)
    if profile is not None:
        return Report("status", (_report(found.plan(sources.find(profile), inputs or {}, ())),))
    if inputs:
        raise UsageError("inputs are of use to a profile only", fix="Name the profile (--profile), or leave them out.")
    record = found.record()
    if record is None or not record.generation:
        return Report("status", (ThreadReport(thread, "new", 0, is_interrupted=record is not None),))
    return Report("status", (_report(found.plan_for(recorded_as_desired(record), record)),))


def apply(
    profile: str | Path,
    thread: str,
    *,
    storage: str | Path | None = None,
    inputs: Mapping[str, str] | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
) -> Report:
    """Make a thread's workspace match a profile. The report's changes are those that were made.

    `ConflictError` when the workspace holds changes that would be lost, unless `on_conflict` is "overwrite", which
    keeps them in the generation first; `HeldError` while another apply has the thread.
    """
    if on_conflict not in ("fail", "overwrite"):
        raise UsageError(f"on_conflict cannot be {on_conflict!r}", fix="Pass 'fail' or 'overwrite'.")
    found, source = _Thread.find(thread, storage), sources.find(profile)
    if found.record() is None:
        found.plan(source, inputs or {}, unset)  # an invalid profile or input leaves no trace of a new thread
    with found.state.lock(thread):
        computed = found.plan(source, inputs or {}, unset)
        if on_conflict == "fail":
            refuse_conflicts(computed)
        outcome = apply_plan(computed, found.create_root, found.state)
    return Report("apply", (_report(computed)._replace(generation=outcome.generation, kept=outcome.kept),))


class _Thread(NamedTuple):
    """A thread in its storage."""

    name: str
    storage: Path
    state: LocalState

    @classmethod
    def find(cls, thread: str, storage: str | Path | None) -> _Thread:
        place = storages.locate(storage, os.environ)
        return cls(storages.thread_id(thread), place, LocalState(place))

    def record(self) -> Record | None:
        key = record_key(self.name)
        stored = self.state.get(key)
        return load(stored.value, str(self.storage / ".solven-env" / key)) if stored else None

    def create_root(self) -> roots.Root:
        return storages.create_workspace(self.storage, self.name, _owner())

    def plan(self, source: ProfileSource, inputs: Mapping[str, str], unset: Collection[str]) -> Plan:
        record = self.record()
        prepared = prepare(
            source,
            self.name,
            given=inputs,
            environ=os.environ,
            recorded=record.inputs if record else {},
            unset=unset,
        )
        return self.plan_for(desired(prepared.profile, prepared.files, prepared.given), record)

    def plan_for(self, wanted: Desired, record: Record | None) -> Plan:
        root = storages.open_workspace(self.storage, self.name, _owner())
        with root or nullcontext():
            observed = observe(root, addresses(wanted, record))
        return make_plan(self.name, wanted, observed, record)


def _owner() -> roots.Owner | None:
    return roots.Owner(SANDBOX_UID, SANDBOX_UID) if os.geteuid() == 0 else None


def _report(computed: Plan) -> ThreadReport:
    generation = computed.base.generation if computed.base else 0
    return ThreadReport(
        computed.thread, _state(computed, generation), generation, computed.changes, (), computed.is_interrupted
    )


def _state(computed: Plan, generation: int) -> ThreadState:
    causes = {change.cause for change in computed.changes}
    if "conflict" in causes:
        return "conflict"
    if not generation:
        return "new"
    if "drift" in causes:
        return "drift"
    return "pending" if causes or computed.is_interrupted else "in-sync"
