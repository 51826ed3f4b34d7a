"""Disk of threads: what is a thread's own, and its share of builds that others have too."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import solven_env
from solven_env.packages import store
from solven_env.system import directories
from solven_env.threads.thread import Thread
from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def fill(stage: Path) -> None:
    (stage / "tree").mkdir()
    (stage / "tree/large").write_bytes(b"x" * 1_000_000)


def du(path: Path) -> int:
    said = subprocess.run(["du", "-s", "--block-size=1", path], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def use(storage: Path, thread: str, build: store.Build) -> None:
    """Have the record of a thread name a build."""
    place = storage / ".solven-env/threads" / thread / "state.json"
    record = json.loads(place.read_bytes())
    record["builds"] = {build.kind: {"key": build.key, "instance": build.instance, "lock": ""}}
    place.write_text(json.dumps(record))


def test_a_build_is_shared_by_the_threads_of_all_storages(
    tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    profile = write_profile(tmp_path / "p.yaml", {"hello": "hello\n"})
    build = store.obtain(directories.cache(), store.key("python", {}), {}, fill)
    one, two = tmp_path / "one", tmp_path / "two"
    for storage, name in ((one, "t1"), (one, "t2"), (two, "t1"), (two, "t2")):
        solven_env.apply(profile, name, storage=storage)
    for storage, name in ((one, "t1"), (one, "t2"), (two, "t1")):
        use(storage, name, build)
    layer = own_data / "layers" / str(Thread.find("t1", one).storage_id) / "t1/0/python-0/upper"
    layer.mkdir(parents=True)
    (layer / "added").write_bytes(b"x" * 100_000)
    said: list[str] = []
    (found,) = solven_env.disk_usage(["t1"], storage=one, progress=said.append)
    assert found.workspace.bytes == du(one / "threads/t1")
    assert found.layers.bytes == du(layer.parents[2])
    assert found.builds.bytes == du(build.path) // 3
    assert found.total.bytes == found.workspace.bytes + found.layers.bytes + found.builds.bytes
    assert found.total.is_complete
    assert said == []
    two.rename(tmp_path / "moved")  # this host has not met it there
    (found,) = solven_env.disk_usage(["t1"], storage=one, progress=said.append)
    assert found.builds.bytes == du(build.path) // 2
    assert [each.partition(":")[0] for each in said] == [f"1 storage that this host knows cannot be asked now ({two})"]
