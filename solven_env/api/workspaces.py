"""The verbs of a workspace: plan, compare and apply it, and go back to what a former generation left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from solven_env.api.arguments import check_on_conflict, find_thread, find_threads
from solven_env.errors import UsageError
from solven_env.report import HistoryReport, Report, ShowReport, failure_report, is_failure, thread_report

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable
    from pathlib import Path

    from solven_env.packages.locks import Lock
    from solven_env.profile.inputs import InputValues
    from solven_env.profile.source import ProfileSource
    from solven_env.reconcile.model import OnConflict, Plan
    from solven_env.report import ThreadReport
    from solven_env.state.records import Record
    from solven_env.threads.planning import Wanted
    from solven_env.threads.thread import Thread


def plan(
    profile: str | Path,
    thread: str,
    *,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
    restore_record: bool = False,
) -> Plan:
    """Plan what `apply` would do, with the exact bytes. Nothing is written, and no lock is taken.

    >>> [change.address for change in solven_env.plan("solven", "thread-42").changes]
    ['build:bun', 'build:python', 'directory:/', …]
    """
    from solven_env.threads import planning

    check_on_conflict(on_conflict)
    found = find_thread(thread, storage)
    record = found.record(recover=restore_record)
    wanted = _wanting(profile, inputs, unset)(found, record)
    return planning.plan(found, wanted, record, on_conflict)[0]


def diff(
    profile: str | Path,
    thread: str,
    *,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
    restore_record: bool = False,
) -> Report:
    """Report what `apply` would do. Errors as of `plan`.

    >>> solven_env.diff("solven", "thread-42").threads[0].state
    'pending'
    """
    check_on_conflict(on_conflict)
    wanting = _wanting(profile, inputs, unset)
    return Report("diff", (_foretell(find_thread(thread, storage), wanting, on_conflict, restore_record),))


def diff_many(
    profile: str | Path | ProfileSource,
    threads: Iterable[str],
    *,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
    restore_record: bool = False,
) -> Generator[ThreadReport, None, None]:
    """Report what `apply_many` would do, several threads at once: the report of each as it ends, in any order.

        >>> [each.thread for each in solven_env.diff_many("solven", ["thread-42", "thread-43"]) if each.changes]
        ['thread-43']

    Errors as of `apply_many`.
    """
    from solven_env.threads import many

    check_on_conflict(on_conflict)
    found, names = find_threads(threads, storage)
    wanting = _wanting(profile, inputs, unset, found)

    def foretell_one(name: str) -> ThreadReport:
        return _foretell(found.sibling(name), wanting, on_conflict, restore_record)

    return many.each(names, foretell_one, failure_report)


def _wanting(
    profile: str | Path | ProfileSource, inputs: InputValues | None, unset: Collection[str], first: Thread | None = None
) -> Callable[[Thread, Record | None], Wanted]:
    """A function to what a profile asks of a thread. For many threads, `first` among them, its lock is read once."""
    from functools import partial

    from solven_env.profile.source import find_profile
    from solven_env.threads import planning

    source, given = find_profile(profile), inputs or {}
    lock = planning.check(source, first.name, given, unset) if first is not None else None
    return partial(planning.wanted_by_profile, source=source, inputs=given, unset=unset, lock=lock)


def _foretell(
    found: Thread,
    wanting: Callable[[Thread, Record | None], Wanted],
    on_conflict: OnConflict,
    restore_record: bool = False,
) -> ThreadReport:
    from solven_env import applying

    record = found.record(recover=restore_record)
    return applying.foretell(found, wanting(found, record), record, on_conflict)[1]


def save_plan(
    profile: str | Path,
    thread: str,
    file: str | Path,
    *,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
) -> Report:
    """Write what `apply` would do into a file (mode 0600), with the exact bytes, for `apply_plan`; and report it.

        >>> solven_env.save_plan("solven", "thread-42", "thread-42.plan").threads[0].state
        'pending'

    `ConflictError`, and nothing written, for conflicts that `on_conflict` leaves; `WorkspaceError` where directories of
    the workspace keep their owner out: what is in them is not known before an apply. Other errors as of `plan`.
    """
    from pathlib import Path

    from solven_env import applying
    from solven_env.reconcile.apply import refuse_closed, refuse_conflicts
    from solven_env.threads import saved_plans

    check_on_conflict(on_conflict)
    found = find_thread(thread, storage)
    record = found.record()
    wanted = _wanting(profile, inputs, unset)(found, record)
    computed, report = applying.foretell(found, wanted, record, on_conflict)
    refuse_conflicts(computed)
    refuse_closed(computed)
    saved_plans.write(Path(file), saved_plans.dump(found, record, wanted, computed))
    return Report("plan", (report,))


def status(
    thread: str,
    *,
    profile: str | Path | None = None,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
) -> Report:
    """Report where workspace and host differ from what the last apply left; with a profile, what is pending too.

    >>> solven_env.status("thread-42").threads[0].state
    'in-sync'

    `NeverAppliedError` for a thread that was never applied.
    """
    from solven_env.profile.source import find_profile

    found = find_thread(thread, storage)
    _check_profile_named(profile, inputs)
    source = None if profile is None else find_profile(profile)
    return Report("status", (_status(found, source, inputs or {}, None),))


def status_many(
    threads: Iterable[str],
    *,
    profile: str | Path | ProfileSource | None = None,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
) -> Generator[ThreadReport, None, None]:
    """Report as `status` does of many threads, several at once: the report of each as it ends, in any order.

        >>> [each.thread for each in solven_env.status_many(solven_env.threads()) if each.state != "in-sync"]
        ['thread-43']

    Errors as of `apply_many`.
    """
    from solven_env.profile.source import find_profile
    from solven_env.threads import many, planning

    found, names = find_threads(threads, storage)
    _check_profile_named(profile, inputs)
    source, given = None if profile is None else find_profile(profile), inputs or {}
    lock = None if source is None else planning.check(source, found.name, given)
    return many.each(names, lambda name: _status(found.sibling(name), source, given, lock), failure_report)


def _status(found: Thread, source: ProfileSource | None, inputs: InputValues, lock: Lock | None) -> ThreadReport:
    from solven_env.packages import builds
    from solven_env.run import execute, relocking
    from solven_env.threads import noting, planning, sessions

    record = found.applied()
    wanted = planning.wanted_by_record(found, record)
    drift = planning.plan(found, wanted, record)[0]
    # A profile may ask for other builds than those that commands run above now.
    computed = drift
    if source is not None:
        wanted = planning.wanted_by_profile(found, record, source, inputs, lock=lock)
        computed = planning.plan(found, wanted, record)[0]
    coming = noting.foresee(found, record, wanted.needs, computed.desired.builds)
    return thread_report(computed)._replace(
        profile=record.profile["name"],
        release=record.profile["release"],
        builds=tuple(build["key"] for build in computed.desired.builds.values()),
        added=found.added(record, drift.desired.builds),
        missing_links=found.missing_links(record.settings, optional=True),
        unenforced=found.looks.at_first("unenforced", record.settings, lambda: execute.unenforced(record)),
        session=sessions.look(found, record),
        remarks=(*builds.remarks(map(found.build, wanted.needs)), *relocking.remarks(found.name, drift.behind)),
        carried=coming.done,
        to_carry=(*coming.pending, *coming.dropped),
    )


def apply(
    profile: str | Path,
    thread: str,
    *,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
    restore_record: bool = False,
    wait: float = 0.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Make a thread's workspace match a profile. The report's changes are those that were made.

        >>> solven_env.apply("solven", "thread-42", inputs={"user_id": "ada"}).threads[0].generation
        1

    `ConflictError` when the workspace holds changes that would be lost, unless `on_conflict` settles that: "merge"
    takes the lines of both sides where they do not overlap, "keep" leaves the workspace's version, "overwrite" keeps it
    in the generation first; `HeldError` while another apply has the thread, for longer than `wait` seconds; `LockError`
    when the profile's lock is out of date; `BuildError` when packages cannot be installed; `DamagedRecordError` when
    the thread's record is damaged or gone, unless `restore_record` has its newest whole generation take its place;
    `StorageError` when the storage is not mounted, or another one than it should be; `SetupError` when a command of
    `setup` fails, once all else is applied. `progress` is told of a record that was restored, of a copied storage, of
    builds that are made, of commands of `setup`, what the backend does not enforce, and of programs that the profile
    needs of the host and commands would not find (the report's `missing_programs`).
    """
    from solven_env import applying

    check_on_conflict(on_conflict)
    wanting = _wanting(profile, inputs, unset)
    report = applying.apply(
        find_thread(thread, storage),
        wanting,
        on_conflict=on_conflict,
        restore_record=restore_record,
        wait=_seconds(wait),
        progress=progress,
    )
    return Report("apply", (report,))


