"""The packages that a thread has over its builds, in its record: what is there on this host, noted for every host.

Names and versions are noted by each apply, by `stop`, and after a command that changed a layer. So a host that never
saw the layer has them too, and what becomes of them under another release can be told beforehand (`foresee`).
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env.errors import HeldError, SolvenError
from solven_env.packages import about_layers, additions, builds, layers, store
from solven_env.sandbox import backends
from solven_env.state import contents
from solven_env.state.records import record_key
from solven_env.system import at_once, directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeGuard

    from solven_env.packages.about_layers import Fate
    from solven_env.packages.additions import Additions
    from solven_env.packages.builds import Need
    from solven_env.packages.carrying import SeenLayer
    from solven_env.packages.layers import Home
    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread

_NOTING = 0.2
"""Seconds for which whoever only notes something may have a thread."""
_PAUSE = 0.05
"""Seconds between two tries to have a thread that somebody holds."""


class Coming(NamedTuple):
    """The fates of a thread's own packages above the builds of a release, and the record's `added` with that release.

    `done` is what came to be on this host already, `pending` what the next command brings about. `dropped` are packages
    of a kind that the release has not any more.
    """

    done: tuple[Fate, ...] = ()
    pending: tuple[Fate, ...] = ()
    dropped: tuple[Fate, ...] = ()
    added: Mapping[str, Any] = {}


class Watched(NamedTuple):
    """A layer that a command has, and what was noted of it last, with the stamp of then.

    `own` is its upper directory, or the copy.
    """

    need: Need
    build: Build
    own: Path
    noted: Additions
    stamp: str


def recorded(record: Record, kind: str) -> Additions:
    """The additions over its build of a kind that a thread's record names."""
    return additions.from_json(record.added.get(kind, {}))


def foresee(
    thread: Thread, record: Record | None, needs: Iterable[Need], found: Mapping[str, Mapping[str, str]]
) -> Coming:
    """Tell what becomes of the thread's own packages above the builds for these needs. Nothing is written.

    `found` are those of them that this host has, by kind, as records name them.
    """
    if record is None or not record.generation:
        return Coming()
    home, backend = thread.home(record), backends.find(record.settings["backend"])
    done: list[Fate] = []
    pending: list[Fate] = []
    dropped: list[Fate] = []
    added = dict(record.added)
    for need in needs:
        build = thread.build(need) if need.kind in found else None
        if _is_settled(home, record, need.kind, build, found, backend):
            continue
        from solven_env.packages import carrying  # most applies find nothing to carry, and need not wait for it

        was = thread.recorded_lock(record, need.kind)
        key = None if build else builds.known_key(need, thread.config)
        coming = carrying.foresee(home, need, build, backend, recorded(record, need.kind), was, key)
        (done if coming.is_begun else pending).extend(coming.fates)
        added[need.kind] = coming.additions.as_json()
    for kind in record.added.keys() - {need.kind for need in needs}:
        why = f"the profile has no {kind} packages any more"
        packages = recorded(record, kind).packages
        left = [about_layers.Fate(kind, name, packages[name], "left", why, "") for name in sorted(packages)]
        (dropped if record.settings.get(kind) else done).extend(left)
    return Coming(tuple(done), tuple(pending), tuple(dropped), {kind: each for kind, each in added.items() if each})


def _is_settled(
    home: Home,
    record: Record,
    kind: str,
    build: Build | None,
    found: Mapping[str, Mapping[str, str]],
    backend: Backend,
) -> bool:
    """True if nothing is to be told of a kind: the thread has nothing of its own, or what is noted of the layer above
    the recorded build, which it had from its beginning.
    """
    known, now = recorded(record, kind), layers.present(home, kind)
    if now is None:
        return known == additions.NONE
    if build is None or found[kind] != record.builds.get(kind) or now.instance != build.instance:
        return False
    about = about_layers.read(home, now, build)
    if about.fates or about.known != known or not about.stamp:
        return False
    return about_layers.is_as_noted(layers.own_at(home, now, backend), about.stamp)


