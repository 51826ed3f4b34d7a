"""A thread's own copies of its builds, for the backend that has no overlays: reflinks where the file system has them.

    <data>/layers/<storage id>/<thread>/<incarnation>/<kind>-<instance of the build>/copy

A copy lies beside the layer, whose rules it shares: one instance of a build, one incarnation of a thread. Hard links
would be no copy, since a write or a chown through one would reach the build. Packages that the thread adds stay in its
copy.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from typing import TYPE_CHECKING

from solven_env.packages.steps import step
from solven_env.system.publishing import refusals_told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from solven_env.packages.layers import Home
    from solven_env.packages.store import Build

_FICLONE = 0x40049409  # include/uapi/linux/fs.h


def fill(
    home: Home,
    build: Build,
    target: Path,
    uid: int | None,
    without: Collection[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Make a thread's copy of a build at `target`, `without` the paths of it that the thread has removed.

    Under root it belongs to `uid`, the thread's. It is not on disk yet when this returns.
    """
    doing, done = f"copying the {build.kind} build for {home.thread}", f"copied the {build.kind} build"
    with step(progress, doing, done), refusals_told(target):
        os.mkdir(target)
        left_out = {os.path.join(build.tree, path) for path in without}
        _copy_directory(build.tree, target, uid, left_out)


def _copy_directory(source: Path | str, target: Path | str, uid: int | None, without: Collection[str]) -> None:
    """Fill an existing directory: bytes, links, modes and times, for bytecode is known by the times of its sources."""
    with os.scandir(source) as entries:
        for entry in entries:
            to = os.path.join(target, entry.name)
            if entry.path in without:
                continue
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), to)
                _give(to, entry.stat(follow_symlinks=False), uid)
            elif entry.is_dir():
                os.mkdir(to)
                _copy_directory(entry.path, to, uid, without)
            else:
                _copy_file(entry.path, to)
                _give(to, entry.stat(), uid)
    _give(target, os.stat(source), uid)


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb") as old, open(target, "xb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:  # another file system, or one without: then the kernel copies
            shutil.copyfileobj(old, new, 1 << 20)


def _give(path: Path | str, like: os.stat_result, uid: int | None) -> None:
    if uid is not None:
        os.chown(path, uid, uid, follow_symlinks=False)
    if not stat.S_ISLNK(like.st_mode):  # a link has no mode of its own
        os.chmod(path, stat.S_IMODE(like.st_mode))
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns), follow_symlinks=False)
