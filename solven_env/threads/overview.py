"""Many threads at a glance: which profile a list is about, and whether a thread is behind it. Nothing is written."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from solven_env.errors import UsageError
from solven_env.packages import builds
from solven_env.packages.ecosystems import rows
from solven_env.profile.prepare import example, prepare
from solven_env.profile.source import find_profile, is_path, shipped_names
from solven_env.reconcile.desired import desired

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from solven_env.packages.locks import Lock
    from solven_env.profile.source import ProfileSource
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread


_Result = TypeVar("_Result")


class KnownProfile(NamedTuple):
    """A profile that threads are compared with: where it is from, the name that it gives itself, and its checked lock.

    The lock is None where nobody asked for it.
    """

    source: ProfileSource
    name: str
    lock: Lock | None = None


class Chosen(NamedTuple):
    """The threads that a list is about: those with this profile's `name`, or all where it is empty.

    `profile` is that profile; None where nobody said where it is, and it is none of the shipped ones.
    """

    name: str = ""
    profile: KnownProfile | None = None

    def profile_of(self, name: str) -> KnownProfile | None:
        """The profile that a thread was applied from, which has this name; None where it is not known."""
        if self.name:
            return self.profile
        found = _declared(find_profile(name), with_lock=True) if name in shipped_names() else None
        return found if found is not None and found.name == name else None


def choose(profile: str | Path | None, *, with_lock: bool) -> Chosen:
    """The threads of a profile: a path, a shipped name, or else the name that records have.

    ProfileError for an invalid one; UsageError for a path where no file is. Where the list needs its lock, and so all
    of it (`with_lock`), UsageError for the name of a profile that is not shipped, too, and LockError for an old lock.
    """
    if profile is None:
        return Chosen()
    if is_path(profile) or profile in shipped_names():
        found = _declared(find_profile(profile), with_lock=with_lock)
        return Chosen(found.name, found)
    if with_lock:
        raise UsageError(f"there is no shipped profile '{profile}'", fix="Name its file: --profile ./team.yaml, say.")
    return Chosen(str(profile))


def is_outdated(thread: Thread, record: Record, profile: KnownProfile) -> bool:
    """True if a profile says now something else for a thread than its last apply left: its release, what its files and
    settings are to be with the thread's recorded inputs, or its lock.

    The workspace is not looked at. UsageError for a required input that the thread has no value of.
    """
    prepared = prepare(profile.source, thread.name, rows(), given={}, environ=os.environ, recorded=record.inputs)
    if desired(prepared.profile, prepared.files, prepared.given).profile != record.profile:
        return True
    needs = builds.needs(prepared.profile.packages, profile.lock or {})
    locks = {need.kind: hashlib.sha256(need.lock).hexdigest() if need.lock is not None else "" for need in needs}
    return locks != {kind: build["lock"] for kind, build in record.builds.items()}


def in_order(names: Sequence[str], results: Iterable[tuple[str, _Result]]) -> Iterator[_Result]:
    """Results that come with their names as they end, in the order of these names: what is early waits.

    >>> list(in_order(["a", "b", "c"], [("b", 2), ("a", 1), ("c", 3)]))
    [1, 2, 3]
    """
    early: dict[str, _Result] = {}
    turn = iter(names)
    awaited = next(turn, "")
    for name, result in results:
        early[name] = result
        while awaited in early:
            yield early.pop(awaited)
            awaited = next(turn, "")


def _declared(source: ProfileSource, *, with_lock: bool) -> KnownProfile:
    found = example(source, rows(), os.environ)
    lock = builds.read_lock(found.locked, source.lock, source.name) if with_lock else None
    return KnownProfile(source, found.name, lock)
