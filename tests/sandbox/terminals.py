"""A terminal as a person has one: a program runs on it, somebody types, and what it shows can be waited for."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.sandbox.running import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.sandbox.running import Box

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = 3  # of what termios.tcgetattr returns


class Terminal:
    """A pseudo-terminal, and a program on it that leads its session."""

    def __init__(self, size: tuple[int, int] = (24, 80)) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.resize(*size)
        self.before = self.settings()
        self.shown = b""
        self.program: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.program is not None:
            self.program.kill()
            self.program.wait()
        os.close(self.master)
        os.close(self.slave)

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Begin a program with this terminal as its streams, and in control of it.

        No signal is ignored there, even where the tests were started in the background, which has SIGINT ignored.
        """
        self.program = subprocess.Popen(
            ["setsid", "--ctty", "env", "--default-signal", *argv],
            cwd=CHECKOUT,
            env={**(env or os.environ), "TERM": "xterm", "PS1": "outer> "},
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
        )

    def type(self, text: bytes) -> None:
        """Type all of it, however slowly it is read; what is shown meanwhile is kept."""
        end = time.monotonic() + DEADLINE
        while text:
            assert time.monotonic() < end, f"nobody reads; shown: {self.shown[-2000:]!r}"
            readable, writable, _ = select.select([self.master], [self.master], [], 1)
            if readable:
                self.shown += os.read(self.master, 65536)
            if writable:
                text = text[os.write(self.master, text[:4096]) :]

    def until(self, pattern: bytes) -> bytes:
        """Wait until the pattern is shown; return what came up to its end, and begin anew behind it."""
        end = time.monotonic() + DEADLINE
        while not (match := re.search(pattern, self.shown)):
            assert time.monotonic() < end, f"{pattern!r} was never shown; shown: {self.shown[-2000:]!r}"
            if select.select([self.master], [], [], 1)[0]:
                self.shown += os.read(self.master, 65536)
        seen, self.shown = self.shown[: match.end()], self.shown[match.end() :]
        return seen

    def status(self) -> int:
        """Wait for the program's end, with all that it shows."""
        assert self.program is not None
        end = time.monotonic() + DEADLINE
        pidfd = os.pidfd_open(self.program.pid)
        try:
            while pidfd not in (ready := select.select([pidfd, self.master], [], [], 1)[0]):
                assert time.monotonic() < end, f"it never ended; shown: {self.shown[-2000:]!r}"
                if ready:
                    self.shown += os.read(self.master, 65536)
        finally:
            os.close(pidfd)
        while select.select([self.master], [], [], 0)[0]:
            self.shown += os.read(self.master, 65536)
        return self.program.wait()

    def foreground(self) -> int:
        """The process group that has the keyboard."""
        return os.tcgetpgrp(self.master)

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self.master, (rows, columns))

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self.slave)

    def is_raw(self) -> bool:
        return not self.settings()[LOCAL] & (termios.ICANON | termios.ECHO | termios.ISIG)


def launcher(box: Box, text: str) -> list[str]:
    """The words that run a text in the box by /bin/sh, with the streams and signals of a plain program."""
    return [sys.executable, "-m", "tests.sandbox.launcher", box.plan.session, str(box.workspace), box.runtime, text]
