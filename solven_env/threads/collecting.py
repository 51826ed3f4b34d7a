"""Collecting what nobody needs: generations beyond a number, layers and builds of nobody, bytes that no record names.

Needed is what the records and kept generations of the storages that this host knows name. They are looked at first;
then what nobody needs is held against whoever begins to use it, and what was written since the first look is looked at.
So an apply either has what it uses already, or waits for a moment and then finds it gone, and makes it again.

A record is believed for keeping alone: all that looks like the name of a build or of bytes is taken for one. Where a
storage or a record cannot be read, nobody knows what it needs: then everything stays that it may.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env import config
from solven_env.errors import HeldError, SolvenError, StorageError
from solven_env.packages import builds, garbage, layers
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.state import contents
from solven_env.state.records import FORMAT, lock_key, record_key
from solven_env.system import directories
from solven_env.threads import claims, known, noting, sessions
from solven_env.threads.thread import Thread
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from solven_env.config import Config
    from solven_env.packages.garbage import Spare
    from solven_env.packages.layers import Home, Place
    from solven_env.state.contents import StateStore

_ANY = "any"
_RACY = 2.0
"""Seconds before a look within which a value may be written again without its times telling."""
_YOUNG = 24 * 3600.0
"""Seconds that shared bytes stay where other hosts' applies may be about to name them."""

_NAME = re.compile(rb'"((?:sha256:|[a-z]+-)?)([0-9a-f]{32,64})"')
"""A digest, the key of a build or an instance of one, as a record has them."""
_INSTANCE, _DIGEST = 32, 64
"""Hexadecimal digits of an instance of a build, and of the SHA-256 of bytes."""
_WRITTEN = f'"format": {FORMAT},'.encode()
_SHARED = ("rendered", "locks")


class Bounds(NamedTuple):
    """The garbage that is collected: without any bounds, all.

    `older_than` are seconds since the last use, `keep` is the number of generations that every thread keeps (None: all
    of them), `max_size` the bytes that all builds may have together: the unneeded ones go until they have no more.
    """

    older_than: float = 0.0
    keep: int | None = None
    max_size: int | None = None


class Collected(NamedTuple):
    """One thing that was collected, or that would be.

    `kind` is `generation`, `layer`, `build`, `bytes` (kept ones that no record names; `number` says how many), `uid` or
    `leftover`.
    """

    kind: str
    name: str
    freed: int
    thread: str = ""
    number: int = 1


class Unjudged(NamedTuple):
    """Something that stays since nobody can tell whether it is needed, or since it is used or cannot be removed."""

    name: str
    why: str
    fix: str = ""


class Cleared(NamedTuple):
    """The result of a collection. `has_failed` is true where something could not be removed."""

    collected: tuple[Collected, ...]
    unjudged: tuple[Unjudged, ...]
    has_failed: bool = False


class _Named(NamedTuple):
    """The names in a record, or in several."""

    keys: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()


class _SeenThread(NamedTuple):
    """A thread as its storage had it. `stamp` is that of its record, None for none; `problem` says why nobody knows
    what it needs, empty where somebody does. `former` are its generations, by number; None for one of a newer version.
    """

    stamp: tuple[int, ...] | None
    problem: str
    incarnation: str
    generation: int
    named: _Named
    former: Mapping[int, _Named | None]
    entries: tuple[str, ...]

    def all(self) -> Iterator[_Named]:
        """The names in the record and in each generation."""
        yield self.named
        yield from filter(None, self.former.values())


class _SeenStorage:
    """A storage that this host knows and reaches, and its threads as they were seen last."""

    def __init__(self, base: Thread) -> None:
        self.base = base
        self.threads: dict[str, _SeenThread] = {}

    @property
    def state(self) -> StateStore:
        return self.base.state

    def look(self, keys_here: _KeysHere) -> None:
        """Look at what was written since the last look."""
        now = time.time_ns() - int(_RACY * 1e9)
        for name in self.base.names():
            before = self.threads.get(name)
            stamp = self.state.stamp(record_key(name))
            if before is None or before.stamp != stamp or (stamp is not None and max(stamp[:2]) >= now):
                self.threads[name] = _see(self.state, name, stamp, before, keys_here)


