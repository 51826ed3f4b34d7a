"""A thread on this host: where its workspace is, what is recorded of it, and which builds it needs."""

from __future__ import annotations

import os

from solven_env import config
from solven_env.state import LocalState
from solven_env.state.records import Record, load, lock_key, record_key
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace import root as roots
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.config import Config
    from solven_env.packages import Need


class Thread(NamedTuple):
    """A thread in its storage. `owner` is whom the workspace belongs to under root: the sandbox's user, never root."""

    name: str
    storage: Path
    state: LocalState
    owner: roots.Owner | None
    config: Config

    @classmethod
    def find(cls, thread: str, storage: str | Path | None) -> Thread:
        """The thread of that id; nothing is made, and it may not be there yet."""
        configured = config.load(os.environ)
        place = storages.locate(storage, os.environ, configured)
        uid = configured.sandbox.uid
        owner = roots.Owner(uid, uid) if os.geteuid() == 0 else None
        return cls(storages.thread_id(thread), place, LocalState(place), owner, configured)

    def record(self) -> Record | None:
        """What the last apply left; None where there was none."""
        key = record_key(self.name)
        stored = self.state.get(key)
        return load(stored.value, str(self.storage / ".solven-env" / key)) if stored else None

    def create_root(self) -> roots.Root:
        """The workspace, open, and made where it is missing."""
        return storages.create_workspace(self.storage, self.name, self.owner)

    def open_root(self) -> roots.Root | None:
        """The workspace, open; None where there is none."""
        return storages.open_workspace(self.storage, self.name, self.owner)

    def needs(self, record: Record) -> tuple[Need, ...]:
        """The builds that a recorded thread needs, on whatever host."""
        python, bun = record.settings.get("python"), record.settings.get("bun")
        if not python and not bun:
            return ()
        from solven_env import packages
        from solven_env.builds.locks import Lock
        from solven_env.profile.sections import Bun, Python

        return packages.needs(
            Python(python["version"], tuple(python["packages"])) if python else None,
            Bun(bun["packages"]) if bun else None,
            Lock(self._lock(record, "python"), self._lock(record, "bun")),
        )

    def missing_links(self, record: Record) -> tuple[str, ...]:
        """The paths inside of optional links that lead nowhere now, so that commands do without them."""
        links = record.settings["links"]
        return tuple(
            link["path"] for link in links if link["optional"] and storages.is_missing(self.storage, link["to"])
        )

    def _lock(self, record: Record, kind: str) -> bytes | None:
        digest = record.builds.get(kind, {}).get("lock")
        stored = self.state.get(lock_key(digest)) if digest else None
        return stored.value if stored else None