def renew(
    thread: Thread, record: Record, named: Mapping[str, str], backend: Backend, progress: Callable[[str], None]
) -> tuple[Fate, ...]:
    """Have the thread begin with a fresh layer above a build (as a record names it) whose layer commands spoilt.

    `progress` is told where the old one is kept. Returns what became of the packages that were added to it.
    """
    from solven_env.packages import carrying

    build = store.read(directories.cache(), named["key"])
    if build is None:
        return ()
    uid = thread.owner.uid if thread.owner else None
    home = thread.home(record)
    begun = carrying.renew(home, build, backend, uid, recorded(record, build.kind), progress)
    progress(f"{build.kind}: the thread begins with a fresh layer; what it had is kept as {begun.old}")
    return begun.fates


def note_all(thread: Thread) -> None:
    """Have the record of an applied thread say what it has over its builds on this host. Errors of the record's."""
    record = thread.applied()
    home, backend = thread.home(record), backends.find(record.settings["backend"])
    watched = []
    for need in thread.needs(record):
        build = builds.find(need, thread.config)
        if build is not None:
            about = about_layers.read(home, layers.present(home, build.kind), build)
            watched.append(Watched(need, build, layers.own(home, build, backend), about.known, about.stamp))
    note(thread, record, watched)


def note(thread: Thread, record: Record, watched: Iterable[Watched]) -> None:
    """Have the record say what the thread has over its builds, if one of these layers changed since it was noted.

    Never an error: who holds the thread, and every next command, notes it too.
    """
    changed = [each for each in watched if not about_layers.is_as_noted(each.own, each.stamp)]
    if changed:
        with suppress(SolvenError):
            _note(thread, record.incarnation, changed)


@contextmanager
def held(
    thread: Thread, progress: Callable[[str], None] = lambda _: None, *, wait: float = 0.0, to_look: bool = False
) -> Iterator[None]:
    """Hold the thread, or do so `to_look` (see `StateStore.lock`).

    Whoever only notes something is waited for, and an apply for `wait` seconds; then HeldError.
    """
    end = time.monotonic() + max(wait, _NOTING)
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(thread.state.lock(thread.name, progress, to_look=to_look))
                break
            except HeldError:
                if time.monotonic() >= end:
                    raise
                at_once.check()
                time.sleep(_PAUSE)
        yield


def _note(thread: Thread, incarnation: str, changed: Sequence[Watched]) -> None:
    from solven_env.packages import carrying

    record = thread.record()
    if not _is_of(record, incarnation):
        return
    added, seen = _now(thread, record, changed)
    if added != record.added:
        with held(thread):
            record = thread.record()
            if not _is_of(record, incarnation):
                return
            added, seen = _now(thread, record, changed)
            if added != record.added:
                contents.put(thread.state, record_key(thread.name), record._replace(added=added).dump())
    for layer, each in zip(changed, seen, strict=True):
        if _is_present(thread.home(record), layer):
            carrying.note(thread.home(record), layer.build, each)


def _is_of(record: Record | None, incarnation: str) -> TypeGuard[Record]:
    """True for the record of a thread of this incarnation that was applied: not of one that was made anew meanwhile."""
    return record is not None and bool(record.generation) and record.incarnation == incarnation


def _is_present(home: Home, layer: Watched) -> bool:
    """True if the next command above this build has the same layer."""
    now = layers.present(home, layer.need.kind)
    return now is not None and now == layers.place_of(layer.own)


def _now(thread: Thread, record: Record, watched: Iterable[Watched]) -> tuple[Mapping[str, Any], list[SeenLayer]]:
    """The record's `added`, as these layers say it now, and what was seen in each."""
    from solven_env.packages import carrying

    home, needs = thread.home(record), {need.kind: need for need in thread.needs(record)}
    added, seen = dict(record.added), []
    for layer in watched:
        kind = layer.need.kind
        seen.append(carrying.look_at(home, layer.build, layer.own))
        if _is_present(home, layer):
            found = carrying.to_record(home, layer.build, seen[-1], recorded(record, kind))
        else:  # an apply came while the command ran
            found = additions.merged(layer.noted, recorded(record, kind), seen[-1].additions)
        if kind in needs and needs[kind].identity != layer.need.identity:
            found = _above(needs[kind], found)
        added[kind] = found.as_json()
    return {kind: each for kind, each in added.items() if each}, seen


def _above(need: Need, found: Additions) -> Additions:
    """The additions over the build for a need, of those over another one."""
    brought = need.ecosystem.names_in(need.lock) if need.lock else ()
    packages = {name: version for name, version in found.packages.items() if name not in brought}
    return additions.Additions(packages, tuple(name for name in found.removed if name in brought))
