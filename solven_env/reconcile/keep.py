"""What an apply replaces or removes and did not write itself goes into the generation first: bytes, mode, links.

`threads/<thread>/generations/<n>/kept.json` lists it, `.../kept/<sha256>` holds the bytes as they were.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from solven_env.errors import WorkspaceError
from solven_env.reconcile.trees import walk

if TYPE_CHECKING:
    from solven_env.state import State
    from solven_env.workspace.root import Entry, Root

MAX_ENTRIES = 10_000
MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class Kept:
    """One thing that was kept. `kept` is the key of a file's bytes in the state, `target` a link's; else empty."""

    path: str
    type: str
    mode: str
    digest: str = ""
    kept: str = ""
    target: str = ""


class Keeper:
    """Keeps things of one workspace in one generation. The caller holds the thread's lock."""

    def __init__(self, root: Root, state: State, thread: str, generation: int) -> None:
        self._root = root
        self._state = state
        self._prefix = f"threads/{thread}/generations/{generation}"
        self.kept: list[Kept] = []

    def keep(self, path: str, at: str | None = None) -> None:
        """Keep what is called `path`, and all beneath it; it stands at `at` now, if that is not `path`.

        `WorkspaceError` where it is too large to be kept.
        """
        where = at or path
        found: list[Kept] = []
        size = 0
        for here, entry in walk(self._root, where):
            size += entry.size
            if len(found) >= MAX_ENTRIES or size > MAX_BYTES:
                raise WorkspaceError(
                    f"what stands here is too large to be kept: over {MAX_ENTRIES} files or {MAX_BYTES >> 20} MiB",
                    fix="Look at it and move it away, then run apply again.",
                    location=path,
                )
            found.append(self._keep(here, path + here[len(where) :], entry))
        new = [kept for kept in found if kept not in self.kept]
        if new:
            self.kept += new
            self._write_list()

    def has(self, digest: str) -> bool:
        """Whether bytes of this digest (`sha256:…`) are kept already, by an interrupted apply perhaps."""
        return self._state.get(self._key(digest.removeprefix("sha256:"))) is not None

    def _key(self, digest: str) -> str:
        return f"{self._prefix}/kept/{digest}"

    def _keep(self, here: str, path: str, entry: Entry) -> Kept:
        mode = f"{entry.mode:04o}"
        if entry.kind == "symlink":
            return Kept(path, "symlink", mode, target=self._root.read_link(here))
        if entry.kind != "file":
            return Kept(path, entry.kind, mode)
        data = self._root.read(here, MAX_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        key = self._key(digest)
        if self._state.get(key) is None:
            self._state.create(key, data)
        return Kept(path, "file", mode, f"sha256:{digest}", key)

    def _write_list(self) -> None:
        """Add to the list; one that an interrupted apply of the same generation began is continued."""
        key = f"{self._prefix}/kept.json"
        stored = self._state.get(key)
        entries = json.loads(stored.value) if stored else []
        entries += [entry for entry in map(asdict, self.kept) if entry not in entries]
        value = (json.dumps(entries, indent=1) + "\n").encode()
        if stored is None:
            self._state.create(key, value)
        else:
            self._state.compare_and_swap(key, value, stored.version)
