"""One apply, from what is wanted (by a profile, a saved plan, a former generation) to its report."""

from __future__ import annotations

import os
import posixpath
from contextlib import ExitStack, nullcontext
from functools import partial
from itertools import filterfalse
from typing import TYPE_CHECKING, NamedTuple

from solven_env import __version__
from solven_env.errors import StateError, StoreError, WorkspaceError
from solven_env.packages import builds
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.reconcile import giving_back
from solven_env.reconcile.apply import apply as apply_plan
from solven_env.reconcile.apply import let_in, refuse_conflicts
from solven_env.reconcile.kinds import lies_on_host, setup
from solven_env.reconcile.replacing import changed_meanwhile
from solven_env.report import thread_report
from solven_env.run import execute, missing_programs, relocking
from solven_env.sandbox import backends
from solven_env.state.contents import OnlyLookedError
from solven_env.state.records import record_key
from solven_env.system import directories
from solven_env.system.failures import shown
from solven_env.threads import generations, noting, planning, sessions, uids
from solven_env.threads.many import Once
from solven_env.workspace.storage import check_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from solven_env.packages.about_layers import Fate
    from solven_env.packages.builds import Need
    from solven_env.reconcile.apply import Applied
    from solven_env.reconcile.model import Change, OnConflict, Plan
    from solven_env.report import ThreadReport
    from solven_env.run.missing_programs import MissingProgram
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.state.records import Record
    from solven_env.threads.noting import Coming
    from solven_env.threads.planning import Wanted
    from solven_env.threads.thread import Thread

_COLLECTED = 20
"""Number of times that the builds of one apply are found, and gone when they are to be used."""
_PAGE = 4096
"""The bytes by which a file, and the directory that it is in, may take more on disk than they hold."""
_OPENINGS = 10_000
"""Closed directories that an apply opens at most: commands may close them again as fast."""


class Together(NamedTuple):
    """Things that threads share which one call applies: a build that they lack is made once, a notice told once."""

    progress: Callable[[str], None]
    once: Once

    def tell(self, line: str) -> None:
        """Tell `progress` what is so for many threads."""
        self.once(line, lambda: self.progress(line))


def apply(
    found: Thread,
    wanting: Callable[[Thread, Record | None], Wanted],
    *,
    on_conflict: OnConflict = "fail",
    restore_record: bool = False,
    wait: float = 0.0,
    progress: Callable[[str], None] = lambda _: None,
    together: Together | None = None,
) -> ThreadReport:
    """Make a thread as it is wanted. The report's changes are those that were made.

    `wanting` is called with the thread and its record, under the thread's lock; for a new thread before that: an
    invalid profile or input leaves no trace of it. Errors, `wait` and `progress` as of `solven_env.apply`. Threads
    that one call applies have the same `together`.
    """
    together = together or Together(progress, Once())
    is_new = not found.state.has(record_key(found.name))
    if is_new and found.record(recover=restore_record) is None:
        wanting = _once_for_new(wanting, wanting(found, None))
    check_readers(found.config.sandbox.group)
    found = found._replace(storage_id=together.once("storage", partial(found.settled, together.progress)).storage_id)
    doing = partial(_apply, found, wanting, on_conflict, restore_record, wait, progress, together)
    if is_new or restore_record:
        return doing(to_look=False)
    try:
        return doing(to_look=True)
    except OnlyLookedError:
        return doing(to_look=False)


def _once_for_new(
    wanting: Callable[[Thread, Record | None], Wanted], known: Wanted
) -> Callable[[Thread, Record | None], Wanted]:
    """The same function, which knows already what is wanted of a thread without a record."""
    return lambda found, record: known if record is None else wanting(found, record)


