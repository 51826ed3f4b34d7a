"""What it costs to start a command, beside starting it bare and through bubblewrap alone.

Bubblewrap alone shows the same system paths and has the same walls (namespaces, no capability, no further user
namespace), but neither layers nor links nor a filter of system calls, and it stages anew each time.

Goals: in a live session at most 2 ms above bubblewrap alone, through the API, in a process that has run commands
before; the first command of a session at most 45 ms (100 with `--network internet`); the command line at most 40 ms
above Python importing typer; 1 GiB through a pipe at least 0.7 times as fast as where the command has that pipe itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import (
    COMMAND,
    interleaved,
    machine,
    median_ms,
    once,
    precompile,
    quietly,
    ratio,
    rounds_of,
    say,
    say_goal,
    say_ratio,
)
from benchmarks.world import SMALL, Bench
from solven_env.errors import SolvenError
from solven_env.sandbox.backends import bubblewrap
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable

BARE, ALONE = "bare", "bubblewrap alone"
LIVE, FIRST, INTERNET = "ours, live session", "ours, first of a session", "ours, first, --network internet"
TYPER = "python -c 'import typer'"
LIVE_COMMAND, FIRST_COMMAND = "solven-env run, live session", "solven-env run, first of a session"
STATS = """
import os, time
paths = [f"{directory}/{name}" for directory in ("/usr/bin", "/usr/lib") for name in sorted(os.listdir(directory))]
paths = (paths * (20_000 // len(paths) + 1))[:20_000]
begun = time.perf_counter()
for path in paths:
    os.lstat(path)
print(time.perf_counter() - begun)
"""
DRAIN = ["sh", "-c", "cat > /dev/null"]


def main() -> None:
    """Measure, and print medians, ratios and goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--small", action="store_true", help="few commands at once, little through pipes")
    given = parser.parse_args()
    rounds = given.rounds
    together, mebibytes = (4, 16) if given.small else (64, 1024)
    print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; {rounds} rounds, interleaved")
    print("median ms (range)")
    precompile()
    with tempfile.TemporaryDirectory(prefix="solven-bench-") as name:
        (Path(name) / "small.yaml").write_text(SMALL)
        bench = Bench(Path(name), str(Path(name) / "small.yaml"))
        lone, kept = bench.new(), bench.new()
        bench.apply(lone)
        bench.apply(kept)
        with bench.live(kept):
            _starts(lone, kept, rounds)
            _command_lines(lone, kept, rounds)
            _stats(bench, kept, rounds)
            _together(kept, max(1, rounds // 3), together)
            _pipes(kept, max(1, rounds // 3), mebibytes)


def _starts(lone: str, kept: str, rounds: int) -> None:
    calls: dict[str, Callable[[], float | None]] = {
        BARE: lambda: quietly(["true"]),
        ALONE: lambda: quietly(alone("true")),
        LIVE: lambda: _run(kept),
        FIRST: lambda: _run(lone),
    }
    try:
        _run(lone, "internet")
        calls[INTERNET] = lambda: _run(lone, "internet")
    except SolvenError as error:
        print(f"\nno figure for --network internet:\n  {error.message}")
    times = rounds_of(calls, rounds)
    say("Start of `true`", times)
    say_ratio(f"{LIVE}, beside {ALONE}", ratio(times, LIVE, ALONE))
    above = statistics.median(a - b for a, b in zip(times[LIVE], times[ALONE], strict=True))
    say_goal(f"{LIVE}, above {ALONE}, ms", above * 1000, 2)
    say_goal(f"{FIRST}, ms", median_ms(times, FIRST), 45)
    if INTERNET in times:
        say_goal(f"{INTERNET}, ms", median_ms(times, INTERNET), 100)


def _command_lines(lone: str, kept: str, rounds: int) -> None:
    commands = {
        TYPER: [sys.executable, "-c", "import typer"],
        LIVE_COMMAND: [COMMAND, "run", kept, "--network", "none", "--", "true"],
        FIRST_COMMAND: [COMMAND, "run", lone, "--network", "none", "--", "true"],
    }
    times = interleaved(commands, rounds)
    say("The command line", times)
    above = statistics.median(a - b for a, b in zip(times[LIVE_COMMAND], times[TYPER], strict=True))
    say_goal(f"{LIVE_COMMAND}, above typer, ms", above * 1000, 40)


def _stats(bench: Bench, kept: str, rounds: int) -> None:
    python = ("/usr/bin/python3", "-c", STATS)
    if not Path(python[0]).exists():
        return

    def timed(argv: list[str]) -> float:
        return float(subprocess.run(argv, capture_output=True, check=True).stdout)

    times = rounds_of(
        {
            BARE: lambda: timed([*python]),
            ALONE: lambda: timed(alone(*python)),
            LIVE: lambda: float(bench.run(kept, *python)),
        },
        rounds,
    )
    say("20,000 lstat", times)
    say_ratio(f"{LIVE}, beside {BARE}", ratio(times, LIVE, BARE))


def _together(kept: str, rounds: int, count: int) -> None:
    def at_once(call: Callable[[], object]) -> float:
        with ThreadPoolExecutor(count) as pool:
            return once(lambda: [each.result() for each in [pool.submit(call) for _ in range(count)]] and None)

    times = rounds_of(
        {ALONE: lambda: at_once(lambda: quietly(alone("true"))), LIVE: lambda: at_once(lambda: _run(kept))}, rounds
    )
    say(f"{count} at once", times)
    say_ratio(f"{LIVE}, beside {ALONE}", ratio(times, LIVE, ALONE))


def _pipes(kept: str, rounds: int, mebibytes: int) -> None:
    """Bubblewrap alone hands its caller's pipe on; from and to ours it is copied."""
    feed = ["head", "-c", str(mebibytes << 20), "/dev/zero"]

    def lone(argv: list[str], *, stdin: int = 0, stdout: int = 1) -> None:
        subprocess.run(alone(*argv), stdin=stdin, stdout=stdout, check=True)

    def live(argv: list[str], *, stdin: int = 0, stdout: int = 1) -> None:
        assert solven_env.run(kept, argv, network="none", stdin=stdin, stdout=stdout) == 0

    def into(run: Callable[..., None]) -> None:
        with subprocess.Popen(feed, stdout=subprocess.PIPE) as feeding:
            assert feeding.stdout is not None
            run(DRAIN, stdin=feeding.stdout.fileno())

    def out_of(run: Callable[..., None]) -> None:
        with subprocess.Popen(DRAIN, stdin=subprocess.PIPE) as draining:
            assert draining.stdin is not None
            run(feed, stdout=draining.stdin.fileno())

    for title, carry in (("into", into), ("out of", out_of)):
        times = rounds_of({ALONE: partial(carry, lone), LIVE: partial(carry, live)}, rounds)
        say(f"{mebibytes} MiB through a pipe {title} a command", times)
        say_ratio(f"speed of {LIVE}, beside {ALONE}", ratio(times, ALONE, LIVE))


def _run(thread: str, network: str = "none") -> None:
    assert solven_env.run(thread, ["true"], network=network) == 0


def alone(*argv: str) -> list[str]:
    """A command line of bubblewrap that shows the system and hides the rest, as scripts write it."""
    bwrap = bubblewrap.locate(Thread.find("t1", None).config.sandbox, os.environ)
    walls = ["--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    ends = ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    system = [path for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/sys") if Path(path).exists()]
    shown = [word for path in system for word in ("--ro-bind", path, path)]
    own = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var", "--tmpfs", "/run"]
    return [bwrap, *walls, *ends, *shown, *own, "--", *argv]


if __name__ == "__main__":
    main()
