"""Places in the workspace that sandboxes mount upon, `mount:.venv`: a directory, or nothing (a sandbox makes it).

Object storage keeps no empty directories, so none is made here, and none is recorded. What an agent put in the place of
one is kept and taken away; so is a directory that holds something where nothing was mounted yet, moved aside whole.
"""

from __future__ import annotations

from contextlib import suppress

from solven_env.errors import WorkspaceError
from solven_env.reconcile import replacing
from solven_env.reconcile.kinds import directory, kind
from solven_env.reconcile.model import DIRECTORY, State, parents
from solven_env.system.failures import shown
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Cause, Change, Desired, HostFacts
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root

LIES = "workspace"
TYPE = "directory"
IS_RECORDED = False

PLACE = State("file", replacing.digest(b""))
"""An empty file, for a file of the host to be mounted upon."""
FILLED = State("directory", "filled")
"""A directory at a mount point, with something in it that the mount would hide."""

_NAMED = 3

is_name = kind.no_names
desired = kind.basic_desired
observe_host = kind.basic_observe_host
judge = kind.basic_judge
removals = kind.no_removals
further_changes = kind.no_further_changes
entry = kind.no_entry


def desired_here(desired: Desired, record: Record | None, host: HostFacts) -> Desired:
    """The places in the workspace that the settings mount something upon, with the directories above them."""
    own = _targets(desired.settings, host)
    known = _targets(record.settings, host) if record and record.generation else {}
    points = {parent: DIRECTORY for target in own for parent in parents(target[1:])}
    points |= {target[1:]: state for target, state in own.items()}
    added = {
        f"mount:{path}": state for path, state in points.items() if directory.address_of(path) not in desired.states
    }
    hiding = frozenset(f"mount:{target[1:]}" for target in own.keys() - known)
    return desired._replace(states={**desired.states, **added}, hiding=hiding)


def _targets(launch: Mapping[str, Any], host: HostFacts) -> dict[str, State]:
    """Paths inside at which settings mount upon the workspace, and the states that these need. A path beneath another
    one is left out.
    """
    mounts, links = launch["mounts"], launch["links"]
    targets = {
        each["target"]: host.mounted_upon(each["source"]) if each["kind"] == "bind" else DIRECTORY for each in mounts
    }
    targets |= {f"/{each['path']}": DIRECTORY for each in links}
    targets |= {target: DIRECTORY for name, target in host.targets.items() if launch.get(name)}
    is_beneath = {target for target in targets if any(target.startswith(f"{other}/") for other in targets)}
    return {target: state for target, state in targets.items() if state is not None and target not in is_beneath}


def barred(launch: Mapping[str, Any], host: HostFacts) -> frozenset[str]:
    """Paths of the workspace at which settings mount something, or may: commands see other things beneath them."""
    mounts, links = launch.get("mounts", ()), launch.get("links", ())
    return frozenset(
        (
            *(each["target"][1:] for each in mounts),
            *(each["path"] for each in links),
            *(target[1:] for target in host.targets.values()),
        )
    )


def observe(root: Root, name: str, *, is_dropped: bool) -> State | None:
    """State of what stands at `name`, with the names in a directory."""
    found = replacing.look(root, name)
    if found != DIRECTORY:
        return found
    try:
        names = root.list(name)
        return FILLED._replace(names=names) if names else DIRECTORY
    except FileNotFoundError:
        return None  # gone between two looks
    except WorkspaceError:
        return FILLED  # closed: there may be something in it


def look(seen: Seen, desired: Desired, record: Record | None) -> Seen:
    """As if the last apply had recorded the place; but for one that hides something for the first time."""
    is_hidden_anew = seen.address in desired.hiding
    is_new = record is None or record.generation == 0 or is_hidden_anew
    assert seen.desired is not None
    observed = seen.desired if _is_good(seen.desired, seen.observed, is_hidden_anew) else seen.observed
    return seen._replace(observed=observed, last=None if is_new else seen.desired, intended=())


def _is_good(wanted: State, found: State | None, is_hidden_anew: bool) -> bool:
    """True if it can be mounted upon as it is: the sandbox makes directories that are missing, and what a command wrote
    where something is mounted already is its own business.
    """
    if wanted == DIRECTORY:
        return found is None or (found == FILLED and not is_hidden_anew)
    return found is not None and found.type == "file" and not (found.size and is_hidden_anew)


def reason(cause: Cause, desired: State | None, found: State | None, recorded: State | None, changed: str) -> str:
    """Words about what a mount would hide."""
    if cause == "conflict" and found is not None and found == FILLED:
        return f"{_listed(found.names)} in it would be hidden by what is mounted there"
    if cause == "conflict" and found is not None and found.type == "file" and desired == PLACE:
        return f"its {found.size:,} bytes would be hidden by what is mounted there"
    return kind.basic_reason(cause, desired, found, recorded, changed)


def _listed(names: Sequence[str]) -> str:
    """The first names in a directory, and how many more there are."""
    told = [shown(name) for name in names[:_NAMED]]
    more = len(names) - len(told)
    return f"{', '.join(told)} and {more:,} more" if more else ", ".join(told) or "whatever is"


def apply(root: Root, change: Change, keeper: Keeper, renew: Callable[[str], None]) -> State | None:
    """Take away what is no directory, or a directory with all that is in it; make the file that one is mounted upon."""
    if change.before is not None:
        replacing.take_away(root, change, keeper)
    if change.after == PLACE:
        for parent in parents(change.name):
            with suppress(FileExistsError):
                root.mkdir(parent)
        root.publish(root.stage(change.name, b"", 0o644), change.name)
    return None
