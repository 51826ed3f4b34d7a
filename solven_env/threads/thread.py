"""A thread on this host: where its workspace is, what is recorded of it, and which builds it needs."""

from __future__ import annotations

import os

from solven_env import config
from solven_env.errors import NeverAppliedError, StateError
from solven_env.packages.ecosystems import ECOSYSTEMS, rows
from solven_env.reconcile import kinds
from solven_env.sandbox import backends
from solven_env.state import contents, grammar, recovering
from solven_env.state.local import LocalState
from solven_env.state.records import Record, lock_key, record_key, rendered_key
from solven_env.state.storage_root import StorageRoot
from solven_env.system import directories, names
from solven_env.system.lately import lately
from solven_env.threads import known
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace import root as roots
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping
    from pathlib import Path
    from typing import Any, TypeVar

    from solven_env.config import Config
    from solven_env.packages.added import Added
    from solven_env.packages.builds import Need
    from solven_env.packages.ecosystems import Ecosystem
    from solven_env.packages.layers import Home
    from solven_env.packages.store import Build
    from solven_env.reconcile.kinds.kind import Kind
    from solven_env.sandbox.backends.protocol import Backend

    _Seen = TypeVar("_Seen")


class Looks:
    """Things of this host that one call of the API has looked at: once, for however many threads it is.

    >>> looks = Looks()
    >>> looks.at("answer", lambda: 42), looks.at("answer", lambda: 43)
    (42, 42)
    """

    def __init__(self) -> None:
        self._seen: dict[Hashable, Any] = {}

    def at(self, key: Hashable, look: Callable[[], _Seen]) -> _Seen:
        """Give what `look` saw; two threads that ask at the same time may both look.

        What was seen before `forget` is not remembered after it.
        """
        seen = self._seen
        if key in seen:
            found: _Seen = seen[key]
            return found
        return seen.setdefault(key, look())  # type: ignore[no-any-return]

    def at_first(self, key: Hashable, thing: object, look: Callable[[], _Seen]) -> _Seen:
        """Give what `look` saw of a thing. It is remembered of the first one, which threads of a profile may share."""
        first, seen = self.at(key, lambda: (thing, look()))
        return seen if first is thing else look()

    def forget(self) -> None:
        """Have all looked at again: something was made, or is not there any more."""
        self._seen = {}


