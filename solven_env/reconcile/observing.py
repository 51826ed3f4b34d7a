"""Effects: looking at what a plan is made from, in the workspace and on this host. Nothing is changed."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from solven_env.errors import WorkspaceError
from solven_env.reconcile.kinds import KINDS, directory, files, kind_of, mount_point, setup
from solven_env.reconcile.model import CLOSED, DIRECTORY, Closed, Observed, State, name_in, parents
from solven_env.reconcile.ownership import FOLLOWING
from solven_env.reconcile.plan import addresses
from solven_env.reconcile.replacing import look
from solven_env.system.at_once import in_groups
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from solven_env.reconcile.model import Desired, HostFacts
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root


def nothing_rendered(digest: str) -> None:
    """For a thread of which no bytes are on record."""


def observe(
    root: Root | None,
    desired: Desired,
    record: Record | None,
    host: HostFacts,
    read: Callable[[str], bytes | None] = nothing_rendered,
) -> Observed:
    """State of every resource that is desired or recorded; `root` is None where there is no workspace. `read` gives the
    bytes that were rendered once, by their digest.
    """
    states: dict[str, State] = {}
    closed: dict[str, Closed] = {}
    for kind in KINDS.values():
        states |= kind.observe_host(host)
    top = _listed(root) if root else None
    if root is not None:
        assert top is not None
        standing = [each for each in addresses(desired, record) if not top.lacks(each)]
        mounted = [each for each in standing if top.is_mounted_upon(each, desired)]
        states |= dict.fromkeys(mounted, DIRECTORY)
        others = [each for each in standing if each not in states]
        look_at = partial(_look_at, root, desired)
        if root.is_slow:  # what takes longest begins first
            others.sort(key=lambda address: -desired.states[address].size if address in desired.states else 0)
        for address, found in zip(others, in_groups(look_at, others) if root.is_slow else look_at(others), strict=True):
            if isinstance(found, State):
                states[address] = found
            elif found is not None:
                closed.update([found])
    if root is not None:
        states |= _behind_links(root, states, desired, record, host)
    inputs = setup.observe_inputs(root, desired.settings) if root is not None else {}
    return Observed(states, closed, _rendered(states, desired, record, read), inputs)


def _look_at(root: Root, desired: Desired, addresses: Sequence[str]) -> list[State | tuple[str, Closed] | None]:
    """The state of what stands at each address, or what keeps us from looking at it; None for nothing."""
    found: list[State | tuple[str, Closed] | None] = []
    for address in addresses:
        is_dropped = address not in desired.states
        try:
            found.append(kind_of(address).observe(root, name_in(address), is_dropped=is_dropped))
        except WorkspaceError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            found.append(_closed(root, address))
    return found


class _Top(NamedTuple):
    """Names and kinds directly in the workspace, from one listing: most places of mounts are absent, or stand there.

    `names` are None where there are too many, or they could not be listed: then each place is looked at.
    """

    names: Mapping[str, str] | None
    lowered: Collection[str]

    def lacks(self, address: str) -> bool:
        """True if nothing stands at an address of the workspace, nor above it."""
        if self.names is None or kind_of(address).LIES != "workspace" or address == directory.WORKSPACE:
            return False
        first = name_in(address).partition("/")[0]
        # A file system may not tell upper from lower case, or one way to write a letter from another.
        return first not in self.names and first.isascii() and first.lower() not in self.lowered

    def is_mounted_upon(self, address: str, desired: Desired) -> bool:
        """True for a directory at which something is mounted already: what is in it does not matter."""
        return (
            self.names is not None
            and self.names.get(name_in(address)) == "directory"
            and kind_of(address) is mount_point
            and address not in desired.hiding
            and desired.states.get(address) == DIRECTORY
        )


def _listed(root: Root) -> _Top:
    names = root.top(_MOST_NAMES)
    return _Top(names, frozenset(each.lower() for each in names or ()))


_MOST_NAMES = 1000
"""Names directly in a workspace that are listed: an agent may make any number."""


def _behind_links(
    root: Root, states: Mapping[str, State], desired: Desired, record: Record | None, host: HostFacts
) -> dict[str, State]:
    """States of the files of the workspace to which links in the place of merged files lead, by the links' addresses;
    and of the directories in whose place links stand, where all that the profile has in them is behind these.

    A file that has an address of its own is not one of them, nor is one to which two links lead.
    """
    linked = {name_in(address) for address, state in states.items() if state.type == "symlink"}
    if not linked:
        return {}
    settings = [desired.settings, *([record.settings] if record else [])]
    barred = frozenset[str]().union(*(mount_point.barred(each, host) for each in settings))
    recorded = record.resources if record else {}
    names = files((*desired.states, *recorded))
    found: dict[str, State] = {}
    for name, address in names.items():
        own = desired.own.get(address) or recorded[address].own
        if own in FOLLOWING and not linked.isdisjoint((name, *parents(name))):
            # An apply that was interrupted may have taken the old file away: not every storage exchanges files.
            begun = (record.intended or {}).get(address, ()) if record else ()
            at = root.follow(name, barred, to_nothing=any(each.kept for each in begun))
            behind = _behind(root, at) if at is not None and at not in names else None
            if behind is not None:
                found[address] = behind
    led_to = [each.at for each in found.values()]
    found = {address: state for address, state in found.items() if led_to.count(state.at) == 1}
    directories = _linked_directories(linked, desired, found)
    made_again = linked & set(map(name_in, desired.states.keys() - directories.keys()))
    return directories | {
        address: state for address, state in found.items() if made_again.isdisjoint(parents(name_in(address)))
    }


def _behind(root: Root, at: str) -> State | None:
    """State of the file at the end of a link; a link to nothing where nothing is there."""
    with suppress(WorkspaceError):  # closed to us: it is not followed
        state = look(root, at) or State("symlink")
        return state._replace(at=at) if state.type in ("file", "symlink") else None
    return None


def _linked_directories(linked: Collection[str], desired: Desired, found: Mapping[str, State]) -> dict[str, State]:
    """States of directories behind links: as if they stood there, if every file that is asked for in them is found.

    Commands start in the working directory, and in none behind a link.
    """
    directories: dict[str, State] = {}
    workdir = f"{desired.settings.get('workdir', '/')}/"
    for name in (each for each in linked if not workdir.startswith(f"/{each}/")):
        beneath = {each for each in desired.states if name_in(each).startswith(f"{name}/")}
        inner = {each for each in beneath if each == directory.address_of(name_in(each))}
        if beneath > inner and found.keys() >= beneath - inner:
            directories |= dict.fromkeys((directory.address_of(name), *inner), DIRECTORY)
    return directories


def _rendered(
    states: Mapping[str, State], desired: Desired, record: Record | None, read: Callable[[str], bytes | None]
) -> dict[str, bytes]:
    """Bytes that earlier applies left on record for the files of which they may be needed, by digest."""
    found: dict[str, bytes] = {}
    if record is None:
        return found
    for kept in desired.kept.values():
        data = read(kept.digest)
        found |= {kept.digest: data} if data is not None else {}
    for address in files({**record.resources, **(record.intended or {})}).values():
        entries = (*filter(None, [record.resources.get(address)]), *(record.intended or {}).get(address, ()))
        known = [states.get(address), desired.states.get(address)]
        here = {each.digest for each in known if each is not None and each.data is not None}
        wanted = {digest for each in entries for digest in (each.digest, each.kept)} - here - found.keys()
        read_now = ((digest, read(digest)) for digest in sorted(wanted) if digest.startswith("sha256:"))
        found |= {digest: data for digest, data in read_now if data is not None}
    return found


def _closed(root: Root, address: str) -> tuple[str, Closed]:
    """The directory or file that keeps us from looking at an address, by its own address, and why."""
    name = name_in(address)
    above = root.closed_directory(name)
    if above is not None:
        address, name = directory.address_of(above), above
    entry = root.stat(name)
    assert entry is not None
    state = State("file" if entry.kind == "file" else "directory", CLOSED, f"{entry.mode:04o}")
    if root.is_ours(name):
        return address, Closed(state, f"its mode {state.mode} keeps its owner out, whom apply lets in again")
    return address, Closed(state, "it belongs to another user and may not be read")
