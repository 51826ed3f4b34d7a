"""Mounts of a test's own, each gone with its block. A FUSE mount can stand for a host that has the storage mounted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


@contextmanager
def bound(source: Path, target: Path) -> Iterator[None]:
    """`source`, bind-mounted at `target`; only root can."""
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", target], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def fused(source: Path, target: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`source` as bindfs, a FUSE daemon, shows it at `target`; the daemon."""
    if not shutil.which("bindfs") or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("needs bindfs and /dev/fuse")
    target.mkdir(exist_ok=True)
    before = target.stat().st_dev
    options = [] if os.geteuid() == 0 else ["--no-allow-other"]
    with subprocess.Popen(["bindfs", "-f", *options, source, target]) as daemon:
        try:
            while target.stat().st_dev == before:
                if daemon.poll() is not None:
                    pytest.skip("nothing can be mounted here")
                time.sleep(0.005)
            yield daemon
        finally:
            daemon.send_signal(signal.SIGCONT)
            unmount = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
            subprocess.run([*unmount, "-l" if os.geteuid() == 0 else "-z", target], check=False)
            daemon.kill()


@contextmanager
def mounted(program: str, below: Path, *above: Path, options: tuple[str, ...] = ()) -> Iterator[None]:
    """Have `below` mounted at each place of `above`, by `bindfs` or by `rclone`; skips where that cannot be."""
    if not shutil.which(program) or not os.access("/dev/fuse", os.W_OK):
        pytest.skip(f"needs {program} and /dev/fuse")
    below.mkdir(exist_ok=True)
    running = [subprocess.Popen(_command(program, below, place, options)) for place in above]
    try:
        for place, process in zip(above, running, strict=True):
            _wait(place, process)
        yield
    finally:
        for place, process in zip(above, running, strict=True):
            subprocess.run([_unmounter(), "-uz", place], check=False)
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a daemon whose mount is gone. A sandbox that another test began meanwhile has a copy of the mount."""
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(program: str, below: Path, place: Path, options: tuple[str, ...]) -> list[str | Path]:
    place.mkdir()
    if program == "rclone":
        settings = ["--config", os.devnull, "--cache-dir", f"{place}.cache"]
        return ["rclone", "mount", *settings, *options, below, place]
    return [program, "-f", "--no-allow-other", *options, below, place]


def _wait(place: Path, process: subprocess.Popen[bytes]) -> None:
    while not place.is_mount():
        if process.poll() is not None:
            pytest.skip("nothing can be mounted here")
        time.sleep(0.01)


def _unmounter() -> str:
    return "fusermount3" if shutil.which("fusermount3") else "fusermount"
