"""Builds of packages: `build:python`. They lie on this host, and are made before an apply changes the workspace."""

from __future__ import annotations

from solven_env.reconcile import compare
from solven_env.reconcile.kinds import file, kind
from solven_env.reconcile.model import State
from solven_env.state.records import Recorded
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Cause, Change, Desired, HostFacts
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root

LIES = "host"
TYPE = "build"
IS_RECORDED = True

_LOST = "commands removed what it cannot do without"

desired = kind.basic_desired
observe = kind.no_observe
look = kind.basic_look
removals = kind.no_removals
further_changes = kind.no_further_changes


def is_name(name: str, ecosystems: Collection[str]) -> bool:
    """True for the name of an ecosystem."""
    return name in ecosystems


def desired_here(desired: Desired, record: Record | None, host: HostFacts) -> Desired:
    """The builds that the thread needs, and the files with which a workspace of these begins."""
    states = {address_of(each.name): State(TYPE, each.identity) for each in host.builds}
    found = desired._replace(
        states={**desired.states, **states},
        reads={**desired.reads, **{address_of(each.name): frozenset({each.name}) for each in host.builds}},
        builds={each.name: each.recorded for each in host.builds if each.recorded},
        locks=host.locks,
        pairs=host.pairs,
        unbegun=frozenset(address_of(each.name) for each in host.builds if not each.is_begun),
    )
    for each in host.builds:
        for path, data in each.files.items():
            found = file.bring(found, path, data, by=address_of(each.name))
    return found


def observe_host(host: HostFacts) -> Mapping[str, State]:
    """Builds that this host has. One that commands spoilt is another one than any that is needed."""
    there = (each for each in host.builds if each.recorded)
    return {address_of(each.name): State(TYPE, "" if each.is_lost else each.identity) for each in there}


def judge(seen: Seen, found: State | None, desired: Desired) -> Cause | None:
    """As `compare` says; pending where another build is recorded: only the desired one was looked for on this host, and
    the recorded one may well be there.
    """
    cause = compare.judge(seen.desired, found, seen.recorded)
    return "pending" if cause and seen.desired != seen.recorded else cause


def reason(cause: Cause, desired: State | None, found: State | None, recorded: State | None, changed: str) -> str:
    """Words about a build of this host."""
    if found is None:
        if cause == "drift":
            return "this host does not have it"
        if recorded is not None and not changed:  # another lock, or builds are made in another way now
            return "it is another build than that of the last apply"
        return kind.basic_reason(cause, desired, found, recorded, changed)
    if cause == "drift":
        return _LOST
    return kind.basic_reason(cause, desired, found, None, "") + (f", and {_LOST}" if recorded is not None else "")


def entry(seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
    """Identity of the need, for which each host finds or makes a build of its own."""
    return Recorded("build", digest=seen.desired.digest) if seen.desired else None


def apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """Have the thread begin anew with a build that its commands spoilt. A missing one was made beforehand."""
    if change.before is not None:
        renew(change.name)
    return change.after


def address_of(name: str) -> str:
    """Address of an ecosystem's build."""
    return f"build:{name}"
