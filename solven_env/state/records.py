"""Record of a thread's last apply, `threads/<thread>/state.json`, as plain data."""

from __future__ import annotations

import json
import marshal
from typing import Any

from solven_env.errors import DamagedRecordError, StateError
from solven_env.state import grammar
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1

_NOTHING: Mapping[str, Any] = {}


_NEWER = ("uid", "added", "setup", "about")
"""The fields that are left out while they say nothing, as in records made before them."""


class Recorded(NamedTuple):
    """One resource as we left it. `digest` is `sha256:…` of a file's bytes, empty for a directory.

    Of a file whose changes are merged it is that of the bytes that the profile asked for, the base of the next merge.
    `mode` is four octal digits, or empty where the storage keeps no modes (many FUSE mounts of buckets). `kept` is
    `sha256:…` of the agent's version, where an apply was told to keep it; else empty.
    """

    kind: str
    own: str = "whole"
    digest: str = ""
    mode: str = ""
    kept: str = ""

    def plain(self) -> dict[str, str]:
        """The entry as a record has it; an empty `kept` is left out, as in records made before it."""
        entry = {"kind": self.kind, "own": self.own, "digest": self.digest, "mode": self.mode}
        return entry | {"kept": self.kept} if self.kept else entry


class Record(NamedTuple):
    """The state of one thread after an apply; generation 0 before the first one has ended.

    `uid` is the host's that the thread had of its own then (None: none). Another host may have to draw another.
    `intended` is what an apply that has begun will leave. It is there only until that apply ends; found by a later
    one, it tells which of the workspace's files the interrupted one wrote.
    """

    incarnation: str
    generation: int = 0
    profile: Mapping[str, str] = _NOTHING
    inputs: Mapping[str, str] = _NOTHING
    settings: Mapping[str, Any] = _NOTHING
    resources: Mapping[str, Recorded] = _NOTHING
    builds: Mapping[str, Mapping[str, str]] = _NOTHING
    """For `python` and `bun`: the `key` and `instance` of the build that met the need, the SHA-256 of its `lock`."""
    intended: Mapping[str, tuple[Recorded, ...]] | None = None
    uid: int | None = None
    added: Mapping[str, Any] = _NOTHING
    """For each ecosystem, the `packages` (versions by name) that the thread has over its build, and those of the build
    that it `removed`, as they were noted last.
    """
    about: Mapping[str, Any] = _NOTHING
    """In a generation's own record: `time` (UTC), `host`, `version` and `cause` of its apply, and what it `kept`."""
    setup: Mapping[str, Mapping[str, Any]] = _NOTHING
    """For each command of `setup` that ran, by the SHA-256 of its text: its `status`, the digest of the builds below
    the `layer` that it ran in, and that of what was at each of its `inputs` when it had ended. One that is to run again
    is left out.
    """

    def dump(self) -> bytes:
        """The record as it is stored: JSON with sorted keys."""
        fields = {
            **{name: value for name, value in self._asdict().items() if name not in _NEWER or value},
            "format": FORMAT,
            "resources": {address: entry.plain() for address, entry in self.resources.items()},
            "intended": None if self.intended is None else _plain(self.intended),
        }
        # Not indented: json's C encoder cannot, and an apply writes three of these.
        return (json.dumps(fields, sort_keys=True) + "\n").encode()


def _plain(intended: Mapping[str, tuple[Recorded, ...]]) -> dict[str, list[dict[str, str]]]:
    return {address: [entry.plain() for entry in entries] for address, entries in intended.items()}


def record_key(thread: str) -> str:
    """Key of a thread's record."""
    return f"threads/{thread}/state.json"


def lock_key(digest: str) -> str:
    """Key of a lock's text: threads that need the same one share it."""
    return f"locks/{digest}"


def rendered_key(digest: str) -> str:
    """Key of the bytes that a file was to have, by their `sha256:…`: threads and generations share it."""
    return f"rendered/{digest.removeprefix('sha256:')}"


def build_keys(data: bytes) -> tuple[str, ...] | None:
    """The keys of the builds that a stored record names; None for one that is damaged."""
    try:
        return tuple(str(build["key"]) for build in json.loads(data)["builds"].values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def load(data: bytes, where: str, words: grammar.Vocabulary) -> Record:
    """The record in `data`, stored at `where`; `words` are those that it may hold.

    `StateError` for what a newer version wrote; `DamagedRecordError` for what none did.
    """
    last = _last.get((words, data))
    if last is not None:
        return last
    try:
        fields = json.loads(data)
        found = fields.pop("format", None)
        if type(found) is not int or found < 1:
            raise grammar.WrongError("format is no number from 1")
        if found > FORMAT:
            raise grammar.NewerError(f"format {found}")
        own = {name: fields.pop(name) for name in grammar.OWN if name in fields}
        # In the second version equal data has equal bytes, and true is no 1.
        rest = words, bool(own.get("generation")), marshal.dumps(fields, 2)
        known = _known.get(rest)
        if known is not None:
            grammar.check_own(own)
            return _remember(words, data, known._replace(**own))
        grammar.check({**fields, **own}, words)
        loaded = _record({**fields, **own})
    except grammar.NewerError as error:
        raise StateError(
            f"this record has {error}, which this solven-env does not know",
            fix="A newer solven-env wrote it: install that one.",
            location=where,
        ) from None
    except grammar.WrongError as error:
        raise _damaged(where, f" ({error})") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(where) from error
    if len(_known) >= _MOST:
        _known.clear()
    _known[rest] = loaded._replace(**_NO_OWN)
    return _remember(words, data, loaded)


def _remember(words: grammar.Vocabulary, data: bytes, record: Record) -> Record:
    """Keep a record for when its thread is looked at again: an apply reads it twice."""
    if len(_last) >= _MOST:
        _last.clear()
    _last[words, data] = record
    return record


_last: dict[tuple[grammar.Vocabulary, bytes], Record] = {}
_known: dict[tuple[grammar.Vocabulary, bool, bytes], Record] = {}
"""Records that were read lately, by what they hold beside the thread's own: threads of one profile share it."""
_MOST = 64
_NO_OWN: Mapping[str, Any] = {"incarnation": "", "generation": 0, "uid": None}


def _damaged(where: str, what: str = "") -> DamagedRecordError:
    return DamagedRecordError(f"this record is damaged{what}", fix="Restore it from a backup.", location=where)


def _record(fields: dict[str, Any]) -> Record:
    """The record that JSON data says, which was held to the grammar."""
    resources, intended = fields.pop("resources"), fields.pop("intended")
    return Record(
        resources={address: Recorded(**entry) for address, entry in resources.items()},
        intended=None
        if intended is None
        else {address: tuple(Recorded(**entry) for entry in entries) for address, entries in intended.items()},
        **fields,
    )
