"""Memory and processes of a command, bounded by cgroups (v2) where a subtree with these controllers is ours.

One cgroup a session, named by its socket, beneath the nearest cgroup, our own or above, that we may write and that
hands the memory controller on; in it one a command, which the command's first process enters before it drops its uid
(the kernel's Documentation/admin-guide/cgroup-v2.rst, 'Delegation'). The PID namespace has ended all processes when a
command is over, so that removing is all that is left to do; a killed holder leaves empty directories, which the next
holder or the launcher that buries it removes.
"""

from __future__ import annotations

import os

from solven_env.errors import SandboxError
from solven_env.system.blocks import suppress
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from solven_env.sandbox.limits import Limits

_CONTROLLERS = ("memory", "pids")
_OUTSIDE = 1
"""Number of processes of a command's cgroup that its limit does not count: bubblewrap, pid 1."""


class Unenforced(NamedTuple):
    """A limit that this host does not enforce, why, and the fix."""

    limit: str
    why: str
    fix: str


class Events(NamedTuple):
    """Counts of the kernel in a command's cgroup: processes killed for want of memory, forks refused."""

    oom_kills: int = 0
    refused_forks: int = 0


def unenforced() -> tuple[Unenforced, ...]:
    """The limit of memory, where commands that are started from here would not be held to one."""
    if find_parent() is not None:
        return ()
    return (
        Unenforced(
            "memory",
            "no cgroup (v2) with the memory controller is delegated to this process",
            "Start it beneath one, by systemd-run --user --scope for example.",
        ),
    )


def find_parent(own: str = "/proc/self/cgroup", mounts: str = "/proc/self/mountinfo") -> str | None:
    """The directory in which cgroups with a memory controller can be made; None where there is none.

    The two files are the process's, as proc(5) describes them.
    """
    root = _hierarchy(_read(mounts))
    path = next((line[3:] for line in _read(own).splitlines() if line.startswith("0::/")), None)
    if root is None or path is None or ".." in path.split("/"):  # outside our cgroup namespace
        return None
    directory = os.path.normpath(f"{root}/{path}")
    while not _is_delegated(directory):
        if directory == root:
            return None
        directory = os.path.dirname(directory)
    return directory


def make(parent: str | None, session: str, limits: Limits) -> str | None:
    """A new cgroup for one command, with its limits; None where it has none for it, or none can be had.

    SandboxError for the latter where the limits are strict.
    """
    if limits.memory is None and limits.processes is None:
        return None
    if parent is None:
        if limits.strict and limits.memory is not None:
            raise SandboxError("the limit of memory cannot be enforced: the session was begun outside such a cgroup")
        return None
    try:
        directory = _session(parent, session)
        controllers = [each for each in _read(f"{parent}/cgroup.subtree_control").split() if each in _CONTROLLERS]
        if not os.path.isdir(directory):
            os.mkdir(directory)
            _write(f"{directory}/cgroup.subtree_control", " ".join(f"+{each}" for each in controllers))
        path = _make_next(directory)
        bound(path, limits, controllers)
    except OSError as error:
        if limits.strict:
            raise SandboxError(f"the limit of memory cannot be enforced: {error}", location=parent) from error
        return None
    return path


def bound(path: str, limits: Limits, controllers: list[str]) -> None:
    """Write a command's limits into its cgroup."""
    if "memory" in controllers and limits.memory is not None:
        _write(f"{path}/memory.max", str(limits.memory))
        with suppress(FileNotFoundError):  # a kernel that does not account swap
            _write(f"{path}/memory.swap.max", "0")
    if "pids" in controllers and limits.processes is not None:
        _write(f"{path}/pids.max", str(limits.processes + _OUTSIDE))


def enter(path: str, pid: int) -> None:
    """Let a process, and what it starts from here on, belong to the cgroup."""
    _write(f"{path}/cgroup.procs", str(pid))


def events(path: str) -> Events:
    """Counts of a cgroup so far."""
    return Events(_field(f"{path}/memory.events", "oom_kill"), _field(f"{path}/pids.events", "max"))


def remove(path: str) -> None:
    """Take away a cgroup whose processes have ended; one that has any stays."""
    with suppress(OSError):
        os.rmdir(path)


def clear(parent: str | None, session: str) -> None:
    """Take away a session's cgroups, those that have no process."""
    if parent is None:
        return
    directory = _session(parent, session)
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove(entry.path)
    remove(directory)


def _session(parent: str, session: str) -> str:
    return f"{parent}/solven-env-{session}"


def _make_next(directory: str) -> str:
    number = 0
    while True:
        path = f"{directory}/{number}"
        try:
            os.mkdir(path)
        except FileExistsError:
            number += 1
        else:
            return path


def _hierarchy(mounts: str) -> str | None:
    """Mount point of the whole hierarchy, as far as our cgroup namespace goes."""
    for line in mounts.splitlines():
        about, _, kind = line.partition(" - ")
        fields = about.split()
        if kind.startswith("cgroup2 ") and fields[3] == "/":
            return fields[4]
    return None


def _is_delegated(directory: str) -> bool:
    if "memory" not in _read(f"{directory}/cgroup.subtree_control").split():
        return False
    return all(os.access(path, os.W_OK) for path in (directory, f"{directory}/cgroup.procs"))


def _field(path: str, name: str) -> int:
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