class _KeysHere:
    """The keys of this host's builds for what records need: another host may have written them. Each once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[str, frozenset[str]] = {}

    def find(self, fields: Mapping[str, Any], state: StateStore) -> frozenset[str]:
        """The keys for a record's settings, as far as they can be told."""
        settings = {kind: fields["settings"].get(kind) for kind in ECOSYSTEMS}
        locks = {kind: fields["builds"].get(kind, {}).get("lock", "") for kind in ECOSYSTEMS}
        about = json.dumps((settings, locks), sort_keys=True)
        if about not in self._known:

            def text(kind: str) -> bytes:
                return contents.read(state, lock_key(locks[kind]), locks[kind]) or b""

            needs = builds.recorded_needs(settings, text)
            self._known[about] = frozenset(filter(None, (builds.known_key(need, self._config) for need in needs)))
        return self._known[about]


def collect(
    bounds: Bounds | None = None,
    *,
    storage: str | Path | None = None,
    dry_run: bool = False,
) -> Cleared:
    """Collect what nobody needs, on this host and in the storages that it knows, or in one of them.

    With `dry_run` nothing is removed, and the result says what would be. HeldError while another collection goes on.
    """
    data = directories.data()
    only = None if storage is None else Thread.find(_ANY, storage).storage_id or ""
    with garbage.alone(data):
        collecting = _Collecting(bounds or Bounds(), only, dry_run=dry_run)
        collecting.look()
        for step in (
            collecting.generations,
            collecting.layers,
            collecting.builds,
            collecting.shared,
            collecting.uids,
            collecting.leftovers,
        ):
            step()
    return Cleared(tuple(collecting.collected), tuple(collecting.unjudged), collecting.has_failed)


