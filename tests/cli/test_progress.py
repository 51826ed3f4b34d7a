"""Builds as a terminal and a pipe show them, and what an interrupt of one leaves."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

SLOW = """
import sys, time
from solven_env.cli import progress
from solven_env.packages.steps import step, watched, within
progress._PERIOD = 1.0
counts = iter(range(1, 1000))
with progress.shown() as tell:
    with step(tell, "making the toy build (2 packages and what they need)", "made the toy build") as inside:
        tell("a notice")
        with step(inside, "fetching Toy 1.0", "fetched Toy 1.0"):
            time.sleep(0.3)
        with watched(inside, "counting", lambda: f"{next(counts)} of 9"):
            time.sleep(2.4)
print("done", "rich" in sys.modules)
"""


TWO = """
import time
from solven_env.cli import progress
from solven_env.packages.steps import step, within
with progress.shown() as tell:
    first, second = step(tell, "making one (1)", "made one"), step(tell, "making two (2)", "made two")
    inside, other = first.__enter__(), second.__enter__()
    within(inside, "one part")
    within(other, "another")
    with step(other, "fetching it", "fetched it"):
        time.sleep(0.3)
        first.__exit__(None, None, None)
        time.sleep(0.3)
        raise KeyboardInterrupt
"""


def _environ(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", "COLUMNS": "80", **more}


class Terminal:
    """A program that was started on a terminal of its own."""

    def __init__(self, argv: list[str], environ: dict[str, str], directory: Path) -> None:
        self.shown = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execve(sys.executable, [sys.executable, *argv], environ)

    def until(self, text: str) -> bool:
        """Read until the text was shown, or the program has ended."""
        while text not in self.shown:
            try:
                read = os.read(self.master, 65536)
            except OSError:  # EIO: it has ended
                return False
            self.shown += read.decode(errors="replace")
        return True

    def end(self) -> int:
        self.until("\0")
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_pipe_gets_each_step_in_plain_lines_and_now_and_then_how_far_it_is(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], env=_environ(), capture_output=True, text=True, check=True)
    lines = [re.sub(r"in [0-9.]+ s", "in N s", line) for line in done.stderr.splitlines()]
    counts = [line for line in lines if line.startswith(" ")]
    assert [line for line in lines if line not in counts] == [
        "making the toy build (2 packages and what they need) …",
        "a notice",
        "fetching Toy 1.0 …",
        "fetched Toy 1.0 in N s",
        "made the toy build in N s",
    ]
    assert 1 <= len(counts) <= 3
    assert all(re.fullmatch(r"  counting: \d of 9 …", line) for line in counts)
    assert done.stdout == "done False\n"


def test_a_terminal_has_a_live_line_with_the_time_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    terminal = Terminal(["-c", SLOW], _environ(), tmp_path)
    assert terminal.end() == 0
    assert re.search(r"making the toy build: counting: 2 of 9 … .*0:00:0", terminal.shown)
    assert "fetching Toy 1.0 … " in terminal.shown
    # The live line is erased (CSI 2K) and the cursor shown again (CSI ?25h) before the line that stays.
    last = re.search(r"\x1b\[2K\x1b\[\?25h\rmade the toy build in [0-9.]+ s\r\ndone True\r\n$", terminal.shown)
    assert last, terminal.shown


def test_a_terminal_shows_two_steps_that_go_on_at_once(tmp_path: Path) -> None:
    terminal = Terminal(["-c", TWO], _environ(), tmp_path)
    terminal.end()
    both = r"making one: one part … \S*0:00:0\S*\s+\S* fetching it …\s+\S*0:00:0"
    assert re.search(both, terminal.shown), terminal.shown
    assert terminal.shown.splitlines()[-1] == "KeyboardInterrupt: fetching it"
    assert re.search(r"made one in 0\.\d s\r\n", terminal.shown)


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    terminal = Terminal(["-c", SLOW], _environ(TERM="dumb"), tmp_path)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.shown
    assert terminal.shown.endswith("done False\r\n")


def _processes(mark: str) -> list[str]:
    """The command lines of the processes that have the mark in their environment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (directory / "environ").read_bytes():
                found.append((directory / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("step", ["fetching Python packages", "compiling bytecode"])
def test_an_interrupt_of_a_build_is_told_at_once_and_the_next_apply_goes_on(cli: Cli, step: str) -> None:
    profile = cli.write("p.yaml", f"{PROFILE}python: {{version: '3.12', packages: [six]}}\n")
    cache = cli.directory / "cache"
    assert cli("lock", profile, XDG_CACHE_HOME=str(cache)).returncode == 0
    mark = f"mark-{os.urandom(8).hex()}"
    environ = _environ(XDG_CACHE_HOME=str(cache), SOLVEN_ENV_STORAGE=str(cli.storage), MARK=mark)
    terminal = Terminal(["-m", "solven_env", "apply", profile, "t1"], environ, cli.directory)
    assert terminal.until(step), terminal.shown
    os.write(terminal.master, b"\x03")
    begun = time.monotonic()
    assert terminal.end() == 130
    # Half a second is promised: this is for machines whose cores are busy.
    assert time.monotonic() - begun < 5
    # The step may have ended while the interrupt was on its way.
    assert "interrupted while making the python build (" in terminal.shown
    assert terminal.shown.endswith("  The next apply begins it anew.\r\n")
    assert _processes(mark) == []
    assert not cli.workspace().exists()
    assert cli("apply", profile, "t1", XDG_CACHE_HOME=str(cache)).returncode == 0
    assert list((cache / "solven-env/builds").glob(".new-*")) == []


def test_an_interrupt_of_a_lock_leaves_it_as_it_was(cli: Cli) -> None:
    profile = cli.write("p.yaml", f"{PROFILE}python: {{version: '3.12', packages: [six, httpx]}}\n")
    terminal = Terminal(
        ["-m", "solven_env", "lock", profile], _environ(XDG_CACHE_HOME=str(cli.directory)), cli.directory
    )
    assert terminal.until("locking 2 Python packages")
    os.write(terminal.master, b"\x03")
    assert terminal.end() == 130
    assert terminal.shown.endswith("  The lock is as it was.\r\n")
    assert not (cli.directory / "p.lock").exists()
