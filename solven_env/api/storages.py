"""The verbs of a storage: list, measure and delete its threads, and collect what nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.api.arguments import EXAMPLE_THREAD, find_thread, find_threads
from solven_env.errors import UsageError
from solven_env.report import DiskReport, GcReport, ListedThread, Report, ThreadReport, failure_report, thread_report

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator
    from pathlib import Path

    from solven_env.errors import SolvenError
    from solven_env.threads.overview import KnownProfile
    from solven_env.threads.thread import Thread


def threads(storage: str | Path | None = None, *, profile: str | None = None) -> tuple[str, ...]:
    """The names of a storage's threads, sorted: all that an apply has begun with; or those that have a profile.

        >>> solven_env.threads("./storage", profile="solven")
        ('thread-42', 'thread-43')

    `profile` is the `name` that profiles give themselves. Threads whose record cannot be read are among them, so that
    the verbs which are given them say so; those of which no apply ended are not.
    """
    from solven_env.threads import many

    found = find_thread(EXAMPLE_THREAD, storage)
    if profile is None:
        return found.names()
    had = many.each(
        found.names(), lambda name: (name, found.sibling(name).profile_name()), lambda name, _: (name, profile)
    )
    return tuple(sorted(name for name, its in had if its == profile))


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

    found, chosen = find_thread(EXAMPLE_THREAD, storage), overview.choose(profile, with_lock=outdated)
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

    found, named = find_threads(threads, storage)
    names, builds = named or found.names(), shares.builds_of_all(found, progress)
    unknown = DiskUse(is_complete=False)

    def measured(name: str) -> tuple[str, DiskReport]:
        thread = found.sibling(name)
        own = shares.own(thread)
        return name, DiskReport(name, own.workspace, own.layers, builds.share(thread))

    def failed(name: str, error: SolvenError) -> tuple[str, DiskReport]:
        return name, DiskReport(name, unknown, unknown, unknown, error)

    return overview.in_order(names, many.each(names, measured, failed))


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
    return Report("delete", (_delete(find_thread(thread, storage), keep_workspace, progress),))


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

    found, names = find_threads(threads, storage)
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
