"""A host of its own for a benchmark, in one temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import COMMAND, once, quietly
from solven_env.packages import builds, toolchain
from solven_env.packages.ecosystems.bun import program
from solven_env.packages.ecosystems.python import interpreters
from solven_env.run import execute
from solven_env.sandbox.backends import bubblewrap
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.request import Request
from solven_env.system import shipped
from solven_env.system.effects import drive
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from solven_env.run.execute import Launch

SMALL = "version: 1\nname: small\nrelease: 1.0.0\nenv: {HOME: /}\npython: {version: '3.12'}\n"
"""A profile whose one build takes a second."""

BARE = "version: 1\nname: bare\nrelease: 1.0.0\nenv: {HOME: /}\n"
"""A profile without packages."""

IMPORT = "import time; a = time.perf_counter(); import pandas, numpy, matplotlib, lxml; print(time.perf_counter() - a)"
"""A script for a thread and for the host, which prints the seconds of its imports."""


def releases(top: Path, *, is_small: bool) -> tuple[str, str]:
    """The shipped profile, and its next release, which has one package less; if it `is_small`, two without packages."""
    first, second = top / "first.yaml", top / "second.yaml"
    if is_small:
        first.write_text(SMALL)
        second.write_text(SMALL.replace("1.0.0", "2.0.0").replace("HOME: /", "HOME: /, RELEASE: second"))
        return str(first), str(second)
    place = shipped.directory("profiles")
    text = (place / "solven.yaml").read_text()
    second.write_text(text.replace("    - seaborn\n", "").replace("\nrelease: ", "\nrelease: 9", 1))
    shutil.copytree(place / "solven.lock", top / "second.lock")
    solven_env.lock(second)
    return "solven", str(second)


class Bench:
    """A host of its own in one directory, with a profile to apply to new threads."""

    def __init__(self, top: Path, profile: str, cache: Path | None = None) -> None:
        """Everything that solven-env writes goes beneath `top` from now on, but what goes into another `cache`."""
        self.top, self.profile = top, profile
        self._numbers = count(1)
        for name, beneath in {"CACHE_HOME": cache or "cache", "DATA_HOME": "data", "RUNTIME_DIR": "runtime"}.items():
            os.environ[f"XDG_{name}"] = str(top / beneath)
        os.environ["SOLVEN_ENV_STORAGE"] = str(top / "storage")
        (top / "runtime").mkdir(mode=0o700)

    def new(self) -> str:
        """The name of a thread, or of a project, that there is not yet."""
        return f"t{next(self._numbers)}"

    def apply(self, thread: str) -> None:
        """In this process."""
        solven_env.apply(self.profile, thread)

    def forget(self, what: str = "") -> None:
        """Remove what this host has of packages: everything, or its `builds` alone."""
        shutil.rmtree(self.top / "cache" / "solven-env" / what, ignore_errors=True)

    def command(self, *arguments: str) -> None:
        """In a process of its own, as a user starts it."""
        quietly([COMMAND, *arguments])

    def launch(self, thread: str, *argv: str, stdin: int = 0, stdout: int = 1) -> Launch:
        """A command of a thread, ready to run."""
        found = Thread.find(thread, None)
        return execute.apply(found, Request(argv, network="none", streams=(stdin, stdout, 2)))

    def run(self, thread: str, *argv: str) -> str:
        """What a command in a thread prints."""
        with tempfile.TemporaryFile() as said:
            nothing = os.open(os.devnull, os.O_RDONLY)
            ended = execute.run(self.launch(thread, *argv, stdin=nothing, stdout=said.fileno()))
            os.close(nothing)
            assert ended.status == 0, (argv, ended)
            said.seek(0)
            return said.read().decode()

    @contextmanager
    def live(self, thread: str) -> Iterator[None]:
        """Keep the thread's session alive, by a command that waits."""
        reading, writing = os.pipe()
        launch = self.launch(thread, "cat", stdin=reading)
        with session.start(launch.plan, launch.request, launch.runtime) as waiting:
            yield
            os.close(writing)
            os.close(reading)
            drive(waiting.wait())


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

    def seconds_to_install(self) -> float:
        """What both take for a new project, with warm caches and hard links; making and removing it is not counted."""
        project = self.project()
        seconds = once(lambda: self.install(project, "--frozen", "--frozen-lockfile"))
        shutil.rmtree(project)
        return seconds

    def seconds_to_import(self, project: Path) -> float:
        """As Python itself measures it, with the few variables that a thread has."""
        config = self._top / "matplotlib"
        environ = {"PATH": os.environ["PATH"], "MPLCONFIGDIR": str(config), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [str(project / ".venv/bin/python"), "-c", IMPORT]
        return float(subprocess.run(argv, env=environ, capture_output=True, check=True).stdout)


@contextmanager
def slow(below: Path, at: Path, seconds: float, log: Path) -> Iterator[str]:
    """Have `below` mounted at `at` by FUSE, each operation of which takes so long; what is given says why it is not.

    The daemon is bindfs, whose threads answer at once. strace(1) holds each answer back for that time, and notes it in
    `log`. Files are written in pieces of 128 KiB, as on rclone's mounts and with libfuse 3, which knows no other way
    (its ChangeLog): bindfs with libfuse 2 is told to do so, and takes 4 KiB otherwise.
    """
    lacking = [each for each in ("bindfs", "strace", "fusermount3") if shutil.which(each) is None]
    if lacking or not os.access("/dev/fuse", os.W_OK):
        yield f"it needs {', '.join(lacking or ['/dev/fuse'])}"
        return
    below.mkdir()
    at.mkdir()
    hold = ["-e", "trace=writev", "-e", f"inject=writev:delay_enter={round(seconds * 1e6)}"]
    is_old = b"linked version 2." in subprocess.run(["bindfs", "--fuse-version"], capture_output=True).stdout
    large = ("-o", "big_writes") if is_old else ()
    words = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        str(log),
        *hold,
        "bindfs",
        "-f",
        "--multithreaded",
        "--no-allow-other",
        *large,
        str(below),
        str(at),
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            while not at.is_mount() and daemon.poll() is None:
                time.sleep(0.01)
            yield "" if daemon.poll() is None else "nothing can be mounted here"
        finally:
            subprocess.run(["fusermount3", "-uz", str(at)], check=False, stderr=subprocess.DEVNULL)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            daemon.kill()


def answers(log: Path) -> int:
    """The number of operations that a mount of `slow` has answered by now."""
    return log.read_bytes().count(b"writev(")
