"""Keeping what an apply replaces or removes and did not write itself: it is copied into the generation, or moved.

`threads/<thread>/generations/<n>/kept.json` lists it. A file's bytes are copied to `.../kept/<sha256>` before anything
is changed. A directory, and a file that would make the generation larger than `MAX_BYTES`, is moved out of the
workspace by one rename, to `threads/<thread>/moved/<n>-<random>/`: whatever an agent made there, it is never walked or
read. The bytes of what was moved can still be changed by a process that has it open.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from contextlib import suppress
from typing import NamedTuple

from solven_env.errors import StateError
from solven_env.state import contents
from solven_env.system import names
from solven_env.typed import TYPE_CHECKING
from solven_env.workspace.root import TEMPORARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from solven_env.state.contents import StateStore
    from solven_env.workspace.root import Entry, Root

MAX_ENTRIES = 10_000
MAX_BYTES = 256 << 20
"""Bytes that one generation copies, all its applies together. A file is in memory, once, while it is copied."""


class Kept(NamedTuple):
    """One thing that was kept. `kept` is the key of a file's bytes in the state, or where there what was moved lies;
    `target` is a link's, `size` that of bytes which were copied; else they are empty and 0.

    A name that is not UTF-8 has surrogate escapes, which the list's JSON holds as `\\udcff`.
    """

    path: str
    type: str
    mode: str
    digest: str = ""
    kept: str = ""
    target: str = ""
    size: int = 0

    @property
    def is_moved(self) -> bool:
        """True if it was moved whole, and no bytes of it were copied."""
        return bool(self.kept) and not self.digest


def read_list(state: StateStore, thread: str, generation: int) -> tuple[Kept, ...]:
    """All that a generation kept, but for what was moved and is no longer there. StateError for a damaged list."""
    key = _list_key(thread, generation)
    stored = state.get(key)
    try:
        entries = json.loads(stored.value) if stored else []
        listed = [_listed(entry, thread, generation) for entry in entries]
    except (ValueError, TypeError, RecursionError) as error:
        raise StateError(
            "this list of kept files is damaged",
            fix="Move it away; the bytes lie beside it, in `kept`.",
            location=state.location(key),
        ) from error
    return tuple(kept for kept in listed if not kept.is_moved or state.has(kept.kept))


def _listed(entry: Mapping[str, str], thread: str, generation: int) -> Kept:
    kept = Kept(**entry)  # type: ignore[arg-type]
    is_text = all(type(value) is str for value in kept[:-1]) and type(kept.size) is int
    if not is_text or not re.fullmatch("[0-7]{4}", kept.mode):
        raise ValueError("no entry of a list")
    copied = rf"{re.escape(_prefix(thread, generation))}/kept/{kept.digest.removeprefix('sha256:')}"
    moved = re.escape(_moved(thread, generation)) + r"[0-9a-f]{8}(/[^/]+)?"
    is_digest = re.fullmatch(f"sha256:{names.DIGEST.pattern}", kept.digest)
    place = copied if is_digest else "" if kept.digest else f"({moved})?"
    if not re.fullmatch(place, kept.kept, re.DOTALL):
        raise ValueError("no entry of a list")
    return kept


def _prefix(thread: str, generation: int) -> str:
    return f"threads/{thread}/generations/{generation}"


def _moved(thread: str, generation: int) -> str:
    return f"threads/{thread}/moved/{generation}-"


def _list_key(thread: str, generation: int) -> str:
    return f"{_prefix(thread, generation)}/kept.json"


class Keeper:
    """Keeps things of one workspace in one generation. The caller holds the thread's lock."""

    def __init__(self, root: Root, state: StateStore, thread: str, generation: int) -> None:
        self._root = root
        self._state = state
        self._prefix = _prefix(thread, generation)
        self._moved = _moved(thread, generation)
        self._list_key = _list_key(thread, generation)
        # An interrupted apply of the same generation may have begun the list.
        self._kept = dict.fromkeys(read_list(state, thread, generation))
        copied = [kept for kept in self._kept if not kept.is_moved]
        self._sizes = {(kept.path, kept.size) for kept in copied}
        self._bytes = {kept.kept: kept.size for kept in copied}
        self._total = sum(self._bytes.values())
        self._stored: set[str] = set()  # by this process, so that it is there

    @property
    def kept(self) -> tuple[Kept, ...]:
        """All that was kept, by interrupted applies of this generation too."""
        return tuple(self._kept)

    def copy(self, paths: Iterable[str]) -> None:
        """Copy what stands at these paths, but for what `take` will move. It stays in its place.

        `WorkspaceError` where something could not be moved: the workspace is a mount of its own.
        """
        found = []
        for path in paths:
            entry = self._root.stat(path)
            if entry is not None and self._has_to_move(path, entry):
                with self._state.place(posixpath.dirname(self._moved)) as place:
                    self._root.check_way_out(path, place)
            elif entry is not None:
                found.append(self._copied(path, path, entry))
        self._note(found)

    def take(self, path: str, at: str | None = None) -> None:
        """Keep what is called `path`, and take it out of the workspace; it stands at `at` now, if that is not `path`.

        Nothing is done where nothing stands there.
        """
        where = at or path
        entry = self._root.stat(where)
        if entry is None:
            return
        if self._has_to_move(path, entry):
            place, name = self._new_place(), posixpath.basename(path)
            moved = Kept(path, entry.kind, f"{entry.mode:04o}", kept=f"{place}/{name}")
            self._move(moved, place, posixpath.dirname(where), {posixpath.basename(where): name})
        else:
            self._note([self._copied(path, where, entry)])
            with suppress(FileNotFoundError):  # the agent removed it first
                self._root.remove(where)

    def sweep(self, directory: str, names: Sequence[str]) -> None:
        """Move temporary files out of a directory unseen, each by one rename, all to one place: one entry of the list.

        An agent may have made any number of them, of any size.
        """
        if names:
            place = self._new_place()
            moved = Kept(posixpath.join(directory, TEMPORARIES), "directory", "0700", kept=place)
            self._move(moved, place, directory, dict(zip(names, names, strict=True)))

    def has(self, digest: str) -> bool:
        """True if bytes of this digest (`sha256:…`) are kept already, by an interrupted apply perhaps."""
        sha256 = digest.removeprefix("sha256:")
        keys = {kept.kept for kept in self._kept if kept.digest == digest}
        return any(contents.read(self._state, key, sha256) is not None for key in keys)

    def _has_to_move(self, path: str, entry: Entry) -> bool:
        if entry.kind == "directory":
            return True
        size = entry.size if entry.kind == "file" else 0
        if (path, size) in self._sizes:
            return False  # it was copied before: most likely nothing is added
        return len(self._sizes) >= MAX_ENTRIES or self._total + size > MAX_BYTES

    def _copied(self, path: str, where: str, entry: Entry) -> Kept:
        kept = self._copy_of(path, where, entry)
        self._sizes.add((path, kept.size))
        return kept

    def _copy_of(self, path: str, where: str, entry: Entry) -> Kept:
        mode = f"{entry.mode:04o}"
        if entry.kind == "symlink":
            return Kept(path, "symlink", mode, target=self._root.read_link(where))
        if entry.kind != "file":
            return Kept(path, entry.kind, mode)
        data = self._root.read(where, MAX_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        key = f"{self._prefix}/kept/{digest}"
        if key not in self._stored:
            contents.keep(self._state, key, data)
            self._stored.add(key)
        self._total += len(data) - self._bytes.get(key, 0)
        self._bytes[key] = len(data)
        return Kept(path, "file", mode, f"sha256:{digest}", key, size=len(data))

    def _new_place(self) -> str:
        return f"{self._moved}{os.urandom(4).hex()}"

    def _move(self, moved: Kept, place: str, directory: str, names: Mapping[str, str]) -> None:
        """List it first: what a crash leaves in its place is listed for nothing, and what it moved is never lost."""
        self._note([moved])
        with self._state.place(place) as opened:
            self._root.move_out(directory, names, opened)

    def _note(self, found: Iterable[Kept]) -> None:
        before = len(self._kept)
        self._kept |= dict.fromkeys(found)
        if len(self._kept) > before:
            value = (json.dumps([kept._asdict() for kept in self._kept], indent=1) + "\n").encode()
            contents.put(self._state, self._list_key, value)
