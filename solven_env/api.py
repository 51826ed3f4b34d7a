"""The verbs, for programs and for the command line alike: typed, silent, with frozen results.

Every verb raises a subclass of `solven_env.errors.SolvenError` for what its user can fix, and imports what it needs
when it is called: a run has no use for YAML and Jinja, which cost more than all of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, get_args

from solven_env.errors import UsageError
from solven_env.reconcile.model import OnConflict
from solven_env.report import (
    DiskReport,
    DoctorReport,
    EditReport,
    FormatReport,
    GcReport,
    HistoryReport,
    LayerDiffReport,
    LayerResetReport,
    ListedThread,
    LockReport,
    OutdatedReport,
    PromoteReport,
    RenderReport,
    Report,
    ShowReport,
    ThreadReport,
    failure_report,
    is_failure,
    thread_report,
)
from solven_env.system.names import thread_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from solven_env.doctor.listing import Listing
    from solven_env.doctor.questions import Finding
    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.errors import SolvenError
    from solven_env.packages.locks import Lock
    from solven_env.packages.making import Builder
    from solven_env.packages.profile_edits import SectionEdit
    from solven_env.profile.drafting import NotTaken
    from solven_env.profile.explained import ProfileExplanation
    from solven_env.profile.inputs import InputValues
    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.profile.source import ProfileSource
    from solven_env.reconcile.model import Plan
    from solven_env.run.explanation import Explanation
    from solven_env.sandbox.limits import Reached
    from solven_env.sandbox.request import Request
    from solven_env.state.records import Record
    from solven_env.threads.overview import KnownProfile
    from solven_env.threads.planning import Wanted
    from solven_env.threads.thread import Thread

EXAMPLE_THREAD = "example"


def validate(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: InputValues | None = None
) -> tuple[Diagnostic, ...]:
    """Find every mistake in a profile, in its order; none when it is valid. Required inputs get a stand-in value.

    >>> solven_env.validate("profiles/solven.yaml")
    ()
    """
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import diagnose
    from solven_env.profile.source import find_profile

    return diagnose(find_profile(profile), thread_id(thread), rows(), given=inputs or {}, environ=os.environ)


def resolve(profile: str | Path) -> dict[str, Any]:
    """Merge a profile with all that it extends: one document, as plain data, its expressions as they are written.

    >>> solven_env.resolve("team.yaml")["env"]
    {'MPLBACKEND': 'Agg', …}

    ProfileError for mistakes in any of the files.
    """
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import declared
    from solven_env.profile.source import find_profile

    return declared(find_profile(profile), rows()).data


def explain_profile(profile: str | Path, key: str = "") -> ProfileExplanation:
    """Find the file and line of each value of a profile, of those at `key` if it is given, and what they replaced.

    >>> solven_env.explain_profile("team.yaml", "env.MPLBACKEND").values[0].location
    Location(file='team.yaml', line=12, column=3)

    ProfileError for mistakes in any of the files; UsageError for a key that the profile does not have.
    """
    from solven_env.documents.schema import parsed
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.explained import explain
    from solven_env.profile.prepare import declared
    from solven_env.profile.source import find_profile, read_schema

    document = declared(find_profile(profile), rows())
    return explain(document, parsed(read_schema("profile-v1.json")), key)


def render(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: InputValues | None = None
) -> tuple[RenderedFile, ...]:
    """Render a profile's files as `thread` would get them.

    >>> [file.path for file in solven_env.render("solven")]
    ['.bashrc', '.bash_profile', …]
    """
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import prepare
    from solven_env.profile.source import find_profile

    source, thread = find_profile(profile), thread_id(thread)
    return prepare(source, thread, rows(), given=inputs or {}, environ=os.environ, recorded={}).files


def render_to(
    profile: str | Path,
    directory: str | Path,
    *,
    thread: str = EXAMPLE_THREAD,
    inputs: InputValues | None = None,
    check: bool = False,
    on_conflict: Literal["fail", "overwrite"] = "fail",
) -> RenderReport:
    """Write a profile's rendered files into a directory, and remove what only an earlier render wrote there.

        >>> [each.path for each in solven_env.render_to("team.yaml", "rendered", check=True).differences]
        ['.bashrc']

    With `check` nothing is written. `ConflictError`, and nothing written, when the directory holds changes that would
    be lost, unless `on_conflict` is "overwrite", which keeps no copy of them. A file that an earlier render wrote, that
    this one does not, and that was edited since, stays.
    """
    from pathlib import Path

    from solven_env.profile import rendered_directory

    _check_on_conflict(on_conflict, ("fail", "overwrite"))
    files, out = render(profile, thread=thread, inputs=inputs), Path(directory)
    if check:
        return RenderReport(out, files, rendered_directory.compare(out, files))
    return RenderReport(out, files, rendered_directory.write(out, files, overwrite=on_conflict == "overwrite"))


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
    from solven_env.profile.source import find_profile
    from solven_env.threads import planning

    _check_on_conflict(on_conflict)
    found = _thread(thread, storage)
    record = found.record(recover=restore_record)
    wanted = planning.wanted_by_profile(found, record, find_profile(profile), inputs or {}, unset)
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
    from functools import partial

    from solven_env.profile.source import find_profile
    from solven_env.threads import planning

    _check_on_conflict(on_conflict)
    wanting = partial(planning.wanted_by_profile, source=find_profile(profile), inputs=inputs or {}, unset=unset)
    return Report("diff", (_foretell(_thread(thread, storage), wanting, on_conflict, restore_record),))


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
    from functools import partial

    from solven_env.profile.source import find_profile
    from solven_env.threads import many, planning

    _check_on_conflict(on_conflict)
    found, names = _several(threads, storage)
    source, given = find_profile(profile), inputs or {}
    lock = planning.check(source, found.name, given, unset)
    wanting = partial(planning.wanted_by_profile, source=source, inputs=given, unset=unset, lock=lock)

    def foretell_one(name: str) -> ThreadReport:
        return _foretell(found.sibling(name), wanting, on_conflict, restore_record)

    return many.each(names, foretell_one, failure_report)


def _foretell(
    found: Thread,
    wanting: Callable[[Thread, Record | None], Wanted],
    on_conflict: OnConflict,
    restore_record: bool,
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
    from solven_env.profile.source import find_profile
    from solven_env.reconcile.apply import refuse_closed, refuse_conflicts
    from solven_env.threads import planning, saved_plans

    _check_on_conflict(on_conflict)
    found = _thread(thread, storage)
    record = found.record()
    wanted = planning.wanted_by_profile(found, record, find_profile(profile), inputs or {}, unset)
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

    found = _thread(thread, storage)
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

    found, names = _several(threads, storage)
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


def threads(storage: str | Path | None = None, *, profile: str | None = None) -> tuple[str, ...]:
    """The names of a storage's threads, sorted: all that an apply has begun with; or those that have a profile.

        >>> solven_env.threads("./storage", profile="solven")
        ('thread-42', 'thread-43')

    `profile` is the `name` that profiles give themselves. Threads whose record cannot be read are among them, so that
    the verbs which are given them say so; those of which no apply ended are not.
    """
    from solven_env.threads import many

    found = _thread(EXAMPLE_THREAD, storage)
    if profile is None:
        return found.names()
    had = many.each(
        found.names(), lambda name: (name, found.sibling(name).profile_name()), lambda name, _: (name, profile)
    )
    return tuple(sorted(name for name, its in had if its == profile))


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
    from functools import partial

    from solven_env import applying
    from solven_env.profile.source import find_profile
    from solven_env.threads import planning

    _check_on_conflict(on_conflict)
    wanting = partial(planning.wanted_by_profile, source=find_profile(profile), inputs=inputs or {}, unset=unset)
    report = applying.apply(
        _thread(thread, storage),
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
    from functools import partial

    from solven_env import applying
    from solven_env.packages.steps import about
    from solven_env.profile.source import find_profile
    from solven_env.threads import many, planning

    _check_on_conflict(on_conflict)
    if canary < 0:
        raise UsageError(f"canary is {canary}", fix="Use 0 or more.")
    found, names = _several(threads, storage)
    source, given, seconds = find_profile(profile), inputs or {}, _seconds(wait)
    lock = planning.check(source, found.name, given, unset)
    wanting = partial(planning.wanted_by_profile, source=source, inputs=given, unset=unset, lock=lock)
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
    found = _thread(thread or saved.thread, storage)

    def wanting(found: Thread, record: Record | None) -> planning.Wanted:
        return saved_plans.wanted(saved, found, record)

    if dry_run:
        record = found.record()
        report = applying.foretell(found, wanting(found, record), record, saved.on_conflict)[1]
    else:
        report = applying.apply(found, wanting, on_conflict=saved.on_conflict, wait=_seconds(wait), progress=progress)
    return Report("apply", (report,))


def list_threads(
    *,
    storage: str | Path | None = None,
    profile: str | Path | None = None,
    outdated: bool = False,
    drifted: bool = False,
    disk: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[ListedThread]:
    """List the threads of a storage, and yield them one after the other, in the order of their names.

        >>> [each.thread for each in solven_env.list_threads(profile="solven", drifted=True)]
        ['thread-42']

    `profile` is a path, the name of a shipped profile, or the name that records have: threads of that profile alone are
    listed. `outdated` leaves those whose profile says something else now than their last apply left, and `drifted`
    those whose workspace or builds differ from it. With `disk` the size of workspace and layers is measured. A thread
    whose record is damaged is always listed, with its `error`. `progress` is told of threads of which nobody knows
    whether they are outdated, since their profile is none of the shipped ones.

    Errors of the storage, and of the profile and its lock, are raised by the call itself.
    """
    from functools import cache

    from solven_env.errors import counted
    from solven_env.threads import many, overview

    found, chosen = _thread(EXAMPLE_THREAD, storage), overview.choose(profile, with_lock=outdated)
    profile_of, unknown = cache(chosen.profile_of), list[str]()

    def listed(name: str) -> tuple[str, ListedThread | None]:
        thread, about = found.sibling(name), profile_of if outdated else None
        return name, _listed(thread, chosen.name, about, unknown, drifted=drifted, disk=disk)

    def failed(name: str, error: SolvenError) -> tuple[str, ListedThread | None]:
        return name, ListedThread(name, "failed", error=error)

    def rows() -> Iterator[ListedThread]:
        names = found.names()
        yield from filter(None, overview.in_order(names, many.each(names, listed, failed)))
        for name in sorted(set(unknown)):
            of_it = f"{counted(unknown.count(name), 'thread')} of the profile {name}"
            fix = "Name its file: --profile ./team.yaml, say."
            progress(f"{of_it}: nobody knows whether they are outdated, since it is not shipped. {fix}")

    return rows()


def _listed(
    thread: Thread,
    named: str,
    profile_of: Callable[[str], KnownProfile | None] | None,
    unknown: list[str],
    *,
    drifted: bool,
    disk: bool,
) -> ListedThread | None:
    """One thread of a list; None where the list leaves it out. `named` is the profile that it is about, empty for all.

    With `profile_of` only outdated threads are listed; `unknown` gets the names of profiles that it does not know.
    """
    from solven_env.state.recovering import applied_at
    from solven_env.threads import overview, planning, shares

    record = thread.record()
    if record is None or not record.generation:
        if named or profile_of or drifted or not thread.state.has(f"threads/{thread.name}"):
            return None
        row = ListedThread(thread.name, "new", is_interrupted=record is not None)
    else:
        profile, release = record.profile["name"], record.profile["release"]
        if named not in ("", profile):
            return None
        is_outdated = None
        if profile_of is not None:
            declared = profile_of(profile)
            if declared is None:
                unknown.append(profile)
            is_outdated = declared is not None and overview.is_outdated(thread, record, declared)
            if not is_outdated:
                return None
        planned = thread_report(planning.plan_drift(thread, record))
        if drifted and planned.state != "drift":
            return None
        applied = applied_at(thread.state, thread.name, record.generation)
        is_interrupted = planned.is_interrupted
        row = ListedThread(
            thread.name, planned.state, record.generation, profile, release, applied, is_interrupted, is_outdated
        )
    return row._replace(disk=shares.own(thread).whole) if disk else row


def disk_usage(
    threads: Collection[str] = (),
    *,
    storage: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[DiskReport]:
    """Measure the disk that threads take on this host, all of the storage's without names, one after the other.

        >>> [each.workspace.bytes for each in solven_env.disk_usage(["thread-42"])]
        [53248]

    Sizes are those of du(1): allocated blocks, what has several names once, no other mounts, nothing behind links. The
    size of a build is divided among the threads that have it, of all storages that this host knows; `progress` is told
    of a storage that cannot be asked. A thread that is not there is a UsageError in its report.
    """
    from solven_env.threads import many, overview, shares
    from solven_env.workspace.sizes import DiskUse

    found, named = _several(threads, storage)
    names, builds = named or found.names(), shares.builds_of_all(found, progress)
    unknown = DiskUse(is_complete=False)

    def measured(name: str) -> tuple[str, DiskReport]:
        thread = found.sibling(name)
        own = shares.own(thread)
        return name, DiskReport(name, own.workspace, own.layers, builds.share(thread))

    def failed(name: str, error: SolvenError) -> tuple[str, DiskReport]:
        return name, DiskReport(name, unknown, unknown, unknown, error)

    return overview.in_order(names, many.each(names, measured, failed))


def history(thread: str, *, storage: str | Path | None = None) -> HistoryReport:
    """List the generations of a thread, the newest first: when, where and why each was applied, and what it kept.

        >>> [(each.number, each.about("cause")) for each in solven_env.history("thread-42").generations]
        [(2, 'rollback to 1'), (1, 'apply')]

    `NeverAppliedError` for a thread that was never applied. A damaged generation is in the list, with its `error`.
    """
    from solven_env.threads import generations

    found = _thread(thread, storage)
    return HistoryReport(found.name, generations.history(found), found.applied().intended is not None)


def show(thread: str, generation: int, *, storage: str | Path | None = None) -> ShowReport:
    """Report what one generation of a thread left, and how its settings differ from those of the one before.

        >>> solven_env.show("thread-42", 2).changed
        ('env.LANG', 'release')

    `UsageError` where the thread has no generation of that number; `StateError` where it is damaged.
    """
    from solven_env.threads import generations

    found = _thread(thread, storage)
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

    _check_on_conflict(on_conflict)
    found, former = _thread(thread, storage), 0

    def wanting(found: Thread, record: Record | None) -> planning.Wanted:
        nonlocal former
        record = record if record is not None and record.generation else found.applied()
        chosen = generations.former(found, record, generation)
        former = chosen.generation
        return planning.wanted_by_generation(found, chosen)

    if dry_run:
        record = found.record()
        report = applying.foretell(found, wanting(found, record), record, on_conflict)[1]
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

    _check_on_conflict(on_conflict, ("fail", "overwrite"))
    beneath = path.removeprefix("./").removeprefix("/").rstrip("/")
    if not names.is_relative(beneath):
        raise UsageError(f"{path!r} is no path of a workspace", fix="Name what was kept: src/notes.txt, say.")
    found = _thread(thread, storage)
    return Report("recover", (applying.recover(found, beneath, generation, on_conflict, progress),))


def _check_on_conflict(on_conflict: str, words: Sequence[str] = get_args(OnConflict)) -> None:
    if on_conflict not in words:
        listed = ", ".join(map(repr, words))
        raise UsageError(f"on_conflict cannot be {on_conflict!r}", fix=f"Pass one of {listed}.")


def run(
    thread: str,
    command: Sequence[str] | Request = (),
    *,
    storage: str | Path | None = None,
    shell: str | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    network: str | None = None,
    backend: str | None = None,
    keep_alive: float = 0.0,
    stdin: int | None = None,
    stdout: int = 1,
    stderr: int = 2,
    progress: Callable[[str], None] = lambda _: None,
    on_limit: Callable[[Reached], None] = lambda _: None,
) -> int:
    """Run a command in a thread's sandbox, with the workspace as `/`, and return its exit status.

        >>> solven_env.run("thread-42", ["python", "/script.py"], timeout=60)
        0

    `command` is its words, or a whole `Request`, which then says everything; `shell` in their place is a text for
    `/bin/bash --login -c`. `cwd` is the path inside at which it starts, in the place of the profile's. `timeout` is in
    seconds; `env` is added to the profile's variables, and shows in no argument list; `network` ('none', 'internet'
    or 'host') and `backend` ('bubblewrap' or 'proot') are used in the place of the profile's. `keep_alive` is how
    many seconds the session, with its /tmp, stays after the command. The streams are descriptors, never changed,
    and copied from and to what the command has in their place: a pipe, or for a terminal one of its own, with TERM
    as the caller has it (under proot it is the caller's). Standard input is at its end unless one is given: `stdin=0`
    passes the caller's. What the command leaves of a file or of the first 4 KiB of a pipe can be read afterwards. What
    this host lacks of the thread's builds is made first, and `progress` told of it, of what the backend does not
    enforce, of directories of the thread's own that the profile mounts upon, and of the network that a command lacked
    which failed; `on_limit` is told of each limit that the command reached.

    The status is the command's: 128 and more for a signal, 124 when its time was up, 126 when it cannot be executed,
    127 when it is not found. `UsageError`, which begins with the argument's name, for what is no command; any other
    `SolvenError` says that none was started, or that its streams could not be copied to their end, as onto a full disk
    (125 on the command line). KeyboardInterrupt, like any exception on the way, ends all that was started.
    """
    from solven_env.run import execute
    from solven_env.sandbox.request import Request, terminal

    if not isinstance(command, Request):
        streams = (stdin, stdout, stderr)
        given = Request(command, shell, cwd, env or {}, network, backend, timeout, keep_alive)
        command = given._replace(streams=streams, terminal=terminal(streams, os.environ))
    request = _checked(command)
    launch = execute.commands_of(thread, storage).apply(request, progress)
    ended = execute.run(launch, progress)
    for each in ended.limits:
        on_limit(each)
    return ended.status


def explain(
    thread: str,
    command: Sequence[str] | Request = (),
    *,
    storage: str | Path | None = None,
    shell: str | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    network: str | None = None,
    backend: str | None = None,
) -> Explanation:
    """Tell what `run` would start with the same arguments. It starts, builds and makes nothing.

        >>> solven_env.explain("thread-42", ["true"]).network
        'internet'

    Builds, layers, mounts with their reasons, variables (those in `env` by name), network, limits, uid, and the command
    line of the program that starts it.
    """
    from solven_env.run import execute
    from solven_env.sandbox.request import Request

    if not isinstance(command, Request):
        command = Request(command, shell, cwd, env or {}, network, backend, timeout)
    request = _checked(command)
    return execute.tell(_thread(thread, storage), request)


def doctor(
    thread: str | None = None,
    *,
    profile: str | Path | None = None,
    storage: str | Path | None = None,
    only: Sequence[str] = (),
    progress: Callable[[Finding], None] = lambda _: None,
) -> DoctorReport:
    """Ask about this host, and the named profile and thread, by doing what commands need. Repair nothing.

        >>> solven_env.doctor("thread-42").is_broken
        False
        >>> [finding.question for finding in solven_env.doctor(only=("bun",)).findings]
        ['uv', 'bun']

    `only` names questions: they and what they need are asked; without it, all are. `progress` is told each finding as
    it is made. Only `UsageError` is raised, for an unknown question too: what is wrong is in the report.
    """
    from solven_env.doctor.examining import Examination

    return Examination(thread, profile, storage, only).report(progress)


def contents(thread: str, *, storage: str | Path | None = None, packages: bool = True, files: bool = True) -> Listing:
    """List the packages of a thread, as its commands find them, its workspace's top level and its rendered files."""
    from solven_env.doctor.listing import list_thread

    return list_thread(_thread(thread, storage), with_packages=packages, with_files=files)


def stop(thread: str, *, storage: str | Path | None = None) -> bool:
    """End the thread's session on this host with all its commands, hung ones too; whether there was one.

    When it returns, every process of it has ended. The commands' callers get 137.
    """
    from solven_env.threads import sessions

    return sessions.stop(thread, storage)


def delete(
    thread: str,
    *,
    storage: str | Path | None = None,
    keep_workspace: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Delete a thread: end its session, and remove its layers on this host, its record with all that its generations
    kept, and its workspace, unless `keep_workspace` is given.

        >>> solven_env.delete("thread-42").threads[0].state
        'deleted'

    `UsageError` where there is no such thread; `HeldError` while an apply or a command without a session has it;
    `WorkspaceError` where something is mounted in its workspace, and nothing is removed then, or for what the system
    does not let go: all else is gone then, and deleting the thread again goes on.
    """
    return Report("delete", (_delete(_thread(thread, storage), keep_workspace, progress),))


def delete_many(
    threads: Iterable[str],
    *,
    storage: str | Path | None = None,
    keep_workspace: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Generator[ThreadReport, None, None]:
    """Delete many threads as `delete` does, several at once: the report of each as it ends, in any order.

        >>> sum(each.freed for each in solven_env.delete_many(["thread-42", "thread-43"]))
        188416

    Errors as of `apply_many`.
    """
    from solven_env.threads import many

    found, names = _several(threads, storage)
    return many.each(names, lambda name: _delete(found.sibling(name), keep_workspace, progress), failure_report)


def _delete(found: Thread, keep_workspace: bool, progress: Callable[[str], None]) -> ThreadReport:
    from solven_env.threads import deleting

    deleted = deleting.delete(found, keep_workspace=keep_workspace, progress=progress)
    return ThreadReport(found.name, "deleted", 0, freed=deleted.freed, has_workspace=deleted.has_workspace)


def gc(
    *,
    storage: str | Path | None = None,
    older_than: float = 0.0,
    keep: int | None = None,
    max_size: int | None = None,
    dry_run: bool = False,
) -> GcReport:
    """Collect what nobody needs on this host and in the storages that it knows, or in one `storage` of them.

        >>> solven_env.gc(keep=5, older_than=30 * 86400, dry_run=True).freed
        1288490188

    That are layers of threads that are gone, layers and builds that neither a record nor a generation goes back to,
    kept bytes that none names, and what killed processes left; with `keep`, generations of each thread beyond that
    number. `older_than` leaves what was used in the last so many seconds. With `max_size` builds go, the longest unused
    first, only until all have no more bytes than that. With `dry_run` nothing is removed. What is in use stays, and so
    does all that a storage may need which cannot be reached: the report's `unjudged` names it. `HeldError` while
    another one goes on.
    """
    from solven_env.threads import collecting

    for name, value, least in (("older_than", older_than, 0), ("keep", keep, 1), ("max_size", max_size, 0)):
        if value is not None and not value >= least:
            raise UsageError(f"{name} is {value}", fix=f"Use {least} or more.")
    bounds = collecting.Bounds(older_than, keep, max_size)
    cleared = collecting.collect(bounds, storage=storage, dry_run=dry_run)
    return GcReport(*cleared, is_dry_run=dry_run)


def layer_diff(thread: str, *, storage: str | Path | None = None) -> LayerDiffReport:
    """Report what a thread has over its builds on this host: packages added and removed, files added and edited.

        >>> [each.added for each in solven_env.layer_diff("thread-42").layers]
        [(('humanize', '4.13.0'),), ()]

    `NeverAppliedError` for a thread that was never applied, `StoreError` where this host lacks a build.
    """
    from solven_env.threads import own_layers

    return LayerDiffReport(thread, own_layers.differences(_thread(thread, storage)))


def layer_reset(
    thread: str,
    *,
    kinds: Collection[str] = (),
    storage: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> LayerResetReport:
    """Have a thread's next command begin with its builds as they are; nothing that it added is carried any more.

        >>> solven_env.layer_reset("thread-42", kinds=["python"]).kept
        {'python': '/home/ada/.local/share/solven-env/layers/…'}

    `kinds` are `python`, `bun` or both; without any, all that the thread has. The old layers are kept, and commands
    that run keep them until they end. Errors as of `layer_diff`; `HeldError` while an apply has the thread.
    """
    from solven_env.threads import own_layers

    found = _thread(thread, storage)
    found.applied()
    return LayerResetReport(thread, own_layers.reset(found, kinds, progress))


def lock(
    profile: str | Path,
    *,
    upgrade: bool = False,
    upgrade_packages: Collection[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> LockReport:
    """Pin a profile's packages: write its lock beside it. Versions of the present lock stay where they still fit.

        >>> solven_env.lock("team.yaml", upgrade_packages=["httpx"]).versions["python.txt"]
        (VersionChange(name='httpx', before='0.27.0', after='0.28.1'),)

    With `upgrade` all versions are the newest that fit; with `upgrade_packages` those of these packages of the lock
    (`httpx`, or `python:httpx` where Bun has one of that name too), and what they force to move. `progress` is told
    what is being done, a line at a time (`packages.steps`). `UsageError` for a package that the lock does not have,
    `BuildError` when the packages cannot be resolved.
    """
    from solven_env.packages import lock_files, locks, resolving
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile

    if upgrade and upgrade_packages:
        raise UsageError("upgrade moves all packages, upgrade_packages some", fix="Leave one of them out.")
    source = find_profile(profile)
    found = example(source, rows(), os.environ)
    sections, directory = found.locked, _lock_directory(source)
    if not locks.to_lock(sections):
        return LockReport(directory, changed=lock_files.write(directory, {}))
    present = lock_files.read(directory)
    before = locks.readable(present)
    moving = locks.named(upgrade_packages, before)
    known = {} if upgrade else present
    texts, remarks = resolving.resolve(sections, known, _lock_builder(found, progress), progress, moving=moving)
    files = locks.files(texts, sections)
    changed = lock_files.write(directory, files)
    return LockReport(directory, tuple(files), changed, remarks, locks.counts(texts), locks.changes(before, texts))


def promote(
    thread: str,
    profile: str | Path,
    *,
    storage: str | Path | None = None,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> PromoteReport:
    """Edit a profile and its lock so that they bring what a thread added to its builds.

        >>> solven_env.promote("thread-42", "team.yaml").packages
        (Promoted(kind='python', name='rich', version='14.1.0', outcome='added', written='rich>=14.1.0', why=''),)

    Only packages that were asked for are added, not what these need. Comments, quotes and style of the profile stay;
    the lock pins the thread's versions where they fit. Both are written or none. Packages that the thread removed stay
    in the profile, and the report names them. With `dry_run` nothing is resolved or written. `UsageError` for a profile
    that is not a file of yours, or written in a way that is not edited; `BuildError` when the lock cannot be made.
    """
    from pathlib import Path

    from solven_env.packages import lock_files, locks
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile
    from solven_env.threads import promoting

    source, found = find_profile(profile), _thread(thread, storage)
    directory = _lock_directory(source)
    _check_editable(profile, source)
    promotion = promoting.plan(found, source)
    before, after = promotion.before.decode(), promotion.after.decode()
    report = PromoteReport(thread, Path(profile), before, after, promotion.packages)
    if dry_run or not promotion.moves:
        return report
    present = locks.readable(lock_files.read(directory))
    builder = _lock_builder(example(source, rows(), os.environ), progress)
    files, lock, remarks = promoting.lock(promotion, source, builder, progress)
    changed = lock_files.write_with(directory, files, report.path, promotion.before, promotion.after)
    versions = locks.changes(present, lock)
    return report._replace(
        lock=LockReport(directory, tuple(files), changed, remarks, locks.counts(lock), versions),
    )


def init(profile: str | Path, *, workspace: str | Path | None = None) -> tuple[NotTaken, ...]:
    """Write a new profile, small and commented; with `workspace`, one that has what that states.

        >>> solven_env.init("team.yaml", workspace="storage/threads/thread-42")
        (NotTaken(where='.bashrc:3', what='A is no plain value'),)

    That is the dependencies of its manifests, the plain exports of its .bashrc, and its .gitignore: these files are
    read, and nothing is run. The remarks are about what the profile has not. `UsageError` if something is at that path
    already, for a path that does not end in .yaml or .yml, and for a workspace that cannot be read.
    """
    from pathlib import Path

    from solven_env.threads import drafts

    path = Path(profile)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            "a profile is a file that ends in .yaml or .yml", fix=f"Write {path}.yaml.", location=str(path)
        )
    if workspace is None:
        drafts.write(path, drafts.new(str(path)))
        return ()
    text, remarks = drafts.of_workspace(str(path), Path(workspace))
    drafts.write(path, text)
    return remarks


def add(
    profile: str | Path,
    kind: str,
    packages: Sequence[str],
    *,
    lock: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> EditReport:
    """Add packages to a profile of yours, and lock it: `httpx>=0.27` to its section of Python, `docx@^8.0.0` to Bun's.

        >>> solven_env.add("team.yaml", "python", ["httpx>=0.27"]).packages[0].outcome
        'added'

    Comments, quotes and style of the profile stay. A package that is there with another range is replaced; a name alone
    leaves it as it is. An npm package without a range gets that of the version that is locked. Profile and lock are
    written both, or none; without `lock` the profile alone, and no network is needed. `UsageError` for what is no
    package, for a profile that is not a file of yours, or written in a way that is not edited; `ProfileError`;
    `BuildError` when the lock cannot be made.
    """
    from solven_env.packages import profile_edits

    return _edit(profile, lambda source, ranges: profile_edits.add(source, kind, packages, ranges), lock, progress)


def remove(
    profile: str | Path,
    kind: str,
    packages: Sequence[str],
    *,
    lock: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> EditReport:
    """Remove packages from a profile of yours by name, and lock it; otherwise as `add`.

    `UsageError` for a package that the profile's own file does not name.
    """
    from solven_env.packages import profile_edits

    return _edit(profile, lambda source, _: profile_edits.remove(source, kind, packages), lock, progress)


def _edit(
    profile: str | Path,
    plan: Callable[[ProfileSource, Mapping[str, str]], SectionEdit],
    lock: bool,
    progress: Callable[[str], None],
) -> EditReport:
    from pathlib import Path

    from solven_env.packages import lock_files, locks, profile_edits, resolving
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.rewriting import rewrite
    from solven_env.profile.source import find_profile

    source = find_profile(profile)
    directory = _lock_directory(source)
    _check_editable(profile, source)
    example(source, rows(), os.environ)  # of an invalid one nobody knows what its packages are
    edit = plan(source, {})
    found = example(source._replace(text=edit.after), rows(), os.environ)
    path = Path(profile)

    def report(locked: LockReport | None) -> EditReport:
        return EditReport(path, edit.before.decode(), edit.after.decode(), edit.packages, locked)

    if not lock or edit.after == edit.before:
        if edit.after != edit.before:
            rewrite(path, edit.before, edit.after)
        return report(None)
    if not locks.to_lock(found.locked):
        changed = lock_files.write_with(directory, {}, path, edit.before, edit.after)
        return report(LockReport(directory, changed=changed))
    known = lock_files.read(directory)
    before = locks.readable(known)
    builder = _lock_builder(found, progress)
    texts, remarks = resolving.resolve(found.locked, known, builder, progress)
    ranges = profile_edits.ranges(edit, texts)
    if ranges:
        edit, known = plan(source, ranges), locks.files(texts, found.locked)
        found = example(source._replace(text=edit.after), rows(), os.environ)
        texts, remarks = resolving.resolve(found.locked, known, builder, lambda _: None)
    files = locks.files(texts, found.locked)
    changed = lock_files.write_with(directory, files, path, edit.before, edit.after)
    versions = locks.changes(before, texts)
    return report(LockReport(directory, tuple(files), changed, remarks, locks.counts(texts), versions))


def fmt(profile: str | Path, *, write: bool = True) -> FormatReport:
    """Bring a profile's text into its one form: order of keys, indentation and blanks. Comments and quotes stay.

        >>> solven_env.fmt("team.yaml", write=False).is_formatted
        True

    What the profile says stays the same, and nothing is written where it has that form. `-` is standard input, and is
    never written. `ProfileError` for text that is not YAML; `UsageError` for a shipped profile, and for one that is
    written in a way that is not formatted.
    """
    from pathlib import Path

    from solven_env.documents.diagnostics import Location, ordered
    from solven_env.documents.parsing import parse
    from solven_env.documents.schema import parsed
    from solven_env.errors import ProfileError
    from solven_env.profile.formatting import Unformatted, formatted
    from solven_env.profile.rewriting import rewrite
    from solven_env.profile.source import STANDARD_INPUT, find_profile, read_schema

    source = find_profile(profile)
    mistakes = parse(source.text, source.name).diagnostics
    if mistakes:
        raise ProfileError(ordered(mistakes))
    after = formatted(source.text, parsed(read_schema("profile-v1.json")))
    if isinstance(after, Unformatted):
        where = str(Location(source.name, after.line, 1)) if after.line else source.name
        raise UsageError(f"the profile is not formatted: {after.why}", fix="Write it another way.", location=where)
    report = FormatReport(source.name, source.text, after)
    if write and profile != STANDARD_INPUT and not report.is_formatted:
        _check_editable(profile, source)
        rewrite(Path(profile), source.text, after)
    return report


def outdated(profile: str | Path, *, progress: Callable[[str], None] = lambda _: None) -> OutdatedReport:
    """Report what `lock` with `upgrade` would move, and what the profile's own ranges keep below the newest version.

        >>> solven_env.outdated("team.yaml").packages["python.txt"]
        (OutdatedPackage(name='httpx', locked='0.27.0', upgrade='0.28.1', newest='1.0.0', held_by='<1'),)

    Writes nothing. `LockError` when the lock is missing, out of date with the profile or not valid, `BuildError` when
    the packages cannot be resolved. `progress` is told as by `lock`.
    """
    from solven_env.packages import lock_files, locks, resolving
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile

    source = find_profile(profile)
    profiled = example(source, rows(), os.environ)
    sections, directory = profiled.locked, _lock_directory(source)
    found = locks.check(lock_files.read(directory), sections, profile=str(profile), where=str(directory))
    if not found:
        return OutdatedReport(directory)
    builder = _lock_builder(profiled, progress)
    texts, remarks = resolving.resolve(sections, {}, builder, progress, doing=("resolving", "resolved"))
    held = resolving.newest(texts, sections, builder, progress)
    return OutdatedReport(
        directory,
        locks.outdated(found, texts, held),
        tuple(remark for remark in remarks if remark.kind == locks.HELD_BACK),
    )


def check_lock(
    profile: str | Path, *, resolve: bool = False, progress: Callable[[str], None] = lambda _: None
) -> LockReport:
    """The lock of a profile as it is; `LockError` when it is missing, out of date, or no lock of ours. Writes nothing.

    Needs no network, unless it is to be resolved anew: `resolve` holds each pin and digest against the indexes, of
    which `progress` is told, and is a `BuildError` where they cannot be asked.
    """
    from solven_env.packages import lock_files, locks
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import example
    from solven_env.profile.source import find_profile

    source = find_profile(profile)
    profiled = example(source, rows(), os.environ)
    sections, directory = profiled.locked, _lock_directory(source)
    where, name = str(directory), str(profile)
    found = locks.check(lock_files.read(directory), sections, profile=name, where=where)
    if not locks.to_lock(sections):
        return LockReport(directory)
    if resolve:
        from solven_env.packages import resolving

        builder = _lock_builder(profiled, progress)
        resolving.check_resolved(found, sections, builder, progress, where=where, fix=locks.relock(name))
    return LockReport(directory, tuple(locks.files(found, sections)))


def _lock_builder(profile: Profile, progress: Callable[[str], None]) -> Builder:
    """The means of this host to lock; nothing of its sandbox is looked for before something must be built."""
    from solven_env import config
    from solven_env.packages import builds
    from solven_env.sandbox import backends

    builder = builds.builder(config.load(os.environ), os.environ, backends.find(profile.sandbox.backend))
    return builder.telling(progress)


def _thread(thread: str, storage: str | Path | None) -> Thread:
    """The thread; see `Thread.find`. Imported here: what is about profiles alone does without."""
    from solven_env.threads.thread import Thread

    return Thread.find(thread, storage)


def _several(threads: Iterable[str], storage: str | Path | None) -> tuple[Thread, tuple[str, ...]]:
    """The storage's thread of which those of these names are siblings, and the names, each once.

    UsageError for what is no name of a thread, before anything is done.
    """
    if isinstance(threads, str):
        raise UsageError("the threads are one text", fix=f"Give a list: [{threads!r}].")
    names = tuple(dict.fromkeys(map(thread_id, threads)))
    return _thread(names[0] if names else EXAMPLE_THREAD, storage), names


def _seconds(wait: float) -> float:
    if not 0 <= wait < float("inf"):
        raise UsageError(f"wait is {wait}", fix="Give a number of seconds, 0 or more.")
    return wait


def _check_profile_named(profile: object, inputs: InputValues | None) -> None:
    if inputs and profile is None:
        raise UsageError("inputs are of use to a profile only", fix="Name the profile (--profile), or leave them out.")


def _checked(request: Request) -> Request:
    from solven_env.sandbox.backends import BACKENDS
    from solven_env.sandbox.request import check

    return check(request, BACKENDS)


def _check_editable(profile: str | Path, source: ProfileSource) -> None:
    """UsageError for a shipped profile, named or by its path where it is installed."""
    from pathlib import Path

    from solven_env.profile.source import is_path
    from solven_env.system import shipped

    if not is_path(profile) or source.directory.resolve() == shipped.installed("profiles"):
        message = "a shipped profile is not edited: it comes with solven-env, and each version brings its own"
        fix = f"Write a profile that extends it ('extends: [{Path(source.name).stem}]'), or copy it, and name yours."
        raise UsageError(message, fix=fix, location=source.name)


def _lock_directory(source: ProfileSource) -> Path:
    if source.lock is None:
        raise UsageError("a profile on standard input has no lock", fix="Keep it in a file, and name that.")
    return source.lock
