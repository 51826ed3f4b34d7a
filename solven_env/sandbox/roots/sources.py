"""Detached mounts of host paths, memory and overlays, each without set-uid programs and devices."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from solven_env.errors import SandboxError
from solven_env.sandbox.launch_plan import Bind, Dev, Etc, LaunchPlan, Mount, Overlay, Tmpfs
from solven_env.sandbox.roots import devices, mapping
from solven_env.sandbox.roots.targets import DIRECTORY, blocked
from solven_env.system import mounting, syscalls
from solven_env.system.blocks import holding
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

HARDENED = mounting.ATTR_NOSUID | mounting.ATTR_NODEV
_OVERLAY_PATIENCE = 2.0  # seconds


class Shared:
    """Mounts that all roots of a session have in common, each mounted once, beneath the directory `where`.

    `mounts` maps a mount to the directory it is attached to: overlays, since an upper may be mounted only once, and the
    session's own /tmp, /var, /run and /dev. `namespaces` are those of id-mapped mounts. `locks` are open on those
    of what is below the overlays.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.mounts: dict[Mount, str] = {}
        self.namespaces: mapping.Namespaces = {}
        self.locks: dict[Mount, int] = {}
        self.made = 0


class Memory(NamedTuple):
    """A tmpfs of the session: where it is attached in the holder's mount namespace, and its size in bytes."""

    where: str
    size: int


def find_tmp(plan: LaunchPlan, shared: Shared) -> Memory | None:
    """The session's /tmp, where the plan has one of its own."""
    for mount in plan.mounts:
        if isinstance(mount, Tmpfs) and mount.target == "/tmp" and mount in shared.mounts:  # noqa: S108
            return Memory(shared.mounts[mount], mount.size)
    return None


def find_overlays(plan: LaunchPlan, shared: Shared) -> list[str]:
    """The places at which the plan's overlays are attached in the holder's mount namespace."""
    keys = (_shared_key(mount) for mount in plan.mounts if isinstance(mount, Overlay))
    return [shared.mounts[key] for key in keys if key in shared.mounts]


def open_source(plan: LaunchPlan, mount: Mount, shared: Shared) -> int | None:
    """A detached mount of what `mount` shows, from `shared` where it is the session's; None for a missing optional."""
    if isinstance(mount, Bind):
        return _bind(plan, mount, shared.namespaces)
    if isinstance(mount, Etc):
        return mounting.new_mount("tmpfs", {"mode": "0755", **mounting.memory_bounds(8 << 20)}, HARDENED)
    if isinstance(mount, Tmpfs) and mount.read_only:
        return mounting.new_mount("tmpfs", _tmpfs_options(plan, mount), HARDENED)
    key = _shared_key(mount)
    if key not in shared.mounts:
        _share(plan, key, shared)
    return mounting.clone_tree(shared.mounts[key])


def present(plan: LaunchPlan) -> str:
    """Fingerprint of the workspace and of sources that can change, as text; a new value forces a new root.

    Those are the optional ones and those beneath the storage; a system path that the plan wants is there for good. The
    owner counts too: a linked thread may have been given another uid.
    """
    changing = [mount for mount in plan.mounts if isinstance(mount, Bind) and (mount.beneath or mount.optional)]
    return repr([_identity(mount.source, mount.beneath) for mount in (Bind("/", plan.workspace), *changing)])


def _identity(source: str, beneath: str) -> tuple[int, int, int] | int | None:
    """Device, inode and owner; the error's number where it cannot be opened, a link above all."""
    try:
        with holding(os.open(source, os.O_PATH)) as base:
            if not beneath:
                about = os.fstat(base)
            else:
                with holding(syscalls.openat2(base, beneath, os.O_PATH)) as found:
                    about = os.fstat(found)
    except OSError as error:
        return error.errno
    return about.st_dev, about.st_ino, about.st_uid


def release(shared: Shared, kept: Iterable[Mount]) -> None:
    """Unmount the overlays that are not among `kept`; what commands still have of them stays theirs."""
    wanted = {_shared_key(mount) for mount in kept}
    for mount, where in list(shared.mounts.items()):
        if isinstance(mount, Overlay) and mount not in wanted:
            mounting.detach(where)
            os.rmdir(where)
            del shared.mounts[mount]
            if mount in shared.locks:
                os.close(shared.locks.pop(mount))


def _shared_key(mount: Mount) -> Mount:
    return mount._replace(target="") if isinstance(mount, Overlay) else mount


def _share(plan: LaunchPlan, mount: Mount, shared: Shared) -> None:
    if isinstance(mount, Overlay):
        if any(isinstance(other, Overlay) and other.upper == mount.upper for other in shared.mounts):
            raise SandboxError("the layer is in use above another build of this session", location=mount.upper)
        fresh = _locked_overlay(plan, mount, shared)
    elif isinstance(mount, Dev):
        fresh = mounting.new_mount(
            "tmpfs", {"mode": "0755", **mounting.memory_bounds(1 << 20)}, HARDENED | mounting.ATTR_NOEXEC
        )
    else:
        assert isinstance(mount, Tmpfs)
        fresh = mounting.new_mount("tmpfs", _tmpfs_options(plan, mount), HARDENED)
    shared.made += 1
    where = f"{shared.where}/{shared.made}"
    with holding(fresh):
        os.mkdir(where)
        with holding(os.open(where, DIRECTORY)) as place:
            mounting.attach(fresh, place)
        if isinstance(mount, Dev):
            devices.fill(fresh)
    shared.mounts[mount] = where


def _bind(plan: LaunchPlan, mount: Bind, namespaces: mapping.Namespaces) -> int | None:
    source = open_bind(mount)
    if source is None:
        return None
    with holding(source):
        return clone_bind(plan, mount, source, namespaces)