def _apply(
    found: Thread,
    wanting: Callable[[Thread, Record | None], Wanted],
    on_conflict: OnConflict,
    restore_record: bool,
    wait: float,
    progress: Callable[[str], None],
    together: Together,
    *,
    to_look: bool,
) -> ThreadReport:
    """Do as `apply`; OnlyLookedError, and nothing of the thread written, where it is held `to_look` and not in sync."""
    with ExitStack() as lock:
        lock.enter_context(noting.held(found, progress, wait=wait, to_look=to_look))
        if restore_record:
            found.restore_record(progress)
        record = found.record()
        wanted = wanting(found, record)
        written = _write(found, wanted, record, on_conflict, progress, together)
        computed, applied = written.computed, written.applied
        found.close_to_others()
        has_setup = bool(setup.to_run(computed))
        if not has_setup:  # what follows needs the lock for that alone
            lock.close()
        carried, to_carry = _carry(found, record, written, progress, to_note=not has_setup)
        for name in applied.locks:
            together.tell(f"lock: the recorded text of the {name} packages was gone or damaged, and is written again")
        missing = _tell_missing(found, wanted, computed, progress, together)
        behind = relocking.catch_up(found, computed.behind, progress)
        if has_setup:
            _set_up(found, written, lock, progress)
    return thread_report(computed)._replace(
        changes=written.changes,
        generation=applied.generation,
        kept=applied.kept,
        kept_at=tuple(each.kept and found.state.location(each.kept) for each in applied.kept),
        missing_programs=missing,
        remarks=(*builds.remarks(map(found.build, wanted.needs)), *behind),
        carried=carried,
        to_carry=to_carry,
    )


class _Written(NamedTuple):
    """The outcome of the writing: by which plan, and what became of the packages that the agent added."""

    computed: Plan
    changes: tuple[Change, ...]
    """Those of the plan, behind what was opened for it, with the builds that were made."""
    applied: Applied
    coming: Coming
    carried: tuple[Fate, ...]


def _write(
    found: Thread,
    wanted: Wanted,
    record: Record | None,
    on_conflict: OnConflict,
    progress: Callable[[str], None],
    together: Together,
) -> _Written:
    """Plan, make the builds that this host lacks, and write all of it as a generation."""
    computed, lacking, opened = _plan_all(found, wanted, record, on_conflict)
    changes = (*opened, *computed.changes)
    settings = computed.desired.settings
    backend = backends.find(settings["backend"])
    notice = backend.notice(settings["network"])
    if notice:
        together.tell(notice)
    if record is None or lacking or any(map(lies_on_host, changes)):
        _check_disk(found, together)
    with ExitStack() as held:
        planned = computed
        computed = _have_builds(found, wanted, planned, lacking, on_conflict, held, together)
        if computed is not planned:
            made = filter(lies_on_host, changes)
            changes = (*opened, *made, *filterfalse(lies_on_host, computed.changes))
            found.state.check_held(found.name)
        carried: list[Fate] = []
        owned, fresh = held.enter_context(uids.for_apply(found, computed.base, progress))

        def renew(name: str) -> None:
            carried.extend(noting.renew(owned, fresh, computed.desired.builds[name], backend, progress))

        coming = noting.foresee(found, record, wanted.needs, computed.desired.builds)
        about = _about(wanted.cause)
        _make_room(found, record, computed.changes)
        applied = apply_plan(computed, owned.create_root, found.state, fresh, renew, about, coming.added)
    return _Written(computed, changes, applied, coming, tuple(carried))


def _carry(
    found: Thread, record: Record | None, written: _Written, progress: Callable[[str], None], *, to_note: bool
) -> tuple[tuple[Fate, ...], tuple[Fate, ...]]:
    """Begin layers above the new builds where the agent added packages: what was carried, and what waits for a run.

    Where none is begun, what was added is noted if `to_note` says so.
    """
    coming = written.coming
    carried = (*written.carried, *coming.dropped)
    if coming.pending and (begun := execute.begin(found, progress)) is not None:
        kinds = {each.kind for each in coming.pending}
        return (*carried, *(each for each in begun if each.kind in kinds)), ()
    if to_note and record is not None and coming.added != record.added:
        noting.note_all(found)
    return carried, coming.pending


