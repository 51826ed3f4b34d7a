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
    from solven_env.workspace.root import Root

LIES = "workspace"
TYPE = "directory"
IS_RECORDED = True

WORKSPACE = "directory:/"

desired_here = kind.basic_desired_here
observe_host = kind.basic_observe_host
look = kind.basic_look
further_changes = kind.no_further_changes
reason = kind.basic_reason


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
    """State of what stands at `name`, without its mode. The names in a dropped directory are looked at, without those
    that an interrupted apply left and the next one removes.
    """
    found = DIRECTORY if name == "/" else replacing.look(root, name)
    if not is_dropped or found != DIRECTORY:
        return found
    try:
        return DIRECTORY._replace(names=root.list(name, with_temporaries=False))
    except FileNotFoundError:
        return DIRECTORY


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


def entry(seen: Seen, desired: Desired, *, is_made: bool) -> Recorded | None:
    """The workspace, and the directories that we made."""
    is_ours = is_made or seen.recorded or seen.address == WORKSPACE
    return Recorded("directory") if is_ours else None


def apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """Make the directory, or remove it while it is empty."""
    if change.name == "/":
        return DIRECTORY  # opening the workspace made it
    if change.after is None:
        try:
            root.remove_directory(change.name)
        except OSError:
            return DIRECTORY  # no longer empty: it is the agent's now
        return None
    if change.before is not None:
        replacing.take_away(root, change, keeper)
    root.mkdir(change.name)
    return DIRECTORY


def address_of(path: str) -> str:
    """Address of a directory of the workspace."""
    return f"directory:{path}"
