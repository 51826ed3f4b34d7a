"""What builds, applies and commands cost, beside the tools that do the same without sharing or isolating.

Goals: the second thread's apply at most 10 ms, and 10 times quicker than `uv sync` and `bun install` with hard links on
warm caches; an apply that finds nothing to do at most 2 ms in the API; the first import of the big packages in a thread
at most 1.15 × the host's. Everything lies in a temporary directory (TMPDIR), caches of packages too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import Times, interleaved, machine, milliseconds, once, precompile, quietly, ratio, rounds_of
from solven_env import packages, running
from solven_env.builds import interpreters, toolchain
from solven_env.sandbox import session
from solven_env.threads import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from solven_env.running import Launch

COMMAND = str(Path(sys.executable).with_name("solven-env"))
SMALL = "version: 1\nname: small\nrelease: 1.0.0\nenv: {HOME: /}\npython: {version: '3.12'}\n"
IMPORT = "import time; a = time.perf_counter(); import pandas, numpy, matplotlib, lxml; print(time.perf_counter() - a)"

FIRST, FIRST_HOST = "first apply, empty store", "uv sync --compile-bytecode + bun install"
SECOND, SECOND_COMMAND = "second thread's apply", "the same through the command line"
SECOND_HOST = "uv sync --frozen + bun install --frozen-lockfile"
NO_OP, NO_OP_COMMAND = "apply, nothing to do", "through the command line"
LIVE, NEW = "run -- true, live session", "run -- true, first of a session"
LIVE_COMMAND, NEW_COMMAND = "solven-env run -- true, live session", "solven-env run -- true, first"
BARE = "bare bubblewrap -- true"
INSIDE, OUTSIDE = "import, first in a thread", "import on the host"


class Bench:
    """A host of its own in one directory, with a profile to apply to new threads."""

    def __init__(self, top: Path, profile: str) -> None:
        """Everything that solven-env writes goes beneath `top` from now on."""
        self.top, self.profile = top, profile
        self._numbers = count(1)
        for name, beneath in {"CACHE_HOME": "cache", "DATA_HOME": "data", "RUNTIME_DIR": "runtime"}.items():
            os.environ[f"XDG_{name}"] = str(top / beneath)
        os.environ["SOLVEN_ENV_STORAGE"] = str(top / "storage")
        (top / "runtime").mkdir(mode=0o700)

    def new(self) -> str:
        """The name of a thread, or of a project, that there is not yet."""
        return f"t{next(self._numbers)}"

    def apply(self, thread: str) -> None:
        """In this process."""
        solven_env.apply(self.profile, thread)

    def command(self, *arguments: str) -> None:
        """In a process of its own, as a user starts it."""
        quietly([COMMAND, *arguments])

    def launch(self, thread: str, *argv: str) -> Launch:
        """A command of a thread, ready to run."""
        found = Thread.find(thread, None)
        return running.prepare(found, argv, cwd="/", timeout=None, env={}, network=None)

    def run(self, thread: str, *argv: str) -> str:
        """What a command in a thread prints."""
        with tempfile.TemporaryFile() as said:
            status = running.run(
                self.launch(thread, *argv), stdin=os.open(os.devnull, os.O_RDONLY), stdout=said.fileno()
            )
            assert status == 0, (argv, status)
            said.seek(0)
            return said.read().decode()

    def run_true(self, thread: str) -> None:
        """The least that a command can be, in this process."""
        assert running.run(self.launch(thread, "true")) == 0

    @contextmanager
    def live(self, thread: str) -> Iterator[None]:
        """Keep the thread's session alive, by a command that waits."""
        launch = self.launch(thread, "cat")
        reading, writing = os.pipe()
        with session.start(launch.plan, launch.command, launch.runtime, stdin=reading) as waiting:
            yield
            os.close(writing)
            os.close(reading)
            waiting.wait()


