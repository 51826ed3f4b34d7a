"""Plain, frozen data of the reconciler: states of resources, changes between them, and plans."""

# Named tuples, not dataclasses: every `run` imports this, and `dataclasses` alone takes 5 ms (measured).
from __future__ import annotations

from typing import Any, Literal

from solven_env.system.lately import lately
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from solven_env.packages.locks import VersionChange
    from solven_env.profile.model import Places
    from solven_env.reconcile.merging import Clash
    from solven_env.state.records import Record, Recorded

OnConflict = Literal["fail", "merge", "keep", "overwrite"]
"""The answer to changes of the workspace that would be lost."""
Action = Literal["create", "replace", "remove"]
Cause = Literal["pending", "drift", "conflict"]


class State(NamedTuple):
    """State of one resource: as it is, or as it should be. Two are equal when type, digest and mode are.

    `type` is what stands in a file system (`file`, `directory`, `symlink`, `other`), or the `TYPE` of a kind that lies
    elsewhere. `digest` is `sha256:…`, `mode` four octal digits or empty, `size` in bytes. `data` holds a file's bytes;
    None where they were not read (a directory, a record, a file too large to be ours). `names` are those in a
    directory, where they matter: it may have to go, or a mount would hide them. `at` is the path of a file to which a
    link at the address leads; empty where the file stands there itself.
    """

    type: str
    digest: str = ""
    mode: str = ""
    size: int = 0
    data: bytes | None = None
    names: tuple[str, ...] = ()
    at: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self[:3] == other[:3]

    def __ne__(self, other: object) -> bool:  # a tuple has one of its own
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:3])


DIRECTORY = State("directory")
CLOSED = "closed"
"""Digest of what could not be looked at, and of a directory that keeps its owner from what is in it."""


class Change(NamedTuple):
    """One difference between what is and what should be. `before` is also what must still be there when it is made."""

    address: str
    action: Action
    cause: Cause
    reason: str
    before: State | None
    after: State | None
    keep: bool = False
    """True if `before` is not as we wrote it, so that it goes into the generation first."""
    versions: tuple[VersionChange, ...] = ()
    """For a lock in the workspace that a build brings: the versions that the profile pins otherwise than before."""
    clashes: tuple[Clash, ...] = ()
    """For a conflict in a file: the keys, packages or lines that the profile and the workspace changed differently."""
    choices: Mapping[str, str] = {}
    """For a conflict, what each choice that settles it would do: `{"keep": "the workspace's version stays"}`."""

    @property
    def kind(self) -> str:
        """Kind of the resource: the address's first part."""
        return self.address.partition(":")[0]

    @property
    def name(self) -> str:
        """Path in the workspace, or another name within the kind: the address's second part."""
        return name_in(self.address)

    @property
    def place(self) -> str:
        """Path in the workspace at which the change is made: the name, or where a link at the name leads to."""
        return (self.before.at if self.before else "") or self.name


class Pair(NamedTuple):
    """A manifest and its lock, the addresses of both, and what their ecosystem knows of any bytes there."""

    kind: str
    """The ecosystem: `python`."""
    manifest: str
    lock: str
    is_readable: Callable[[bytes], bool]
    is_behind: Callable[[bytes, bytes | None], bool]
    beginning: Callable[[bytes, bytes], bytes]


class Behind(NamedTuple):
    """A lock that does not say what its manifest asks for, and the directory of the workspace that both lie in.

    `is_certain` is false where the manifest only changed in a way that the lock may not know.
    """

    pair: Pair
    directory: str
    is_certain: bool


class Desired(NamedTuple):
    """All that a profile asks of one thread."""

    profile: Mapping[str, str]
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    states: Mapping[str, State]
    """The state of each resource, by address."""
    own: Mapping[str, str]
    """`whole`, `keys`, `block` or `seed` for the address of each file."""
    kept: Mapping[str, State] = {}
    """Versions of whole files (by address) that are to stand in the place of their states, as an apply kept them once;
    their bytes may be those that are observed as `rendered`.
    """
    reads: Mapping[str, frozenset[str]] = {}
    """For a resource that the profile makes of its settings, the names of those that it is made of: `env.LANG`."""
    brought: Mapping[str, str] = {}
    """Files that another resource brings: the address of each, and of what brings it."""
    hiding: frozenset[str] = frozenset()
    """Mount points (addresses) at which nothing was mounted before: nobody was told yet what they hide."""
    builds: Mapping[str, Mapping[str, str]] = {}
    """The builds of this host that meet the needs, as records name them."""
    locks: Mapping[str, bytes] = {}
    """The texts of the locks that the needs come from, by their SHA-256, for the state to keep."""
    pairs: Sequence[Pair] = ()
    """The manifests with their locks that workspaces can have."""
    places: Places | None = None
    """File and line of what the profile says; None where nobody asked a profile."""
    unbegun: frozenset[str] = frozenset()
    """The builds (addresses) above which the thread has no layer on this host: its next command begins one."""


