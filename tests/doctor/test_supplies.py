"""What doctor says of uids of threads: whether they can be had here, why not, and which one a thread has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.config import Config, HostDisk, HostSandbox
from solven_env.doctor import supplies
from solven_env.doctor.host import Host
from tests.doctor.doctor import applied, doctor, edited
from tests.profiles import write_profile
from tests.run.test_uids import FIRST, through_fuse
from tests.run.world import UID
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from tests.run.world import World

pytestmark = pytest.mark.skipif(not ROOT, reason="only root has several uids")

RANGE = f"sandbox: {{uids: {{first: {FIRST}, count: 9}}}}\n"


def test_without_a_range_it_is_told_how_to_have_one(shared: World) -> None:
    told = doctor(shared, only=("uids",))
    assert told.level("uids") == "limited"
    assert f"all threads have one uid, {UID}" in told.cause("uids")
    assert "sandbox: {uids: {first: 2000000, count: 65536}}" in told.fix("uids")


def test_with_a_range_it_is_tried_and_the_thread_has_its_own_after_an_apply(shared: World) -> None:
    profile = write_profile(shared.base / "uids.yaml", {})
    applied(shared, "owned", profile)
    with edited(shared.base / "config.yaml", RANGE):
        told = doctor(shared, "owned", only=("uid", "workspace"))
        assert told.level("uids") == "ok"
        assert f"from {FIRST} to {FIRST + 8}; 0 are in use" in told.cause("uids")
        assert told.level("uid") == "limited"
        assert f"the workspace belongs to uid {UID} uid 7000" in told.cause("uid")
        assert "solven-env apply PROFILE owned" in told.fix("uid")
        applied(shared, "owned", profile)
        told = doctor(shared, "owned", only=("uid", "workspace"))
        assert told.level("uid") == "ok"
        assert "is its own" in told.cause("uid")
        assert "1 are in use" in told.cause("uids")
        assert "of uid 7000" in told.cause("workspace")
        assert told.broken() == set()
    shutil.rmtree(shared.base / "data/solven-env/uids")


@pytest.mark.parametrize(
    ("options", "why"),
    [(("--chown-ignore",), "does not keep whom files belong to"), ((), "be shown with other owners")],
)
def test_where_it_cannot_be_had_the_reason_is_told(shared: World, options: tuple[str, ...], why: str) -> None:
    with edited(shared.base / "config.yaml", RANGE), through_fuse(shared.storage, *options) as mounted:
        told = doctor(shared, "--storage", str(mounted), only=("uids",))
    assert told.level("uids") == "limited"
    assert f"all threads have one uid, {UID} {mounted}/threads" in told.cause("uids")
    assert why in told.cause("uids")


@pytest.mark.parametrize(
    ("bound", "level", "said"),
    [
        (HostDisk(1 << 40), "ok", "of the 1.0 TiB"),
        (HostDisk(12 << 20, 0.5), "limited", "75% are taken"),
        (HostDisk(8 << 20), "broken", "no session begins"),
        (None, None, ""),
    ],
)
def test_the_bound_of_all_threads_is_told_before_it_is_reached(
    tmp_path: Path, bound: HostDisk | None, level: str | None, said: str
) -> None:
    layer = tmp_path / "layers/id/t1/now/python-1/upper"
    layer.mkdir(parents=True)
    (layer / "file").write_bytes(bytes(9 << 20))
    config = Config(sandbox=HostSandbox(disk=bound))
    answer = supplies.disk(Host(config, None, tmp_path, tmp_path, tmp_path))
    assert (answer and answer.level) == level
    assert answer is None or said in answer.detail + answer.cause
    assert not (tmp_path / "host-disk.json").exists()


@pytest.mark.parametrize(
    ("free", "nodes", "level", "said"),
    [
        (30, 90, "ok", "30.0 GiB free"),
        (19, 90, "limited", "nearly full: 96% of its space is used"),
        (30, 4, "limited", "nearly full: 96% of its inodes are used"),
        (30, None, "ok", ""),
    ],
)
def test_a_file_system_that_is_nearly_full_is_told(free: int, nodes: int | None, level: str, said: str) -> None:
    found = {"free": free << 30, "size": 500 << 30, "nodes": nodes, "all_nodes": nodes and 100}
    answer = supplies._judge(Path("/data"), {**found, "kind": "ext4", "mounted": "/", "where": "/data"})
    assert (answer.level, said in answer.detail + answer.cause) == (level, True)
