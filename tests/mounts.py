"""Real FUSE mounts of a directory: each stands for a host of its own that has the storage mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
            subprocess.run([_unmounter(), "-u", place], check=False)
            process.wait(10)


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