def _set_up(found: Thread, written: _Written, lock: ExitStack, progress: Callable[[str], None]) -> None:
    """Run the commands of setup under the thread's lock, then let go of it. Raises what one failed with."""
    from solven_env.run import setting_up  # few profiles have such commands

    failed = setting_up.run(found, written.computed, written.changes, written.applied.generation, progress)
    lock.close()
    noting.note_all(found)
    if failed is not None:
        raise failed


def _make_room(found: Thread, record: Record | None, changes: Sequence[Change]) -> None:
    """Have a session whose disk is limited know that what is written now is not its own."""
    if record is None or not record.generation or not record.settings["limits"].get("disk"):
        return
    grown = [
        (change.after.size if change.after else 0) - (change.before.size if change.before else 0)
        for change in changes
        if not lies_on_host(change)
    ]
    sessions.make_room(found, record, sum(each + 2 * _PAGE for each in grown if each >= 0))


def _check_disk(found: Thread, together: Together) -> None:
    """Refuse (StoreError) what begins a layer where all threads of this host take more disk than it allows."""
    bound = found.config.sandbox.disk
    if bound is not None:
        from solven_env.threads import host_disk  # most hosts have no such bound

        host_disk.check(bound, directories.data(), together.tell)


def _make(found: Thread, lacking: Sequence[Need], backend: Backend, progress: Callable[[str], None]) -> None:
    """Make the builds that this host lacks."""
    builder = builds.builder(found.config, os.environ, backend)
    builds.obtain(lacking, builder, found.config, os.environ, progress)


def foretell(
    found: Thread, wanted: Wanted, record: Record | None, on_conflict: OnConflict
) -> tuple[Plan, ThreadReport]:
    """Plan what `apply` would make of a thread of which this is recorded, and tell of it. Nothing is written."""
    computed = planning.plan(found, wanted, record, on_conflict)[0]
    coming = noting.foresee(found, record, wanted.needs, computed.desired.builds)
    behind = relocking.foreseen(computed.behind)
    return computed, thread_report(computed)._replace(to_carry=(*coming.pending, *coming.dropped), remarks=behind)


def recover(
    found: Thread, path: str, number: int | None, on_conflict: OnConflict, progress: Callable[[str], None]
) -> ThreadReport:
    """Give back what a generation kept of a path. Errors and `progress` as of `solven_env.recover`."""
    found.applied()
    check_readers(found.config.sandbox.group)
    found = found.settled(progress)
    with noting.held(found, progress):
        record = found.applied()
        if record.intended is not None:
            raise StateError(
                "an apply was interrupted, and nothing is given back before its end",
                fix=f"Finish it: solven-env apply PROFILE {found.name}, or: solven-env rollback {found.name}",
                location=found.name,
            )
        _check_seen(path, record, progress)
        gift = giving_back.find(found.state, *generations.kept_at_path(found, path, number))
        with uids.for_apply(found, record, progress) as (owned, fresh):
            with owned.open_root() or nullcontext() as root:
                computed = giving_back.plan(root, gift, found.name, record, on_conflict)
                if root is not None and gift.kept.is_moved:
                    with found.state.place(posixpath.dirname(gift.kept.kept)) as place:
                        root.check_way_out(path, place)
            refuse_conflicts(computed, "Move")
            _make_room(found, record, computed.changes)
            applied = apply_plan(
                computed,
                owned.create_root,
                found.state,
                fresh,
                about=_about(f"recover {path}"),
                added=record.added,
                make=giving_back.making(gift, found.state),
            )
        found.close_to_others()
    return thread_report(computed)._replace(
        generation=applied.generation,
        kept=applied.kept,
        kept_at=tuple(each.kept and found.state.location(each.kept) for each in applied.kept),
        restored=gift.generation,
    )


