"""What a look at trees counts, whatever stands there."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from solven_env.sandbox.disk_look import FILE, NAME, Look, Tree

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1 << 10


def look(path: Path) -> tuple[int, bool]:
    """The bytes beneath a directory, without those of directories, and whether the look was whole."""
    taken = Look(is_local=True)
    found = taken.take(Tree(str(path)), float("inf"))
    directories = sum(os.stat(each).st_blocks * 512 for each, _, _ in os.walk(path))
    return found - directories, taken.whole


def test_each_file_counts_its_blocks_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100 * KIB))
    os.link(tmp_path / "file", tmp_path / "again")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/usr")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    assert look(tmp_path) == (100 * KIB + NAME + 3 * FILE, True)


def test_neither_depth_nor_closed_directories_hide_anything(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 200, dir_fd=directory)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    with open(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=directory), "wb") as file:
        file.write(bytes(100 * KIB))
    if os.geteuid() == 0:  # whom nothing is closed to
        os.fchmod(directory, 0)
    os.close(directory)
    taken = Look(is_local=True)
    found = taken.take(Tree(str(tmp_path)), float("inf"))
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)  # pytest would recurse
    assert (found, taken.whole) == (1501 * 4 * KIB + 100 * KIB, True)


def test_what_was_born_later_was_not_there_before(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(bytes(52 * KIB))
    time.sleep(0.02)
    moment = time.time_ns()
    time.sleep(0.02)
    (tmp_path / "new").write_bytes(bytes(100 * KIB))
    (tmp_path / "old").chmod(0o600)
    base = os.stat(tmp_path).st_blocks * 512
    assert Look(is_local=True).take_before(Tree(str(tmp_path)), moment) == base + 52 * KIB
