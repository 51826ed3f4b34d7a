"""The host uid that a thread's commands run as and its files belong to under root: one of its own, where it can be had.

The kernel counts by uid how many inotify instances, descriptors under way in sockets, pages in pipes, timers and
message queues there may be: what one thread takes of its uid's, another one with the same uid lacks.

What a thread has is seen, not remembered: its workspace belongs to the common uid (`sandbox.uid`) or to one that it has
claimed on this host (`claims`). Nothing is marked, since the workspace itself is given last. The record's uid is what
another host begins with.
"""

from __future__ import annotations

import fcntl
import functools
import os
from contextlib import contextmanager

from solven_env.errors import SandboxError, WorkspaceError
from solven_env.packages import layers
from solven_env.packages.steps import step
from solven_env.state.records import Record
from solven_env.system import directories, processes
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.failures import failures_as
from solven_env.system.publishing import refusals_told
from solven_env.threads import claims, sessions
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace import storage as storages
from solven_env.workspace.root import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from solven_env.threads.thread import Thread

_TRY = "solven_env.sandbox.roots.trying.main"
_SECONDS = 10.0


class Had(NamedTuple):
    """The uid that commands of a thread run as (None: the caller's own), until `turn` is closed."""

    uid: int | None
    turn: holding | None = None


def for_command(thread: Thread, record: Record, home: layers.Home) -> Had:
    """The uid that a command of the thread runs as. A workspace that is nobody's here is given over first.

    That is so where another host has applied the thread. From the common uid to one of its own only `apply` gives it.
    """
    if os.geteuid() != 0:
        return Had(None)
    turn = _turn(home)
    held = holding(turn)
    fcntl.flock(turn, fcntl.LOCK_SH)
    uid = _usable(thread, record, home)
    if uid is None:
        fcntl.flock(turn, fcntl.LOCK_EX)  # no command is live with a uid that none can have
        uid = _usable(thread, record, home)
    if uid is None:
        uid = _choose(thread, record, home)[0]
        _give(thread, record, home, uid)
    fcntl.flock(turn, fcntl.LOCK_SH)
    return Had(uid, held)


@contextmanager
def for_apply(
    thread: Thread, record: Record | None, progress: Callable[[str], None]
) -> Iterator[tuple[Thread, Record]]:
    """The thread as the one whom an apply's files are to belong to, and the record that a new one begins with.

    What it has is given over first, unless a command or a session is live: then it keeps its uid, of which `progress`
    is told. No command starts in between.
    """
    fresh = record or Record(incarnation=os.urandom(16).hex())
    common, uids = thread.config.sandbox.uid, thread.config.sandbox.uids
    if os.geteuid() != 0 or (not uids and fresh.uid is None):
        yield thread, fresh
        return
    home = thread.home(fresh)
    with holding(_turn(home)) as turn:
        uid, owner = _choose(thread, fresh, home)[0], _owner(thread)
        is_elsewhere = owner != uid and (uid != common or owner is None or _is_a_threads(thread, fresh, home, owner))
        if fresh.generation and is_elsewhere:  # before the first one has ended, it adopts all that is there
            if _is_live(thread, fresh, turn):
                kept = _usable(thread, fresh, home) or common
                progress(f"uid: {thread.name} keeps {kept} while its commands live; an apply after them gives it {uid}")
                uid = kept
            else:
                thread.state.check_held(thread.name)
                with step(progress, f"uid: giving {thread.name} to {uid}", f"uid: gave {thread.name} to {uid}"):
                    _give(thread, fresh, home, uid)
        fcntl.flock(turn, fcntl.LOCK_SH)
        yield thread._replace(owner=Owner(uid, uid)), fresh._replace(uid=None if uid == common else uid)


def foreseen(thread: Thread, record: Record) -> int | None:
    """The uid that the next command runs as, as far as that can be told without claiming one."""
    if os.geteuid() != 0:
        return None
    home = thread.home(record)
    return _usable(thread, record, home) or wanted(thread, record)[0]


def wanted(thread: Thread, record: Record) -> tuple[int, str]:
    """The uid that the next apply gives it under root; why it is the common one, else empty. None is claimed."""
    return _choose(thread, record, thread.home(record), take=claims.find)


def present(thread: Thread, record: Record) -> int | None:
    """The uid that the thread's files belong to now; the common one where they are no thread's."""
    if os.geteuid() != 0:
        return None
    return _usable(thread, record, thread.home(record)) or _owner(thread)


def owners(thread: Thread) -> tuple[tuple[int, int], ...]:
    """The ranges of uids (first, last) that another thread's workspace can belong to; none where all have one."""
    common, uids = thread.config.sandbox.uid, thread.config.sandbox.uids
    return ((common, common), (uids[0], uids[-1])) if os.geteuid() == 0 and uids else ()


