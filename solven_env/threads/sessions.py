"""A thread's session on this host: its name, how it is, and its end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from solven_env.errors import SolvenError, StateError, StorageError, UsageError
from solven_env.sandbox.backends import BACKENDS, find
from solven_env.system import directories, processes
from solven_env.threads import known, noting
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.sandbox.kept import Told
    from solven_env.sandbox.runtime import SessionState
    from solven_env.state.records import Record

_PATIENCE = 2.0  # seconds


def name(thread: Thread, record: Record) -> str:
    """Name of the session of a thread: one a host, and another when the thread is made anew."""
    return f"{_owner(thread)}/{record.incarnation}"


def look(thread: Thread, record: Record) -> SessionState | None:
    """The state of the thread's session on this host; None without one."""
    if not thread.storage_id:
        return None
    called, runtime = name(thread, record), str(directories.runtime())
    return next(filter(None, (find(each).look(called, runtime) for each in BACKENDS)), None)


def ask(thread: Thread, record: Record, what: str, kept: str = "") -> Told | None:
    """Ask the thread's session about commands that outlive their callers (`Backend.ask`); None without one."""
    if not thread.storage_id:
        return None
    called, runtime = name(thread, record), str(directories.runtime())
    return next(filter(None, (find(each).ask(called, runtime, what, kept) for each in BACKENDS)), None)


def is_live(called: str) -> bool:
    """True where a session of this name is there."""
    runtime = str(directories.runtime())
    return any(find(each).look(called, runtime) is not None for each in BACKENDS)


def make_room(thread: Thread, record: Record, size: int) -> None:
    """Tell the thread's session, where there is one, that an apply is about to write so many bytes in the workspace."""
    if thread.storage_id and size:
        find(record.settings["backend"]).make_room(name(thread, record), str(directories.runtime()), size)


def stop(thread: str, storage: str | Path | None) -> bool:
    """End the thread's session on this host, with all its commands; whether there was one.

    What its commands changed of the thread's packages is noted in the record, if the storage answers.
    """
    stopped = _stop_found(thread, storage)
    if stopped and answers(Thread.named(thread, storage).storage):
        with suppress(SolvenError):  # an apply says it
            noting.note_all(Thread.find(thread, storage))
    return stopped


def _stop_found(thread: str, storage: str | Path | None) -> bool:
    """End the session where this host knows one, else where the storage says that one can be.

    The storage is not needed for that: its path says how this host knows it. It may be dead or hang, and is looked at
    only where no session is found so, to tell a thread without a session from one that is not there.
    """
    named = Thread.named(thread, storage)
    known_as = known.recall(directories.data(), named.storage)
    if known_as is not None:
        if end(named._replace(storage_id=known_as)):
            return True
        if not answers(named.storage):
            return False
    try:
        found = Thread.find(thread, storage)
        is_there = found.record(recover=True) is not None
    except (StateError, StorageError):
        if known_as is None:
            raise
        return False
    if not is_there:
        raise UsageError(f"there is no thread {thread} in this storage", fix="Look at its name, or at --storage.")
    return found.storage_id not in (None, known_as) and end(found)


def answers(path: Path) -> bool:
    """True if a storage answers within two seconds, even with an error. One whose daemon hangs does not."""
    return processes.ask("os.listdir", path.absolute(), seconds=_PATIENCE) is not None


def _owner(thread: Thread) -> str:
    """Beginning of the names of all sessions of the thread."""
    return f"{thread.storage_id}/{thread.name}"


def end(thread: Thread) -> bool:
    """End the sessions of a thread that was found, of all its incarnations on this host; whether there was one."""
    stopped = [find(each).stop_all(_owner(thread), str(directories.runtime())) for each in BACKENDS]
    return any(stopped)
