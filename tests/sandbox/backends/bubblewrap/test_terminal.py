"""Commands on a terminal: what it shows, what is typed, which signals reach whom, and what a command cannot do to it."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import termios
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from solven_env.sandbox.backends.bubblewrap import session
from tests.sandbox.running import POLL, command, wait_for_file, wait_until_gone
from tests.sandbox.terminals import Terminal, launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.running import Box

WAIT = "sleep 600 & wait"
HELD = "mkfifo -m 666 /held; echo ready; read x < /held"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as made:
        yield made


def outer(box: Box, text: str, line: str) -> list[str]:
    """A shell outside that runs `line`, in which LAUNCHER stands for the words that run `text` inside."""
    return ["sh", "-c", line.replace("LAUNCHER", shlex.join(launcher(box, text)))]


def let_go(box: Box) -> None:
    """End a command that is HELD."""
    (box.workspace / "held").write_text("\n")


def test_the_command_has_a_terminal_of_its_own(box: Box, terminal: Terminal) -> None:
    host = os.fstat(terminal.slave)
    text = (
        "tty; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; ls /dev/pts; stat -c %d /dev/pts/0;"
        "cd /proc/self/fd; echo *; "
        "echo $(ps -o tty= -p $$) $(ps -o sid= -p $$) $$; echo here > /dev/tty; echo there > /dev/stderr"
    )
    terminal.start(launcher(box, text))
    assert terminal.status() == 0
    lines = terminal.shown.decode().split()
    assert lines[:4] == ["/dev/pts/0"] * 4
    assert lines[4:6] == ["0", "ptmx"]
    assert int(lines[6]) != host.st_dev
    assert lines[7:11] == ["0", "1", "2", "3"]  # the last one is the shell's own open directory
    assert lines[11:] == ["pts/0", "2", "2", "here", "there"]


def test_its_size_and_changes_of_it(box: Box, terminal: Terminal) -> None:
    terminal.resize(31, 97)
    terminal.start(launcher(box, f"stty size; trap 'stty size; exit 5' WINCH; echo ready; {WAIT}"))
    assert b"31 97\r\n" in terminal.until(b"ready\r\n")
    terminal.resize(40, 120)
    terminal.until(b"40 120\r\n")
    assert terminal.status() == 5


def test_off_the_main_thread(box: Box, terminal: Terminal) -> None:
    """Where no signal is heard, the size is looked at again and again."""
    program = (
        "import sys, threading\n"
        "from tests.sandbox import launcher\n"
        "thread = threading.Thread(target=lambda: print('status', launcher.run(*sys.argv[1:]), end='.'))\n"
        "thread.start(); thread.join()\n"
    )
    text = f"trap 'stty size; read x; echo got $x; exit 5' WINCH; echo ready; {WAIT}"
    terminal.start([sys.executable, "-c", program, *launcher(box, text)[3:]])
    terminal.until(b"ready\r\n")
    terminal.resize(40, 120)
    terminal.until(b"40 120\r\n")
    terminal.type(b"it\r")
    terminal.until(b"got it\r\nstatus 5\\.")
    assert terminal.status() == 0
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"trap 'exit 7' INT; echo ready; {WAIT}", 7),
        ("echo ready; exec sleep 600", 130),
        ("sh -c 'echo ready; exec sleep 600'; echo $?", 130),
        ("trap 'echo caught' INT; sh -c 'echo ready; exec sleep 600'; exit 9", 9),
    ],
)
def test_control_c_reaches_the_command_and_its_status_is_kept(
    box: Box, terminal: Terminal, text: str, status: int
) -> None:
    terminal.start(launcher(box, text))
    terminal.until(b"ready\r\n")
    terminal.type(b"\x03")
    assert terminal.status() == status
    assert terminal.settings() == terminal.before


def test_the_keyboard_is_raw_meanwhile_and_as_it_was_afterwards(box: Box, terminal: Terminal) -> None:
    terminal.start(launcher(box, "stty raw -echo; stty -a; echo ready; read x; echo $x; exit 3"))
    assert b"-icanon" in terminal.until(b"ready\n")
    assert terminal.is_raw()
    terminal.type(b"x\n")
    assert terminal.status() == 3
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_to_the_launcher_leaves_the_terminal_as_it_was(
    box: Box, terminal: Terminal, number: signal.Signals
) -> None:
    terminal.start(launcher(box, "echo ready; sleep 600"))
    terminal.until(b"ready\r\n")
    assert terminal.is_raw()
    assert terminal.program is not None
    terminal.program.send_signal(number)
    assert terminal.status() == -number
    assert terminal.settings() == terminal.before


def test_a_killed_launcher_ends_the_command(box: Box, terminal: Terminal) -> None:
    terminal.start(launcher(box, "trap '' HUP; echo ready; sleep 600; sleep 600"))
    terminal.until(b"ready\r\n")
    holder = box.holder()
    assert holder is not None
    assert terminal.program is not None
    terminal.program.kill()
    wait_until_gone(holder)


def test_a_killed_holder_is_137(box: Box, terminal: Terminal) -> None:
    terminal.start(launcher(box, "echo ready; sleep 600"))
    terminal.until(b"ready\r\n")
    holder = box.holder()
    assert holder is not None
    os.kill(holder, signal.SIGKILL)
    assert terminal.status() == 137
    assert terminal.settings() == terminal.before
    assert box.run("true").status == 0


def test_what_was_typed_before_the_start_arrives(box: Box, terminal: Terminal) -> None:
    terminal.type(b"early\rhal")
    terminal.start(launcher(box, "read x; echo got $x; read x; echo got $x"))
    terminal.until(b"got early\r\n")
    terminal.type(b"f\r")
    terminal.until(b"got half\r\n")
    assert terminal.status() == 0


def test_what_was_typed_after_the_end_is_the_next_programs(box: Box, terminal: Terminal) -> None:
    """The launcher is held while both come: the end of the command, and the keys."""
    terminal.start(outer(box, f"stty -echo; {HELD}", "LAUNCHER; read x; echo outside $x; exit 4"))
    terminal.until(b"ready\r\n")
    holder = box.holder()
    assert holder is not None
    (child,) = _children(terminal)
    os.kill(child, signal.SIGSTOP)
    let_go(box)
    wait_until_gone(holder)
    terminal.type(b"late\n")
    os.kill(child, signal.SIGCONT)
    terminal.until(b"outside late\r\n")
    assert terminal.status() == 4


def _children(terminal: Terminal) -> list[int]:
    assert terminal.program is not None
    pid = terminal.program.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(each) for each in file.read().split()]


def test_a_pipe_on_one_side_stays_a_pipe(box: Box, terminal: Terminal) -> None:
    kinds = "for n in 0 1 2; do [ -t $n ] && echo $n is >&2; done; stat -L -c %F /proc/self/fd/0 >&2"
    terminal.start(outer(box, f"{kinds}; cat; exit 6", "printf 'a\\nb\\n' | LAUNCHER"))
    assert terminal.status() == 6
    assert terminal.shown == b"1 is\r\n2 is\r\nfifo\r\na\r\nb\r\n"
    assert terminal.settings() == terminal.before


def test_output_into_a_pipe(box: Box, terminal: Terminal) -> None:
    """Who reads the pipe writes on the same terminal, as do we."""
    text = (
        "for n in 0 1 2; do [ -t $n ] && echo $n is >&2; done; stty -echo; echo ready >&2; read x;"
        "echo got $x; tty; cat > /dev/null"
    )
    terminal.start(outer(box, text, "LAUNCHER | sed 's/^/> /'"))
    assert terminal.until(b"ready\r\n") == b"0 is\r\n2 is\r\nready\r\n"
    terminal.type(b"it\r\x04")
    assert terminal.status() == 0
    assert terminal.shown == b"> got it\r\n> /dev/pts/0\r\n"
    assert terminal.settings() == terminal.before


def test_a_pager_that_has_the_keyboard_keeps_it(box: Box, terminal: Terminal) -> None:
    """Whoever reads single keys has set the terminal so before the launcher came."""
    line = "stty -icanon -echo; LAUNCHER | { read x < /dev/tty; echo pager read $x; cat; }"
    terminal.start(outer(box, HELD.replace("ready", "ready >&2"), line))
    terminal.until(b"ready\r\n")
    terminal.type(b"q\r")
    terminal.until(b"pager read q\r\n")
    let_go(box)
    assert terminal.status() == 0


def test_control_c_without_a_keyboard_ends_the_launcher_and_all(box: Box, terminal: Terminal) -> None:
    terminal.start(outer(box, "trap '' INT; echo ready; sleep 600", "LAUNCHER < /dev/null"))
    terminal.until(b"ready\r\n")
    terminal.type(b"\x03")
    assert terminal.status() in (-signal.SIGINT, 130)
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("size", [1, 4096, 3_000_001])
def test_all_output_is_shown_before_the_status(box: Box, terminal: Terminal, size: int) -> None:
    terminal.start(launcher(box, f"head -c {size} /dev/zero | tr '\\0' x; printf END"))
    assert terminal.status() == 0
    assert terminal.shown == b"x" * size + b"END"


def test_much_input_and_output_at_once(box: Box, terminal: Terminal) -> None:
    size = 300_000
    terminal.start(launcher(box, f"stty raw -echo; echo ready; head -c {size} | tee /dev/stderr | cksum"))
    terminal.until(b"ready\n")
    data = bytes(range(256)) * (size // 256 + 1)
    terminal.type(data[:size])
    assert terminal.status() == 0
    assert terminal.shown.startswith(data[:size])
    assert terminal.shown.endswith(b" 300000\n")


def test_a_terminal_that_was_closed_can_be_opened_again(box: Box, terminal: Terminal) -> None:
    terminal.start(launcher(box, "exec < /dev/null > /dev/null 2>&1; echo back > /dev/tty; read x < /dev/tty; exit $x"))
    terminal.until(b"back\r\n")
    terminal.type(b"8\r")
    assert terminal.status() == 8


def test_a_command_cannot_reach_the_callers_terminal(box: Box, terminal: Terminal) -> None:
    """It pushes input into every terminal that it finds, and sets each to silence."""
    push = (
        "import fcntl, glob, os, termios\n"
        "found = [0, 1, 2]\n"
        "for path in ['/dev/tty', '/dev/console', *glob.glob('/dev/pts/[0-9]*'), *glob.glob('/proc/*/fd/*')]:\n"
        "    try: found.append(os.open(path, os.O_RDWR))\n"
        "    except OSError: pass\n"
        "for each in found:\n"
        "    try:\n"
        "        for byte in b'echo evil\\n': fcntl.ioctl(each, termios.TIOCSTI, bytes([byte]))\n"
        "    except OSError: pass\n"
        "    os.system(f'stty -echo -opost raw <&{each} 2>/dev/null')\n"
    )
    (box.workspace / "push.py").write_text(push)
    line = "LAUNCHER; echo over; read x; echo outside $x; exit 4"
    terminal.start(outer(box, "setsid -w python3 /push.py; python3 /push.py", line))
    terminal.until(b"over\r\n")
    assert terminal.settings() == terminal.before
    terminal.type(b"mine\r")
    terminal.until(b"outside mine\r\n")
    assert terminal.status() == 4


def test_two_commands_have_two_terminals(box: Box, terminal: Terminal) -> None:
    made = [box.workspace / name for name in ("first", "second")]
    with ExitStack() as stack:
        for number, path in enumerate(made):
            text = f"tty > /made; mv /made /{path.name}; sleep 600"
            stack.enter_context(session.start(box.plan, command("sh", "-c", text, stdin=terminal.slave), box.runtime))
            wait_for_file(path)
            assert path.read_text() == f"/dev/pts/{number}\n"


@pytest.mark.parametrize("by", [signal.SIGTSTP, signal.SIGSTOP])
def test_a_stopped_launcher_gives_the_keyboard_back_and_takes_it_again(
    box: Box, terminal: Terminal, by: signal.Signals
) -> None:
    terminal.start(["bash", "--norc", "--noprofile", "-i"])
    terminal.until(b"outer> ")
    text = f"trap 'echo caught; exit 7' INT; stty -echo; echo ready; {WAIT}"
    terminal.type(shlex.join(launcher(box, text)).encode() + b"\r")
    terminal.until(b"ready\r\n")
    assert terminal.is_raw()
    os.killpg(terminal.foreground(), by)
    terminal.until(b"Stopped.*\n(.|\n)*outer> ")
    terminal.type(b"stty -a\r")
    assert b" icanon" in terminal.until(b"echoke.*\n")
    terminal.type(b"fg > /dev/null\r")
    terminal.until(b"\n")
    while not terminal.is_raw():
        time.sleep(POLL)
    terminal.type(b"\x03")
    terminal.until(b"caught\r\n")
    terminal.until(b"outer> ")
    terminal.type(b"echo status $?\r")
    terminal.until(b"status 7\r\n(.|\n)*outer> ")
    terminal.type(b"exit\r")
    assert terminal.status() == 0
    assert terminal.settings() == terminal.before


def test_in_the_background_it_runs_and_leaves_the_keyboard_alone(box: Box, terminal: Terminal) -> None:
    terminal.start(["bash", "--norc", "--noprofile", "-i"])
    terminal.until(b"outer> ")
    text = "stty -echo; echo rea''dy; read x; echo got $x"
    terminal.type(shlex.join(launcher(box, text)).encode() + b" &\r")
    terminal.until(b"ready\r\n")
    terminal.type(b"echo mine\r")
    terminal.until(b"\nmine\r\n|mine\r\n.*mine\r\n")
    terminal.type(b"fg > /dev/null\r")
    terminal.until(b"\n")
    while not terminal.is_raw():
        time.sleep(POLL)
    terminal.type(b"its\r")
    terminal.until(b"got its\r\n")
    terminal.until(b"outer> ")
    terminal.type(b"exit\r")
    assert terminal.status() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before
