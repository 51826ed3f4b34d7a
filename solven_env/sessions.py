"""A thread's session on this host: its name, how it is, and its end. Running commands in it is `running`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env import directories
from solven_env.errors import UsageError
from solven_env.sandbox import control

if TYPE_CHECKING:
    from solven_env.sandbox.control import SessionState
    from solven_env.state.records import Record
    from solven_env.threads import Thread


def name(thread: Thread, record: Record, storage: str) -> str:
    """What names the session of a thread: one a host, and another when the thread is made anew. `storage` is an id."""
    return f"{storage}/{thread.name}/{record.incarnation}"


def look(thread: Thread, record: Record) -> SessionState | None:
    """How the thread's session on this host is; None when there is none."""
    storage = thread.known_storage_id()
    return control.look(name(thread, record, storage), str(directories.runtime())) if storage else None


def stop(thread: Thread) -> bool:
    """End the thread's session on this host, with all its commands; whether there was one.

    A damaged record keeps nobody from that: its generations have the same incarnation.
    """
    record, storage = thread.record(recover=True), thread.known_storage_id()
    if record is None:
        raise UsageError(f"there is no thread {thread.name} in this storage", fix="Look at its name, or at --storage.")
    return control.stop(name(thread, record, storage), str(directories.runtime())) if storage else False