def _check_seen(path: str, record: Record, progress: Callable[[str], None]) -> None:
    """WorkspaceError for a path that the profile mounts upon; `progress` is told of one beneath such a path."""
    settings = record.settings
    targets = [each["target"] for each in settings["mounts"]] + [f"/{each['path']}" for each in settings["links"]]
    targets += [row.TARGET for name, row in ECOSYSTEMS.items() if settings.get(name)]
    if f"/{path}" in targets:
        raise WorkspaceError(
            "the profile mounts something here, which would hide it",
            fix="Nothing was changed. Copy what you need from where it lies: solven-env show names the place.",
            location=shown(path),
        )
    for each in targets:
        if f"/{path}".startswith(f"{each}/"):
            progress(f"{shown(path)}: commands do not see it, since the profile mounts something at {each}")


def _about(cause: str) -> dict[str, str]:
    """The apply as its generation tells of it."""
    from datetime import UTC, datetime

    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"time": time, "host": os.uname().nodename, "version": __version__, "cause": cause}


def _plan_all(
    found: Thread, wanted: Wanted, record: Record | None, on_conflict: OnConflict
) -> tuple[Plan, tuple[Need, ...], tuple[Change, ...]]:
    """Plan, and open the directories that keep their owner out, one after the other, until all can be looked at.

    Returns the plan, the builds that this host lacks, and what was opened. ConflictError for what is left of conflicts.
    """
    opened: tuple[Change, ...] = ()
    while True:
        computed, lacking = planning.plan(found, wanted, record, on_conflict)
        if computed.changes or computed.closed or lacking or not computed.is_recorded:
            found.state.check_held(found.name)
        refuse_conflicts(computed, "Move" if wanted.cause.startswith("rollback") else "Look with diff; move")
        if not computed.closed:
            return computed, lacking, opened
        if len(opened) > _OPENINGS:
            raise changed_meanwhile(opened[-1].name)
        opened += let_in(computed, found.create_root)


def _have_builds(
    found: Thread,
    wanted: Wanted,
    computed: Plan,
    lacking: tuple[Need, ...],
    on_conflict: OnConflict,
    held: ExitStack,
    together: Together,
) -> Plan:
    """Make the builds that this host lacks, and have `held` keep all of the thread's from being collected.

    Returns the plan, made once more with the exact bytes of what the builds bring where one was lacking.
    """
    for left in reversed(range(_COLLECTED)):
        if lacking:
            make = partial(
                _make, found, lacking, backends.find(computed.desired.settings["backend"]), together.progress
            )
            if left == _COLLECTED - 1:
                together.once(tuple(sorted(need.identity for need in lacking)), make)
            else:
                make()
            found.looks.forget()
            computed, lacking = planning.plan(found, wanted, computed.base, on_conflict)
        if not lacking:
            try:
                held.enter_context(builds.used(computed.desired.builds, map(found.build, wanted.needs)))
                return computed
            except StoreError:  # collected since it was found
                if not left:
                    raise
                found.looks.forget()
                computed, lacking = planning.plan(found, wanted, computed.base, on_conflict)
    raise StoreError("builds are collected as soon as they are made", fix="Try again when no gc runs.")


def _tell_missing(
    found: Thread, wanted: Wanted, computed: Plan, progress: Callable[[str], None], together: Together
) -> tuple[MissingProgram, ...]:
    """Tell `progress` of links that lead nowhere, and of programs of the host that commands would not find.

    Returns the programs.
    """
    settings = computed.desired.settings
    targets = {link["path"]: link["to"] for link in settings["links"]}
    for path in found.missing_links(settings, optional=False):
        see = f"see solven-env doctor {found.name}"
        line = f"link: /{path} leads nowhere, and no command starts until it does; {see}"
        together.once((path, targets[path]), partial(progress, line))
    if not settings.get("programs"):
        return ()
    had = tuple(map(found.build, wanted.needs))
    find = partial(missing_programs.find, settings, found.storage, had)
    missing = found.looks.at_first(("programs", had), settings, find)
    if missing:
        together.tell(f"programs: {missing_programs.told(missing)}. {missing_programs.fix(missing)}")
    return missing