class _Collecting:
    """One collection: what was seen, what was collected, and what could not be judged."""

    def __init__(self, bounds: Bounds, only: str | None, *, dry_run: bool) -> None:
        self.collected: list[Collected] = []
        self.unjudged: list[Unjudged] = []
        self.has_failed = False
        self._bounds = bounds
        self._only = only
        self._dry_run = dry_run
        self._data = directories.data()
        self._cache = directories.cache()
        self._now = time.time()
        self._storages: dict[str, _SeenStorage] = {}
        self._unreached: set[str] = set()
        self._below_layers: list[tuple[str, str]] | None = None
        self._keys_here = _KeysHere(config.load(os.environ))

    def look(self) -> None:
        """Look at all storages that this host knows; again at what was written since."""
        for known_as, met in known.met(self._data).items():
            if known_as in self._unreached:
                continue
            try:
                if known_as not in self._storages:
                    self._storages[known_as] = _SeenStorage(_reach(known_as, met))
                self._storages[known_as].look(self._keys_here)
            except SolvenError as error:
                reached = self._storages.pop(known_as, None)
                self._unreached.add(known_as)
                name, fix = met.path if met else known_as, error.fix
                if reached is None:
                    fix = f"{fix} If it is gone for good: {known.forgetting(self._data, known_as)}".strip()
                else:  # what cannot be read in it; to forget the storage would give up what its other threads need
                    name = error.location or name
                self._leave(name, f"{error.message}; everything of the storage stays", fix)

    def generations(self) -> None:
        """Remove the generations beyond the number that is kept."""
        if self._bounds.keep is None:
            return
        for known_as, seen in self._chosen():
            for name, thread in sorted(seen.threads.items()):
                if not thread.problem and self._beyond(seen.state, name, thread):
                    self._attempt(f"{seen.base.storage}: {name}", partial(self._thin, known_as, name))

    def _beyond(self, state: StateStore, name: str, thread: _SeenThread) -> list[int]:
        """The numbers of the generations of a thread that are to go; never that of the present one."""
        former = sorted((each for each in thread.former if each != thread.generation), reverse=True)
        beyond = former[max(0, (self._bounds.keep or 1) - (thread.generation in thread.former)) :]
        return [number for number in beyond if self._is_old(_time_of(state, name, number))]

    def _thin(self, known_as: str, name: str) -> None:
        seen = self._storages[known_as]
        if self._dry_run:
            thread = seen.threads[name]
            for number in self._beyond(seen.state, name, thread):
                self._collect("generation", f"{name} {number}", seen.state.disk_size(_generation(name, number)), name)
        else:
            own = seen.base.sibling(name)
            with noting.held(own):
                thread = _see(own.state, name, own.state.stamp(record_key(name)), None, self._keys_here)
                if thread.problem:
                    return
                for number in self._beyond(own.state, name, thread):
                    freed = own.state.discard(_generation(name, number))
                    self._collect("generation", f"{name} {number}", freed, name)
                self._sweep_moved(own, thread)
                thread = _see(own.state, name, own.state.stamp(record_key(name)), None, self._keys_here)
        gone = self._beyond(seen.state, name, thread) if self._dry_run else ()
        former = {number: each for number, each in thread.former.items() if number not in gone}
        seen.threads[name] = thread._replace(former=former)

    def _sweep_moved(self, own: Thread, thread: _SeenThread) -> None:
        """Remove what generations that are gone had moved aside. An interrupted apply has a number that is to come."""
        there = {each for each in own.state.names(f"threads/{own.name}/generations") if each.isdecimal()}
        for moved in own.state.names(f"threads/{own.name}/moved"):
            number = moved.partition("-")[0]
            if number.isdecimal() and number not in there and int(number) <= thread.generation:
                freed = own.state.discard(f"threads/{own.name}/moved/{moved}")
                self._collect("generation", f"{own.name} {number}", freed, own.name)

    def layers(self) -> None:
        """Remove layers of threads that are gone, and old ones that no kept generation goes back to."""
        strange: set[str] = set()
        for home in garbage.homes(self._data):
            if self._only not in (None, home.storage):
                continue
            if home.storage in self._storages:
                self._attempt(str(home.path), partial(self._layers_of, home))
            elif home.storage not in self._unreached and home.storage not in strange:
                strange.add(home.storage)
                path = home.path.parents[1]
                self._leave(str(path), "this host does not know of which storage these layers are", f"Look at {path}.")
        for path in garbage.leftovers(self._data):
            if self._only in (None, path.parents[1].name):
                self._remove("leftover", path)

    def _layers_of(self, home: Home) -> None:
        thread = self._storages[home.storage].threads.get(home.thread)
        if thread is not None and thread.problem:
            self._leave(str(home.path), f"{home.thread}: {thread.problem}")
        elif thread is not None and thread.incarnation == home.incarnation:
            self._old_layers_of(home, thread)
        elif self._is_old(garbage.last_use(home, layers.places(home))):
            self._orphans(home)

    def _orphans(self, home: Home) -> None:
        state = self._storages[home.storage].state
        with ExitStack() as stack:
            if not garbage.is_free(stack, str(home.path)) or sessions.is_live(_session(home)):
                self._leave(str(home.path), f"a command of {home.thread} has it")
                return
            # Once more: it may have been made anew since.
            thread = _see(state, home.thread, state.stamp(record_key(home.thread)), None, self._keys_here)
            if thread.problem or thread.incarnation == home.incarnation:
                return
            freed = garbage.size(home.path) if self._dry_run else garbage.remove_home(stack.pop_all(), home)
        self._collect("layer", str(home.path), freed, home.thread)

    def _old_layers_of(self, home: Home, thread: _SeenThread) -> None:
        named = [*thread.all()]
        old = garbage.old_layers(home, _joined(named, "instances"), _joined(named, "keys"))
        old = tuple(place for place in old if self._is_old(garbage.last_use(home, (place,))))
        if old and sessions.is_live(_session(home)):
            self._leave(str(home.path), f"a session of {home.thread} is live")
            return
        for place in old:
            self._attempt(str(home.path / place.name), partial(self._old_layer, home, place))

    def _old_layer(self, home: Home, place: Place) -> None:
        path = home.path / place.name
        freed = garbage.size(path) if self._dry_run else garbage.remove_old_layer(home, place)
        if freed is None:
            self._leave(str(path), f"a command of {home.thread} has it")
        else:
            self._collect("layer", str(path), freed, home.thread)

    def builds(self) -> None:
        """Remove builds that nobody needs, held against whoever begins to use them."""
        why = self._why_all_builds_stay()
        if why:
            self._leave(str(self._cache / "builds"), why)
            return
        chosen = self._spare()
        if not chosen:
            return
        with ExitStack() as stack:
            free = [build for build in chosen if garbage.held_off(stack, build)]
            self.look()
            still = set() if self._why_all_builds_stay() else {build.path for build in self._unneeded()}
            going = [build for build in free if build.path in still]
            aside = {build: build.path if self._dry_run else garbage.put_aside(build) for build in going}
        for build in chosen:
            if build not in free:
                self._leave(str(build.path), "it is used")
        for build, path in aside.items():
            if path is not None:
                self._remove("build", path, build.path.name)

    def _why_all_builds_stay(self) -> str:
        if self._unreached:
            return "nobody knows which builds the storages need that cannot be reached"
        for name, thread in self._all_threads():
            if thread.problem:
                return f"nobody knows which builds {name} needs: {thread.problem}"
        return ""

    def _spare(self) -> list[Spare]:
        """The builds that nobody needs and that the bounds let go."""
        found = [build for build in self._unneeded() if self._is_old(build.used)]
        most = self._bounds.max_size
        return found if most is None else _until(found, garbage.size_of_builds(self._cache), most)

    def _unneeded(self) -> tuple[Spare, ...]:
        named = [each for _, thread in self._all_threads() for each in thread.all()]
        if self._below_layers is None:  # whoever begins a layer uses the build meanwhile: one look is enough
            self._below_layers = [each for home in garbage.homes(self._data) for each in garbage.needed_by_layers(home)]
        keys = {*_joined(named, "keys"), *(key for _, key in self._below_layers)}
        return garbage.spare(self._cache, keys, {instance for instance, _ in self._below_layers})

    def shared(self) -> None:
        """Remove bytes that threads share and no record names."""
        for known_as, seen in self._chosen():
            self._attempt(str(seen.base.storage), partial(self._shared_of, known_as))

    def _shared_of(self, known_as: str) -> None:
        seen = self._storages[known_as]
        if not self._unnamed(seen):
            return
        with seen.state.sharing(alone=not self._dry_run):
            if not self._dry_run:
                seen.look(self._keys_here)
            unknown = next((name for name, thread in seen.threads.items() if thread.problem), None)
            keys = [] if unknown else self._unnamed(seen)
            freed = sum(map(seen.state.disk_size, keys)) if self._dry_run else seen.state.discard_shared(keys)
        if unknown:
            why = f"nobody knows which kept texts {unknown} needs: {seen.threads[unknown].problem}"
            self._leave(str(seen.base.storage), why)
        self._collect("bytes", str(seen.base.storage), freed, count=len(keys))

    def _unnamed(self, seen: _SeenStorage) -> list[str]:
        digests = _joined([each for thread in seen.threads.values() for each in thread.all()], "digests")
        keys = [f"{above}/{name}" for above in _SHARED for name in seen.state.names(above) if name not in digests]
        if seen.state.is_shared():
            keys = [key for key in keys if self._now - _time(seen.state, key) > _YOUNG]
        return sorted(key for key in keys if self._is_old(_time(seen.state, key)))

    def uids(self) -> None:
        """Let others have the uids of threads of which nothing is left."""
        for uid, claimant in sorted(claims.claimed(self._data).items()):
            seen = self._storages.get(claimant.storage)
            if seen is None or self._only not in (None, claimant.storage) or claimant.thread in seen.threads:
                continue
            own = seen.base.sibling(claimant.thread)
            is_gone = not own.state.has(f"threads/{own.name}") and not storages.has_workspace(own.root, own.name)
            if is_gone and not garbage.has_layers(self._data, claimant.storage, own.name):
                if not self._dry_run:
                    claims.release(self._data, claimant.storage, own.name)
                self._collect("uid", str(uid), 0, own.name)

    def leftovers(self) -> None:
        """Remove what killed processes left: of builds, and of threads that were being deleted."""
        if self._only is None:
            freed = 0 if self._dry_run or not garbage.dead(self._cache) else garbage.sweep(self._cache)
            self._collect("leftover", str(self._cache), freed, count=bool(freed))
        for _, seen in self._chosen():
            for name, thread in sorted(seen.threads.items()):
                has_gone = "gone" in thread.entries
                is_empty = not set(thread.entries) - {"gone"}
                if has_gone or (is_empty and not storages.has_workspace(seen.base.root, name)):
                    self._attempt(f"{seen.base.storage}: {name}", partial(self._leftover_of, seen.base.sibling(name)))

    def _leftover_of(self, own: Thread) -> None:
        place = f"threads/{own.name}"
        freed = 0
        if not self._dry_run:
            with noting.held(own):
                freed = own.state.sweep(own.name)
                if not own.state.names(place) and not storages.has_workspace(own.root, own.name):
                    freed += own.state.forget(own.name)
        self._collect("leftover", own.state.location(place), freed, own.name)

    def _chosen(self) -> list[tuple[str, _SeenStorage]]:
        return [(each, seen) for each, seen in self._storages.items() if self._only in (None, each)]

    def _all_threads(self) -> Iterator[tuple[str, _SeenThread]]:
        for seen in self._storages.values():
            yield from seen.threads.items()

    def _is_old(self, used: float) -> bool:
        return not self._bounds.older_than or self._now - used > self._bounds.older_than

    def _remove(self, kind: str, path: Path, name: str = "") -> None:
        def remove() -> None:
            freed = garbage.size(path) if self._dry_run else garbage.remove(path)
            self._collect(kind, name or str(path), freed)

        self._attempt(str(path), remove)

    def _attempt(self, name: str, act: Callable[[], None]) -> None:
        """Do one step; what is held by somebody, or cannot be removed, is told and left."""
        try:
            act()
        except HeldError as error:
            self._leave(name, error.message, error.fix)
        except SolvenError as error:
            self.has_failed = True
            self._leave(error.location or name, error.message, error.fix)

    def _collect(self, kind: str, name: str, freed: int, thread: str = "", count: int = 1) -> None:
        if count:
            self.collected.append(Collected(kind, name, freed, thread, count))

    def _leave(self, name: str, why: str, fix: str = "") -> None:
        left = Unjudged(name, why, fix)
        if left not in self.unjudged:
            self.unjudged.append(left)