def apply_many(
    profile: str | Path | ProfileSource,
    threads: Iterable[str],
    *,
    storage: str | Path | None = None,
    inputs: InputValues | None = None,
    unset: Collection[str] = (),
    on_conflict: OnConflict = "fail",
    restore_record: bool = False,
    wait: float = 0.0,
    canary: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Generator[ThreadReport, None, None]:
    """Apply a profile to many threads, several at once, and yield the report of each as it ends.

        >>> threads = [f"thread-{number}" for number in range(1000)]
        >>> [each.thread for each in solven_env.apply_many("solven", threads) if each.error]
        []

    The profile and its lock are read once, and a build that is missing is made once. What is wrong with these, with a
    thread's name or with the storage is raised by the call itself, before anything is done. What `apply` raises for one
    thread alone is the `error` of its report, whose state is "failed", or "conflict" with the plan. The first `canary`
    threads come first: the others are left alone if one of them fails or conflicts. `progress` is called by several
    threads of this process; lines about one of the threads begin with its name.

    KeyboardInterrupt, and the end of the iterator, let no more threads begin: those that have begun end, or leave what
    the next apply finishes. The reports that still come are given before the interrupt is raised.
    """
    from solven_env import applying
    from solven_env.packages.steps import about
    from solven_env.threads import many

    check_on_conflict(on_conflict)
    if canary < 0:
        raise UsageError(f"canary is {canary}", fix="Use 0 or more.")
    found, names = find_threads(threads, storage)
    seconds = _seconds(wait)
    wanting = _wanting(profile, inputs, unset, found)
    together = applying.Together(progress, many.Once())

    def apply_one(name: str) -> ThreadReport:
        return applying.apply(
            found.sibling(name),
            wanting,
            on_conflict=on_conflict,
            restore_record=restore_record,
            wait=seconds,
            progress=about(name, progress),
            together=together,
        )

    return many.each(names, apply_one, failure_report, canary=canary, is_bad=is_failure)


def apply_plan(
    file: str | Path,
    thread: str | None = None,
    *,
    storage: str | Path | None = None,
    dry_run: bool = False,
    wait: float = 0.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Make the changes of a plan that `save_plan` wrote, those and no others.

        >>> solven_env.apply_plan("thread-42.plan").threads[0].generation
        4

    `PlanError`, which names each of them, and nothing changed, where something is not as it was when the plan was made:
    the storage, the thread, its generation, what stands in the workspace; also where the file is damaged or was edited.
    A build that this host lacks is made first. With `dry_run` nothing is written. Errors, `wait` and `progress` as of
    `apply`.
    """
    from pathlib import Path

    from solven_env import applying
    from solven_env.threads import planning, saved_plans

    saved = saved_plans.read(Path(file))
    found = find_thread(thread or saved.thread, storage)

    def wanting(found: Thread, record: Record | None) -> planning.Wanted:
        return saved_plans.wanted(saved, found, record)

    if dry_run:
        report = _foretell(found, wanting, saved.on_conflict)
    else:
        report = applying.apply(found, wanting, on_conflict=saved.on_conflict, wait=_seconds(wait), progress=progress)
    return Report("apply", (report,))


def history(thread: str, *, storage: str | Path | None = None) -> HistoryReport:
    """List the generations of a thread, the newest first: when, where and why each was applied, and what it kept.

        >>> [(each.number, each.about("cause")) for each in solven_env.history("thread-42").generations]
        [(2, 'rollback to 1'), (1, 'apply')]

    `NeverAppliedError` for a thread that was never applied. A damaged generation is in the list, with its `error`.
    """
    from solven_env.threads import generations

    found = find_thread(thread, storage)
    return HistoryReport(found.name, generations.history(found), found.applied().intended is not None)


def show(thread: str, generation: int, *, storage: str | Path | None = None) -> ShowReport:
    """Report what one generation of a thread left, and how its settings differ from those of the one before.

        >>> solven_env.show("thread-42", 2).changed
        ('env.LANG', 'release')

    `UsageError` where the thread has no generation of that number; `StateError` where it is damaged.
    """
    from solven_env.threads import generations

    found = find_thread(thread, storage)
    return ShowReport(found.name, *generations.show(found, generation))


def rollback(
    thread: str,
    generation: int | None = None,
    *,
    storage: str | Path | None = None,
    on_conflict: OnConflict = "fail",
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Make a thread's workspace what a former generation left; without a number, the one before the present.

        >>> solven_env.rollback("thread-42").threads[0].restored
        1

    It is an apply of that generation's bytes, modes, settings, inputs and builds, and becomes a new generation. What
    the agent changed since is treated as by any apply, and packages that it added are carried. With `dry_run` nothing
    is written. Errors and `progress` as of `apply`; also `StateError`, and nothing changed, where bytes of that
    generation are gone, `UsageError` where there is none of that number.
    """
    from solven_env import applying
    from solven_env.threads import generations, planning

    check_on_conflict(on_conflict)
    found, former = find_thread(thread, storage), 0

    def wanting(found: Thread, record: Record | None) -> planning.Wanted:
        nonlocal former
        record = record if record is not None and record.generation else found.applied()
        chosen = generations.former(found, record, generation)
        former = chosen.generation
        return planning.wanted_by_generation(found, chosen)

    if dry_run:
        report = _foretell(found, wanting, on_conflict)
    else:
        report = applying.apply(found, wanting, on_conflict=on_conflict, progress=progress)
    return Report("rollback", (report._replace(restored=former),))


def recover(
    thread: str,
    path: str,
    *,
    generation: int | None = None,
    storage: str | Path | None = None,
    on_conflict: Literal["fail", "overwrite"] = "fail",
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Put what a generation kept of a path back into the workspace: a file with its bytes and mode, a link, or what was
    moved aside whole.

        >>> solven_env.recover("thread-42", "notes.txt").threads[0].restored
        3

    Without `generation` it is the newest that kept something of the path. The result is a generation of its own.
    `ConflictError`, and nothing written, where anything else stands there, unless `on_conflict` is "overwrite", which
    keeps that first. `StateError` where the bytes are gone or an apply was interrupted, `UsageError` where nothing was
    kept of the path.
    """
    from solven_env import applying
    from solven_env.system import names

    check_on_conflict(on_conflict, ("fail", "overwrite"))
    beneath = path.removeprefix("./").removeprefix("/").rstrip("/")
    if not names.is_relative(beneath):
        raise UsageError(f"{path!r} is no path of a workspace", fix="Name what was kept: src/notes.txt, say.")
    found = find_thread(thread, storage)
    return Report("recover", (applying.recover(found, beneath, generation, on_conflict, progress),))


def _check_profile_named(profile: object, inputs: InputValues | None) -> None:
    if inputs and profile is None:
        raise UsageError("inputs are of use to a profile only", fix="Name the profile (--profile), or leave them out.")


def _seconds(wait: float) -> float:
    if not 0 <= wait < float("inf"):
        raise UsageError(f"wait is {wait}", fix="Give a number of seconds, 0 or more.")
    return wait
