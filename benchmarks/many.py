"""What one thread and many threads cost, beside the installers, on each file system that this host has.

A thread is applied in this process, with all builds there: a new one, and one with nothing to do. Beside it `uv sync
--frozen` and `bun install --frozen-lockfile`, one after the other, install the same packages with warm caches and hard
links on the same file system. Then many threads, one after the other in this process: new ones, the same with nothing
to do, and their upgrade to a release with another build, which one thread has made before. Last, one thread on a FUSE
mount (bindfs, each answer held back by strace) that takes 5 ms an operation.

Goals: nothing to do 2 ms; a new thread 10 ms on ext4 and 20 times quicker than the installers, 5 ms on tmpfs; of 1,000
threads, new ones 10 s on ext4, nothing to do 2 s, the upgrade 12 s, with flat memory; on the slow mount nothing to do
0.1 s, a new thread 0.6 s. Storage and layers lie in a temporary directory (TMPDIR, then /dev/shm), builds in the first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import (
    file_system,
    machine,
    median_ms,
    once,
    precompile,
    ratio,
    resident,
    rounds_of,
    say,
    say_goal,
    verdict,
)
from benchmarks.world import Bench, Host, answers, releases, slow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_OP, NEW = "nothing to do", "new thread"
INSTALLERS = "uv sync --frozen + bun install --frozen-lockfile"
DELAY = 0.005
"""Seconds that an operation of the slow mount takes."""
MEMORY = Path("/dev/shm")
PREFIX = "solven-bench-"
ROOM = 3 << 30
"""Bytes that the installers' caches and projects need, with room for storages."""
FLAT = 10.0
"""MiB that the memory of a process may grow by while it goes through nine tenths of many threads."""
NEW_GOALS = {"tmpfs": 5.0}
"""Milliseconds that a new thread may take, by the file system; 10 on others."""


def main() -> None:
    """Measure, and print medians, ratios and goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1000, help="how many are many")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of what is one thread's")
    parser.add_argument("--small", action="store_true", help="Python without packages, and no installers")
    options = parser.parse_args()
    print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; {options.rounds} rounds, interleaved")
    precompile()
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
        profiles = releases(top, is_small=options.small)
        places = [top]
        if os.access(MEMORY, os.W_OK) and file_system(MEMORY) != file_system(top):
            places.append(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=MEMORY))))
        for place in places:
            _measure(place, profiles, top / "cache", options)
        _on_fuse(top, profiles[0], options.rounds, top / "cache")


def _measure(place: Path, profiles: Sequence[str], cache: Path, options: argparse.Namespace) -> None:
    """All of one file system: a thread beside the installers, then many."""
    kind = file_system(place)
    bench = Bench(place, profiles[0], cache)
    bench.apply("t1")
    host = None
    if not options.small and shutil.disk_usage(place).free > ROOM:
        host = Host(bench)
    _one(bench, host, kind, options.rounds)
    names = [f"many-{number}" for number in range(options.threads)]
    _many(f"{len(names)} new threads", profiles[0], names, kind, 10)
    _many(f"{len(names)} threads, nothing to do", profiles[0], names, kind, 2)
    building = once(lambda: solven_env.apply(profiles[1], "t1") and None)
    print(f"\n  {'the first upgraded thread, with its build where it has one':52} {building:7.1f} s")
    _many(f"{len(names)} threads upgraded", profiles[1], names, kind, 12)


def _one(bench: Bench, host: Host | None, kind: str, rounds: int) -> None:
    calls: dict[str, Callable[[], float | None]] = {
        NO_OP: lambda: bench.apply("t1"),
        NEW: lambda: bench.apply(bench.new()),
    }
    if host is not None:
        calls[INSTALLERS] = lambda: host.seconds_to_install()
    times = rounds_of(calls, rounds)
    say(f"One thread on {kind}, builds there", times)
    say_goal(f"{NO_OP}, ms", median_ms(times, NO_OP), 2)
    say_goal(f"{NEW}, ms", median_ms(times, NEW), NEW_GOALS.get(kind, 10))
    if host is not None:
        quicker = 1 / ratio(times, NEW, INSTALLERS)
        goal = "" if kind in NEW_GOALS else f"  {verdict(quicker >= 20)} ≥ 20"
        print(f"  {'times quicker than the installers':52} {quicker:7.1f}{goal}")


def _many(what: str, profile: str, names: Sequence[str], kind: str, goal: float) -> None:
    """Apply a profile to many threads; the seconds are those of 1,000, and the memory what it grows after a tenth."""
    early = max(1, len(names) // 10)
    memory = 0.0
    start, computed = time.perf_counter(), time.process_time()
    for number, report in enumerate(solven_env.apply_many(profile, names), 1):
        assert report.error is None, report.error
        if number == early:
            memory = resident()
    seconds = time.perf_counter() - start
    print(f"\n{what} on {kind}: {seconds:.2f} s, of which this process computed {time.process_time() - computed:.2f} s")
    say_goal("seconds for 1,000", seconds * 1000 / len(names), goal)
    say_goal("MiB of memory more at the end than after a tenth", resident() - memory, FLAT)


def _on_fuse(top: Path, profile: str, rounds: int, cache: Path) -> None:
    """One thread on a mount that answers slowly. Operations are those that the mount answered."""
    place = top / "fuse"
    place.mkdir()
    bench = Bench(place, profile, cache)
    log = place / "answers"
    with slow(place / "below", place / "storage", DELAY, log) as why_not:
        if why_not:
            print(f"\nno figures for a slow mount: {why_not}")
            return
        bench.apply("t1")
        counts: dict[str, list[int]] = {NO_OP: [], NEW: []}

        def counted(what: str, thread: Callable[[], str]) -> None:
            before = answers(log)
            bench.apply(thread())
            counts[what].append(answers(log) - before)

        times = rounds_of({NO_OP: lambda: counted(NO_OP, lambda: "t1"), NEW: lambda: counted(NEW, bench.new)}, rounds)
    say(f"One thread on FUSE, {DELAY * 1000:.0f} ms an operation", times)
    for what, goal in ((NO_OP, 0.1), (NEW, 0.6)):
        say_goal(f"{what}, s ({statistics.median(counts[what]):.0f} operations)", median_ms(times, what) / 1000, goal)


if __name__ == "__main__":
    main()