def _session(home: Home) -> str:
    return f"{home.storage}/{home.thread}/{home.incarnation}"


def _reach(known_as: str, met: known.KnownStorage | None) -> Thread:
    """Any thread of a storage that this host knows. StorageError where it is not there, or does not answer."""
    if met is None:
        raise StorageError("what this host knows of it is damaged")
    if not sessions.answers(Path(met.path)):
        raise StorageError("the storage does not answer", fix="Look whether it is mounted.")
    base = Thread.find(_ANY, Path(met.path))
    if base.storage_id != known_as:
        raise StorageError("the storage is not where it was")
    return base


def _see(
    state: StateStore, name: str, stamp: tuple[int, ...] | None, before: _SeenThread | None, keys_here: _KeysHere
) -> _SeenThread:
    """A thread as its storage has it now. What was seen `before` of its generations is not read again."""
    stored = state.get(record_key(name))
    fields, problem = _fields(stored.value if stored else None)
    numbers = [int(each) for each in state.names(f"threads/{name}/generations") if each.isdecimal()]
    former = {number: before.former[number] for number in numbers if before and number in before.former}
    for number in set(numbers) - former.keys():
        found = state.get(f"{_generation(name, number)}/record.json")
        if found is not None:  # else an apply has begun it
            former[number] = None if _is_newer(found.value) else _named(found.value)
    if None in former.values():
        problem = _NEWER
    if stored is None and former:
        problem = "its record is gone, and can be restored"
    here = frozenset[str]()
    if not problem and fields:
        with suppress(SolvenError, ValueError, TypeError, KeyError, AttributeError):  # it needs none that can be told
            here = keys_here.find(fields, state)
    named = _named(stored.value if stored else b"")
    return _SeenThread(
        stamp,
        problem,
        str(fields.get("incarnation", "")),
        _number(fields.get("generation")),
        named._replace(keys=named.keys | here),
        former,
        state.names(f"threads/{name}"),
    )


