"""What builds, applies and commands cost, beside the tools that do the same without sharing or isolating.

Goals: the first apply on a host where nothing is there takes at most as long as `uv sync --compile-bytecode` and
`bun install`, one after the other, which fetch no Bun and make no uv.lock; the second thread's apply at most 10 ms, and
10 times quicker than `uv sync` and `bun install` with hard links on warm caches; an apply that finds nothing to do at
most 2 ms in the API; the first import of the big packages in a thread at most 1.15 × the host's. Everything lies in a
temporary directory (TMPDIR), caches of packages too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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
from benchmarks.world import SMALL, Bench
from solven_env.packages import builds, toolchain
from solven_env.packages.ecosystems.bun import program
from solven_env.packages.ecosystems.python import interpreters
from solven_env.sandbox.backends import bubblewrap
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORT = "import time; a = time.perf_counter(); import pandas, numpy, matplotlib, lxml; print(time.perf_counter() - a)"

FIRST, FIRST_HOST = "first apply, empty store", "uv sync --compile-bytecode + bun install"
AGAIN = "first apply, the wheels there"
SECOND, SECOND_COMMAND = "second thread's apply", "the same through the command line"
SECOND_HOST = "uv sync --frozen + bun install --frozen-lockfile"
NO_OP, NO_OP_COMMAND = "apply, nothing to do", "through the command line"
INSIDE, OUTSIDE = "import, first in a thread", "import on the host"


class Host:
    """The same packages without solven-env: a project on the host, with caches of packages of its own."""

    def __init__(self, bench: Bench) -> None:
        """Take what is installed from the locks of a thread that was applied."""
        self._top, self._new = bench.top / "projects", bench.new
        found = builds.builder(Thread.find("t1", None).config, os.environ, bubblewrap).host
        self._uv, self._bun = str(toolchain.uv().path), str(program.find(found).path)
        self._python = interpreters.find_python("3.12", found).executable
        caches = {"UV_CACHE_DIR": str(self._top / "uv"), "BUN_INSTALL_CACHE_DIR": str(self._top / "bun")}
        self._environ = {**found.environ, **caches, "UV_LINK_MODE": "hardlink", "UV_PYTHON_DOWNLOADS": "never"}
        self._caches = caches.values()
        self._locks = bench.top / "storage" / "threads" / "t1"

    def project(self) -> Path:
        """A new one, with manifests and locks and nothing installed."""
        made = self._top / self._new()
        made.mkdir(parents=True)
        for name in ("pyproject.toml", "uv.lock", "package.json", "bun.lock"):
            shutil.copy(self._locks / name, made)
        return made

    def forget(self) -> None:
        """Remove the caches."""
        for cache in self._caches:
            shutil.rmtree(cache, ignore_errors=True)

    def install(self, project: Path, uv: str, bun: str) -> None:
        """`uv sync` and `bun install` with an option each, one after the other."""
        python = ("--python", self._python)
        quietly([self._uv, "sync", uv, *python], environ=self._environ, cwd=str(project))
        quietly([self._bun, "install", *bun.split()], environ=self._environ, cwd=str(project))

    def seconds_to_import(self, project: Path) -> float:
        """As Python itself measures it, with the few variables that a thread has."""
        config = self._top / "matplotlib"
        environ = {"PATH": os.environ["PATH"], "MPLCONFIGDIR": str(config), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [str(project / ".venv/bin/python"), "-c", IMPORT]
        return float(subprocess.run(argv, env=environ, capture_output=True, check=True).stdout)


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
    def install() -> float:
        assert host is not None
        project = host.project()
        seconds = once(lambda: host.install(project, "--frozen", "--frozen-lockfile"))
        shutil.rmtree(project)
        return seconds

    calls: dict[str, Callable[[], float | None]] = {
        SECOND: lambda: bench.apply(bench.new()),
        SECOND_COMMAND: lambda: bench.command("apply", bench.profile, bench.new()),
        NO_OP: lambda: bench.apply("t1"),
        NO_OP_COMMAND: lambda: bench.command("apply", bench.profile, "t1"),
    }
    if host is not None:
        calls[SECOND_HOST] = install
    times = rounds_of(calls, rounds)
    say("Applies, builds there", times)
    say_goal("second thread's apply, ms", median_ms(times, SECOND), 10)
    if host is not None:
        times_quicker = 1 / ratio(times, SECOND, SECOND_HOST)
        print(f"  {'times quicker than the installers':52} {times_quicker:7.1f}  {verdict(times_quicker >= 10)} ≥ 10")
    say_goal("nothing to do, ms", median_ms(times, NO_OP), 2)


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
