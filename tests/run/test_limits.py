"""Limits of a profile: recorded, enforced in a thread's commands, and named where one is reached or not enforced."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.sandbox.cgroups import find_parent
from solven_env.sandbox.limits import Reached
from tests.profiles import write_profile
from tests.sandbox.running import wait_for_file

if TYPE_CHECKING:
    from tests.run.world import World

ALL = {
    "processes": 40,
    "open_files": 64,
    "file_size": "1MiB",
    "cpu_time": 100,
    "tmp_size": "2MiB",
    "wall_time": 100,
    "memory": "1GiB",
}


def limit(world: World, limits: dict[str, Any], **profile: Any) -> None:
    """Apply a profile without packages that has these limits."""
    world.profile = write_profile(world.base / "limited.yaml", {}, sandbox={"limits": limits}, **profile)
    world.apply()


def test_a_commands_limits_are_the_profiles(world: World) -> None:
    limit(world, ALL)
    said = world.out(
        "ulimit -n; ulimit -f; ulimit -t; ulimit -c; stat -f -c '%b * %S' /tmp; prlimit --nproc --raw -o SOFT,HARD"
    )
    assert said.split("\n")[:5] == ["64", "2048", "100", "0", "512 * 4096"]
    assert said.split()[-2:] == ["40", "40"]


@pytest.mark.parametrize(
    ("tmp_size", "size", "pages"), [("2MiB", "1MiB", 256), ("1MiB", "2MiB", 256), (None, "1MiB", 256)]
)
def test_the_smaller_size_of_tmp_holds(world: World, tmp_size: str | None, size: str, pages: int) -> None:
    mounts = [{"kind": "tmpfs", "target": "/tmp", "size": size}]
    limit(world, {"tmp_size": tmp_size} if tmp_size else {}, mounts=mounts)
    assert world.out("stat -f -c %b /tmp") == f"{pages}\n"


def test_a_limit_above_the_callers_own_is_the_callers(world: World) -> None:
    """A limit is an upper bound; that of the host is another one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit(world, {"open_files": 1_000_000})
    assert int(world.out("ulimit -n")) == min(hard, 1_000_000)


@pytest.mark.parametrize(
    ("text", "options", "status", "said"),
    [
        ("sleep 600", ("--timeout", "0.2"), 124, "limit reached: timeout (0.2 s). Raise --timeout."),
        (
            "sleep 600",
            ("--timeout", "600"),
            124,
            "limit reached: wall_time (3 s). Raise sandbox.limits.wall_time in the profile.",
        ),
        (
            "exec dd if=/dev/zero of=/big bs=64k count=99",
            (),
            153,
            "limit probably reached: file_size (1MiB). Raise sandbox.limits.file_size in the profile.",
        ),
        (
            "while :; do sleep 600 & done",
            (),
            2,
            "limit reached: processes (40). Raise sandbox.limits.processes in the profile.",
        ),
        (
            "for i in 1 2 3; do head -c 900000 /dev/zero > /tmp/$i || exit 5; done",
            (),
            5,
            "limit reached: tmp_size (2MiB). Raise sandbox.limits.tmp_size, or the size of the mount at /tmp, in the profile.",
        ),
        ("exit 9", (), 9, ""),
    ],
)
def test_one_line_of_standard_error_names_the_limit(
    world: World, text: str, options: tuple[str, ...], status: int, said: str
) -> None:
    limit(world, {**ALL, "wall_time": 3})
    done = world.cli("run", "t1", *options, "--", "sh", "-c", text)
    assert (done.returncode, done.stdout) == (status, b"")
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("solven-env: ")]
    assert lines == ([f"solven-env: {said}"] if said else [])


def test_the_api_tells_which_limit_it_was(world: World) -> None:
    limit(world, {"wall_time": 1})
    told: list[Reached] = []
    assert solven_env.run("t1", ["sleep", "600"], storage=world.storage, on_limit=told.append) == 124
    assert told == [Reached("wall_time", "1 s")]


def test_what_an_apply_writes_is_not_the_commands(world: World) -> None:
    limit(world, {"disk": "256KiB"})
    go, up = world.workspace() / "go", world.workspace() / "up"
    running = world.start(
        "run", "t1", "--", "sh", "-c", "touch /up; until [ -e /go ]; do sleep 0.02; done; sleep 0.6; exit 7"
    )
    wait_for_file(up)
    world.profile = write_profile(world.profile, {"big": "x" * 500_000}, sandbox={"limits": {"disk": "256KiB"}})
    world.apply()
    go.touch()
    assert running.wait() == 7


def test_a_record_of_an_earlier_version_has_no_new_limits(world: World) -> None:
    limit(world, {"processes": 40})
    (record,) = world.storage.glob(".solven-env/threads/*/state.json")
    document = json.loads(record.read_text())
    document["settings"]["limits"] = {"memory": None, "processes": 40, "enforce": "best-effort"}
    record.write_text(json.dumps(document))
    assert world.out("ulimit -u 2>/dev/null || prlimit --nproc --raw -o SOFT --noheadings").strip() == "40"
    assert world.status().state == "in-sync"


@pytest.mark.skipif(find_parent() is not None, reason="the host delegates a memory controller: it is enforced here")
def test_memory_that_is_not_enforced_is_told_by_status(world: World) -> None:
    limit(world, {"memory": "1GiB"})
    assert world.run("true").status == 0
    assert "limit memory is not enforced: no cgroup (v2)" in world.cli("status", "t1").stdout.decode()
    (thread,) = json.loads(world.cli("status", "t1", "--format", "json").stdout)["threads"]
    assert [each["limit"] for each in thread["unenforced"]] == ["memory"]
