"""Disk that threads take on this host: workspaces, layers, and shares of the builds that they have with others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import SolvenError, UsageError, counted
from solven_env.packages import usage
from solven_env.state.local import LocalState
from solven_env.state.records import build_keys, record_key
from solven_env.state.storage_root import StorageRoot
from solven_env.system import directories, processes
from solven_env.system.failures import shown
from solven_env.threads import deleting, known
from solven_env.workspace import storage as storages
from solven_env.workspace.sizes import DiskUse

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.threads.known import KnownStorage
    from solven_env.threads.thread import Thread

_PATIENCE = 2.0
"""Seconds that a mounted storage is given to answer."""
_NAMED = 3
"""Number of storages that a line names."""


class Builds:
    """The builds of this host, each with the number of threads whose records name it, in all storages it knows."""

    def __init__(self, users: Counter[str]) -> None:
        """Divide the builds among these numbers of threads, by their keys."""
        self._users = users
        self._sizes: dict[str, DiskUse] = {}

    def share(self, thread: Thread) -> DiskUse:
        """Share of a thread in its builds: the size of each, divided by the number of the threads that have it."""
        keys = _named(thread.state, thread.name)
        whole = [(self._size(key), max(1, self._users[key])) for key in keys or ()]
        size = sum(size.bytes // among for size, among in whole)
        return DiskUse(size, keys is not None and all(each.is_complete for each, _ in whole))

    def _size(self, key: str) -> DiskUse:
        if key not in self._sizes:
            self._sizes[key] = usage.of_build(directories.cache(), key)
        return self._sizes[key]


class Own(NamedTuple):
    """The disk that one thread takes on this host by itself. `layers` are all of them, old ones too."""

    workspace: DiskUse
    layers: DiskUse

    @property
    def whole(self) -> DiskUse:
        """Both together."""
        return self.workspace.plus(self.layers)


def own(thread: Thread) -> Own:
    """Disk that a thread takes by itself. WorkspaceError or StoreError if it cannot be read; UsageError without one."""
    if not deleting.is_there(thread):
        raise UsageError(f"there is no thread {thread.name} in this storage", fix="Look at its name, or at --storage.")
    root = thread.open_root()
    workspace = layers = DiskUse()
    if root is not None:
        with root:
            workspace = root.disk_use()
    if thread.storage_id is not None:  # else no command has run yet
        layers = usage.of_layers(directories.data(), thread.storage_id, thread.name)
    return Own(workspace, layers)


def builds_of_all(thread: Thread, progress: Callable[[str], None]) -> Builds:
    """The builds, divided among the threads of the storage of `thread` and of all others that this host knows.

    `progress` is told of storages that do not answer or are no longer where they were: their threads are not counted.
    """
    users = Counter(key for name in thread.names() for key in _named(thread.state, name) or ())
    met = known.met(directories.data())
    others = {known_as: each for known_as, each in met.items() if known_as != thread.storage_id}
    found = {each.path if each else known_as: _state(each) for known_as, each in others.items()}
    for state in found.values():
        if state is not None:
            users.update(key for name in state.names("threads") for key in _named(state, name) or ())
    lost = [path for path, state in found.items() if state is None]
    if lost:
        named = ", ".join(map(shown, lost[:_NAMED])) + (f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else "")
        what = f"{counted(len(lost), 'storage')} that this host knows cannot be asked now ({named})"
        progress(f"{what}: threads there are not counted among those that share a build")
    return Builds(users)


def _state(storage: KnownStorage | None) -> LocalState | None:
    """The state of a known storage; None where it does not answer or is not where it was, or nobody knows where."""
    if storage is None:
        return None
    path = Path(storage.path)
    is_mounted = any(path.is_relative_to(each) for each in storages.mount_points() if each != "/")
    if is_mounted and processes.ask("os.listdir", path, seconds=_PATIENCE) is None:
        return None
    state = LocalState(StorageRoot(path))
    try:
        return state if known.known_storage_id(state) == storage.storage else None
    except SolvenError:
        return None


def _named(state: LocalState, thread: str) -> tuple[str, ...] | None:
    """The keys of the builds that a thread's record names; None for a record that is damaged or cannot be read."""
    try:
        stored = state.get(record_key(thread))
    except SolvenError:
        return None
    return build_keys(stored.value) if stored is not None else ()
