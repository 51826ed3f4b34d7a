"""What builds, applies and commands cost, beside the tools that do the same without sharing or isolating.

Goals: the first apply on a host where nothing is there takes at most as long as `uv sync --compile-bytecode` and
`bun install`, one after the other, which fetch no Bun and make no uv.lock; the second thread's apply at most 10 ms, and
10 times quicker than `uv sync` and `bun install` with hard links on warm caches; an apply that finds nothing to do at
most 2 ms in the API; a command in a live session at most 2 ms above bubblewrap alone; the first import of the big
packages in a thread at most 1.15 × the host's. Everything lies in a temporary directory (TMPDIR), caches of packages
too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import (
    Times,
    adopt,
    machine,
    median_ms,
    once,
    precompile,
    processor_seconds,
    quietly,
    ratio,
    rounds_of,
    say,
    say_goal,
    say_ratio,
    verdict,
)
from benchmarks.sandbox import alone as bubblewrap_alone
from benchmarks.world import IMPORT, SMALL, Bench, Host
from solven_env.run import execute
from solven_env.sandbox.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, FIRST_HOST = "first apply, empty store", "uv sync --compile-bytecode + bun install"
AGAIN = "first apply, the wheels there"
SECOND, SECOND_COMMAND = "second thread's apply", "the same through the command line"
SECOND_HOST = "uv sync --frozen + bun install --frozen-lockfile"
NO_OP, NO_OP_COMMAND = "apply, nothing to do", "through the command line"
LIVE, ALONE, BARE = "run true, live session, API", "the same by bubblewrap alone", "the same bare"
PREPARING = "preparing it (processor time)"
INSIDE, OUTSIDE = "import, first in a thread", "import on the host"


def main() -> None:
    """Measure, and print medians, ratios and goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cold-rounds", type=int, default=3, help="rounds of what begins with nothing (30 s each)")
    parser.add_argument("--only-cold", action="store_true", help="only these")
    parser.add_argument("--small", action="store_true", help="no cold builds: Python without packages, no installers")
    options = parser.parse_args()
    print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; {options.rounds} rounds, interleaved")
    print("median ms (range)")
    precompile()
    adopt()
    with tempfile.TemporaryDirectory(prefix="solven-bench-") as name:
        top = Path(name)
        profile = "solven"
        if options.small:
            (top / "small.yaml").write_text(SMALL)
            profile = str(top / "small.yaml")
        bench = Bench(top, profile)
        host, project = _cold(bench, options.cold_rounds, is_small=options.small)
        if options.only_cold:
            return
        _applies(bench, host, options.rounds)
        _commands(bench, options.rounds)
        if host is not None and project is not None:
            _imports(bench, host, project, options.rounds)


def _cold(bench: Bench, rounds: int, *, is_small: bool) -> tuple[Host | None, Path | None]:
    """Time both with empty caches, in turns, each first in every other round; the last round's are there then."""
    if is_small:
        bench.apply(bench.new())
        return None, None
    times: Times = {FIRST: [], FIRST_HOST: [], AGAIN: []}
    seconds: Times = {FIRST: [], FIRST_HOST: []}
    host, project = None, None

    def apply() -> None:
        bench.forget()
        _measure(lambda: bench.apply(bench.new()), FIRST, times, seconds)

    def install() -> None:
        nonlocal project
        assert host is not None
        host.forget()
        made = project = host.project()
        _measure(lambda: host.install(made, "--compile-bytecode", ""), FIRST_HOST, times, seconds)

    for number in range(rounds):
        if host is None:
            apply()
            host = Host(bench)
            install()
        else:
            for measured in (install, apply) if number % 2 else (apply, install):
                measured()
        bench.forget("builds")
        times[AGAIN].append(once(lambda: bench.apply(bench.new())))
    say(f"Cold, {rounds} rounds: packages fetched and compiled", times)
    say("The same, seconds of all processors together", seconds)
    say_goal("beside the installers (ours fetches Bun too)", ratio(times, FIRST, FIRST_HOST), 1.0)
    say_ratio("in seconds of processors", ratio(seconds, FIRST, FIRST_HOST))
    return host, project


def _measure(call: Callable[[], None], name: str, times: Times, seconds: Times) -> None:
    before = processor_seconds()
    times[name].append(once(call))
    seconds[name].append(processor_seconds() - before)


def _applies(bench: Bench, host: Host | None, rounds: int) -> None:
    calls: dict[str, Callable[[], float | None]] = {
        SECOND: lambda: bench.apply(bench.new()),
        SECOND_COMMAND: lambda: bench.command("apply", bench.profile, bench.new()),
        NO_OP: lambda: bench.apply("t1"),
        NO_OP_COMMAND: lambda: bench.command("apply", bench.profile, "t1"),
    }
    if host is not None:
        calls[SECOND_HOST] = host.seconds_to_install
    times = rounds_of(calls, rounds)
    say("Applies, builds there", times)
    say_goal("second thread's apply, ms", median_ms(times, SECOND), 10)
    if host is not None:
        times_quicker = 1 / ratio(times, SECOND, SECOND_HOST)
        print(f"  {'times quicker than the installers':52} {times_quicker:7.1f}  {verdict(times_quicker >= 10)} ≥ 10")
    say_goal("nothing to do, ms", median_ms(times, NO_OP), 2)


def _commands(bench: Bench, rounds: int) -> None:
    """A process that has started commands before has found already what the next one needs, and looks whether it holds.

    Bubblewrap alone shows the same system paths, and neither layers nor links; see `benchmarks.sandbox`.
    """
    commands = execute.Commands("t1", None)
    with bench.live("t1"), Path(os.devnull).open("r+b", buffering=0) as null:
        streams = (null.fileno(),) * 3

        def prepare() -> float:
            before = time.thread_time()
            commands.apply(Request(("true",), network="none", streams=streams))
            return time.thread_time() - before

        def run() -> None:
            stdin, stdout, stderr = streams
            assert solven_env.run("t1", ["true"], network="none", stdin=stdin, stdout=stdout, stderr=stderr) == 0

        for call in (prepare, prepare, run, run):
            call()
        alone = {BARE: lambda: quietly(["true"]), ALONE: lambda: quietly(bubblewrap_alone("true"))}
        times = rounds_of({**alone, LIVE: run, PREPARING: prepare}, rounds)
    say("A command, builds there", times)
    above = statistics.median(a - b for a, b in zip(times[LIVE], times[ALONE], strict=True))
    say_goal("live session, above bubblewrap alone, ms", above * 1000, 2)


def _imports(bench: Bench, host: Host, project: Path, rounds: int) -> None:
    def inside() -> float:
        thread = bench.new()
        bench.apply(thread)
        return float(bench.run(thread, "python", "-c", IMPORT))

    times = rounds_of({INSIDE: inside, OUTSIDE: lambda: host.seconds_to_import(project)}, rounds)
    say("import pandas, numpy, matplotlib, lxml", times)
    say_goal("beside the host", ratio(times, INSIDE, OUTSIDE), 1.15)


if __name__ == "__main__":
    main()