class Host:
    """The same packages without solven-env: a project on the host, with caches of packages of its own."""

    def __init__(self, bench: Bench) -> None:
        """Take what is installed from the locks of a thread that was applied."""
        self._top, self._new = bench.top / "projects", bench.new
        found = packages.builder(Thread.find("t1", None).config, os.environ).host
        self._uv, self._bun = str(toolchain.uv().path), str(toolchain.find_bun(found).path)
        self._python = interpreters.find_python("3.12", found).executable
        caches = {"UV_CACHE_DIR": str(self._top / "uv"), "BUN_INSTALL_CACHE_DIR": str(self._top / "bun")}
        self._environ = {**found.environ, **caches, "UV_LINK_MODE": "hardlink", "UV_PYTHON_DOWNLOADS": "never"}
        self._locks = bench.top / "storage" / "threads" / "t1"

    def project(self) -> Path:
        """A new one, with manifests and locks and nothing installed."""
        made = self._top / self._new()
        made.mkdir(parents=True)
        for name in ("pyproject.toml", "uv.lock", "package.json", "bun.lock"):
            shutil.copy(self._locks / name, made)
        return made

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
    parser.add_argument("--small", action="store_true", help="no cold builds: Python without packages, no installers")
    options = parser.parse_args()
    print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; {options.rounds} rounds, interleaved")
    print("median ms (range)")
    precompile()
    with tempfile.TemporaryDirectory(prefix="solven-bench-") as name:
        top = Path(name)
        profile = "solven"
        if options.small:
            (top / "small.yaml").write_text(SMALL)
            profile = str(top / "small.yaml")
        bench = Bench(top, profile)
        host, project = _cold(bench, options.small)
        _applies(bench, host, options.rounds)
        _commands(bench, options.rounds)
        if host is not None and project is not None:
            _imports(bench, host, project, options.rounds)


def _cold(bench: Bench, is_small: bool) -> tuple[Host | None, Path | None]:
    thread = bench.new()
    first = once(lambda: bench.apply(thread))
    if is_small:
        return None, None
    host = Host(bench)
    project = host.project()
    beside = once(lambda: host.install(project, "--compile-bytecode", ""))
    _say("Cold, one round: packages fetched and compiled", {FIRST: [first], FIRST_HOST: [beside]})
    _ratio("beside the installers (ours fetches Bun too)", first / beside)
    return host, project


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
    _say("Applies, builds there", times)
    _goal("second thread's apply, ms", _median(times, SECOND), 10)
    if host is not None:
        times_quicker = 1 / ratio(times, SECOND, SECOND_HOST)
        print(f"  {'times quicker than the installers':52} {times_quicker:7.1f}  {_verdict(times_quicker >= 10)} ≥ 10")
    _goal("nothing to do, ms", _median(times, NO_OP), 2)


def _commands(bench: Bench, rounds: int) -> None:
    config = Thread.find("t1", None).config
    bwrap = packages.locate_bubblewrap(config, os.environ)
    walls = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net")
    bare = [bwrap, *walls, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--", "true"]
    lone, kept = "t1", bench.new()
    bench.apply(kept)
    with bench.live(kept):
        times = rounds_of(
            {
                BARE: lambda: quietly(bare),
                LIVE: lambda: bench.run_true(kept),
                NEW: lambda: bench.run_true(lone),
                LIVE_COMMAND: lambda: bench.command("run", kept, "--", "true"),
                NEW_COMMAND: lambda: bench.command("run", lone, "--", "true"),
            },
            rounds,
        )
    _say("Commands", times)
    for name in (LIVE, NEW, LIVE_COMMAND, NEW_COMMAND):
        _ratio(f"{name}, beside bare", ratio(times, name, BARE))
    start = interleaved({"start": [sys.executable, "-c", "import typer"]}, rounds)["start"]
    print(f"  of the command line, Python and typer: {milliseconds(start)}")


def _imports(bench: Bench, host: Host, project: Path, rounds: int) -> None:
    def inside() -> float:
        thread = bench.new()
        bench.apply(thread)
        return float(bench.run(thread, "python", "-c", IMPORT))

    times = rounds_of({INSIDE: inside, OUTSIDE: lambda: host.seconds_to_import(project)}, rounds)
    _say("import pandas, numpy, matplotlib, lxml", times)
    _goal("beside the host", ratio(times, INSIDE, OUTSIDE), 1.15)


def _say(title: str, times: Times) -> None:
    print(f"\n{title}")
    for name, each in times.items():
        print(f"  {name:52} {milliseconds(each)}")


def _ratio(name: str, value: float) -> None:
    print(f"  {name:52} {value:7.2f} ×")


def _goal(name: str, value: float, most: float) -> None:
    print(f"  {name:52} {value:7.2f}  {_verdict(value <= most)} ≤ {most}")


def _verdict(is_met: bool) -> str:
    return "met:   " if is_met else "missed:"


def _median(times: Times, name: str) -> float:
    return statistics.median(times[name]) * 1000


if __name__ == "__main__":
    main()
