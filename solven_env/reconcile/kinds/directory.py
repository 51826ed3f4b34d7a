"""Directories that hold our files: `directory:bin`; and the workspace itself: `directory:/`."""

from __future__ import annotations

from solven_env.reconcile import compare, replacing
from solven_env.reconcile.kinds import kind
from solven_env.reconcile.model import DIRECTORY, State, name_in, parents
from solven_env.state.records import Recorded
from solven_env.system import names
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Cause, Change, Desired
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root

LIES = "workspace"
TYPE = "directory"
IS_RECORDED = True

WORKSPACE = "directory:/"
MADE = DIRECTORY._replace(mode="0755")
"""State of a directory that we make. One that was there before keeps the mode that it has."""

desired_here = kind.basic_desired_here
observe_host = kind.basic_observe_host
further_changes = kind.no_further_changes


def is_name(name: str, ecosystems: Collection[str]) -> bool:
    """True for a path in a workspace, and for the workspace itself."""
    return name == "/" or names.is_relative(name)


def desired(desired: Desired, profile: Profile, files: Sequence[RenderedFile]) -> Desired:
    """The workspace, and the working directory. Other directories come with the files that they hold: `above`."""
    workdir = profile.sandbox.workdir
    beneath = above((f"{workdir[1:]}/",)) if workdir != "/" else {}
    return desired._replace(states={**desired.states, WORKSPACE: DIRECTORY, **beneath})


def above(paths: Iterable[str]) -> dict[str, State]:
    """States of the directories that hold these paths."""
    return {address_of(parent): DIRECTORY for path in paths for parent in parents(path)}


def observe(root: Root, name: str, *, is_dropped: bool) -> State | None:
    """State of what stands at `name`; the mode of the workspace itself is not our subject. The names in a dropped
    directory are looked at, without those that an interrupted apply left and the next one removes.
    """
    if name == "/":
        return DIRECTORY
    found = _observed(root, name)
    if not is_dropped or found is None or found.type != TYPE:
        return found
    try:
        return found._replace(names=root.list(name, with_temporaries=False))
    except FileNotFoundError:
        return found


def _observed(root: Root, name: str) -> State | None:
    entry = root.stat(name)
    is_directory = entry is not None and entry.kind == "directory"
    return DIRECTORY._replace(mode=f"{entry.mode:04o}") if entry and is_directory else replacing.look(root, name)


def look(seen: Seen, desired: Desired, record: Record | None) -> Seen:
    """The states with the mode of a directory that we make or made, and without it everywhere else: of the agent's
    directories, where the storage keeps no modes, and where it is dropped. Of one that an earlier release recorded
    without, the mode counts if it keeps its owner out.
    """
    left = (*seen.intended, *((seen.last,) if seen.last else ()))
    makes = seen.observed is None or seen.observed.type != TYPE
    is_noted = any(each.mode for each in left) or (bool(left) and _keeps_out(seen.observed))
    is_compared = seen.address != WORKSPACE and seen.desired is not None and (makes or is_noted)

    def adapted(state: State | None) -> State | None:
        if state is None or state.type != TYPE:
            return state
        return state._replace(mode=(state.mode or MADE.mode) if is_compared else "")

    return seen._replace(
        desired=adapted(seen.desired),
        observed=adapted(seen.observed),
        last=adapted(seen.last),
        intended=tuple(filter(None, map(adapted, seen.intended))),
    )


def _keeps_out(state: State | None) -> bool:
    """True for a directory whose owner lacks a right."""
    return state is not None and bool(state.mode) and int(state.mode, 8) & 0o700 != 0o700


def judge(seen: Seen, found: State | None, desired: Desired) -> Cause | None:
    """The table of `compare`; but a directory that we made and that holds no file of ours may be missing: object
    storage keeps no empty directories, and `run` makes the working directory again.
    """
    if found is None and seen.recorded is not None and seen.address != WORKSPACE:
        beneath = f"{name_in(seen.address)}/"
        files = (name_in(address) for address, state in desired.states.items() if state.type == "file")
        if not any(name.startswith(beneath) for name in files):
            return None
    return compare.judge(seen.desired, found, seen.recorded)


def removals(dropped: Sequence[Seen], desired: Desired, gone: Collection[str]) -> Iterator[tuple[Seen, Cause]]:
    """Directories that we made and in which nothing is left, the deepest first."""
    going = set(gone)
    for each in reversed(dropped):
        path = name_in(each.address)
        if each.observed is None or each.observed != each.recorded:
            continue
        if not {f"{path}/{name}" for name in each.observed.names} - going:
            going.add(path)
            yield each, "pending"


def reason(cause: Cause, desired: State | None, found: State | None, recorded: State | None, changed: str) -> str:
    """Words about the mode of a directory that stays, and those of `kind` about all else."""
    if desired is None or found is None or found.type != TYPE:
        return kind.basic_reason(cause, desired, found, recorded, changed)
    by = "the workspace changed its mode" if cause == "drift" else "an interrupted apply left its mode"
    return f"{by}, which is {found.mode} now"


def entry(seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
    """The workspace, and the directories that we made, with their mode where the storage keeps modes."""
    if seen.address == WORKSPACE:
        return Recorded("directory")
    mode = MADE.mode if is_made else seen.recorded.mode if seen.recorded else ""
    return Recorded("directory", mode=mode) if is_made or seen.recorded else None


def apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """Make the directory, give it its mode, or remove it while it is empty."""
    if change.name == "/":
        return DIRECTORY  # opening the workspace made it
    if change.after is None:
        try:
            root.remove_directory(change.name)
        except OSError:
            return DIRECTORY  # no longer empty: it is the agent's now
        return None
    if change.before is not None and change.before.type == TYPE:
        root.set_mode(change.name, int(change.after.mode, 8))
        return _observed(root, change.name)
    if change.before is not None:
        replacing.take_away(root, change, keeper)
    root.mkdir(change.name)
    return _observed(root, change.name)


def address_of(path: str) -> str:
    """Address of a directory of the workspace."""
    return f"directory:{path}"
