"""Each limit, reached: what the command meets, how it ends, what is said of it, and that nothing of it is left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.sandbox import limits
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import Tmpfs
from solven_env.sandbox.limits import Evidence, Limits, Reached
from solven_env.system.effects import drive
from tests.sandbox.running import DEADLINE, PATH, Box, command, commands, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Iterator

BOMBS = {
    "shell": ("bash", "-c", ":(){ :|:& };:; wait; sleep 600"),
    "python": ("python3", "-c", "import os\nwhile True:\n try: os.fork()\n except OSError: pass"),
    "forks that stay": ("sh", "-c", "while :; do sleep 600 & done"),
    "double forks": ("sh", "-c", "while :; do (setsid sleep 600 &) || exit 1; done"),
    "threads": (
        "python3",
        "-c",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(600,)).start()",
    ),
}
FEW = 40
SPIN = "while True: pass"


@pytest.mark.parametrize(
    ("asked", "hard", "options"),
    [
        (Limits(), {}, []),
        (Limits(processes=5), {}, ["--nproc=5:5"]),
        (Limits(open_files=5, file_size=6, cpu_time=7), {}, ["--nofile=5:5", "--fsize=6:6", "--cpu=7:9"]),
        (Limits(cpu_time=7, open_files=5), {"cpu_time": 8, "open_files": 4}, ["--nofile=4:4", "--cpu=7:8"]),
        (Limits(memory=1, wall_time=2), {}, []),
    ],
)
def test_no_limit_is_set_above_the_callers_own(asked: Limits, hard: dict[str, int], options: list[str]) -> None:
    every = dict.fromkeys(("processes", "open_files", "file_size", "cpu_time"), 1 << 63)
    assert limits.options(asked, every | hard) == ["--core=0:0", *options]


ALL = Limits(processes=100, open_files=9, file_size=10 << 20, cpu_time=3, memory=3 << 29, wall_time=5)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(0), ()),
        (Evidence(137), ()),
        (Evidence(152), ()),  # it ended so by itself
        (Evidence(152, cpu_time=2.6), (Reached("cpu_time", "3 s"),)),
        (Evidence(137, cpu_time=3.1), ()),
        (Evidence(137, cpu_time=4.9), (Reached("cpu_time", "3 s", is_certain=False),)),
        (Evidence(153), (Reached("file_size", "10MiB", is_certain=False),)),
        (Evidence(1, is_tmp_full=True), (Reached("tmp_size", "1000000"),)),
        (Evidence(0, oom_kills=1), (Reached("memory", "1536MiB"),)),
        (Evidence(0, refused_forks=1), (Reached("processes", "100"),)),
        (Evidence(0, processes=100), (Reached("processes", "100"),)),
        (Evidence(0, processes=99), ()),
        (Evidence(0, processes=91, left=90), (Reached("processes", "100", is_certain=False),)),
        (Evidence(0, processes=90, left=89), ()),
        (Evidence(1, processes=90), (Reached("processes", "100", is_certain=False),)),
        (Evidence(1, processes=89), ()),
        (
            Evidence(124, Reached("timeout", "0.5 s"), processes=100),
            (Reached("timeout", "0.5 s"), Reached("processes", "100")),
        ),
    ],
)
def test_only_what_is_known_is_said(evidence: Evidence, expected: tuple[Reached, ...]) -> None:
    assert limits.judge(ALL, 1_000_000, evidence) == expected
    assert limits.judge(Limits(), None, evidence._replace(out_of_time=None)) == ()


@pytest.mark.parametrize(("timeout", "reached"), [(0.3, "timeout"), (None, "wall_time"), (7, "wall_time")])
def test_the_smaller_time_ends_a_command(box: Box, timeout: float | None, reached: str) -> None:
    result = box.shell("setsid sleep 600 & sleep 600", timeout=timeout, limits=Limits(wall_time=1))
    assert (result.status, [each.limit for each in result.limits]) == (124, [reached])


@pytest.fixture
def lively(box: Box) -> Iterator[Box]:
    """A session that another command keeps: what is left of one is seen before the kernel ends the session."""
    waits = "import time; open('/up', 'w'); time.sleep(600)"  # one process from then on: a touch would end later
    with session.start(box.plan, command("python3", "-c", waits), box.runtime) as keeper:
        wait_for_file(box.workspace / "up")
        yield box
        keeper.kill()
        assert drive(keeper.wait()) == 137


@pytest.mark.parametrize("argv", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_processes_is_bounded_and_named(lively: Box, argv: tuple[str, ...]) -> None:
    before = commands(lively.base.name)
    result = lively.run(*argv, limits=Limits(processes=FEW), timeout=2)
    assert result.status != 0
    assert {each.limit for each in result.limits} - {"timeout"} == {"processes"}, (result.limits, result.err[-300:])
    assert commands(lively.base.name) == before
    assert lively.run("true", limits=Limits(processes=FEW)).status == 0


def test_a_bomb_whose_processes_fail_all_together_ends(lively: Box) -> None:
    """By itself; that it is named depends on how many of them ended before the first one did."""
    before = commands(lively.base.name)
    result = lively.run("python3", "-c", "import os\nwhile True: os.fork()", limits=Limits(processes=FEW))
    assert (result.status, {each.limit for each in result.limits} - {"processes"}) == (1, set())
    assert commands(lively.base.name) == before


FORKS_AND_ENDS = """
import os, signal, time
pids = []
try:
    while True:
        pids.append(os.fork())
        if not pids[-1]: signal.pause()
