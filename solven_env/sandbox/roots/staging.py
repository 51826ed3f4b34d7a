"""Stages a root for one shape of sandbox, by descriptors only, with all rights and before any agent's code runs.

Why not bubblewrap's own `--bind`, `--tmpfs` and `--proc`: every version up to 0.11 follows a link that an agent planted
at a destination and makes files on the host (CVE-2026-87766). Here each target is opened component by component from
the root's descriptor, through no link, and mounted upon by that descriptor; a name that is swapped meanwhile changes
nothing, since no name is looked up twice.
"""

from __future__ import annotations

import errno
import os
import stat

from solven_env.errors import SandboxError
from solven_env.sandbox.launch_plan import Bind, Etc, LaunchPlan, Mount, Overlay, Proc, SecretFiles, Tmpfs
from solven_env.sandbox.roots import etc
from solven_env.sandbox.roots.sources import HARDENED, Shared, open_source
from solven_env.sandbox.roots.targets import (
    DIRECTORY,
    holds_something,
    open_parent,
    open_target,
    write_file,
)
from solven_env.system import mounting, syscalls
from solven_env.system.blocks import READ_DIRECTORY, holding, suppress
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_SECRETS = HARDENED | mounting.ATTR_NOEXEC


class Staged(NamedTuple):
    """Targets that were staged where an agent can rename or remove: with the ids of their mounts, for `find_moved`, and
    those at which a directory that is not empty is hidden.
    """

    mounted: tuple[tuple[str, int], ...]
    hidden: tuple[str, ...]


def stage(plan: LaunchPlan, where: str, shared: Shared) -> Staged:
    """Make the directory `where` the root that `plan` describes.

    SandboxError names what is missing on the host, a link that stands in the way, and an overlay that is in use.
    """
    _stage_workspace(plan, where)
    mounted: list[tuple[str, int]] = []
    hidden: list[str] = []
    memory: set[int] = set()
    sealed: dict[int, int] = {}
    with holding(os.open(where, DIRECTORY)) as root:
        try:
            for mount in sorted(plan.mounts, key=lambda mount: mount.target.count("/")):
                is_in_reach = _is_in_reach(plan, mount.target)
                hides = is_in_reach and holds_something(root, mount.target)
                added = _add(plan, root, mount, shared, memory, sealed)
                if is_in_reach and added is not None:
                    mounted.append((mount.target, added))
                if hides and (added is not None or isinstance(mount, Proc)):
                    hidden.append(mount.target)
            for file in plan.files:
                with open_parent(root, file.path, sealed.keys()) as directory:
                    write_file(directory, os.path.basename(file.path), file.content, file.mode)
            for link in plan.links:
                with open_parent(root, link.path, sealed.keys()) as directory:
                    os.symlink(link.to, os.path.basename(link.path), dir_fd=directory)
            for opened in sealed.values():
                mounting.set_attributes(opened, mounting.ATTR_RDONLY, recursive=False)
        finally:
            for opened in sealed.values():
                os.close(opened)
    return Staged(tuple(mounted), tuple(hidden))


def find_moved(root: int, mounted: tuple[tuple[str, int], ...]) -> dict[str, bool]:
    """The targets in an open staged root at which their mount is no longer, and whether something else is there.

    A mount goes with the directory that it is on: an agent that renames one above it takes it along. One that is
    removed where it is no mount point (in another root, on the host) takes its mount from the world.
    """
    moved: dict[str, bool] = {}
    for target, mount in mounted:
        try:
            if _mount_at(root, target) != mount:
                moved[target] = True
        except OSError as error:
            moved[target] = error.errno != errno.ENOENT
    return moved


def _mount_at(root: int, target: str) -> int:
    """Most targets have one component: no directory is opened for these, which halves the time."""
    above, _, name = target[1:].rpartition("/")
    if not above:
        return syscalls.mount_id(root, name)
    with holding(syscalls.openat2(root, above, DIRECTORY)) as directory:
        return syscalls.mount_id(directory, name)


def enter(plan: LaunchPlan, root: str, where: str) -> None:
    """In a mount namespace and a PID namespace of one command's own: mount its /proc and its memory for secrets, and
    move `root` to `where`.

    The same /proc goes over the host's: bubblewrap looks its own process up there. `where` lies beneath it.
    """
    proc_targets = [mount.target for mount in plan.mounts if isinstance(mount, Proc)]
    with holding(os.open(root, DIRECTORY)) as staged:
        with holding(mounting.new_mount("proc", {}, HARDENED | mounting.ATTR_NOEXEC)) as fresh:
            for target in proc_targets:
                with (
                    holding(mounting.clone_tree("", fresh)) as clone,
                    open_target(staged, target, directory=True, owner=_owner(plan)) as place,
                ):
                    mounting.attach(clone, place)
                    _mask(clone)
            with holding(os.open("/proc", DIRECTORY)) as place:
                mounting.attach(fresh, place)
        for mount in plan.mounts:
            if isinstance(mount, SecretFiles):
                with (
                    holding(mounting.new_mount("tmpfs", secrets_options(plan, mount), _OF_SECRETS)) as memory,
                    holding(syscalls.openat2(staged, mount.target[1:], DIRECTORY)) as place,
                ):
                    mounting.attach(memory, place)
        with holding(os.open(where, DIRECTORY)) as place:
            mounting.attach(staged, place)


