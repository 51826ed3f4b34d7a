"""A watch tells of each change of a directory's entries and attributes, and of nothing else."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.system.inotify import DirectoryWatch

if TYPE_CHECKING:
    from collections.abc import Callable


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
    return DirectoryWatch(top, [b".", b"inner"])


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
    with pytest.raises(OSError, match=name):
        DirectoryWatch(top, [name.encode()])
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_another_directory_in_the_place_of_the_watched_one_is_told(top: Path) -> None:
    watched = watch(top)
    above = top.parent
    above.rename(above.with_name("aside"))
    shutil.copytree(above.with_name("aside"), above)
    assert not watched.is_quiet()


def instances() -> int:
    """The inotify instances that this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one of the listing
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found.count("anon_inode:inotify")


def test_all_watches_share_one_instance_and_two_of_one_directory_are_both_told(top: Path) -> None:
    before = instances()  # 1 where an earlier test of this process has not closed its watch
    one, two, three = watch(top), watch(top), watch(top)
    assert instances() == 1
    three.close()
    assert [one.is_quiet(), two.is_quiet()] == [True, True]
    (top / "inner/new").touch()
    assert [one.is_quiet(), two.is_quiet(), three.is_quiet()] == [False, False, False]
    assert instances() == before


def test_more_changes_than_the_kernel_keeps_are_told_to_all(top: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    watched, other = watch(top), DirectoryWatch(quiet, [])
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for _ in range(most // 2 + 1):  # the same event once more, at once, is none
        os.utime(top)
        os.utime(top / "inner")
    assert [watched.is_quiet(), other.is_quiet()] == [False, False]


def test_threads_that_ask_at_once_are_all_told(top: Path) -> None:
    watched = watch(top)
    (top / "new").touch()
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: watched.is_quiet(), range(64)))
