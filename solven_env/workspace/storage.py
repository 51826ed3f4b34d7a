"""The storage, which is the directory of all threads, and the opening and making of workspaces in it."""

from __future__ import annotations

import functools
import os
import re
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.config import Storage
from solven_env.errors import UnknownStorageError, WorkspaceError
from solven_env.system import directories, names
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.durable import chmod_held, sync_directory
from solven_env.system.failures import failure, failures_as, shown
from solven_env.system.removal import remove_entry
from solven_env.system.syscalls import HOLD_DIRECTORY, O_PATH, let_owner_in, openat2
from solven_env.system.unsynced import Unsynced
from solven_env.workspace.root import CLOSED, Owner, Root, is_closed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.config import Config
    from solven_env.state.storage_root import StorageRoot
    from solven_env.system.removal import Removal

_VARIABLE = "SOLVEN_ENV_STORAGE"
_THREADS = 0o711
"""Mode of `threads`: everybody may pass to a workspace that he may enter, and nobody may list them."""


def locate(storage: str | Path | None, environ: Mapping[str, str], config: Config) -> Storage:
    """Choose a storage: `storage`, else `SOLVEN_ENV_STORAGE`, else the host's default, else the user's own.

    A `Path` is a path; text is one when it has a `/` or is `.` or `..`, else the name of a storage of this host, else
    UnknownStorageError. A leading `~` is a name like any other: shells expand it. What the configuration says of a
    storage holds for its path too. No file is touched. (The user's own lies under the data directory, which the
    process's own environment tells.)
    """
    if isinstance(storage, Path):
        return _at(storage, config)
    if storage is not None:
        return _path(storage, "--storage", config)
    if environ.get(_VARIABLE):
        return _path(environ[_VARIABLE], _VARIABLE, config)
    if config.default_storage is not None:
        return config.storages[config.default_storage]
    return _at(directories.data() / "storage", config)


@functools.lru_cache(maxsize=64)
def workspace_path(storage: Path, thread: str) -> Path:
    """Path of the thread's workspace, for messages and for what opens it by itself; UsageError for a bad id."""
    return storage / "threads" / names.thread_id(thread)


def open_workspace(storage: StorageRoot, thread: str, owner: Owner | None) -> Root | None:
    """The thread's workspace, open; None when it is not there.

    The storage may be reached through links, it is the operator's; from there on none is followed. WorkspaceError
    when a link or a file stands at `threads` or at the workspace, or the storage is no directory.
    """
    try:
        with failures_as(WorkspaceError, f"{storage.path}/threads/{names.thread_id(thread)}"):
            root = Root(_open_directory(storage.open(), f"threads/{thread}"), owner)
    except FileNotFoundError:
        return None
    root.is_slow = bool(storage.is_shared)
    return root


def create_workspace(storage: StorageRoot, thread: str, owner: Owner | None) -> Root:
    """The thread's workspace, open; made where it is missing, with `threads`, the storage and the parents of that.

    Its name is on disk when the root's `unsynced` was waited for.

    Whatever the umask, storage and parents get mode 0755, `threads` 0711 and the workspace 0700 and `owner`; what is
    there stays as it is. Errors as `open_workspace`.
    """
    if (root := open_workspace(storage, thread, owner)) is not None:
        return root
    is_new, named = False, Unsynced()
    with failures_as(WorkspaceError, str(storage.path)), _make_threads(storage.make()) as threads:
        threads.owner = owner
        with suppress(FileExistsError):
            threads.mkdir(thread, CLOSED)
            is_new = True
            threads.add_names()
            named.take(threads.unsynced)
    root = open_workspace(storage, thread, owner)
    if root is None:
        where = str(workspace_path(storage.path, thread))
        raise WorkspaceError("the workspace vanished while it was made", fix="Try again.", location=where)
    root.is_new = is_new
    root.unsynced.take(named)
    return root


def _make_threads(storage: int) -> Root:
    """The directory of all workspaces, open, and made where it is missing."""
    with suppress(FileNotFoundError):
        return Root(openat2(storage, "threads", READ_DIRECTORY_ITSELF), None)
    with Root(openat2(storage, ".", READ_DIRECTORY_ITSELF), None) as top, suppress(FileExistsError):
        top.mkdir("threads", _THREADS)
        top.sync()
    return Root(openat2(storage, "threads", READ_DIRECTORY_ITSELF), None)


def check_readers(group: int | None) -> None:
    """WorkspaceError where we may not give workspaces to the host's `group` of readers (its number)."""
    if group is not None and os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        raise WorkspaceError(
            f"sandbox.group is {group}, and this user is not in that group: it cannot give workspaces to it",
            fix="Put this user into the group, or take sandbox.group out of the host configuration.",
        )


def workspace_owner(storage: StorageRoot, thread: str) -> int | None:
    """The uid that the thread's workspace belongs to; None where there is none, or no directory."""
    with suppress(OSError), holding(openat2(storage.open(), f"threads/{thread}", HOLD_DIRECTORY | os.O_NOFOLLOW)) as it:
        return os.fstat(it).st_uid
    return None


def has_workspace(storage: StorageRoot, thread: str) -> bool:
    """True where anything stands at the thread's workspace."""
    with failures_as(WorkspaceError, str(workspace_path(storage.path, thread))):
        return storage.holds(f"threads/{thread}")