_NEWER = "a newer solven-env wrote its record"


def _is_newer(text: bytes) -> bool:
    return _WRITTEN not in text and _fields(text)[1] == _NEWER


def _fields(text: bytes | None) -> tuple[Mapping[str, Any], str]:
    """The fields of a record, and why they cannot be told."""
    if text is None:
        return {}, ""
    try:
        fields = json.loads(text)
        written = fields["format"]
        if type(written) is int and written > FORMAT:
            return {}, _NEWER
        if written == FORMAT and type(fields["incarnation"]) is str and _number(fields["generation"]) >= 0:
            return fields, ""
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return {}, "its record is damaged"


def _number(value: object) -> int:
    return value if type(value) is int else 0


def _named(text: bytes) -> _Named:
    found = set(_NAME.findall(text))
    keys = (intern((kind + digest).decode()) for kind, digest in found if kind.endswith(b"-"))
    instances = (intern(digest.decode()) for kind, digest in found if not kind and len(digest) == _INSTANCE)
    digests = (intern(digest.decode()) for _, digest in found if len(digest) == _DIGEST)
    return _Named(frozenset(keys), frozenset(instances), frozenset(digests))


def _joined(named: Iterable[_Named], field: str) -> frozenset[str]:
    return frozenset[str]().union(*(getattr(each, field) for each in named))


def _generation(thread: str, number: int) -> str:
    return f"threads/{thread}/generations/{number}"


def _time_of(state: StateStore, thread: str, number: int) -> float:
    return _time(state, f"{_generation(thread, number)}/record.json")


def _time(state: StateStore, key: str) -> float:
    """The time at which a value was written, in seconds since 1970; now where it is gone."""
    stamp = state.stamp(key)
    return stamp[0] / 1e9 if stamp else time.time()


def _until(found: list[Spare], total: int, most: int) -> list[Spare]:
    """The first of these builds, as many as have to go before all that are there take no more than `most` bytes."""
    going = []
    for build in found:
        if total <= most:
            break
        total -= garbage.size(build.path)
        going.append(build)
    return going
