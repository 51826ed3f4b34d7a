"""What the last apply left of a thread: `threads/<thread>/state.json`, as plain data."""

from __future__ import annotations

import json
from typing import Any

from solven_env.errors import StateError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1

_NOTHING: Mapping[str, Any] = {}


class Entry(NamedTuple):
    """One resource as we left it. `digest` is `sha256:…` of a file's bytes, empty for a directory.

    `mode` is four octal digits, or empty where the storage keeps no modes (many FUSE mounts of buckets).
    """

    kind: str
    own: str = "whole"
    digest: str = ""
    mode: str = ""


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
    resources: Mapping[str, Entry] = _NOTHING
    builds: Mapping[str, Mapping[str, str]] = _NOTHING
    """For `python` and `bun`: the `key` and `instance` of the build that met the need, the SHA-256 of its `lock`."""
    intended: Mapping[str, tuple[Entry, ...]] | None = None
    uid: int | None = None

    def dump(self) -> bytes:
        """The record as it is stored: JSON with sorted keys."""
        fields = {
            **{name: value for name, value in self._asdict().items() if name != "uid" or value is not None},
            "format": FORMAT,
            "resources": {address: entry._asdict() for address, entry in self.resources.items()},
            "intended": None if self.intended is None else _plain(self.intended),
        }
        # Not indented: json's C encoder cannot, and an apply writes three of these.
        return (json.dumps(fields, sort_keys=True) + "\n").encode()


def _plain(intended: Mapping[str, tuple[Entry, ...]]) -> dict[str, list[dict[str, str]]]:
    return {address: [entry._asdict() for entry in entries] for address, entries in intended.items()}


def record_key(thread: str) -> str:
    """Where the state keeps a thread's record."""
    return f"threads/{thread}/state.json"


def lock_key(digest: str) -> str:
    """Where the state keeps the text of a lock: threads that need the same one share it."""
    return f"locks/{digest}"


def load(data: bytes, where: str) -> Record:
    """The record in `data`, stored at `where`. Raises `StateError` for another format or a damaged file."""
    try:
        fields = json.loads(data)
        found = fields.pop("format")
        if found == FORMAT:
            return _record(fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StateError(
            "this record is damaged",
            fix="Restore it from a backup, or remove it: apply then adopts the workspace.",
            location=where,
        ) from error
    raise StateError(
        f"this record has format {found!r}, which is not {FORMAT}",
        fix="A newer solven-env wrote it: install that one.",
        location=where,
    )


def _record(fields: dict[str, Any]) -> Record:
    """The record that JSON data says; ValueError, TypeError, KeyError or AttributeError where it says none."""
    intended = fields["intended"]
    record = Record(
        incarnation=fields.pop("incarnation"),
        generation=fields.pop("generation"),
        profile=_texts(fields.pop("profile")),
        inputs=_texts(fields.pop("inputs")),
        settings=dict(fields.pop("settings").items()),
        resources={address: _entry(address, entry) for address, entry in fields.pop("resources").items()},
        builds={kind: _texts(build) for kind, build in fields.pop("builds").items()},
        intended=None
        if fields.pop("intended") is None
        else {address: tuple(_entry(address, entry) for entry in entries) for address, entries in intended.items()},
        uid=fields.pop("uid", None),
    )
    counts = (record.generation, 0 if record.uid is None else record.uid)
    if fields or type(record.incarnation) is not str or any(type(count) is not int or count < 0 for count in counts):
        raise ValueError("no record")
    return record


def _entry(address: str, fields: Mapping[str, str]) -> Entry:
    entry = Entry(**_texts(fields))
    if not address.startswith(f"{entry.kind}:"):
        raise ValueError("no address of this kind")
    return entry


def _texts(fields: Mapping[str, str]) -> dict[str, str]:
    if not all(type(value) is str for value in fields.values()):
        raise ValueError("no text")
    return dict(fields)
