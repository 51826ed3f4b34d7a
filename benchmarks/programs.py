"""What a `Sandbox` costs a program, beside bubblewrap alone with the same walls, and beside cp(1).

Goals: a command in a live session at most 2 ms above bubblewrap alone; many at once from one asyncio program at most
1.2 times as long as as many of bubblewrap alone, with no thread a command; of many in a row 99 of 100 take at most
three times the median, and leave no descriptor, process or MiB behind, with the caller or with the session's holder; 1
GiB through standard output, of which a bounded part is kept, takes the caller at most 8 MiB; a file of 10 KB is read or
written in 2 ms, and one of 100 MB at least half as fast as by cp(1). Everything lies in a temporary directory (TMPDIR).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import (
    Times,
    adopt,
    descendants,
    machine,
    median_ms,
    once,
    precompile,
    quietly,
    ratio,
    resident,
    rounds_of,
    say,
    say_goal,
    verdict,
)
from benchmarks.sandbox import alone
from benchmarks.world import BARE, Bench
from solven_env import AsyncSandbox, Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LIVE, ALONE = "Sandbox.run, live session", "bubblewrap alone"
READ, WRITE, COPY = "read", "write", "cp"
DOWN, UP = "download", "upload"
FEW, MANY = 64, 1000
WARM = 20
"""Commands before a row of them is counted: what is imported and remembered is there then."""


def main() -> None:
    """Measure, and print medians, ratios and goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-once", type=int, default=FEW)
    parser.add_argument("--in-a-row", type=int, default=MANY)
    parser.add_argument("--mebibytes", type=int, default=1024, help="through standard output")
    parser.add_argument("--megabytes", type=int, default=100, help="of the large file")
    given = parser.parse_args()
    print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; {given.rounds} rounds, interleaved")
    print("median ms (range)")
    precompile()
    adopt()
    with tempfile.TemporaryDirectory(prefix="solven-bench-") as name:
        top = Path(name)
        (top / "bare.yaml").write_text(BARE)
        bench = Bench(top, str(top / "bare.yaml"))
        bench.apply(bench.new())
        with Sandbox.connect("t1") as sandbox:
            _one(sandbox, given.rounds)
            _at_once(max(1, given.rounds // 3), given.at_once)
            _in_a_row(sandbox, given.in_a_row)
            _output(sandbox, given.mebibytes)
            _files(sandbox, top, given.rounds, given.megabytes)


def _run(sandbox: Sandbox) -> None:
    assert sandbox.run(["true"], network="none").exit_code == 0


def _one(sandbox: Sandbox, rounds: int) -> None:
    times = rounds_of({ALONE: lambda: quietly(alone("true")), LIVE: lambda: _run(sandbox)}, rounds)
    say("Start of `true`", times)
    above = statistics.median(a - b for a, b in zip(times[LIVE], times[ALONE], strict=True))
    say_goal(f"{LIVE}, above {ALONE}, ms", above * 1000, 2)


def _at_once(rounds: int, count: int) -> None:
    times: Times = {ALONE: [], LIVE: []}
    threads = asyncio.run(_together(rounds, count, times))
    say(f"{count} at once from one asyncio program", times)
    say_goal(f"{LIVE}, beside {ALONE}", ratio(times, LIVE, ALONE), 1.2)
    print(f"  {'threads besides the first':52} {threads:7d}  {verdict(threads <= 8)} ≤ 8, of any number")


async def _together(rounds: int, count: int, times: Times) -> int:
    """Time both in turns; the number of threads that there are afterwards besides the first one."""
    argv, null = alone("true"), asyncio.subprocess.DEVNULL
    sandbox = await AsyncSandbox.connect("t1")

    async def bare() -> None:
        process = await asyncio.create_subprocess_exec(*argv, stdin=null, stdout=null, stderr=null)
        assert await process.wait() == 0

    async def live() -> None:
        assert (await sandbox.run(["true"], network="none")).exit_code == 0

    async def timed(call: Callable[[], Awaitable[None]]) -> float:
        start = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(count)))
        return time.perf_counter() - start

    for number in range(rounds + 1):
        for name, call in ((ALONE, bare), (LIVE, live)):
            seconds = await timed(call)
            if number:
                times[name].append(seconds)
    return threading.active_count() - 1


