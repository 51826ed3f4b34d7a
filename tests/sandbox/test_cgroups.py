"""Cgroups: on directories that imitate cgroupfs, and for real where the host lets us."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox import cgroups, runtime
from solven_env.sandbox.backends import bubblewrap
from solven_env.sandbox.limits import Limits
from tests.sandbox.running import ROOT, Box

DELEGATED = cgroups.find_parent()
UNIFIED = next(
    (
        path
        for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
        if Path(path, "cgroup.kill").exists() or Path(path, "cgroup.procs").exists()
    ),
    "",
)
WANTED = Limits(processes=20, memory=64 << 20)


def imitate(base: Path, own: str, delegating: dict[str, str]) -> tuple[str, str]:
    """A tree of directories and files as cgroupfs has them (the kernel's part is missing: no process is in it), and
    the two files of a process that would be in the cgroup `own`. `delegating` is what each cgroup hands on.
    """
    for path in ("", "a", "a/b", "a/b/c"):
        (base / "fs" / path).mkdir(parents=True, exist_ok=True)
        (base / "fs" / path / "cgroup.procs").touch()
        (base / "fs" / path / "cgroup.subtree_control").write_text(delegating.get(path, "") + "\n")
    (base / "cgroup").write_text(f"5:memory:/elsewhere\n0::/{own}\n")
    (base / "mounts").write_text(
        f"30 23 0:26 / /proc rw - proc proc rw\n31 23 0:27 / {base}/fs rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
    )
    return str(base / "cgroup"), str(base / "mounts")


@pytest.mark.parametrize(
    ("own", "delegating", "parent"),
    [
        ("a/b/c", {"a/b": "cpu memory pids", "a": "memory"}, "a/b"),
        ("a/b/c", {"a": "memory"}, "a"),
        ("a/b/c", {"": "memory"}, "."),
        ("a/b", {"a/b": "memory"}, "a/b"),
        ("a/b/c", {"a/b": "cpu pids", "a": "memory_of_another_name"}, None),
        ("../x", {"": "memory"}, None),
    ],
)
def test_the_nearest_cgroup_that_hands_memory_on_is_found(
    tmp_path: Path, own: str, delegating: dict[str, str], parent: str | None
) -> None:
    found = cgroups.find_parent(*imitate(tmp_path, own, delegating))
    assert found == (None if parent is None else os.path.normpath(tmp_path / "fs" / parent))


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_one_that_is_not_ours_is_passed_over(tmp_path: Path) -> None:
    files = imitate(tmp_path, "a/b/c", {"a/b": "memory", "a": "memory"})
    (tmp_path / "fs/a/b/cgroup.procs").chmod(0o444)
    assert cgroups.find_parent(*files) == str(tmp_path / "fs/a")


def test_a_host_without_cgroups_has_none(tmp_path: Path) -> None:
    assert cgroups.find_parent(str(tmp_path / "none"), str(tmp_path / "none")) is None


def test_limits_are_written_and_events_are_read(tmp_path: Path) -> None:
    for name in ("memory.max", "pids.max", "cgroup.procs"):
        (tmp_path / name).touch()
    cgroups.bound(str(tmp_path), WANTED, ["memory", "pids"])  # without memory.swap.max, as some kernels
    cgroups.enter(str(tmp_path), 71)
    read = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert read == {"memory.max": "67108864", "pids.max": "21", "cgroup.procs": "71"}
    assert cgroups.events(str(tmp_path)) == (0, 0)
    (tmp_path / "memory.events").write_text("low 0\noom 4\noom_kill 3\noom_group_kill 0\n")
    (tmp_path / "pids.events").write_text("max 7\n")
    assert cgroups.events(str(tmp_path)) == (3, 7)


def test_what_cannot_be_had_is_an_error_only_where_it_must_be(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert cgroups.make(None, "name", WANTED) is None
    assert cgroups.make(missing, "name", WANTED) is None
    assert cgroups.make(missing, "name", Limits(cpu_time=1, strict=True)) is None
    for parent in (None, missing):
        with pytest.raises(SandboxError, match="the limit of memory cannot be enforced"):
            cgroups.make(parent, "name", WANTED._replace(strict=True))


@pytest.mark.skipif(not os.access(UNIFIED or "/nowhere", os.W_OK), reason="no hierarchy of cgroups v2 is writable here")
def test_real_cgroups_come_and_go() -> None:
    """In the kernel's own hierarchy; the controllers are those that its top hands on, none maybe."""
    name = f"test-{os.getpid()}"
    first, second = (cgroups.make(UNIFIED, name, Limits(processes=30)) for _ in range(2))
    assert first
    assert second
    assert first != second
    directory = os.path.dirname(first)
    try:
        child = os.fork()
        if not child:
            cgroups.enter(first, os.getpid())
            os.read(os.open("/proc/self/cgroup", os.O_RDONLY), 1)
            os._exit(0 if f"solven-env-{name}/0" in Path("/proc/self/cgroup").read_text() else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        cgroups.clear(UNIFIED, name)
    assert not os.path.exists(directory)
    cgroups.clear(UNIFIED, name)


@pytest.mark.skipif(DELEGATED is None, reason="no cgroup (v2) with the memory controller is delegated to this process")
def test_memory_is_bounded_where_a_cgroup_is_delegated(box: Box) -> None:
    greedy = "import os; data = bytearray(os.urandom(1 << 20) * 200); print(len(data))"
    result = box.run("python3", "-c", greedy, limits=WANTED)
    assert (result.status, [each.limit for each in result.limits]) == (137, ["memory"])
    assert box.run("python3", "-c", "print('little')", limits=WANTED).out == b"little\n"
    assert not Path(DELEGATED or "", f"solven-env-{runtime.socket_name(box.plan.session)}").exists()


def test_what_is_not_enforced_is_told() -> None:
    assert bubblewrap.unenforced(["processes", "wall_time"]) == ()
    told = bubblewrap.unenforced(["processes", "memory"])
    assert [each.limit for each in told] == ([] if DELEGATED else ["memory"])