class NeededBuild(NamedTuple):
    """A build that a thread needs, and what this host has of it."""

    name: str
    """The ecosystem: `python`."""
    identity: str
    """`sha256:…` of what is needed, the same on every host."""
    recorded: Mapping[str, str] | None
    """The build as a record names it; None where this host does not have it."""
    is_lost: bool
    """True if commands of the thread removed what the build cannot do without."""
    files: Mapping[str, bytes | None]
    """Files with which a workspace begins; the bytes are None until the build is made that brings them."""
    is_begun: bool = True
    """False if it matters that the thread has no layer above it on this host."""


class HostFacts(NamedTuple):
    """Facts about this host that a plan depends on."""

    mounted_upon: Callable[[str], State | None]
    """The state that a mount point must have for a path of the host to be mounted upon it; None if there is no path."""
    targets: Mapping[str, str]
    """For each ecosystem, the directory that commands see its packages in."""
    builds: Sequence[NeededBuild] = ()
    locks: Mapping[str, bytes] = {}
    """As `Desired.locks`."""
    pairs: Sequence[Pair] = ()
    """As `Desired.pairs`."""


class Closed(NamedTuple):
    """A directory or file that may not be read: its state as far as it is known, and why."""

    state: State
    reason: str


class Observed(NamedTuple):
    """The state of each address that matters and stands there; and what keeps us out, by address: nothing is known of
    what is beneath it.
    """

    states: Mapping[str, State]
    closed: Mapping[str, Closed] = {}
    rendered: Mapping[str, bytes] = {}
    """Bytes that earlier applies rendered or kept, by digest: those that merging needs."""
    inputs: Mapping[str, str] = {}
    """The digest of what stands at each path that a command of `setup` declares as an input."""


class Note(NamedTuple):
    """Remark about a file that stays as it is, though the profile says something else."""

    path: str
    message: str


class Plan(NamedTuple):
    """Ordered changes, the record that follows from them, and the record that they were computed from."""

    thread: str
    changes: tuple[Change, ...]
    base: Record | None
    entries: Mapping[str, Recorded]
    desired: Desired
    on_conflict: OnConflict = "fail"
    kept: Mapping[str, bytes] = {}
    """Bytes of the versions that are kept in the place of what the profile asks for, by digest."""
    notes: tuple[Note, ...] = ()
    places: frozenset[str] = frozenset()
    """Paths of the files that stand behind links."""
    behind: tuple[Behind, ...] = ()
    """The locks that have to be made anew once the changes are made."""
    inputs: Mapping[str, str] = {}
    """As `Observed.inputs`."""

    @property
    def is_interrupted(self) -> bool:
        """True if an earlier apply began and did not end."""
        return self.base is not None and self.base.intended is not None

    @property
    def closed(self) -> tuple[Change, ...]:
        """The changes that stand for what keeps us out: what is beneath is not planned before they are made."""
        return tuple(change for change in self.changes if change.before is not None and change.before.digest == CLOSED)

    @property
    def is_recorded(self) -> bool:
        """True if the record of a whole apply says already what it will say after the changes."""
        return self.base is not None and self.base.generation > 0 and not self.is_interrupted and self.says_the_same

    @property
    def says_the_same(self) -> bool:
        """True if the last whole apply left the same profile, inputs, settings and resources on record."""
        base, desired = self.base, self.desired
        return base is not None and _are_equal(
            (base.profile, base.inputs, base.settings, base.resources),
            (desired.profile, desired.inputs, desired.settings, self.entries),
        )


@lately(32)
def _are_equal(some: tuple[Mapping[str, Any], ...], others: tuple[Mapping[str, Any], ...]) -> bool:
    return [dict(each) for each in some] == [dict(each) for each in others]


def name_in(address: str) -> str:
    """Second part of an address: `.bashrc` of `file:.bashrc`."""
    return address.partition(":")[2]


def parents(path: str) -> list[str]:
    """Directories that hold `path`, the uppermost first, without the workspace itself.

    >>> parents("a/b/c")
    ['a', 'a/b']
    """
    parts = path.split("/")[:-1]
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
