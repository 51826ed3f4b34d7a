"""The sandbox's /dev: the nodes that programs count on, bound from the host one by one, and nothing else of it.

A command never has a terminal of the host's: it could read what is typed there, push input that a shell outside would
execute, and change the settings. In its place it gets the slave of a pseudo-terminal of the session's.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from solven_env.system import mounting

PTS = "/dev/pts"
"""Path of the session's devpts, in the holder and in the sandbox alike. A descriptor of a slave names the path of the
mount that it was opened by: so the name that /proc/self/fd shows inside is there, and `tty` finds it with every C
library."""

# include/uapi/asm-generic/ioctls.h
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441
_OUTPUT, _LOCAL = 1, 3  # of what termios.tcgetattr returns
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_SHM = mounting.memory_bounds(1 << 30)
_QUIET = mounting.ATTR_NOSUID | mounting.ATTR_NOEXEC


def fill(tmpfs: int) -> None:
    """Put the nodes, links, /dev/pts and /dev/shm into an attached, empty tmpfs, and make it read-only."""
    for name in _NODES:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=tmpfs))
        node = mounting.clone_tree(f"/dev/{name}")
        mounting.set_attributes(node, _QUIET)
        _attach(tmpfs, name, node)
    for name, to in _LINKS.items():
        os.symlink(to, name, dir_fd=tmpfs)
    os.mkdir("pts", dir_fd=tmpfs)
    _attach(tmpfs, "pts", mounting.clone_tree(PTS))
    os.mkdir("shm", dir_fd=tmpfs)
    _attach(tmpfs, "shm", mounting.new_mount("tmpfs", {"mode": "1777", **_SHM}, _QUIET | mounting.ATTR_NODEV))
    mounting.set_attributes(tmpfs, mounting.ATTR_RDONLY, recursive=False)


def new_pts() -> int:
    """A devpts of the session's own, detached."""
    return mounting.new_mount("devpts", {"ptmxmode": "0666", "mode": "0600"}, _QUIET)


def open_terminal(streams: tuple[int, int, int], uid: int | None, gid: int | None) -> tuple[int, int] | None:
    """Master and slave of a new pseudo-terminal, where one of a command's `streams` is a terminal; it belongs to `uid`.

    It has that terminal's size, and its settings unless these are another program's: a shell's, say, that reads the
    next line while this command starts in the background. Where input or output is no terminal, other programs use the
    outer one too, and `terminal.relay` lets that one write lines (OPOST).
    """
    outer = next(filter(os.isatty, streams), None)
    if outer is None:
        return None
    master, slave = new_terminal(uid, gid)
    try:
        settings = termios.tcgetattr(outer)
        if not settings[_LOCAL] & termios.ICANON:
            settings = termios.tcgetattr(slave)
        if not all(map(os.isatty, streams[:2])):
            settings[_OUTPUT] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        termios.tcsetwinsize(slave, termios.tcgetwinsize(outer))
    except BaseException:
        os.close(master)
        os.close(slave)
        raise
    return master, slave


def new_terminal(uid: int | None, gid: int | None) -> tuple[int, int]:
    """Master and slave of a new pseudo-terminal of the session's; it belongs to `uid`."""
    master = os.open(f"{PTS}/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except BaseException:
        os.close(master)
        raise
    if uid is not None and gid is not None:
        try:
            os.fchown(slave, uid, gid)
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
    return master, slave


def _attach(tmpfs: int, name: str, mount: int) -> None:
    place = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=tmpfs)
    try:
        mounting.attach(mount, place)
    finally:
        os.close(place)
        os.close(mount)
