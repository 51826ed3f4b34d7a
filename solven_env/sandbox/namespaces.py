"""The holder's own namespaces."""

from __future__ import annotations

import os

from solven_env.sandbox import devices, mounting

STAGE = "/proc/fs"
"""Where staged roots lie in the holder's mount namespace: it always exists, a dropped uid can reach it, and it hides
nothing that a plan may name as a source."""


def leave_host(*, unprivileged: bool) -> None:
    """Enter new mount and PID namespaces (the next child is pid 1), without privilege as root of a user namespace."""
    uid, gid = os.geteuid(), os.getegid()
    mounting.unshare(mounting.CLONE_NEWNS | mounting.CLONE_NEWPID | (mounting.CLONE_NEWUSER if unprivileged else 0))
    if unprivileged:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def prepare_stage() -> None:
    """As pid 1 of the new namespaces: cut them off from the host's; mount /proc, /dev/pts, the tmpfs of roots."""
    mounting.make_private("/")
    flags = mounting.ATTR_NOSUID | mounting.ATTR_NODEV | mounting.ATTR_NOEXEC
    _mount(mounting.new_mount("proc", {}, flags), "/proc")
    _mount(mounting.new_mount("tmpfs", {"mode": "0755"}, flags), STAGE)
    _mount(devices.new_pts(), devices.PTS)


def _mount(mount: int, where: str) -> None:
    place = os.open(where, os.O_PATH)
    mounting.attach(mount, place)
    os.close(place)
    os.close(mount)