def refusal(thread: Thread) -> str:
    """Reason why threads of this storage cannot have uids of their own here; empty where they can. It is tried."""
    place = storages.workspace_path(thread.storage, thread.name)
    threads = _nearest(place.parent)
    # A workspace can be a mount of its own.
    tried = place if place.is_dir() and place.stat().st_dev != threads.stat().st_dev else threads
    return why_not(tried, thread.config.sandbox.uid, thread.config.sandbox.uids)


@functools.lru_cache(maxsize=16)
def why_not(workspaces: Path, common: int, uids: range) -> str:
    """The same for a directory `workspaces` that holds some, or is one. Nothing is made that stays.

    SandboxError where a file system hangs: that is no reason to give anything to another uid.
    """
    places = (path.absolute() for path in (_nearest(directories.cache()), _nearest(directories.data()), workspaces))
    said = processes.ask(_TRY, *places, common, uids[0], uids[-1], seconds=_SECONDS)
    if said is None:
        fix = "Look whether its storage is mounted."
        raise SandboxError("the file system does not answer", location=str(workspaces), fix=fix)
    lines = (said.stdout or said.stderr).decode(errors="replace").splitlines()
    return lines[-1] if lines else ""


def _nearest(path: Path) -> Path:
    """The directory, or the nearest above it that is there."""
    while not path.is_dir():
        path = path.parent
    return path


def _turn(home: layers.Home) -> int:
    """Descriptor to lock: launchers share it while their commands live; who gives a thread over has it alone."""
    with refusals_told(home.path):
        try:
            return os.open(home.path, READ_DIRECTORY)
        except FileNotFoundError:
            return os.open(layers.make(home), READ_DIRECTORY)


def _claimant(home: layers.Home) -> claims.Claimant:
    return claims.Claimant(home.storage, home.thread, home.incarnation)


def _owner(thread: Thread) -> int | None:
    path = storages.workspace_path(thread.storage, thread.name)
    with failures_as(WorkspaceError, str(path)):
        try:
            return path.lstat().st_uid
        except (FileNotFoundError, NotADirectoryError):  # its opening tells that
            return None


def _usable(thread: Thread, record: Record, home: layers.Home) -> int | None:
    """The uid that the thread has now on this host; None where its workspace is another host's or another thread's."""
    common, owner = thread.config.sandbox.uid, _owner(thread)
    if owner is None or owner == common:
        return common
    if owner in thread.config.sandbox.uids and claims.holder(home.data, owner) == _claimant(home):
        return owner
    return None if _is_a_threads(thread, record, home, owner) else common


def _is_a_threads(thread: Thread, record: Record, home: layers.Home, uid: int | None) -> bool:
    """True for a uid of those that threads have of their own; a bucket is mounted as anybody's."""
    return uid is not None and (
        uid in thread.config.sandbox.uids or uid == record.uid or claims.holder(home.data, uid) == _claimant(home)
    )


def _choose(
    thread: Thread, record: Record, home: layers.Home, take: Callable[..., int] = claims.draw
) -> tuple[int, str]:
    """The uid that the thread should have here, claimed if it is one of its own; else why it is the common one."""
    common, uids = thread.config.sandbox.uid, thread.config.sandbox.uids
    if not uids:
        return common, "the host configuration has no sandbox.uids"
    owner = _owner(thread)
    if owner is not None and owner in uids and claims.holder(home.data, owner) == _claimant(home):
        return owner, ""
    why = refusal(thread)
    if why:
        return common, why
    preferred = [uid for uid in (owner, record.uid) if uid is not None]
    return take(home.data, preferred, uids, _claimant(home)), ""


def _is_live(thread: Thread, record: Record, turn: int) -> bool:
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return sessions.look(thread, record) is not None


def _give(thread: Thread, record: Record, home: layers.Home, uid: int) -> None:
    """Give what the thread has here and, last, its workspace from whichever uid of a thread's they have to this one."""
    from solven_env.workspace.adoption import adopt

    former = {thread.config.sandbox.uid, _owner(thread)} - {0}

    @functools.cache
    def is_former(owner: int) -> bool:
        return owner in former or _is_a_threads(thread, record, home, owner)

    for path in layers.owned(home):
        with refusals_told(path):
            directory = os.open(path, READ_DIRECTORY)
        with holding(directory):
            adopt(directory, (uid, uid), is_former)
    root = storages.open_workspace(thread.root, thread.name, Owner(uid, uid))
    if root is not None:
        with root:
            root.adopt(is_former)
            root.adopt_directory("")  # whosever it is: root's, where somebody moved it
            root.close_to_others(thread.config.sandbox.group)
