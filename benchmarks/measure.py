"""Interleaved timing: medians, and ratios taken round by round, so that a drifting machine cancels out."""

from __future__ import annotations

import compileall
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from solven_env.system import mounting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMMAND = str(Path(sys.executable).with_name("solven-env"))
"""Our command line, as a user starts it."""

_PACKAGES = "site-packages"
_END = 0.3
"""Seconds that a session's holder is given to end."""

Times = dict[str, list[float]]
"""Seconds of each thing that was measured, a round after the other."""


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int, environ: Mapping[str, str] | None = None) -> Times:
    """The wall time in seconds of each command in each round, after one round that is not counted."""

    def call(command: Sequence[str]) -> Callable[[], None]:
        return lambda: quietly(command, environ=environ)

    return rounds_of({name: call(command) for name, command in commands.items()}, rounds)


def rounds_of(calls: Mapping[str, Callable[[], float | None]], rounds: int) -> Times:
    """What each call takes in each round, after one that is not counted; the seconds are its own where it gives any."""
    times: Times = {name: [] for name in calls}
    for round_ in range(rounds + 1):
        for name, call in calls.items():
            seconds = once(call)
            if round_:
                times[name].append(seconds)
    return times


def once(call: Callable[[], float | None]) -> float:
    """What one call takes, in seconds; its own figure where it gives one."""
    start = time.perf_counter()
    own = call()
    took = time.perf_counter() - start
    return took if own is None else own


def adopt() -> None:
    """Become the parent of what loses its own, as sessions' holders do: only then their time is ours."""
    mounting.adopt_orphans()


def processor_seconds() -> float:
    """Seconds of processors that this process and all that it started, and that has ended, have used by now."""
    time.sleep(_END)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def quietly(command: Sequence[str], *, environ: Mapping[str, str] | None = None, cwd: str | None = None) -> None:
    """Run a command that says nothing; CalledProcessError where it fails."""
    null = subprocess.DEVNULL
    subprocess.run(command, env=environ, cwd=cwd, stdin=null, stdout=null, stderr=null, check=True)


def precompile() -> None:
    """Compile everything that a start imports: where bytecode may not be written, every start would do it anew."""
    for directory in {Path(solven_env.__file__).parent, *(Path(path) for path in sys.path if path.endswith(_PACKAGES))}:
        compileall.compile_dir(directory, quiet=2)


def ratio(times: Mapping[str, Sequence[float]], name: str, beside: str) -> float:
    """The median of the ratios of two of them, round by round."""
    return statistics.median(a / b for a, b in zip(times[name], times[beside], strict=True))


def milliseconds(times: Sequence[float]) -> str:
    """Median, and the range around it."""
    return f"{statistics.median(times) * 1000:7.1f}  ({min(times) * 1000:.1f}–{max(times) * 1000:.1f})"


def machine() -> str:
    """The machine that the figures are from, on one line."""
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, CPython {platform.python_version()}"


def say(title: str, times: Times) -> None:
    """Print what was measured, a line each."""
    print(f"\n{title}")
    for name, each in times.items():
        print(f"  {name:52} {milliseconds(each)}")


def say_ratio(name: str, value: float) -> None:
    """Print a ratio."""
    print(f"  {name:52} {value:7.2f} ×")


def say_goal(name: str, value: float, most: float) -> None:
    """Print a figure beside the most that it should be."""
    print(f"  {name:52} {value:7.2f}  {verdict(value <= most)} ≤ {most}")


def verdict(is_met: bool) -> str:
    """How a goal was met."""
    return "met:   " if is_met else "missed:"


def median_ms(times: Times, name: str) -> float:
    """The median in milliseconds."""
    return statistics.median(times[name]) * 1000


def file_system(path: Path) -> str:
    """The name of the file system that a path is on: ext4, tmpfs."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    beneath = [each for each in mounts if path.resolve().is_relative_to(each[4].replace("\\040", " "))]
    deepest = max(reversed(beneath), key=lambda each: len(Path(each[4]).parts))  # of two at one place, the later
    return deepest[deepest.index("-") + 1]


def resident(process: int | str = "self") -> float:
    """The memory that a process, this one or another, has now (its resident set), in MiB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)


def descendants(process: int) -> list[int]:
    """The processes beneath one, each before its own."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found
