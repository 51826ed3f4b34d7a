"""What the last apply left of a thread: `threads/<thread>/state.json`, as plain data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from solven_env.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """One resource as we left it. `digest` is `sha256:…` of a file's bytes, empty for a directory.

    `mode` is four octal digits, or empty where the storage keeps no modes (many FUSE mounts of buckets).
    """

    kind: str
    own: str = "whole"
    digest: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Record:
    """The state of one thread after an apply; generation 0 before the first one has ended.

    `intended` is what an apply that has begun will leave. It is there only until that apply ends; found by a later
    one, it tells which of the workspace's files the interrupted one wrote.
    """

    incarnation: str
    generation: int = 0
    profile: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Entry] = field(default_factory=dict)
    intended: Mapping[str, tuple[Entry, ...]] | None = None

    def dump(self) -> bytes:
        """The record as it is stored: JSON with sorted keys."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, indent=1) + "\n").encode()


def record_key(thread: str) -> str:
    """Where the state keeps a thread's record."""
    return f"threads/{thread}/state.json"


def load(data: bytes, where: str) -> Record:
    """The record in `data`, stored at `where`. Raises `StateError` for another format or a damaged file."""
    try:
        fields = json.loads(data)
        found = fields.pop("format")
        if found != FORMAT:
            raise StateError(
                f"this record has format {found}, which is not {FORMAT}",
                fix="A newer solven-env wrote it: install that one.",
                location=where,
            )
        fields["resources"] = {address: Entry(**entry) for address, entry in fields["resources"].items()}
        if fields["intended"] is not None:
            fields["intended"] = {
                address: tuple(Entry(**entry) for entry in entries) for address, entries in fields["intended"].items()
            }
        return Record(**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateError(
            "this record is damaged",
            fix="Restore it from a backup, or remove it: apply then adopts the workspace.",
            location=where,
        ) from error
