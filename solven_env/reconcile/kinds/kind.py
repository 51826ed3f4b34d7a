"""Protocol of a kind of resource, and what most kinds do: `judge = kind.basic_judge` takes it over.

A kind's module is imported by every `run`, which reads a record: it imports nothing heavy. It reaches the workspace
only through the root that it is handed, so that all its rules are tested without a directory.
"""

from __future__ import annotations

from typing import Protocol

from solven_env.reconcile import compare
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Cause, Change, Desired, HostFacts, Plan, State
    from solven_env.state.records import Record, Recorded
    from solven_env.workspace.root import Root


class Kind(Protocol):
    """One row of `KINDS`. The first part of an address is the row's key: `file` of `file:.bashrc`."""

    LIES: str
    """`workspace` for what is at its name in the workspace; `host` for what lies on this host and is made before the
    workspace is changed; `record` for what is recorded and made nowhere; `sandbox` for what runs in the sandbox, once
    all else is made and recorded.
    """
    TYPE: str
    """`State.type` of what apply leaves."""
    IS_RECORDED: bool
    """True if a record has an entry for each resource."""

    def is_name(self, name: str, ecosystems: Collection[str]) -> bool:
        """True if a record can have a resource of this name; a record with any other name is damaged."""

    def desired(self, desired: Desired, profile: Profile, files: Sequence[RenderedFile]) -> Desired:
        """`desired` with what a profile and its rendered files ask of this kind: the same on every host."""

    def desired_here(self, desired: Desired, record: Record | None, host: HostFacts) -> Desired:
        """`desired` with what its settings ask of this kind on this host. `desired` may be that of a record."""

    def observe(self, root: Root, name: str, *, is_dropped: bool) -> State | None:
        """State of what stands at `name`; None for nothing. `is_dropped` says that nobody asks for it any more."""

    def observe_host(self, host: HostFacts) -> Mapping[str, State]:
        """States, by address, of the resources that lie on the host."""

    def look(self, seen: Seen, desired: Desired, record: Record | None) -> Seen:
        """The states that an address is judged by, where they are others than those that were `seen`."""

    def judge(self, seen: Seen, found: State | None, desired: Desired) -> Cause | None:
        """Cause of the change that a desired resource needs; None when it is in sync. `found` is what is observed once
        everything is removed that has to go.
        """

    def removals(
        self, dropped: Sequence[Seen], desired: Desired, gone: Collection[str]
    ) -> Iterable[tuple[Seen, Cause]]:
        """The resources that are recorded, desired no more, and have to go, in this order; `gone` are the names that go
        already.
        """

    def further_changes(self, plan: Plan, changed: Sequence[str]) -> Iterable[Change]:
        """Changes that follow from those of all other kinds. `changed` are dotted names of settings."""

    def reason(
        self, cause: Cause, desired: State | None, found: State | None, recorded: State | None, changed: str
    ) -> str:
        """Words for people that say why a resource has to change, without its name.

        `changed` says which settings changed that it is made of: `the profile changed env.LANG`; empty for none.
        """

    def entry(self, seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
        """Entry of the next record; None for none. `is_made` says that the plan makes the resource."""

    def apply(self, root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
        """Make the change, and return the state of what is there now.

        `change.before` is in the generation already where it has to be kept. `renew` has the thread begin anew with a
        build of that name. `ConflictError` or OSError where the workspace is no longer as the plan saw it: nothing of
        it is lost then. Doing it twice does no harm.
        """


def no_names(name: str, ecosystems: Collection[str]) -> bool:
    """For a kind that no record has an entry of."""
    return False


def basic_desired(desired: Desired, profile: Profile, files: Sequence[RenderedFile]) -> Desired:
    """A profile asks for nothing of the kind by itself."""
    return desired


def basic_desired_here(desired: Desired, record: Record | None, host: HostFacts) -> Desired:
    """This host adds nothing."""
    return desired


def no_observe(root: Root, name: str, *, is_dropped: bool) -> State | None:
    """For a kind that does not lie in the workspace."""
    return None


def basic_observe_host(host: HostFacts) -> Mapping[str, State]:
    """For a kind that does not lie on the host."""
    return {}


def basic_look(seen: Seen, desired: Desired, record: Record | None) -> Seen:
    """The three states as they are."""
    return seen


def basic_judge(seen: Seen, found: State | None, desired: Desired) -> Cause | None:
    """The table of `compare`."""
    return compare.judge(seen.desired, found, seen.recorded)


def no_removals(dropped: Sequence[Seen], desired: Desired, gone: Collection[str]) -> Iterator[tuple[Seen, Cause]]:
    """Resources that nobody desires any more stay as they are."""
    yield from ()


def no_further_changes(plan: Plan, changed: Sequence[str]) -> Iterator[Change]:
    """Nothing follows from other changes."""
    yield from ()


def basic_reason(cause: Cause, desired: State | None, found: State | None, recorded: State | None, changed: str) -> str:
    """Words about what stands in a workspace."""
    if cause == "conflict":
        if recorded is None:
            return f"{article(found)} that solven-env did not write stands there"
        if desired is None:
            return "the profile drops it, and the workspace changed it"
        return "the profile and the workspace both changed it"
    if cause == "drift":
        if found is None:
            return "it is missing from the workspace"
        if found.type != "file" or (desired and desired.type != "file"):
            return f"{article(found)} stands in its place"
        same_bytes = recorded is not None and found.digest == recorded.digest
        return "the workspace changed its mode" if same_bytes else "the workspace changed it"
    if desired is None:
        return "the profile no longer asks for it"
    if recorded is None:
        return "the profile asks for it"
    return changed or "the profile changed it"


def article(state: State | None) -> str:
    """Words for what stands somewhere: `a file`.

    >>> from solven_env.reconcile.model import DIRECTORY
    >>> article(DIRECTORY)
    'a directory'
    """
    words = {"file": "a file", "directory": "a directory", "symlink": "a symbolic link"}
    return words.get(state.type, "something that is no file") if state else "nothing"


def no_entry(seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
    """No record has an entry of it."""
    return None


def no_apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """The record says it, or it was made beforehand."""
    return None
