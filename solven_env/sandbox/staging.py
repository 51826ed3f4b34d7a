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
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env import syscalls
from solven_env.errors import SandboxError
from solven_env.sandbox import devices, etc, mounting
from solven_env.sandbox.plan import Bind, Dev, Etc, LaunchPlan, Mount, Overlay, Proc, Tmpfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HARDENED = mounting.ATTR_NOSUID | mounting.ATTR_NODEV
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_OVERLAY_PATIENCE = 2.0  # seconds


class Shared:
    """What all roots of a session have in common, each mounted once, beneath the directory `where`.

    `mounts` maps a mount to the directory it is attached to: overlays, since an upper may be mounted only once, and the
    session's own /tmp, /var, /run and /dev.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.mounts: dict[Mount, str] = {}
        self.made = 0


def stage(plan: LaunchPlan, where: str, shared: Shared) -> None:
    """Make the directory `where` the root that `plan` describes.

    SandboxError names what is missing on the host, a link that stands in the way, and an overlay that is in use.
    """
    _open_workspace(plan, where)
    staged: set[int] = set()
    sealed: list[int] = []
    with _held(os.open(where, _DIRECTORY)) as root:
        try:
            for mount in sorted(plan.mounts, key=lambda mount: mount.target.count("/")):
                _add(plan, root, mount, shared, staged, sealed)
            for file in plan.files:
                with _parent(root, file.path, staged) as (directory, name):
                    _write(directory, name, file.content, file.mode)
            for link in plan.links:
                with _parent(root, link.path, staged) as (directory, name):
                    os.symlink(link.to, name, dir_fd=directory)
            for mounted in sealed:
                mounting.set_attributes(mounted, mounting.ATTR_RDONLY, recursive=False)
        finally:
            for mounted in sealed:
                os.close(mounted)


def release(shared: Shared, kept: Iterable[Mount]) -> None:
    """Unmount the overlays that are not among `kept`; what commands still have of them stays theirs."""
    wanted = {_shared_key(mount) for mount in kept}
    for mount, where in list(shared.mounts.items()):
        if isinstance(mount, Overlay) and mount not in wanted:
            mounting.detach(where)
            os.rmdir(where)
            del shared.mounts[mount]


def enter(root: str, proc_targets: tuple[str, ...], where: str) -> None:
    """In a mount namespace and a PID namespace of one command's own: mount its /proc, and move `root` to `where`.

    The same /proc goes over the host's: bubblewrap looks its own process up there. `where` lies beneath it.
    """
    with _held(os.open(root, _DIRECTORY)) as staged:
        with _held(mounting.new_mount("proc", {}, _HARDENED | mounting.ATTR_NOEXEC)) as fresh:
            for target in proc_targets:
                with (
                    _held(mounting.clone_tree("", fresh)) as clone,
                    open_target(staged, target, directory=True) as place,
                ):
                    mounting.attach(clone, place)
            with _held(os.open("/proc", _DIRECTORY)) as place:
                mounting.attach(fresh, place)
        with _held(os.open(where, _DIRECTORY)) as place:
            mounting.attach(staged, place)


@contextmanager
def open_target(
    root: int,
    target: str,
    *,
    directory: bool,
    staged: set[int] | frozenset[int] = frozenset(),
    owner: tuple[int, int] | None = None,
) -> Iterator[int]:
    """A descriptor of `target` beneath `root`; what is missing is made, a directory with mode 0755 for `owner`.

    Files are made only in what is `staged` (device numbers): the workspace gets no file of ours.
    """
    parts = target.strip("/").split("/")
    current = os.dup(root)
    try:
        for depth, name in enumerate(parts, start=1):
            wanted = _DIRECTORY if directory or depth < len(parts) else os.O_PATH
            try:
                found = _step(current, name, wanted, staged, owner)
            except OSError as error:
                raise _blocked("/" + "/".join(parts[:depth]), error) from error
            os.close(current)
            current = found
        yield current
    finally:
        os.close(current)


def _step(parent: int, name: str, flags: int, staged: set[int] | frozenset[int], owner: tuple[int, int] | None) -> int:
    try:
        return syscalls.openat2(parent, name, flags)
    except FileNotFoundError:
        ours = os.fstat(parent).st_dev in staged
    if flags & os.O_DIRECTORY:
        os.mkdir(name, 0o755, dir_fd=parent)
        if owner is not None and not ours:
            # By descriptor: the name may stand for something else by now. A directory has no second name.
            with _held(syscalls.openat2(parent, name, os.O_RDONLY | os.O_DIRECTORY)) as made:
                os.fchown(made, *owner)
    elif ours:
        _write(parent, name, b"", 0o644)
    else:
        raise FileNotFoundError(errno.ENOENT, "no file to mount upon", name)
    return syscalls.openat2(parent, name, flags)


def _add(plan: LaunchPlan, root: int, mount: Mount, shared: Shared, staged: set[int], sealed: list[int]) -> None:
    if isinstance(mount, Proc):
        return  # of each command's own PID namespace: mount_proc
    source = _source(plan, mount, shared)
    if source is None:
        return
    owner = None if plan.uid is None or plan.gid is None else (plan.uid, plan.gid)
    with _held(source):
        is_directory = stat.S_ISDIR(os.fstat(source).st_mode)
        with open_target(root, mount.target, directory=is_directory, staged=staged, owner=owner) as place:
            mounting.attach(source, place)
        if isinstance(mount, Tmpfs | Etc):
            staged.add(os.fstat(source).st_dev)
        if isinstance(mount, Etc):
            prefix = f"{mount.target}/"
            etc.fill(source, omit=frozenset(file.path.removeprefix(prefix) for file in plan.files))
        if isinstance(mount, Etc) or (isinstance(mount, Tmpfs) and mount.read_only):
            sealed.append(os.dup(source))


def _source(plan: LaunchPlan, mount: Mount, shared: Shared) -> int | None:
    """A detached mount of what `mount` shows; None for an optional one that is not there."""
    if isinstance(mount, Bind):
        try:
            return _bind(mount)
        except FileNotFoundError as error:
            if mount.optional:
                return None
            raise SandboxError(
                f"{mount.source!r} does not exist on this host",
                location=mount.target,
                fix="Make it, or mark the mount optional.",
            ) from error
    if isinstance(mount, Etc):
        return mounting.new_mount("tmpfs", {"mode": "0755", "size": "8m"}, _HARDENED)
    if isinstance(mount, Tmpfs) and mount.read_only:
        return mounting.new_mount("tmpfs", _tmpfs_options(plan, mount), _HARDENED)
    key = _shared_key(mount)
    if key not in shared.mounts:
        _share(plan, key, shared)
    return mounting.clone_tree(shared.mounts[key])


def _shared_key(mount: Mount) -> Mount:
    return mount._replace(target="") if isinstance(mount, Overlay) else mount


def _share(plan: LaunchPlan, mount: Mount, shared: Shared) -> None:
    shared.made += 1
    where = f"{shared.where}/{shared.made}"
    os.mkdir(where)
    if isinstance(mount, Overlay):
        if any(isinstance(other, Overlay) and other.upper == mount.upper for other in shared.mounts):
            raise SandboxError("the layer is in use above another build of this session", location=mount.upper)
        fresh = _overlay_when_free(mount)
    elif isinstance(mount, Dev):
        fresh = mounting.new_mount("tmpfs", {"mode": "0755", "size": "1m"}, _HARDENED | mounting.ATTR_NOEXEC)
    else:
        assert isinstance(mount, Tmpfs)
        fresh = mounting.new_mount("tmpfs", _tmpfs_options(plan, mount), _HARDENED)
    with _held(fresh), _held(os.open(where, _DIRECTORY)) as place:
        mounting.attach(fresh, place)
        if isinstance(mount, Dev):
            devices.fill(fresh)
    shared.mounts[mount] = where


def _bind(mount: Bind) -> int:
    with _held(os.open(mount.source, os.O_PATH)) as base:
        if not mount.beneath:
            clone = mounting.clone_tree("", base)
        else:
            try:
                found = syscalls.openat2(base, mount.beneath, os.O_PATH)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise _blocked(f"{mount.source}/{mount.beneath}", error) from error
            with _held(found):
                clone = mounting.clone_tree("", found)
    mounting.set_attributes(clone, _HARDENED | (mounting.ATTR_RDONLY if mount.read_only else 0))
    return clone


def _overlay_when_free(mount: Overlay) -> int:
    """The overlay, as soon as the last holder is all gone: the kernel unmounts only after the process has ended."""
    end = time.monotonic() + _OVERLAY_PATIENCE
    while True:
        try:
            return _overlay(mount)
        except OSError as error:
            if error.errno == errno.EBUSY and time.monotonic() < end:
                time.sleep(0.002)
                continue
            what = {
                errno.EBUSY: "the layer is in use by another session",
                errno.ESTALE: "the layer was begun above another build",
            }.get(error.errno or 0, f"the layer cannot be mounted: {error}")
            raise SandboxError(what, location=mount.upper) from error


def _overlay(mount: Overlay) -> int:
    # The kernel resolves /proc/self/fd at once: no character of a path needs quoting, and mountinfo inside shows no
    # path of the host. index=on makes it refuse a second mount of the upper (EBUSY) and another lower (ESTALE).
    opened: list[int] = []
    try:
        options: dict[str, str | None] = {}
        for key, path in (("lowerdir", mount.lower), ("upperdir", mount.upper), ("workdir", mount.work)):
            opened.append(os.open(path, _DIRECTORY))
            options[key] = f"/proc/self/fd/{opened[-1]}"
        options["index"] = "on"
        if not _all_powerful():
            options["userxattr"] = None  # trusted.* belong to the first user namespace
        return mounting.new_mount("overlay", options, _HARDENED)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _all_powerful() -> bool:
    """Whether this is the first user namespace: it alone maps every uid to itself (user_namespaces(7))."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() == ["0", "0", "4294967295"]


