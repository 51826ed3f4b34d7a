"""A host of its own for a benchmark, in one temporary directory."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import COMMAND, quietly
from solven_env.run import execute
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.request import Request
from solven_env.threads.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from solven_env.run.execute import Launch

SMALL = "version: 1\nname: small\nrelease: 1.0.0\nenv: {HOME: /}\npython: {version: '3.12'}\n"
"""A profile whose one build takes a second."""


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
            waiting.wait()
