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

    from solven_env.profile.source import ProfileSource
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread


_Result = TypeVar("_Result")


class Chosen(NamedTuple):
    """The threads that a list is about: those with this profile's `name`, or all where it is empty.

    `source` is the profile itself; None where nobody said where it is, and it is none of the shipped ones.
    """

    name: str = ""
    source: ProfileSource | None = None

    def source_of(self, name: str) -> ProfileSource | None:
        """The profile that a thread was applied from, which has this name; None where it is not known."""
        if self.source is not None or self.name:
            return self.source
        return find_profile(name) if name in shipped_names() and _declared(find_profile(name)) == name else None


def choose(profile: str | Path | None, *, with_document: bool) -> Chosen:
    """The threads of a profile: a path, a shipped name, or else the name that records have.

    ProfileError for an invalid one; UsageError for a path where no file is. Where the list needs its document
    (`with_document`), UsageError for the name of a profile that is not shipped, too, and LockError for an old lock.
    """
    if profile is None:
        return Chosen()
    if is_path(profile) or profile in shipped_names():
        source = find_profile(profile)
        found = example(source, rows(), os.environ)
        if with_document:
            builds.read_lock(found.packages, source.lock, source.name)
        return Chosen(found.name, source)
    if with_document:
        raise UsageError(f"there is no shipped profile '{profile}'", fix="Name its file: --profile ./team.yaml, say.")
    return Chosen(str(profile))


def is_outdated(thread: Thread, record: Record, source: ProfileSource) -> bool:
    """True if a profile says now something else for a thread than its last apply left: its release, what its files and
    settings are to be with the thread's recorded inputs, or its lock.

    The workspace is not looked at. UsageError for a required input that the thread has no value of; LockError where the
    profile's lock is out of date.
    """
    prepared = prepare(source, thread.name, rows(), given={}, environ=os.environ, recorded=record.inputs)
    if desired(prepared.profile, prepared.files, prepared.given).profile != record.profile:
        return True
    sections = prepared.profile.packages
    needs = builds.needs(sections, builds.read_lock(sections, source.lock, source.name))
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


def _declared(source: ProfileSource) -> str:
    """The `name` that a valid profile says of itself."""
    return example(source, rows(), os.environ).name
