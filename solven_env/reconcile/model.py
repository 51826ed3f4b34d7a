"""What the reconciler computes with: states of resources, changes between them, and plans. Plain, frozen data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.state.records import Entry, Record

Type = Literal["file", "directory", "symlink", "other", "settings", "build"]
Action = Literal["create", "replace", "remove"]
Cause = Literal["pending", "drift", "conflict"]

WORKSPACE = "directory:/"
SETTINGS = "settings:launch"
BUILD = "build"
"""The kind of the builds: `build:python`, `build:bun`."""


@dataclass(frozen=True)
class State:
    """How one resource is, or should be. Two are equal when type, bytes and mode are.

    `digest` is `sha256:…`, `mode` four octal digits or empty, `size` in bytes. `data` holds a file's bytes; None where
    they were not read (a directory, a record, a file too large to be ours). `names` are those in a directory that a
    mount would hide.
    """

    type: Type
    digest: str = ""
    mode: str = ""
    size: int = field(default=0, compare=False)
    data: bytes | None = field(default=None, compare=False, repr=False)
    names: tuple[str, ...] = field(default=(), compare=False, repr=False)


DIRECTORY = State("directory")
PLACE = State("file", f"sha256:{hashlib.sha256(b'').hexdigest()}")
"""An empty file, for a file of the host to be mounted upon."""
FILLED = State("directory", "filled")
"""A directory at a mount point, with something in it that the mount would hide."""
CLOSED = "closed"
"""The digest of what could not be looked at, and of a directory that keeps its owner from what is in it."""
MOUNT = "mount"
"""The kind of the mount points: `mount:.venv`."""


class Change(NamedTuple):
    """One difference between what is and what should be. `before` is also what must still be there when it is made."""

    address: str
    action: Action
    cause: Cause
    reason: str
    before: State | None
    after: State | None
    keep: bool = False
    """Whether `before` is not what we wrote, so that it goes into the generation first."""

    @property
    def kind(self) -> str:
        """The kind of the resource: the address's first part."""
        return self.address.partition(":")[0]

    @property
    def name(self) -> str:
        """The path in the workspace, or another name within the kind: the address's second part."""
        return self.address.partition(":")[2]


class Desired(NamedTuple):
    """What a profile asks of one thread."""

    profile: Mapping[str, str]
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    states: Mapping[str, State]
    own: Mapping[str, str]
    hiding: frozenset[str] = frozenset()
    """The mount points (addresses) at which nothing was mounted before: what they would hide was never told."""
    builds: Mapping[str, Mapping[str, str]] = {}
    """The builds of this host that meet the needs, as records name them."""
    locks: Mapping[str, bytes] = {}
    """The texts of the locks that the needs come from, by their SHA-256, for the state to keep."""


class Closed(NamedTuple):
    """A directory or file that may not be read: its state as far as it is known, and why."""

    state: State
    reason: str


class Observed(NamedTuple):
    """What is in the workspace: each address that matters, and the names in each directory that may have to go."""

    states: Mapping[str, State]
    children: Mapping[str, tuple[str, ...]]
    closed: Mapping[str, Closed] = {}
    """What keeps us out, by address: nothing is known of what is beneath it."""


class Plan(NamedTuple):
    """Ordered changes, the record that follows from them, and the record that they were computed from."""

    thread: str
    changes: tuple[Change, ...]
    base: Record | None
    entries: Mapping[str, Entry]
    desired: Desired

    @property
    def is_interrupted(self) -> bool:
        """Whether an earlier apply began and did not end."""
        return self.base is not None and self.base.intended is not None

    @property
    def closed(self) -> tuple[Change, ...]:
        """The changes that stand for what keeps us out: what is beneath is not planned before they are made."""
        return tuple(change for change in self.changes if change.before is not None and change.before.digest == CLOSED)

    @property
    def is_recorded(self) -> bool:
        """Whether the record says already what it will say after the changes, of a whole apply."""
        return self.base is not None and self.base.generation > 0 and not self.is_interrupted and self.says_the_same

    @property
    def says_the_same(self) -> bool:
        """Whether the last whole apply left the same profile, inputs, settings and resources on record."""
        base, desired = self.base, self.desired
        return base is not None and (
            (dict(base.profile), dict(base.inputs), dict(base.settings), dict(base.resources))
            == (dict(desired.profile), dict(desired.inputs), dict(desired.settings), dict(self.entries))
        )
