"""The layers of a thread on this host: their differences from the builds, and a fresh start that keeps them aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import StoreError, UsageError
from solven_env.packages import builds, carrying
from solven_env.sandbox import backends
from solven_env.state import contents
from solven_env.state.records import record_key
from solven_env.threads import noting, uids

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from solven_env.packages.builds import Need
    from solven_env.packages.store import Build
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread


class Differences(NamedTuple):
    """The differences of a thread from one build: packages with their versions, and files that belong to none of these.

    `removed` are names of the build's packages. `files` are paths in the build with how they differ: `added`, `edited`
    or `removed`. `is_complete` is false where there is more than is read, or what cannot be.
    """

    kind: str
    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    is_complete: bool = True


def differences(thread: Thread) -> tuple[Differences, ...]:
    """The differences of an applied thread from each of its builds on this host. StoreError where it lacks one."""
    record = thread.applied()
    home, backend = thread.home(record), backends.find(record.settings["backend"])
    found = []
    for build in _builds(thread, thread.needs(record)):
        seen, files = carrying.look(home, build, backend), carrying.files(home, build, backend)
        packages, removed = seen.additions
        told = tuple((each.path, each.how) for each in files.found)
        is_complete = seen.is_complete and files.is_complete
        found.append(Differences(build.kind, tuple(sorted(packages.items())), removed, told, is_complete))
    return tuple(found)


def reset(thread: Thread, kinds: Collection[str], progress: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """Begin fresh layers above the thread's builds of these kinds (all without any); nothing is carried.

    Returns, by kind, the directory of the old layer, which stays; empty where there was none. UsageError for a kind
    that the thread has not, StoreError for a build that this host has not, HeldError while an apply has the thread.
    """
    thread = thread.settled(progress)
    with noting.held(thread, progress):
        record = thread.applied()
        needs = _chosen(thread, record, kinds)
        found = _builds(thread, needs)
        home, backend = thread.home(record), backends.find(record.settings["backend"])
        uid, turn = uids.for_command(thread, record, home)
        left = {kind: each for kind, each in record.added.items() if kind not in {need.kind for need in needs}}
        after = record._replace(added=left, setup={})  # no command of `setup` ran in the fresh ones
        if after != record:
            contents.put(thread.state, record_key(thread.name), after.dump())
        old = {build.kind: carrying.reset(home, build, backend, uid) for build in found}
        del turn  # the thread keeps its uid until here
    return {kind: str(path or "") for kind, path in old.items()}


def _chosen(thread: Thread, record: Record, kinds: Collection[str]) -> list[Need]:
    needs = {need.kind: need for need in thread.needs(record)}
    for kind in kinds:
        if kind not in needs:
            has = " and ".join(needs) or "none"
            raise UsageError(f"thread {thread.name} has no {kind} packages", fix=f"Its kinds of packages are: {has}.")
    return [needs[kind] for kind in needs if not kinds or kind in kinds]


def _builds(thread: Thread, needs: Collection[Need]) -> list[Build]:
    """The builds of these needs. StoreError where this host lacks one."""
    found = []
    for need in needs:
        build = builds.find(need, thread.config)
        if build is None:
            fix = f"Run: solven-env run {thread.name} -- true, which makes it"
            raise StoreError(f"this host does not have the thread's {need.kind} build", fix=fix)
        found.append(build)
    return found
