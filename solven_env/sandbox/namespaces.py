"""The holder's own namespaces, and the network namespaces of its roots."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct

from solven_env.errors import SandboxError
from solven_env.sandbox import devices, mounting, wire

STAGE = "/proc/fs"
"""Where staged roots lie in the holder's mount namespace: it always exists, a dropped uid can reach it, and it hides
nothing that a plan may name as a source."""

# include/uapi/linux/sockios.h, if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


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


def _mount(mount: int, where: str) -> None:
    place = os.open(where, os.O_PATH)
    mounting.attach(mount, place)
    os.close(place)
    os.close(mount)


def new_network() -> int:
    """A descriptor of a new network namespace whose loopback is up.

    A child makes it: without privilege there is no way back into the host's (setns needs rights over that one).
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        try:
            mounting.unshare(mounting.CLONE_NEWNET)
            _raise_loopback()
            socket.send_fds(theirs, [b"ready"], [os.open("/proc/self/ns/net", os.O_RDONLY)])
        except OSError as error:
            theirs.send(str(error).encode())
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        said, descriptors = wire.receive_descriptors(ours, 1)
    os.waitpid(child, 0)
    if not descriptors:
        raise SandboxError(f"no network namespace could be made: {said.decode()}")
    return descriptors[0]


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = array.array("B", struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("H", request, 16)
        struct.pack_into("H", request, 16, flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