class _Held(NamedTuple):
    """What the caller and the session have: descriptors, processes, and MiB that are resident."""

    descriptors: int
    processes: int
    resident: float
    holder_descriptors: int
    holder_resident: float


def _held() -> _Held:
    """Counted when the holder, the only child of the benchmark, is at rest."""
    time.sleep(0.3)
    gc.collect()
    holder = descendants(os.getpid())[0]
    descriptors = [len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in ("self", holder)]
    return _Held(descriptors[0], len(descendants(os.getpid())), resident(), descriptors[1], resident(holder))


def _in_a_row(sandbox: Sandbox, count: int) -> None:
    for _ in range(WARM):
        _run(sandbox)
    before = _held()
    took = sorted(once(lambda: _run(sandbox)) for _ in range(count))
    after = _held()
    times = {LIVE: took, "the one that 99 of 100 are no slower than": [took[max(0, len(took) * 99 // 100 - 1)]]}
    say(f"{count:,} in a row", times)
    say_goal("that one, beside the median", times[list(times)[1]][0] / statistics.median(took), 3)
    for name, a, b in zip(
        ("descriptors more", "processes more", "MiB more", "descriptors more, the holder", "MiB more, the holder"),
        before,
        after,
        strict=True,
    ):
        say_goal(name, b - a, 1 if "MiB" in name else 0)


def _output(sandbox: Sandbox, mebibytes: int) -> None:
    command = ["head", "-c", str(mebibytes << 20), "/dev/zero"]
    sandbox.run([*command[:2], str(8 << 20), command[3]])
    gc.collect()
    before, most, over = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.005):
            most = max(most, resident())

    watching = threading.Thread(target=watch)
    watching.start()
    seconds = once(lambda: _check_bounded(sandbox, command))
    over.set()
    watching.join()
    print(f"\n{mebibytes} MiB through standard output, 1 MiB kept")
    print(f"  {'MiB a second':52} {mebibytes / seconds:7.0f}")
    say_goal("MiB more of the caller, at most", max(0.0, most - before), 8)


def _check_bounded(sandbox: Sandbox, command: list[str]) -> None:
    result = sandbox.run(command)
    assert result.truncated
    assert len(result.stdout_bytes) == 1 << 20


def _files(sandbox: Sandbox, top: Path, rounds: int, megabytes: int) -> None:
    small = os.urandom(10_000)

    def read() -> None:
        assert len(sandbox.files.read("/small")) == len(small)

    times = rounds_of({WRITE: lambda: sandbox.files.write("/small", small), READ: read}, rounds)
    say("A file of 10 KB", times)
    for name in times:
        say_goal(f"{name}, ms", median_ms(times, name), 2)
    _large(sandbox, top, max(1, rounds // 3), megabytes * 1_000_000)


def _large(sandbox: Sandbox, top: Path, rounds: int, size: int) -> None:
    """Between the host and the workspace, which are on one file system; cp(1) copies there too."""
    source, target = top / "large", top / "copied"
    inside = top / "storage" / "threads" / "t1" / "large-copied"
    source.write_bytes(os.urandom(1_000_000) * (size // 1_000_000))
    data = source.read_bytes()

    def removing(path: Path, call: Callable[[], object]) -> Callable[[], float]:
        def timed() -> float:
            path.unlink(missing_ok=True)
            return once(lambda: call() and None)

        return timed

    copy = ["cp", "--reflink=never", str(source), str(target)]
    within = top / "storage" / "threads" / "t1" / "large"
    calls = {
        COPY: removing(target, lambda: quietly(copy)),
        UP: removing(within, lambda: sandbox.files.upload(source, "/large")),
        DOWN: removing(target, lambda: sandbox.files.download("/large", target)),
        WRITE: removing(inside, lambda: sandbox.files.write("/large-copied", data)),
        READ: lambda: once(lambda: sandbox.files.read("/large-copied", max_bytes=size) and None),
    }
    times = rounds_of(calls, rounds)
    say(f"A file of {size // 1_000_000} MB", times)
    for name in (UP, DOWN, WRITE, READ):
        speed = ratio(times, COPY, name)
        print(f"  {f'speed of {name}, beside {COPY}':52} {speed:7.2f}  {verdict(speed >= 0.5)} ≥ 0.5")


if __name__ == "__main__":
    main()
