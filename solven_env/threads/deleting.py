"""Deleting a thread: all that its storage and this host have of it, in an order that no crash can harm.

1. Its session ends, and its layers on this host go: what is recorded of them is as true as on any other host.
2. Its former generations go in one step, then its record: from here on it is a thread that was never applied.
3. What began meanwhile ends and goes.
4. Its workspace goes, then all else that is kept of it, its lock last.
5. Its uid on this host becomes another thread's only now that nothing belongs to it any more.

Whatever stays after a crash is a thread still, and deleting it again goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import UsageError
from solven_env.packages import garbage
from solven_env.state.records import record_key
from solven_env.system import directories
from solven_env.threads import claims, noting, sessions
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.threads.thread import Thread


class Deleted(NamedTuple):
    """A thread that is gone: the bytes that were freed, and whether its workspace was kept."""

    thread: str
    freed: int
    has_workspace: bool = False


def delete(
    thread: Thread, *, keep_workspace: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Deleted:
    """Delete a thread of a storage that was found.

    UsageError where there is none of that name; HeldError while an apply has it, or a command that is in no session;
    WorkspaceError where something is mounted in its workspace, and nothing is removed then, or for what the system
    does not let go.
    """
    name, data = thread.name, directories.data()
    if not is_there(thread):
        raise UsageError(f"there is no thread {name} in this storage", fix="Look at its name, or at --storage.")
    with noting.held(thread, progress):
        if not keep_workspace:
            storages.check_removable(thread.root, name)
        lives = _lives(thread)
        freed = _end(thread, has_lived=bool(lives))
        freed += thread.state.discard(f"threads/{name}/generations")
        freed += thread.state.discard(record_key(name))
        if _lives(thread) or any(map(sessions.is_live, lives)):  # a command has begun since
            freed += _end(thread, has_lived=True)
        uid = storages.workspace_owner(thread.root, name)
        if not keep_workspace:
            freed += storages.remove_workspace(thread.root, name)
        freed += thread.state.forget(name)
    if thread.storage_id and not keep_workspace:
        claims.release(data, thread.storage_id, name, uid)
    return Deleted(name, freed, keep_workspace and storages.has_workspace(thread.root, name))


def is_there(thread: Thread) -> bool:
    """True where the storage or this host has anything of a thread."""
    name, data, known_as = thread.name, directories.data(), thread.storage_id
    if thread.state.has(f"threads/{name}") or storages.has_workspace(thread.root, name):
        return True
    return known_as is not None and (
        garbage.has_layers(data, known_as, name) or bool(claims.of_thread(data, known_as, name))
    )


def _lives(thread: Thread) -> list[str]:
    """The names that sessions of the thread can have: each command makes layers of its incarnation first."""
    known_as, name = thread.storage_id, thread.name
    found = garbage.incarnations(directories.data(), known_as, name) if known_as else []
    return [f"{known_as}/{name}/{incarnation}" for incarnation in found]


def _end(thread: Thread, *, has_lived: bool) -> int:
    """End the thread's session on this host, if it can have one, and remove its layers there; the bytes freed."""
    if not thread.storage_id:
        return 0
    if has_lived:
        sessions.end(thread)
    return garbage.remove_layers(directories.data(), thread.storage_id, thread.name)