def clone_bind(plan: LaunchPlan, mount: Bind, source: int, namespaces: mapping.Namespaces) -> int:
    """A detached mount of what `open_bind` has opened, as the plan's uid is to see it."""
    owner = os.fstat(source).st_uid
    clone = mounting.clone_tree("", source)
    try:
        mounting.set_attributes(clone, HARDENED | (mounting.ATTR_RDONLY if mount.read_only else 0))
        if plan.uid not in (None, owner) and any(first <= owner <= last for first, last in mount.owners):
            assert plan.uid is not None
            try:
                mapping.show(clone, owner, plan.uid, namespaces)
            except OSError as error:
                raise SandboxError(
                    f"what belongs to uid {owner} cannot be shown as uid {plan.uid}'s: {error.strerror}",
                    location=f"{mount.source}/{mount.beneath}",
                    fix="Look with solven-env doctor whether this host can give threads uids of their own.",
                ) from error
    except BaseException:
        os.close(clone)
        raise
    return clone


def open_bind(mount: Bind) -> int | None:
    """A descriptor (O_PATH) of what a Bind shows, `beneath` resolved through no link; None for a missing optional."""
    try:
        base = os.open(mount.source, os.O_PATH)
        if not mount.beneath:
            return base
        with holding(base):
            return syscalls.openat2(base, mount.beneath, os.O_PATH)
    except FileNotFoundError as error:
        if mount.optional:
            return None
        raise SandboxError(
            f"{mount.source!r} does not exist on this host"
            if not mount.beneath
            else f"{mount.beneath!r} does not exist",
            location=mount.target,
            fix="Make it, or mark the mount optional.",
        ) from error
    except OSError as error:
        raise blocked(f"{mount.source}/{mount.beneath}".rstrip("/"), error) from error


def _locked_overlay(plan: LaunchPlan, mount: Overlay, shared: Shared) -> int:
    """The overlay, what is below it locked: it is neither removed nor replaced by another instance meanwhile."""
    if not mount.lock:
        return _overlay_when_free(plan, mount, shared.namespaces)
    try:
        # Close-on-exec, so that no command ever has it, and none can let it go.
        lock = os.open(mount.lock, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fresh = _overlay_when_free(plan, mount, shared.namespaces)
            try:
                os.stat(mount.lock)
            except BaseException:
                os.close(fresh)
                raise
        except BaseException:
            os.close(lock)
            raise
    except (FileNotFoundError, BlockingIOError) as error:
        raise SandboxError(
            "the build was made again while the command was starting", location=mount.lower, fix="Start it again."
        ) from error
    shared.locks[mount] = lock
    return fresh


def _overlay_when_free(plan: LaunchPlan, mount: Overlay, namespaces: mapping.Namespaces) -> int:
    """The overlay, as soon as the last holder is all gone: the kernel unmounts only after the process has ended."""
    end = time.monotonic() + _OVERLAY_PATIENCE
    while True:
        try:
            return overlay(mount, plan.uid, namespaces)
        except OSError as error:
            if error.errno == errno.EBUSY and time.monotonic() < end:
                time.sleep(0.002)
                continue
            raise _no_overlay(mount, error) from error


def _no_overlay(mount: Overlay, error: OSError) -> SandboxError:
    if error.errno == errno.EBUSY:
        fix = "End the thread's other session on this host with solven-env stop, as who began it."
        return SandboxError("the layer is in use by another session", location=mount.upper, fix=fix)
    if error.errno == errno.ESTALE:
        # What the thread installed itself is in it: it is put aside, not removed.
        directory = os.path.dirname(mount.upper)
        return SandboxError(
            "the layer was begun with other directories: it or the build below was copied or replaced",
            location=mount.upper,
            fix=f"Begin a new one: mv {directory!r} {directory + '.old'!r}",
        )
    if os.statvfs(mount.upper).f_flag & os.ST_RDONLY:
        return SandboxError(
            "the thread's layer is on a file system that is read-only", location=mount.upper, fix="Mount it read-write."
        )
    return SandboxError(f"the layer cannot be mounted: {error}", location=mount.upper)


def overlay(mount: Overlay, uid: int | None, namespaces: mapping.Namespaces) -> int:
    """A detached mount of it, for commands of the host's `uid`; OSError where it cannot be mounted."""
    # The kernel resolves /proc/self/fd at once: no character of a path needs quoting, and mountinfo inside shows no
    # path of the host. index=on makes it refuse a second mount of the upper (EBUSY) and,
    # to root, an upper or a lower that is not the one it was begun with (ESTALE).
    opened: list[int] = []
    try:
        options: dict[str, str | None] = {}
        for key, path in (("lowerdir", mount.lower), ("upperdir", mount.upper), ("workdir", mount.work)):
            opened.append(os.open(path, DIRECTORY))
            if key == "lowerdir" and mount.owner is not None and uid not in (None, mount.owner):
                assert uid is not None
                opened.append(mounting.clone_tree("", opened[-1]))
                mapping.show(opened[-1], mount.owner, uid, namespaces)
            options[key] = f"/proc/self/fd/{opened[-1]}"
        options["index"] = "on"
        if not mounting.in_first_user_namespace():
            options["userxattr"] = None  # trusted.* attributes are out of reach, and rm -r of a lower fails with EIO
        return mounting.new_mount("overlay", options, HARDENED)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _tmpfs_options(plan: LaunchPlan, mount: Tmpfs) -> dict[str, str | None]:
    options: dict[str, str | None] = {**mounting.memory_bounds(mount.size), "mode": f"{mount.mode:o}"}
    if plan.uid is not None and not mount.read_only:
        options |= {"uid": str(plan.uid), "gid": str(plan.gid)}
    return options