def check_removable(storage: StorageRoot, thread: str) -> None:
    """WorkspaceError where something is mounted at a thread's workspace or beneath it, as this process sees it."""
    try:
        with failures_as(WorkspaceError, str(storage.path / "threads")):
            threads = openat2(storage.open(), "threads", HOLD_DIRECTORY | os.O_NOFOLLOW)
        with holding(threads):
            workspace = openat2(threads, thread, HOLD_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # nothing, or no directory, which has nothing beneath it
        return
    with holding(workspace):
        path = os.readlink(f"/proc/self/fd/{workspace}")  # noqa: PTH115 (a name may end in a space)
    mounted = next((each for each in mount_points() if each == path or each.startswith(f"{path}/")), None)
    if mounted is not None:
        raise WorkspaceError(
            "something is mounted here, which is no part of the workspace and would be lost with it",
            fix=f"Unmount it: umount {shlex.quote(mounted)}",
            location=shown(mounted),
        )


def mount_points() -> dict[str, str]:
    """Types of the file systems at all mount points of this process, by path; the one that is seen, of several.

    proc(5) writes spaces and the like in a path as octal numbers.
    """
    found = {}
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        mount, _, of_it = line.partition(b" - ")
        path = re.sub(rb"\\([0-7]{3})", _character, mount.split(b" ")[4])
        found[os.fsdecode(path)] = os.fsdecode(of_it.split(b" ")[0])
    return found


def _character(octal: re.Match[bytes]) -> bytes:
    return bytes([int(octal[1], 8)])


def remove_workspace(storage: StorageRoot, thread: str) -> int:
    """Remove the thread's workspace with all that is in it, whatever agents made there; the bytes that were freed.

    None is no error. WorkspaceError names the first path that cannot be removed; all others are gone then.
    """
    location = workspace_path(storage.path, thread)
    try:
        with failures_as(WorkspaceError, str(location)):
            threads = openat2(storage.open(), "threads", READ_DIRECTORY_ITSELF)
    except FileNotFoundError:
        return 0
    with holding(threads):
        removal = remove_entry(threads, thread)
        sync_directory(threads)
    if removal.failures:
        raise _unremoved(location.parent, removal)
    return removal.freed


def _unremoved(above: Path, removal: Removal) -> WorkspaceError:
    (path, error), *others = removal.failures
    told = failure(WorkspaceError, str(above / path), error)
    told.message = f"this cannot be removed: {told.message}"
    told.details = tuple(shown(str(above / each)) for each, _ in others)
    return told


def close_to_others(storage: StorageRoot, thread: str, group: int | None) -> None:
    """Give the workspace mode 0700, or 0750 and `group` where the host has one for readers, and `threads` at most 0711.

    Earlier versions made both 0755, and an agent may open its own: every account of the host read what an input put
    there, and could run a set-uid file. What another user made keeps its modes.
    """
    if _is_closed_to_others(storage, thread, group):
        return
    root = open_workspace(storage, thread, None)
    if root is None:
        return
    with root:
        root.close_to_others(group)
    with failures_as(WorkspaceError, str(storage.path / "threads")):
        threads = openat2(storage.open(), "threads", HOLD_DIRECTORY | os.O_NOFOLLOW)
        try:
            about = os.fstat(threads)
            if about.st_uid == os.geteuid() and stat.S_IMODE(about.st_mode) & ~_THREADS:
                chmod_held(threads, stat.S_IMODE(about.st_mode) & _THREADS)
        finally:
            os.close(threads)


def _is_closed_to_others(storage: StorageRoot, thread: str, group: int | None) -> bool:
    """True if the modes are as they should be, as their names say; both are opened only to be changed."""
    try:
        threads = os.stat("threads", dir_fd=storage.open(), follow_symlinks=False)
        about = os.stat(f"threads/{thread}", dir_fd=storage.open(), follow_symlinks=False)
    except OSError:
        return False
    is_open = threads.st_uid == os.geteuid() and stat.S_IMODE(threads.st_mode) & ~_THREADS
    return not is_open and stat.S_ISDIR(about.st_mode) and is_closed(about, group)


def _open_directory(place: int, path: str) -> int:
    """A directory beneath an open one, reached through no link; its owner may do all in it from now on."""
    held = openat2(place, path, HOLD_DIRECTORY | os.O_NOFOLLOW)
    try:
        let_owner_in(held)
        return openat2(held, ".", READ_DIRECTORY_ITSELF)
    finally:
        os.close(held)


def is_missing(storage: StorageRoot, path: str) -> bool:
    """True where nothing stands at `path` beneath the storage. A link on the way is something, and is not followed."""
    with failures_as(WorkspaceError, str(storage.path)):
        directory = storage.open()
    try:
        os.close(openat2(directory, path, O_PATH))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _at(path: Path, config: Config) -> Storage:
    absolute = os.path.abspath(path)  # noqa: PTH100 (Path's own would look at links)
    same = (each for each in config.storages.values() if os.path.abspath(each.root) == absolute)  # noqa: PTH100
    return next(same, Storage(path))


def _path(text: str, source: str, config: Config) -> Storage:
    if "/" in text or text in (".", ".."):
        return _at(Path(text), config)
    if text not in config.storages:
        from solven_env.documents.diagnostics import did_you_mean

        known = f"{did_you_mean(text, config.storages)} " if config.storages else ""
        raise UnknownStorageError(
            f"{source}: this host knows no storage {text!r}",
            fix=f"{known}A path needs a `/`: write `./{text}` for a directory here.",
        )
    return config.storages[text]
