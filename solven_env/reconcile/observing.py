"""Effects: looking at what a plan is made from, in the workspace and on this host. Nothing is changed."""

from __future__ import annotations

from solven_env.errors import WorkspaceError
from solven_env.reconcile.kinds import KINDS, directory, kind_of
from solven_env.reconcile.model import CLOSED, Closed, Observed, State, name_in
from solven_env.reconcile.plan import addresses
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.reconcile.model import Desired, HostFacts
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root


def observe(root: Root | None, desired: Desired, record: Record | None, host: HostFacts) -> Observed:
    """State of every resource that is desired or recorded; `root` is None where there is no workspace."""
    states: dict[str, State] = {}
    closed: dict[str, Closed] = {}
    for kind in KINDS.values():
        states |= kind.observe_host(host)
    for address in addresses(desired, record) if root else ():
        assert root is not None
        try:
            found = kind_of(address).observe(root, name_in(address), is_dropped=address not in desired.states)
            if found is not None:
                states[address] = found
        except WorkspaceError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            closed.update([_closed(root, address)])
    return Observed(states, closed)


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
