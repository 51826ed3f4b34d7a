"""The system mounts that every sandbox has, and the rules about what may stand where inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.profile.model import Mount
from solven_env.profile.sections import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable

SYSTEM = (
    Mount("/bin", source="/bin", why="bash, sh, ls, cat"),
    Mount("/usr", source="/usr", why="programs and libraries"),
    Mount("/sbin", source="/sbin", optional=True, why="system programs"),
    Mount("/lib", source="/lib", optional=True, why="shared libraries"),
    Mount("/lib64", source="/lib64", optional=True, why="shared libraries"),
    Mount("/etc", source="/etc", why="DNS, users, time zone, locales"),
    Mount("/sys", source="/sys", optional=True, why="hardware information"),
    Mount("/dev", kind="dev", why="null, zero, urandom"),
    Mount("/proc", kind="proc", why="CPU, memory and process information"),
    Mount("/tmp", kind="tmpfs", why="temporary files"),  # noqa: S108 - the sandbox's own, not the host's
    Mount("/var", kind="tmpfs", why="logs, caches, package managers"),
    Mount("/run", kind="tmpfs", why="sockets and process ids of programs"),
)

_ONE_KIND = {"/proc": "proc", "/dev": "dev", "/run": "tmpfs"}
_TEMPORARY = ".solven-env-"
_RESERVED = (*TARGETS.values(), "/run/solven-env")


def merge(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The system mounts, each replaced by the one of `mounts` with its target, then the others in their order."""
    return tuple(({mount.target: mount for mount in SYSTEM} | {mount.target: mount for mount in mounts}).values())


def is_beneath(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or beneath it; both absolute and in their shortest form."""
    return path == ancestor or path.startswith(ancestor + "/")


def mount_problem(mount: Mount) -> str:
    """Why `mount` cannot be, in words that follow its target; empty where it can."""
    wanted = _ONE_KIND.get(mount.target)
    if wanted and mount.kind != wanted:
        return f"is the sandbox's own: only a mount of kind {wanted} may stand there"
    if mount.kind in ("proc", "dev") and not wanted:
        return f"cannot be of kind {mount.kind}: that one stands at /{mount.kind}"
    return place_problem(mount.target)


def place_problem(path: str) -> str:
    """Why nothing of a profile may stand at `path`, in words that follow it; empty where it may.

    The path is absolute and in its shortest form.
    """
    if path == "/":
        return "would hide the workspace"
    for reserved in _RESERVED:
        if is_beneath(path, reserved):
            return f"stands in {reserved}, which solven-env fills"
    for own in ("/proc", "/dev"):
        if is_beneath(path, own) and path != own:
            return f"stands in {own}, which is the sandbox's own"
    if any(part.startswith(_TEMPORARY) for part in path.split("/")):
        return "has a name that solven-env gives to temporary files"  # and removes, after an interrupted apply
    return ""