def secrets_options(plan: LaunchPlan, mount: SecretFiles) -> dict[str, str | None]:
    """The options of the tmpfs for the files of one command, which are its uid's alone."""
    owner: dict[str, str | None] = {} if plan.uid is None else {"uid": str(plan.uid), "gid": str(plan.gid)}
    return {**mounting.memory_bounds(mount.size), **owner, "mode": "0700"}


def write_secrets(plan: LaunchPlan, where: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a command into its own memory in the root that is at `where`, as its uid. It may write there
    too, and nobody else sees that.
    """
    if not files:
        return
    (target,) = (mount.target for mount in plan.mounts if isinstance(mount, SecretFiles))
    with (
        holding(os.open(where, DIRECTORY)) as root,
        holding(syscalls.openat2(root, target[1:], READ_DIRECTORY)) as directory,
    ):
        for name, content in files.items():
            write_file(directory, name, content, 0o400)
        os.fchmod(directory, 0o500)


def proc_places(plan: LaunchPlan, root: str) -> tuple[tuple[int, int] | None, ...]:
    """The directories of a staged root on which `enter` mounts a /proc: an agent may move one away, or its host."""
    found: list[tuple[int, int] | None] = []
    with holding(os.open(root, DIRECTORY)) as staged:
        for target in [mount.target for mount in plan.mounts if isinstance(mount, Proc)]:
            try:
                with holding(syscalls.openat2(staged, target[1:], DIRECTORY)) as place:
                    about = os.fstat(place)
                    found.append((about.st_dev, about.st_ino))
            except OSError:
                found.append(None)
    return tuple(found)


def _mask(proc: int) -> None:
    """Cover what a /proc shows of the host's in spite of all namespaces: the names of keys that are this uid's."""
    for name in ("keys", "key-users"):
        with (
            suppress(FileNotFoundError),  # a kernel without keys
            holding(os.open(name, os.O_PATH, dir_fd=proc)) as place,
            holding(mounting.clone_tree("/dev/null")) as null,
        ):
            mounting.set_attributes(null, HARDENED | mounting.ATTR_RDONLY)
            mounting.attach(null, place)


def open_workspace(plan: LaunchPlan) -> int:
    """A descriptor of the workspace, which is there and answers; SandboxError says what is wrong with it."""
    try:
        workspace = os.open(plan.workspace, DIRECTORY | os.O_NOFOLLOW)
        with holding(workspace):
            syscalls.let_owner_in(workspace)
            # O_PATH asks no file system; this one tells of a FUSE mount whose daemon has died.
            return os.open(".", READ_DIRECTORY, dir_fd=workspace)
    except OSError as error:
        fix = "Make it again with apply." if error.errno == errno.ENOENT else "Look whether its storage is mounted."
        raise SandboxError(
            f"the workspace cannot be opened: {error.strerror}", fix=fix, location=plan.workspace
        ) from error


def _stage_workspace(plan: LaunchPlan, where: str) -> None:
    with holding(open_workspace(plan)) as workspace, holding(mounting.clone_tree("", workspace)) as clone:
        mounting.set_attributes(clone, HARDENED)
        os.mkdir(where)
        with holding(os.open(where, DIRECTORY)) as place:
            mounting.attach(clone, place)


def _owner(plan: LaunchPlan) -> tuple[int, int] | None:
    """Whose the mount points are that are made in the workspace; None: ours."""
    return None if plan.uid is None or plan.gid is None else (plan.uid, plan.gid)


def _is_in_reach(plan: LaunchPlan, target: str) -> bool:
    """True where a mount point lies in what an agent can write: the workspace, a layer, memory, a writable bind."""
    above = [mount for mount in plan.mounts if target.startswith(f"{mount.target}/")]
    if not above:
        return True
    innermost = max(above, key=lambda mount: len(mount.target))
    if isinstance(innermost, Bind | Tmpfs):
        return not innermost.read_only
    return isinstance(innermost, Overlay)


def _add(
    plan: LaunchPlan, root: int, mount: Mount, shared: Shared, memory: set[int], sealed: dict[int, int]
) -> int | None:
    """Mount one thing and give the mount's id; None where nothing was mounted.

    Note the device of what is memory, and the mount of what is to be made read-only at the end.
    """
    if isinstance(mount, SecretFiles):  # what is mounted there, `enter` mounts
        open_target(root, mount.target, directory=True, memory=memory).close()
        return None
    source = None if isinstance(mount, Proc) else open_source(plan, mount, shared)  # for Proc see `enter`
    if source is None:
        return None
    with holding(source):
        about = os.fstat(source)
        is_directory = stat.S_ISDIR(about.st_mode)
        with open_target(root, mount.target, directory=is_directory, memory=memory, owner=_owner(plan)) as place:
            mounting.attach(source, place)
        if isinstance(mount, Tmpfs | Etc):
            memory.add(about.st_dev)
        if isinstance(mount, Etc) or (isinstance(mount, Tmpfs) and mount.read_only):
            sealed[about.st_dev] = os.dup(source)
        if isinstance(mount, Etc):
            prefix = f"{mount.target}/"
            etc.fill(source, omit=frozenset(file.path.removeprefix(prefix) for file in plan.files))
        return syscalls.mount_id(source)
