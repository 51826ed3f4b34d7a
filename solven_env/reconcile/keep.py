"""What an apply replaces or removes and did not write itself goes into the generation first: bytes, mode, links.

`threads/<thread>/generations/<n>/kept.json` lists it, `.../kept/<sha256>` holds the bytes as they were.
"""

from __future__ import annotations

import hashlib
import json

from solven_env.errors import StateError, WorkspaceError
from solven_env.reconcile.trees import walk
from solven_env.state import contents
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.state import State
    from solven_env.workspace.root import Entry, Root

MAX_ENTRIES = 10_000
MAX_BYTES = 256 << 20
"""What one change may keep. A file is in memory, once, while it is kept."""


class Kept(NamedTuple):
    """One thing that was kept. `kept` is the key of a file's bytes in the state, `target` a link's; else empty.

    A name that is not UTF-8 has surrogate escapes, which the list's JSON holds as `\\udcff`.
    """

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
        # An interrupted apply of the same generation may have begun the list.
        self._kept = dict.fromkeys(self._read_list())
        self._stored: set[str] = set()

    @property
    def kept(self) -> tuple[Kept, ...]:
        """All that was kept, by interrupted applies of this generation too."""
        return tuple(self._kept)

    def keep(self, path: str, at: str | None = None) -> list[tuple[str, Entry]]:
        """Keep what is called `path`, and all beneath it; it stands at `at` now, if that is not `path`.

        Gives what was kept, a directory before what it holds. `WorkspaceError`, and nothing kept, where it is too
        large.
        """
        where = at or path
        standing = self._standing(path, where)
        found = [self._keep(here, path + here[len(where) :], entry) for here, entry in standing]
        before = len(self._kept)
        self._kept |= dict.fromkeys(found)
        if len(self._kept) > before:
            self._write_list()
        return standing

    def has(self, digest: str) -> bool:
        """Whether bytes of this digest (`sha256:…`) are kept already, by an interrupted apply perhaps."""
        sha256 = digest.removeprefix("sha256:")
        keys = {kept.kept for kept in self._kept if kept.digest == digest}
        return any(contents.read(self._state, key, sha256) is not None for key in keys)

    def _standing(self, path: str, where: str) -> list[tuple[str, Entry]]:
        standing: list[tuple[str, Entry]] = []
        size = 0
        for here, entry in walk(self._root, where):
            size += entry.size
            if len(standing) == MAX_ENTRIES or size > MAX_BYTES:
                raise WorkspaceError(
                    f"what stands here is too large to be kept: over {MAX_ENTRIES} files or {MAX_BYTES >> 20} MiB",
                    fix="Look at it and move it away, then run apply again.",
                    location=path,
                )
            standing.append((here, entry))
        return standing

    def _keep(self, here: str, path: str, entry: Entry) -> Kept:
        mode = f"{entry.mode:04o}"
        if entry.kind == "symlink":
            return Kept(path, "symlink", mode, target=self._root.read_link(here))
        if entry.kind != "file":
            return Kept(path, entry.kind, mode)
        data = self._root.read(here, MAX_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        key = f"{self._prefix}/kept/{digest}"
        if key not in self._stored:
            contents.keep(self._state, key, data)
            self._stored.add(key)
        return Kept(path, "file", mode, f"sha256:{digest}", key)

    def _read_list(self) -> list[Kept]:
        stored = self._state.get(self._list_key)
        try:
            return [self._listed(entry) for entry in json.loads(stored.value)] if stored else []
        except (ValueError, TypeError, RecursionError) as error:
            raise StateError(
                "this list of kept files is damaged",
                fix="Move it away; the bytes lie beside it, in `kept`.",
                location=self._state.location(self._list_key),
            ) from error

    def _listed(self, entry: Mapping[str, str]) -> Kept:
        kept = Kept(**entry)
        is_text = all(type(value) is str for value in kept)
        if not is_text or kept.kept not in ("", f"{self._prefix}/kept/{kept.digest.removeprefix('sha256:')}"):
            raise ValueError("no entry of a list")
        return kept

    def _write_list(self) -> None:
        value = (json.dumps([kept._asdict() for kept in self._kept], indent=1) + "\n").encode()
        contents.put(self._state, self._list_key, value)

    @property
    def _list_key(self) -> str:
        return f"{self._prefix}/kept.json"
