"""`run` and `shell` on a terminal, and `shell` without one."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.profiles import write_profile
from tests.sandbox.terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World

PROMPT = b"in> "


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as made:
        yield made


@pytest.fixture
def inside(bare: World, terminal: Terminal) -> Terminal:
    """A login shell of a thread, which has shown its prompt."""
    files = {".bash_profile": f"PS1='{PROMPT.decode()}'\n"}  # Debian's /etc/profile sets one
    bare.apply(profile=write_profile(bare.base / "prompt.yaml", files, env={"HOME": "/", "INPUTRC": "/dev/null"}))
    terminal.start(bare.command("shell", "t1"), bare.environ)
    terminal.until(PROMPT)
    return terminal


def say(terminal: Terminal, line: bytes, expected: bytes) -> None:
    """Type a line at the prompt, wait for what it prints and for the next prompt."""
    terminal.type(line + b"\r")
    terminal.until(b"[\r\n]" + expected)
    terminal.until(PROMPT)


def leave(terminal: Terminal, status: int) -> int:
    """What the shell ends with that is told to end with `status`."""
    terminal.type(b"exit %d\r" % status)
    ended = terminal.status()
    assert terminal.settings() == terminal.before
    return ended


def test_a_login_shell_on_the_terminal(inside: Terminal) -> None:
    say(inside, b"shopt login_shell; echo $- $TERM $PWD $HOME", b"login_shell *\ton\r\n.*i.*m.* xterm / /\r\n")
    inside.resize(50, 132)
    say(inside, b"stty size", b"50 132\r\n")
    assert leave(inside, 7) == 7


def test_control_c_ends_the_foreground_command_alone(inside: Terminal) -> None:
    inside.type(b"sh -c 'echo rea''dy; exec sleep 600'\r")
    inside.until(b"ready\r\n")
    inside.type(b"\x03")
    inside.until(PROMPT)
    say(inside, b"echo status $?", b"status 130\r\n")
    inside.type(b"half a line")
    inside.until(b"half a line")  # bash has the keyboard: between a prompt and that, ^C would lose it the next prompt
    inside.type(b"\x03\r")  # bash on a busy machine may print no prompt for ^C alone
    inside.until(PROMPT)
    say(inside, b"echo $((6 * 7))", b"42\r\n")  # half a line is no part of it
    assert leave(inside, 0) == 0


def test_control_z_stops_and_fg_goes_on(inside: Terminal) -> None:
    inside.type(b"sh -c 'echo rea''dy; read x; echo got $x; exit 9'\r")
    inside.until(b"ready\r\n")
    inside.type(b"\x1a")
    inside.until(b"Stopped(.|\n)*" + PROMPT)
    inside.type(b"fg\r")
    inside.until(b"[\r\n]sh -c .*\n")
    inside.type(b"it\r")
    inside.until(b"got it\r\n(.|\n)*" + PROMPT)
    say(inside, b"echo status $?", b"status 9\r\n")
    assert leave(inside, 0) == 0


def test_a_pager_and_a_dialogue(inside: Terminal) -> None:
    inside.type(b"seq 1 500 > /tmp/file; less /tmp/file\r")
    inside.until(b"\n23\r\n")
    inside.type(b"G")
    inside.until(b"500\r\n")
    inside.type(b"q")
    inside.until(PROMPT)
    inside.type(b"python3 -q\r")
    inside.until(b">>> ")
    inside.type(b"print(6 * 7)\r")
    inside.until(b"\n42\r\n(.|\n)*>>> ")
    # Python may hear of ^C at its prompt with the next key only, and of one just before a long sleep when that is over.
    inside.type(b"import time; print('sleep' + 'ing') or [time.sleep(0.1) for _ in iter(int, 1)]\r")
    inside.until(b"sleeping\r\n")
    inside.type(b"\x03")
    inside.until(b"KeyboardInterrupt\r\n(.|\n)*>>> ")
    inside.type(b"\x04")
    inside.until(PROMPT)
    assert leave(inside, 0) == 0


def test_without_a_terminal_it_reads_commands(bare: World) -> None:
    done = bare.cli(
        "shell", "t1", "--env", "A=1", "--cwd", "/usr", data=b"shopt -q login_shell && echo login $A $PWD\nexit 5\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (5, b"login 1 /usr\n", b"")
    assert bare.cli("shell", "t9").returncode == 125
    assert bare.cli("shell", "t1", "--network", "all").returncode == 2


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("sh", "-c", "kill -9 $$"), 137),
        (("nothing-of-this-name",), 127),
        (("/hello",), 126),
        (("-x",), 127),
    ],
)
def test_the_status_is_the_commands(bare: World, terminal: Terminal, argv: tuple[str, ...], status: int) -> None:
    terminal.start(bare.command("run", "t1", "--", *argv), bare.environ)
    assert terminal.status() == status, terminal.shown
    assert terminal.settings() == terminal.before


def test_a_timeout_leaves_the_terminal_as_it_was(bare: World, terminal: Terminal) -> None:
    terminal.start(bare.command("run", "t1", "--timeout", "0.3", "--", "sleep", "600"), bare.environ)
    assert terminal.status() == 124
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_leaves_the_terminal_as_it_was(
    bare: World, terminal: Terminal, number: signal.Signals, status: int
) -> None:
    terminal.start(bare.command("run", "t1", "--", "sh", "-c", "echo ready; sleep 600"), bare.environ)
    terminal.until(b"ready\r\n")
    assert terminal.is_raw()
    assert terminal.program is not None
    terminal.program.send_signal(number)
    assert terminal.status() == status
    assert b"Traceback" not in terminal.shown
    assert terminal.settings() == terminal.before


def test_what_cannot_start_on_a_terminal_is_told_there(bare: World, terminal: Terminal) -> None:
    terminal.start(bare.command("shell", "t1", "--cwd", "/nowhere"), bare.environ)
    assert terminal.status() == 2
    assert b"/nowhere" in terminal.shown
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("line", ["{} < /dev/null", "{} | cat", "{} > /dev/null", "{} < /dev/null 2>&1 | cat"])
def test_the_kind_of_terminal_is_told_where_there_is_one(bare: World, terminal: Terminal, line: str) -> None:
    program = " ".join(bare.command("run", "t1", "--", "sh", "-c", "'echo $TERM > /kind'"))
    terminal.start(["sh", "-c", line.format(program)], bare.environ)
    assert terminal.status() == 0
    expected = "" if "2>&1" in line else "xterm"
    assert (bare.workspace() / "kind").read_text() == f"{expected}\n"