except OSError: pass
time.sleep(2.5)
for pid in pids: os.kill(pid, 9); os.waitpid(pid, 0)
"""


def test_a_bomb_that_is_over_when_its_command_ends_is_named(lively: Box) -> None:
    result = lively.run("python3", "-c", FORKS_AND_ENDS, limits=Limits(processes=FEW))
    assert (result.status, result.limits) == (0, (Reached("processes", str(FEW)),))


def test_many_processes_that_end_are_no_bomb(lively: Box) -> None:
    text = f"i=0; while [ $i -lt {3 * FEW} ]; do true & i=$((i + 1)); wait; done; exit 1"
    result = lively.shell(text, limits=Limits(processes=FEW))
    assert (result.status, result.limits) == (1, ())


@pytest.mark.parametrize(
    ("text", "limits", "status", "expected"),
    [
        ("exec dd if=/dev/zero of=/big bs=64k count=99", Limits(file_size=1 << 20), 153, ["file_size?"]),
        ("dd if=/dev/zero of=/tmp/big bs=64k count=99", Limits(file_size=1 << 20), 153, ["file_size?"]),
        ("truncate -s 100G /big", Limits(file_size=1 << 20), 153, ["file_size?"]),
        ("truncate -s 100G /tmp/big", Limits(file_size=1 << 20), 153, ["file_size?"]),
        ("exit 153", Limits(), 153, []),
        ("exit 152", Limits(cpu_time=50), 152, []),
        ("dd if=/dev/zero of=/tmp/big bs=64k count=1999", Limits(), 1, ["tmp_size"]),
        ("dd if=/dev/zero of=/tmp/big bs=64k count=1999; true", Limits(), 0, []),
        (f"exec python3 -c '{SPIN}'", Limits(cpu_time=1), 152, ["cpu_time"]),
        (f"python3 -c 'import signal; signal.signal(24, 1)\n{SPIN}'", Limits(cpu_time=1), 137, ["cpu_time?"]),
        ('ulimit -n; for i in 3 4 5 6 7; do eval "exec $i</dev/null" || exit 7; done', Limits(open_files=6), 2, []),
    ],
)
def test_a_limit_ends_a_command_and_is_named(
    box: Box, text: str, limits: Limits, status: int, expected: list[str]
) -> None:
    result = box.shell(text, limits=limits)
    said = [each.limit + ("" if each.is_certain else "?") for each in result.limits]
    assert (result.status, said) == (status, expected), result.err


def test_a_file_of_the_workspace_ends_where_the_limit_is(box: Box) -> None:
    box.shell("dd if=/dev/zero of=/big bs=64k count=99", limits=Limits(file_size=1 << 20))
    assert (box.workspace / "big").stat().st_size == 1 << 20


def test_no_memory_that_a_command_may_write_is_unbounded(box: Box) -> None:
    """The kernel would give each half of the host's memory, and millions of empty files."""
    text = "import os\nfor line in open('/proc/mounts'):\n where, kind = line.split()[1:3]\n"
    text += " if kind == 'tmpfs' and os.access(where, os.W_OK): s = os.statvfs(where); print(where, s.f_blocks * s.f_frsize, s.f_files)"
    listed = [line.split() for line in box.run("python3", "-c", text).out.decode().splitlines()]
    assert {where for where, *_ in listed} == {"/tmp", "/var", "/run", "/dev/shm"}
    assert all(int(size) <= 1 << 30 and int(files) <= 1 << 18 for _, size, files in listed)


def test_the_number_of_files_in_memory_has_an_end(box: Box) -> None:
    small = Tmpfs("/tmp", size=1 << 20, mode=0o1777)
    result = box.but(mounts=(*(each for each in box.plan.mounts if each.target != "/tmp"), small)).shell(
        "cd /tmp; for i in $(seq 300); do : > $i || exit 9; done"
    )
    assert (result.status != 0, b"No space left" in result.err) == (True, True)
    assert result.limits == (Reached("tmp_size", "1MiB"),)


def test_a_flood_ends_with_its_limit_while_nobody_reads(box: Box) -> None:
    reading, writing = os.pipe()
    try:
        with session.start(
            box.plan, command("yes", limits=Limits(wall_time=1), stdout=writing), box.runtime
        ) as running:
            assert drive(running.wait()) == 124
            assert [each.limit for each in running.limits] == ["wall_time"]
    finally:
        os.close(reading)
        os.close(writing)


def test_a_session_serves_others_during_a_bomb(lively: Box) -> None:
    bomb = command("bash", "-c", ":(){ :|:& };:; wait; sleep 600", env={"PATH": PATH}, limits=Limits(processes=FEW))
    with open(os.devnull, "r+b") as nothing:
        streams = (nothing.fileno(),) * 3
        with session.start(lively.plan, bomb._replace(streams=streams), lively.runtime) as running:
            for _ in range(5):
                assert lively.run("true", timeout=DEADLINE).status == 0
            running.kill()
            assert drive(running.wait()) == 137
