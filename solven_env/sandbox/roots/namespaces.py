"""The namespaces of a process that stages roots, and the rights that a command loses before it starts."""

from __future__ import annotations

import os

from solven_env.sandbox import seccomp
from solven_env.sandbox.roots import devices
from solven_env.system import mounting
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.sandbox.launch_plan import LaunchPlan

STAGE = "/proc/fs"
"""Directory of staged roots in the holder's mount namespace: it always exists, a dropped uid can reach it, and it hides
nothing that a plan may name as a source."""


def leave_host(*, unprivileged: bool, inside: int = 0) -> None:
    """Enter new mount and PID namespaces (the next child is pid 1), without privilege those of a user namespace.

    `inside` is then our uid and gid there. All rights are ours until the next execve, and after it for 0 alone.
    """
    uid, gid = os.geteuid(), os.getegid()
    mounting.unshare(mounting.CLONE_NEWNS | mounting.CLONE_NEWPID | (mounting.CLONE_NEWUSER if unprivileged else 0))
    if unprivileged:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{inside} {uid} 1"), ("gid_map", f"{inside} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def prepare_stage() -> None:
    """As pid 1 of the new namespaces: cut them off from the host's; mount /proc, /dev/pts, the tmpfs of roots."""
    mounting.make_private("/")
    cover("/proc", "proc", {}, mounting.ATTR_NOEXEC)
    cover(STAGE, "tmpfs", {"mode": "0755"}, mounting.ATTR_NOEXEC)
    _mount(devices.new_pts(), devices.PTS)


def cover(where: str, kind: str, options: dict[str, str | None], attributes: int = 0) -> None:
    """Mount a new file system, without set-uid programs and devices, over a directory of this mount namespace."""
    _mount(mounting.new_mount(kind, options, mounting.ATTR_NOSUID | mounting.ATTR_NODEV | attributes), where)


def drop_rights(plan: LaunchPlan) -> None:
    """Become the plan's host uid, with no group and no way back; without one there is nothing to drop."""
    if plan.uid is not None and plan.gid is not None:
        os.setgroups([])
        os.setresgid(plan.gid, plan.gid, plan.gid)
        os.setresuid(plan.uid, plan.uid, plan.uid)
    mounting.forbid_new_privileges()


def confine(plan: LaunchPlan, program: bytes) -> None:
    """Have this process, a helper of the session that executes nothing more, be able to do what a command can, or less:
    its uid, no capability, its filter, and closed to whoever else has that uid.
    """
    drop_rights(plan)
    mounting.drop_capabilities()
    mounting.forbid_tracing()
    seccomp.install(program)


def _mount(mount: int, where: str) -> None:
    place = os.open(where, os.O_PATH)
    mounting.attach(mount, place)
    os.close(place)
    os.close(mount)
