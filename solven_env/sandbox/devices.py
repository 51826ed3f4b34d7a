"""The sandbox's /dev: the nodes that programs count on, bound from the host one by one, and nothing else of it."""

from __future__ import annotations

import os

from solven_env.sandbox import mounting

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
    _attach(tmpfs, "pts", mounting.new_mount("devpts", {"ptmxmode": "0666", "mode": "0620"}, _QUIET))
    os.mkdir("shm", dir_fd=tmpfs)
    _attach(tmpfs, "shm", mounting.new_mount("tmpfs", {"mode": "1777", **_SHM}, _QUIET | mounting.ATTR_NODEV))
    mounting.set_attributes(tmpfs, mounting.ATTR_RDONLY, recursive=False)


def _attach(tmpfs: int, name: str, mount: int) -> None:
    place = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=tmpfs)
    try:
        mounting.attach(mount, place)
    finally:
        os.close(place)
        os.close(mount)
