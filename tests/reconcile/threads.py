"""A thread on disk, applied without the profile's text: of thousands of applies, YAML would be most of the time."""

from __future__ import annotations

import hashlib
import json
import stat
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solven_env.reconcile.apply import Applied, apply, refuse_conflicts
from solven_env.reconcile.model import HostFacts
from solven_env.reconcile.observing import observe
from solven_env.reconcile.plan import plan
from solven_env.state import contents
from solven_env.state.local import LocalState
from solven_env.state.records import Record, load, record_key, rendered_key
from solven_env.state.storage_root import StorageRoot
from solven_env.threads.thread import vocabulary
from solven_env.workspace.storage import create_workspace, open_workspace
from tests.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.reconcile.model import Desired, OnConflict, Plan
    from solven_env.workspace.root import Owner


NO_HOST = HostFacts(lambda source: None, {})
"""A host without builds, on which no path is to be mounted."""


@dataclass(frozen=True)
class Thread:
    """A thread of a storage, handled as the verbs do it."""

    storage: Path
    name: str = "t1"
    owner: Owner | None = None

    @property
    def workspace(self) -> Path:
        """The workspace's directory."""
        return self.storage / "threads" / self.name

    @property
    def state(self) -> Path:
        """What is kept about the thread."""
        return self.storage / ".solven-env" / "threads" / self.name

    def record(self) -> Record | None:
        """The record, read from disk."""
        stored = LocalState(self.storage).get(record_key(self.name))
        return load(stored.value, "state.json", vocabulary()) if stored else None

    def plan(self, asked: Desired, on_conflict: OnConflict = "fail") -> Plan:
        """What an apply would do."""
        record = self.record()
        root = open_workspace(StorageRoot(self.storage), self.name, self.owner)
        with root or nullcontext():
            observed = observe(root, asked, record, NO_HOST, self._rendered)
        return plan(self.name, asked, observed, record, on_conflict)

    def _rendered(self, digest: str) -> bytes | None:
        return contents.read(LocalState(self.storage), rendered_key(digest), digest.removeprefix("sha256:"))

    def apply(self, asked: Desired, *, overwrite: bool = False, on_conflict: OnConflict = "fail") -> Applied:
        """Make the workspace match."""
        state = LocalState(self.storage)
        with state.lock(self.name):
            computed = self.plan(asked, "overwrite" if overwrite else on_conflict)
            refuse_conflicts(computed)
            return apply(computed, lambda: create_workspace(StorageRoot(self.storage), self.name, self.owner), state)

    def kept(self) -> list[dict[str, Any]]:
        """All that any generation kept; every file's bytes are there and are what the list says."""
        found: list[dict[str, Any]] = []
        for listing in sorted(self.state.glob("generations/*/kept.json")):
            found += json.loads(listing.read_text())
        for entry in found:
            if entry["digest"]:
                assert sha256(self.at(entry["kept"]).read_bytes()) == entry["digest"]
        return found

    def kept_files(self) -> set[tuple[str, str]]:
        """Digest and mode of every kept file: of those that were copied, and of those in what was moved aside whole."""
        kept = self.kept()
        moved = [self.at(entry["kept"]) for entry in kept if entry["kept"] and not entry["digest"]]
        return {(entry["digest"], entry["mode"]) for entry in kept} | {
            (sha256(path.read_bytes()), f"{stat.S_IMODE(path.lstat().st_mode):04o}")
            for place in moved
            for path in (place, *place.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def kept_bytes(self) -> set[bytes]:
        """The bytes of every kept file, those in directories that were moved aside too."""
        places = [self.at(entry["kept"]) for entry in self.kept() if entry["kept"]]
        files = {path for place in places for path in (place, *place.rglob("*"))}
        return {path.read_bytes() for path in files if path.is_file() and not path.is_symlink()}

    def at(self, key: str) -> Path:
        """Where a key of the state is on disk."""
        return self.storage / ".solven-env" / key

    def leftovers(self) -> list[str]:
        """Temporary files, of the workspace and of the state."""
        places = (*self.workspace.rglob(".solven-env-*.tmp"), *self.storage.rglob(".tmp-*"))
        return sorted(str(path.relative_to(self.storage)) for path in places)

    def check_in_sync(self, asked: Desired) -> None:
        """The promises that hold after every apply: nothing to do, nothing left over, and nothing done again."""
        computed = self.plan(asked)
        assert (computed.changes, computed.is_recorded) == ((), True)
        assert self.leftovers() == []
        before = self._snapshot()
        outcome = self.apply(asked)
        assert (outcome.generation, outcome.kept) == (self.generation, ())
        assert self._snapshot() == before

    def _snapshot(self) -> dict[str, tuple[Any, ...]]:
        """The storage, but for the times of the directory in which a lease comes and goes on some file systems."""
        found = snapshot(self.storage)
        return found | {str(self.state): found[str(self.state)][:6]}

    @property
    def generation(self) -> int:
        """The last whole apply's number."""
        record = self.record()
        return record.generation if record else 0


def sha256(data: bytes) -> str:
    """As records and lists write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
