"""The table of the kinds of resources: a module each, which satisfies `Kind`. A new kind is a module and a row here.

Changes are made in the order of the rows, and removals in the opposite one.
"""

from __future__ import annotations

from functools import partial

from solven_env.reconcile.kinds import build, directory, file, mount_point, settings, setup
from solven_env.reconcile.model import State, name_in
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from solven_env.reconcile.kinds.kind import Kind
    from solven_env.reconcile.model import Change
    from solven_env.state.records import Recorded

KINDS: dict[str, Kind] = {
    "build": build,
    "directory": directory,
    "file": file,
    "mount": mount_point,
    "settings": settings,
    "setup": setup,
}


def kind_of(address: str) -> Kind:
    """Row of an address: `KINDS["file"]` for `file:.bashrc`."""
    return KINDS[address.partition(":")[0]]


def state_of(entry: Recorded) -> State:
    """State that a record's entry tells of."""
    return State(KINDS[entry.kind].TYPE, entry.digest, entry.mode)


def recorded(ecosystems: Collection[str]) -> Mapping[str, Callable[[str], bool]]:
    """Test of the names that a record may have, for each kind that is recorded."""
    return {name: partial(kind.is_name, ecosystems=ecosystems) for name, kind in KINDS.items() if kind.IS_RECORDED}


def files(addresses: Iterable[str]) -> Mapping[str, str]:
    """Those of the addresses that stand for files of the workspace, by path.

    >>> files(["directory:bin", "file:bin/hello"])
    {'bin/hello': 'file:bin/hello'}
    """
    return {name_in(address): address for address in addresses if kind_of(address).TYPE == "file"}


def is_file(change: Change) -> bool:
    """True if the change is one of a file's bytes, which can be shown line by line."""
    return kind_of(change.address).TYPE == "file"


def lies_on_host(change: Change) -> bool:
    """True if the change is made on this host, before the workspace is touched."""
    return kind_of(change.address).LIES == "host"
