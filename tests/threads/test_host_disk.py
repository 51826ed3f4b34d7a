"""The bound of what all threads of a host take together: when it is looked at, and what is refused beyond it."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.config import HostDisk
from solven_env.errors import StoreError
from solven_env.system import directories
from solven_env.threads import host_disk
from solven_env.threads.host_disk import Taken
from tests.mounts import as_root
from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
BOUND = HostDisk(100 * MIB)
BELOW, ABOVE = Taken(60 * MIB, True, 1000.0, 1.0, 500 * MIB), Taken(110 * MIB, True, 1000.0, 1.0, 500 * MIB)


@pytest.mark.parametrize(
    ("free", "age", "expected"),
    [
        (500, 19, False),
        (480, 21, True),  # half of the 40 that were left
        (481, 21, False),
        (480, 19, False),  # not more than a twentieth of the time
        (500, 600, True),
        (600, 21, False),
        (500, -1, True),  # the clock was set
    ],
)
def test_a_sum_below_the_bound_is_made_anew_when_it_may_have_grown(free: int, age: float, *, expected: bool) -> None:
    assert host_disk.is_due(BELOW, BOUND, free * MIB, 1000 + age) is expected


@pytest.mark.parametrize(
    ("free", "age", "expected"), [(500, 19, False), (511, 1, True), (509, 1, False), (0, 21, True)]
)
def test_nobody_is_refused_by_an_old_sum(free: int, age: float, *, expected: bool) -> None:
    assert host_disk.is_worth_looking(ABOVE, BOUND, free * MIB, 1000 + age) is expected


@pytest.fixture
def storage(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage with one thread, on a host of its own whose bound is 4 MiB."""
    monkeypatch.setenv("XDG_DATA_HOME", str(memory_path / "data"))
    monkeypatch.setenv("SOLVEN_ENV_CONFIG", str(memory_path / "config.yaml"))
    write_profile(memory_path / "profile.yaml", {".bashrc": "a\n"})
    (memory_path / "config.yaml").write_text("sandbox: {disk: {max: 4MiB}}")
    apply(memory_path / "storage", "t1")
    return memory_path / "storage"


def apply(storage: Path, thread: str) -> str:
    report = solven_env.apply(storage.with_name("profile.yaml"), thread, storage=storage)
    return report.threads[0].state


def test_beyond_the_bound_no_thread_is_begun_and_each_is_put_right(storage: Path) -> None:
    (storage / "threads/t1/big").write_bytes(bytes(5 * MIB))
    layer = directories.data() / "layers/id/t0/now/python-1/upper"
    layer.mkdir(parents=True)
    assert host_disk.look(directories.data()).bytes > 5 * MIB
    with pytest.raises(StoreError, match=r"take 5\.0 MiB .* and its configuration allows 4\.0 MiB") as caught:
        apply(storage, "t2")
    assert caught.value.page == "hosts"
    assert "solven-env du" in caught.value.fix
    assert "solven-env gc" in caught.value.fix
    assert not (storage / "threads/t2").exists()
    (storage / "threads/t1/.bashrc").unlink()
    apply(storage, "t1")
    assert (storage / "threads/t1/.bashrc").exists()
    os.rename(storage / "threads/t1/big", layer / "big")
    with pytest.raises(StoreError):
        apply(storage, "t2")
    (layer / "big").unlink()
    apply(storage, "t2")


def test_a_sum_is_made_anew_aside(storage: Path) -> None:
    data = directories.data()
    noted = host_disk.look(data)
    host_disk._note(data, noted._replace(moment=0.0, bytes=1))
    apply(storage, "t2")
    end = time.monotonic() + 60
    while (found := host_disk.noted(data)) is None or not found.moment:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert found.bytes >= noted.bytes


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    (tmp_path / "host-disk.json").write_text('{"bytes": []}')
    assert host_disk.noted(tmp_path) is None


@as_root
def test_a_mount_of_another_kind_is_not_looked_at_whatever_its_name(storage: Path) -> None:
    bucket = storage.with_name("a bucket")
    bucket.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", bucket], check=True)
    try:
        solven_env.apply(storage.with_name("profile.yaml"), "t1", storage=bucket / "storage")
        before = host_disk.measured(directories.data()).bytes
        (bucket / "storage/threads/t1/large").write_bytes(b"x" * MIB)
        assert host_disk.measured(directories.data()).bytes == before
    finally:
        subprocess.run(["umount", bucket], check=True)
