"""Trees that are removed, whoever filled them."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from solven_env.system import removal
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.removal import Removal, remove_entry
from tests.mounts import as_root, bound

if TYPE_CHECKING:
    from pathlib import Path


def remove(above: Path, name: str = "tree") -> Removal:
    with holding(os.open(above, READ_DIRECTORY)) as directory:
        return remove_entry(directory, name)


def fill(tree: Path, *, depth: int = 3) -> None:
    """Have all that an agent can make, and links out of the tree."""
    tree.mkdir()
    outside = tree.with_name("outside")
    outside.mkdir(exist_ok=True)
    (outside / "victim").write_text("the host's")
    (tree / "to a file").symlink_to(outside / "victim")
    (tree / "to a directory").symlink_to(outside)
    (tree / "up").symlink_to("..")
    os.link(outside / "victim", tree / "second name")
    os.mkfifo(tree / "fifo")
    os.mkdir(os.fsencode(tree) + b"/\xff\xfe")
    with open(os.fsencode(tree) + b"/\xff\xfe/\n\x01", "w"):
        pass
    here = os.open(tree, READ_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d" * 200, dir_fd=here)
        os.symlink("/", "l", dir_fd=here)
        inner = os.open("d" * 200, READ_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    (tree / "closed/inner").mkdir(parents=True)
    (tree / "closed/inner/file").write_text("")
    (tree / "closed/inner").chmod(0)
    (tree / "closed").chmod(0)


@pytest.mark.parametrize("depth", [removal._DEPTH - 1, removal._DEPTH, 2000])
def test_all_goes_and_nothing_outside(memory_path: Path, depth: int) -> None:
    fill(memory_path / "tree", depth=depth)
    assert remove(memory_path).failures == ()
    assert os.listdir(memory_path) == ["outside"]
    assert (memory_path / "outside/victim").read_text() == "the host's"


def test_bytes_that_were_freed(tmp_path: Path) -> None:
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "tree/a/file").write_bytes(b"x" * 10_000)
    os.link(tmp_path / "tree/a/file", tmp_path / "elsewhere")
    (tmp_path / "tree/b").write_bytes(b"y" * 5_000)
    paths = [tmp_path / "tree", tmp_path / "tree/a", tmp_path / "tree/b"]  # the other file has another name elsewhere
    used = sum(path.lstat().st_blocks * 512 for path in paths)
    assert remove(tmp_path).freed == used
    assert (tmp_path / "elsewhere").read_bytes() == b"x" * 10_000


@pytest.mark.parametrize("make", ["nothing", "file", "link"])
def test_what_is_no_directory(tmp_path: Path, make: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/victim").touch()
    if make == "file":
        (tmp_path / "tree").touch()
    elif make == "link":
        (tmp_path / "tree").symlink_to("outside")
    assert remove(tmp_path).failures == ()
    assert [path.name for path in tmp_path.rglob("*")] == ["outside", "victim"]


@as_root
def test_what_is_mounted_stays_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/victim").touch()
    (tmp_path / "tree/a/mounted").mkdir(parents=True)
    (tmp_path / "tree/b").mkdir()
    (tmp_path / "tree/b/file").touch()
    with bound(tmp_path / "outside", tmp_path / "tree/a/mounted"):
        assert [path for path, _ in remove(tmp_path).failures] == ["tree/a/mounted"]
        assert (tmp_path / "outside/victim").exists()
        assert sorted(path.name for path in (tmp_path / "tree").rglob("*")) == ["a", "mounted", "victim"]
    assert remove(tmp_path).failures == ()


@as_root
def test_what_is_immutable_is_told_and_all_else_goes(tmp_path: Path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/kept").touch()
    (tmp_path / "tree/deep/gone").touch()
    if subprocess.run(["chattr", "+i", tmp_path / "tree/deep/kept"], check=False, capture_output=True).returncode:
        pytest.skip("the file system has no such attribute")
    try:
        assert [path for path, _ in remove(tmp_path).failures] == ["tree/deep/kept"]
        assert [path.name for path in (tmp_path / "tree/deep").iterdir()] == ["kept"]
    finally:
        subprocess.run(["chattr", "-i", tmp_path / "tree/deep/kept"], check=True)
    assert remove(tmp_path).failures == ()
    assert list(tmp_path.iterdir()) == []


def test_somebody_writes_meanwhile(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "_AGAIN", 20)
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            path = memory_path / f"tree/{number % 3}/{number}"
            try:
                path.mkdir(parents=True)
                (path / "file").touch()
                path.with_name("link").symlink_to("/")
            except OSError:
                pass

    (memory_path / "tree").mkdir()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for path, error in remove(memory_path).failures:  # none, or the names of what came back
            assert path.startswith("tree"), error
    finally:
        ended.set()
        writer.join()
    assert remove(memory_path).failures == ()
    assert os.listdir(memory_path) == []
