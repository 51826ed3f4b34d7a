"""A watch tells of each change of a directory's entries and attributes, and of nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.system.inotify import DirectoryWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _moved(top: Path) -> None:
    top.rename(top.with_name("moved"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a new file": lambda top: (top / "new").touch(),
    "a file that is removed": lambda top: (top / "inner/file").unlink(),
    "a file that takes another's place": lambda top: os.replace(top / "file", top / "inner/file"),
    "a mode": lambda top: (top / "inner").chmod(0o700),
    "a time": lambda top: os.utime(top / "inner"),
    "a link": lambda top: (top / "inner/link").symlink_to("file"),
    "another name of its own": _moved,
}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "inner").mkdir(parents=True)
    for name in ("file", "inner/file"):
        (top / name).write_text("text")
    return top


def watch(top: Path) -> DirectoryWatch:
    return DirectoryWatch([os.fsencode(top), os.fsencode(top / "inner")])


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_told(top: Path, change: Callable[[Path], object]) -> None:
    watched = watch(top)
    assert watched.is_quiet()
    change(top)
    assert [watched.is_quiet(), watched.is_quiet()] == [False, False]


def test_reading_is_no_change(top: Path) -> None:
    watched = watch(top)
    assert os.listdir(top / "inner") == ["file"]
    assert (top / "inner/file").read_text() == "text"
    assert watched.is_quiet()


def test_a_child_is_told_nothing(top: Path) -> None:
    watched = watch(top)
    child = os.fork()
    if not child:
        os._exit(1 if watched.is_quiet() else 0)
    assert os.waitpid(child, 0)[1] == 0
    assert watched.is_quiet()


@pytest.mark.parametrize("name", ["file", "nothing", "link"])
def test_only_a_directory_is_watched(top: Path, name: str) -> None:
    (top / "link").symlink_to("inner")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="top"):
        DirectoryWatch([os.fsencode(top / name)])
    assert len(os.listdir("/proc/self/fd")) == len(before)
