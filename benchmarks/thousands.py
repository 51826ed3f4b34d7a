"""What thousands of threads cost: each verb that goes through all of them, and whether its time is linear.

A quarter, a half and all of so many threads are made, listed, looked at, left as they are, upgraded, searched for
garbage, and deleted, each time in a storage of its own, in this process. Goals: this process computes as much for a
thread among many as for one among few (1.25 × at most), which no other program of the machine changes; of 10,000
threads `list`, `status` and `gc --dry-run` take 10 s at most. Everything lies in a temporary directory (TMPDIR). 10,000
threads take 0.6 GB there, and some 400,000 inodes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import solven_env
from benchmarks.measure import file_system, machine, precompile, resident, say_goal
from benchmarks.world import Bench, releases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from solven_env import ThreadReport

MAKE, LIST, STATUS, NO_OP = "apply, new", "list", "status", "apply, nothing to do"
UPGRADE, COLLECT, DELETE = "apply, another release", "gc --dry-run", "delete"
GOALS = {LIST: 10.0, STATUS: 10.0, COLLECT: 10.0}
"""Seconds that 10,000 threads may take."""
LINEAR = 1.25


class Took(NamedTuple):
    """Seconds that something took, and those of processors that this process computed meanwhile."""

    seconds: float
    computed: float


def main() -> None:
    """Measure, and print a table, how linear each is, and goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=10_000)
    parser.add_argument("--shipped", action="store_true", help="the shipped profile, not one without packages")
    options = parser.parse_args()
    precompile()
    sizes = [max(1, options.threads * part // 4) for part in (1, 2, 4)]
    with tempfile.TemporaryDirectory(prefix="solven-bench-") as name:
        top = Path(name)
        print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; on {file_system(top)}")
        profiles = releases(top, is_small=not options.shipped)
        found = {size: _measure(top / str(size), profiles, top / "cache", size) for size in sizes}
    print(
        f"\n{'seconds':24}"
        + "".join(f"{size:>10,}" for size in sizes)
        + f"{'ms each':>10}{'computed':>10}{'linear':>9}"
    )
    many, few = found[sizes[-1]], found[sizes[0]]
    linear = {}
    for what in many:
        linear[what] = (many[what].computed / sizes[-1]) / (few[what].computed / sizes[0])
        seconds = "".join(f"{found[size][what].seconds:10.2f}" for size in sizes)
        each = [part / sizes[-1] * 1000 for part in many[what]]
        print(f"{what:24}{seconds}{each[0]:10.2f}{each[1]:10.2f}{linear[what]:7.2f} ×")
    print()
    for what, times in linear.items():
        say_goal(f"{what}: a thread of many beside one of few", times, LINEAR)
    for what, goal in GOALS.items():
        say_goal(f"{what}, seconds for 10,000", many[what].seconds * 10_000 / sizes[-1], goal)


def _measure(place: Path, profiles: Sequence[str], cache: Path, size: int) -> dict[str, Took]:
    """What each verb took with so many threads; the memory that the process has then is printed."""
    place.mkdir()
    Bench(place, profiles[0], cache)
    for profile in profiles:  # which makes their builds, and imports what is imported once
        solven_env.apply(profile, "first")
    solven_env.status("first")
    names = [f"thread-{number}" for number in range(size)]
    verbs: dict[str, Callable[[], int]] = {
        MAKE: lambda: _all_well(solven_env.apply_many(profiles[0], names)),
        LIST: lambda: sum(1 for _ in solven_env.list_threads()) - 1,
        STATUS: lambda: _all_well(solven_env.status_many(names)),
        NO_OP: lambda: _all_well(solven_env.apply_many(profiles[0], names)),
        UPGRADE: lambda: _all_well(solven_env.apply_many(profiles[1], names)),
        COLLECT: lambda: size - len(solven_env.gc(dry_run=True).unjudged),
        DELETE: lambda: _all_well(solven_env.delete_many(names)),
    }
    found = {}
    for what, verb in verbs.items():
        start, computed = time.perf_counter(), time.process_time()
        count = verb()
        found[what] = Took(time.perf_counter() - start, time.process_time() - computed)
        assert count == size, f"{what}: {count} of {size} threads"
    print(f"{size:,} threads: the process has {resident():.0f} MiB")
    return found


def _all_well(reports: Iterable[ThreadReport]) -> int:
    """The number of reports; AssertionError for the first with an error."""
    count = 0
    for report in reports:
        assert report.error is None, report
        count += 1
    return count


if __name__ == "__main__":
    main()