def _open_workspace(plan: LaunchPlan, where: str) -> None:
    try:
        workspace = os.open(plan.workspace, _DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise SandboxError(f"the workspace cannot be opened: {error.strerror}", location=plan.workspace) from error
    with _held(workspace), _held(mounting.clone_tree("", workspace)) as clone:
        mounting.set_attributes(clone, _HARDENED)
        os.mkdir(where)
        with _held(os.open(where, _DIRECTORY)) as place:
            mounting.attach(clone, place)


def _tmpfs_options(plan: LaunchPlan, mount: Tmpfs) -> dict[str, str | None]:
    options: dict[str, str | None] = {"mode": f"{mount.mode:o}"}
    if mount.size is not None:
        options["size"] = str(mount.size)
    if plan.uid is not None and not mount.read_only:
        options |= {"uid": str(plan.uid), "gid": str(plan.gid)}
    return options


@contextmanager
def _parent(root: int, path: str, staged: set[int]) -> Iterator[tuple[int, str]]:
    directory, name = path.rsplit("/", 1)
    with open_target(root, directory, directory=True, staged=staged) as opened:
        if os.fstat(opened).st_dev not in staged:
            raise SandboxError("a staged file lies beneath no Etc and no Tmpfs of the plan", location=path)
        yield opened, name


def _write(directory: int, name: str, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(syscalls.openat2(directory, name, flags, mode=mode), "wb") as opened:
        opened.write(content)


def _blocked(path: str, error: OSError) -> SandboxError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        what = "a link stands where the sandbox mounts something" if error.errno == errno.ELOOP else "not a directory"
        return SandboxError(f"{what}", location=path, fix="Remove it, or apply the profile again.")
    return SandboxError(f"cannot be mounted upon: {error.strerror}", location=path)


@contextmanager
def _held(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
