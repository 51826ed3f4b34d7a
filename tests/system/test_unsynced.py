"""One wait for many files: each is synced, the first failure is told, and no descriptor is left open."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from solven_env.system import unsynced
from solven_env.system.unsynced import Unsynced

if TYPE_CHECKING:
    from pathlib import Path


def written(place: Path, count: int) -> list[int]:
    """Descriptors of new files."""
    opened = [os.open(place / str(number), os.O_WRONLY | os.O_CREAT) for number in range(count)]
    for descriptor in opened:
        os.write(descriptor, b"x")
    return opened


def open_files() -> set[str]:
    """The descriptors of this process."""
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture(params=["queue", "one after the other"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel's queue, and a kernel that has none."""
    if request.param != "queue":
        monkeypatch.setattr(unsynced, "_queue", lambda: None)
    return str(request.param)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 200])
def test_all_are_closed_once_they_were_waited_for(way: str, tmp_path: Path, count: int) -> None:
    before, waiting = open_files(), Unsynced()
    for descriptor in [*written(tmp_path, count), os.open(tmp_path, os.O_RDONLY)]:
        waiting.add(descriptor)
    assert bool(waiting) == (count != 63)  # 64 have been waited for
    waiting.wait()
    assert not waiting
    assert open_files() == before


@pytest.mark.parametrize("place", [0, 3, 9])
def test_one_that_fails_is_told_and_all_are_closed(way: str, tmp_path: Path, place: int) -> None:
    before = open_files()
    reading, writing = os.pipe()  # which cannot be synced: EINVAL
    os.close(reading)
    waiting = Unsynced()
    for descriptor in (*(files := written(tmp_path, 9))[:place], writing, *files[place:]):
        waiting.add(descriptor)
    with pytest.raises(OSError, match="Invalid") as caught:
        waiting.wait()
    assert caught.value.errno == errno.EINVAL
    assert open_files() == before
    waiting.wait()


def test_a_close_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may tell only then that it could not write."""
    real, before = os.close, open_files()

    def fail(descriptor: int) -> None:
        real(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    waiting = Unsynced()
    for descriptor in written(tmp_path, 3):
        waiting.add(descriptor)
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", fail)
        with pytest.raises(OSError, match="Input/output"):
            waiting.wait()
    assert open_files() == before


def test_a_directory_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    waiting = Unsynced()
    waiting.add(os.open(tmp_path, os.O_RDONLY))
    waiting.wait()


def test_what_is_taken_over_is_waited_for_once(tmp_path: Path) -> None:
    before, first, second = open_files(), Unsynced(), Unsynced()
    for descriptor in written(tmp_path, 3):
        first.add(descriptor)
    second.take(first)
    assert (bool(first), bool(second)) == (False, True)
    second.close()
    assert open_files() == before


def test_a_child_has_a_queue_of_its_own(tmp_path: Path) -> None:
    unsynced.sync_all(written(tmp_path, 2))
    child = os.fork()
    if child == 0:
        try:
            unsynced.sync_all(written(tmp_path, 2))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    unsynced.sync_all(written(tmp_path, 2))