class Thread(NamedTuple):
    """A thread in its storage. `owner` is whom the workspace belongs to under root: the sandbox's user, never root.

    `looks` is what the call of the API that found it has looked at. `storage_id` is that under which this host keeps
    what belongs to the storage; None where it has none yet.
    """

    name: str
    root: StorageRoot
    state: LocalState
    owner: roots.Owner | None
    config: Config
    asked: config.Storage
    looks: Looks
    storage_id: str | None = None

    @classmethod
    def named(cls, thread: str, storage: str | Path | None) -> Thread:
        """The thread of that id. No file is touched: the storage may be dead."""
        configured = config.load(os.environ)
        asked = storages.locate(storage, os.environ, configured)
        uid = config.common_uid(configured)
        owner = None if uid is None else roots.Owner(uid, uid)
        root = StorageRoot(asked.root)
        return cls(names.thread_id(thread), root, LocalState(root), owner, configured, asked, Looks())

    @classmethod
    def find(cls, thread: str, storage: str | Path | None) -> Thread:
        """The same, in a storage that was looked at; nothing is made, and neither may be there yet.

        Errors as of `known.find`: the storage is not mounted, or another one than it should be.
        """
        found = cls.named(thread, storage)
        return found._replace(storage_id=found._judged().id)

    def sibling(self, name: str) -> Thread:
        """Another thread of the same storage, which all of them open once. UsageError for a name that is none."""
        return self._replace(name=names.thread_id(name), state=LocalState(self.root))

    def anew(self) -> Thread:
        """The same thread with nothing open, and nothing looked at."""
        root = StorageRoot(self.root.path)
        return self._replace(root=root, state=LocalState(root))

    def names(self) -> tuple[str, ...]:
        """The names of the storage's threads, sorted: all that an apply has begun with, ended or not."""
        return tuple(name for name in self.state.names("threads") if names.ID.fullmatch(name))

    def settled(self, progress: Callable[[str], None]) -> Thread:
        """The thread in a storage that has an id, and of which this host knows where it is.

        PlatformError if the sandbox's user does not exist here.
        """
        config.check_uid(self.config)
        data, judged = directories.data(), self._judged()
        return self._replace(storage_id=known.settle(data, self.root, self.asked, judged, progress))

    @property
    def storage(self) -> Path:
        """Path of the storage, for messages and for programs that open it themselves."""
        return self.root.path

    def record(self, *, recover: bool = False) -> Record | None:
        """The record that the last apply left; None if there was none.

        Where it is damaged or gone `DamagedRecordError` says what can take its place; with `recover` that is given.
        """
        look = recovering.recover if recover else recovering.read
        return look(self.state, self.name, vocabulary())

    def applied(self) -> Record:
        """The record of the last apply; NeverAppliedError, which names `apply`, if there was none."""
        found = self.record()
        if found is None or not found.generation:
            fix = f"Run: solven-env apply PROFILE {self.name}"
            interrupted = "; its first apply was interrupted" if found else ""
            raise NeverAppliedError(f"thread {self.name} was never applied{interrupted}", fix=fix)
        return found

    def profile_name(self) -> str:
        """The name of the profile that was applied last, if its record has to be recovered too; empty for none."""
        record = self.record(recover=True)
        return record.profile["name"] if record and record.generation else ""

    def restore_record(self, progress: Callable[[str], None]) -> None:
        """Have the newest whole generation take the place of a damaged record, of which `progress` is told."""
        restored = recovering.restore(self.state, self.name, vocabulary())
        if restored is not None:
            kept = f"; the damaged one is kept as {restored.damaged}" if restored.damaged else ""
            progress(f"record: generation {restored.generation} takes its place{kept}")

    def create_root(self) -> roots.Root:
        """The workspace, open, and made where it is missing."""
        return storages.create_workspace(self.root, self.name, self.owner)

    def close_to_others(self) -> None:
        """Give the workspace and `threads/` the modes and the group that keep others of the host out."""
        storages.close_to_others(self.root, self.name, self.config.sandbox.group)

    def open_root(self) -> roots.Root | None:
        """The workspace, open; None where there is none."""
        return storages.open_workspace(self.root, self.name, self.owner)

    def needs(self, record: Record) -> tuple[Need, ...]:
        """The builds that a recorded thread needs, on whatever host."""
        from solven_env.packages import builds

        return builds.recorded_needs(record.settings, lambda name: self._lock(record, name))

    def build(self, need: Need) -> Build | None:
        """The build that meets a need, where this host has it and it is whole. A call of the API looks once."""
        from solven_env.packages import builds

        return self.looks.at(("build", need.identity), lambda: builds.find(need, self.config))

    def added(self, record: Record, builds: Mapping[str, Mapping[str, str]]) -> tuple[Added, ...]:
        """The packages that the thread added to these builds on this host (by kind, as a record names them)."""
        from solven_env.packages import added, layers, store

        if self.storage_id is None:  # no command has run yet
            return tuple(map(added.Added, builds))
        home, backend = self.home(record), backends.find(record.settings["backend"])
        found = filter(None, (store.read(directories.cache(), named["key"]) for named in builds.values()))
        return tuple(added.look(build, layers.own(home, build, backend)) for build in found)

    def lost(self, record: Record, build: Build, backend: Backend) -> str:
        """The first path that a build needs and the thread's commands removed; empty if none. See `lost.find`."""
        from solven_env.packages import layers, lost

        if self.storage_id is None:  # no command has run yet
            return ""
        home = self.home(record)
        place = layers.present(home, build.kind)
        if place is None or place.instance != build.instance:  # nor above this build
            return ""
        return lost.find(build, layers.own_at(home, place, backend))

    def home(self, record: Record) -> Home:
        """Place of the thread's layers on this host. A storage without an id has none there."""
        from solven_env.packages.layers import Home

        return Home(directories.data(), self.storage_id or "", self.name, record.incarnation)

    def missing_links(self, settings: Mapping[str, Any], *, optional: bool) -> tuple[str, ...]:
        """The paths inside of links that lead nowhere now.

        Commands do without the `optional` ones; without one of the others none starts.
        """
        links = [link for link in settings["links"] if link["optional"] == optional]
        return tuple(link["path"] for link in links if storages.is_missing(self.root, link["to"]))

    def recorded_lock(self, record: Record, kind: str) -> bytes | None:
        """The text of the lock of the recorded packages of a kind; None if there is none, or if it is gone."""
        digest = record.builds.get(kind, {}).get("lock", "")
        return contents.read(self.state, lock_key(digest), digest) if digest else None

    def rendered(self, digest: str) -> bytes | None:
        """The bytes that an apply rendered or kept, by their `sha256:…`; None if they are gone or damaged."""
        return contents.read(self.state, rendered_key(digest), digest.removeprefix("sha256:"))

    def _judged(self) -> known.Judged:
        return self.looks.at("storage", lambda: known.judge(directories.data(), self.root, self.asked))

    def _lock(self, record: Record, kind: str) -> bytes:
        """The text of the lock of the recorded packages of a kind.

        `StateError` where it is gone or damaged: no build is taken for what they need then.
        """
        digest = record.builds.get(kind, {}).get("lock", "")
        text = self.recorded_lock(record, kind)
        if text is None:
            raise StateError(
                f"the recorded lock of the {kind} packages is gone or damaged",
                fix=f"Have it written again: solven-env apply PROFILE {self.name}",
                location=self.state.location(lock_key(digest) if digest else record_key(self.name)),
            )
        return text


def vocabulary() -> grammar.Vocabulary:
    """The words of a record that the tables of this version know."""
    return _vocabulary(dict(kinds.KINDS), dict(ECOSYSTEMS), backends.BACKENDS)


@lately(2)
def _vocabulary(
    resources: Mapping[str, Kind],  # noqa: ARG001 - of which `kinds.recorded` makes the words
    ecosystems: Mapping[str, Ecosystem],
    names: Collection[str],
) -> grammar.Vocabulary:
    sections = {name: row.RECORDED for name, row in ecosystems.items()}
    stated = [row.NAME for row in rows() if row.IS_STATED_WHEN_ABSENT]
    return grammar.Vocabulary(kinds.recorded(sections), sections, stated, names)
