"""What a command is given and what it gives arrives as it is, by the command line: bytes, streams, sizes, order.

`SOLVEN_ENV_TEST_FLOOD` sets the MiB that go through each stream (64).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.running import survivors, wait_for_file

if TYPE_CHECKING:
    from tests.run.world import World

FLOOD = int(os.environ.get("SOLVEN_ENV_TEST_FLOOD", "64")) << 20
LONGEST = 131_071
ODD = ["", "-n", "--", "a\nb", "\t 'x\" $HOME `id` \\", "ü€", os.fsdecode(b"\xff\xfe=\x01")]


def test_arguments_and_variables_arrive_exactly(bare: World) -> None:
    """Written `VALUE` in an argument, or passed from the caller's own."""
    given = [
        part for number, text in enumerate(ODD) for part in ("--env", f"V{number}={text}", "--env", f"OWN{number}")
    ]
    own: dict[str, Any] = {f"OWN{number}": text for number, text in enumerate(ODD)}
    text = "import os, sys; os.write(1, b'\\0'.join([*map(os.fsencode, sys.argv[1:]), *(os.environb[name.encode()] for name in os.environ['NAMES'].split())]))"
    names = [*(f"V{number}" for number in range(len(ODD))), *own]
    done = bare.cli("run", "t1", *given, "--env", f"NAMES={' '.join(names)}", "--", "python3", "-c", text, *ODD, **own)
    assert done.stdout.split(b"\0") == [os.fsencode(each) for each in ODD * 3], done.stderr


def test_text_for_a_shell_arrives_exactly(bare: World) -> None:
    text = os.fsdecode(b"printf %s '\xff\n \"$x\"'; printf '%s' \"$0\" >&2")
    done = bare.cli("run", "t1", "--shell", text)
    assert (done.stdout, done.stderr) == (b'\xff\n "$x"', b"/bin/bash")


def test_the_longest_argument_and_variable_arrive(bare: World) -> None:
    """The longest that execve(2) takes: `NAME=VALUE`, the end of the text aside."""
    long = "x" * LONGEST
    assert bare.cli("run", "t1", "--", "printf", "%s", long).stdout == long.encode()
    ends = ("printf %s '", "' | wc -c")
    shell = long[: LONGEST - len("".join(ends))].join(ends)
    assert bare.cli("run", "t1", "--shell", shell).stdout == b"%d\n" % (LONGEST - len("".join(ends)))
    value = "x" * (LONGEST - len("LONG="))
    for given in (f"LONG={value}", "LONG"):
        done = bare.cli("run", "t1", "--env", given, "--", "sh", "-c", 'printf %s "$LONG"', LONG=value)
        assert done.stdout == value.encode(), done.stderr


@pytest.mark.parametrize("what", ["command: argument 1", "env: the variable LONG"])
def test_one_that_is_longer_is_an_error_that_says_so(bare: World, what: str) -> None:
    """From Python: no command line can hold it."""
    arguments = "['true', 'x' * 131072]" if "argument" in what else "['true'], env={'LONG': 'x' * 131067}"
    text = f"import solven_env\ntry: solven_env.run('t1', {arguments})\nexcept solven_env.SolvenError as error: print(error)"
    done = subprocess.run(["python3", "-c", text], env=bare.environ, capture_output=True, text=True, check=True)
    assert (
        done.stdout == f"{what} has 131072 bytes, and the kernel takes 131071. Pass it by a file or standard input.\n"
    )


def test_a_line_arrives_while_the_command_runs(bare: World) -> None:
    text = "echo out; echo err >&2; read -r _; echo done"
    process = bare.start("run", "t1", "--", "sh", "-c", text, stdin=-1, stdout=-1, stderr=-1)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    assert (process.stdout.readline(), process.stderr.readline()) == (b"out\n", b"err\n")
    assert process.communicate(b"\n") == (b"done\n", b"")


def test_a_flood_passes_and_costs_no_memory(bare: World) -> None:
    """Through a pipe both ways; the peaks (VmHWM) are those of the launcher and of the holder afterwards."""
    text = f"touch /up; head -c {FLOOD} /dev/zero; cat | wc -c >&2; touch /down; exec sleep 600"
    process = bare.start(
        "run", "t1", "--", "sh", "-c", text, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    wait_for_file(bare.workspace() / "up")
    holders = survivors(bare.base.name, b"solven_env.sandbox")
    before = sum(map(peak, [process.pid, *holders]))
    left = FLOOD
    while left:
        left -= len(process.stdout.read1(1 << 20))  # type: ignore[attr-defined]
    for _ in range(FLOOD >> 20):
        process.stdin.write(bytes(1 << 20))
    process.stdin.close()
    assert int(process.stderr.readline()) == FLOOD
    assert sum(map(peak, [process.pid, *holders])) - before < 1 << 20
    process.kill()


def peak(pid: int) -> int:
    """Bytes of memory that a process had at most."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def test_a_command_that_reads_nothing_does_not_hang(bare: World) -> None:
    assert bare.cli("run", "t1", "--", "true", data=bytes(4 << 20)).returncode == 0
    endless = bare.start("run", "t1", "--", "true", stdin=subprocess.PIPE)
    assert endless.wait() == 0


def test_no_descriptor_of_the_callers_is_inside(bare: World) -> None:
    secret = bare.base / "secret"
    secret.write_text("secret")
    with secret.open() as opened:
        os.set_inheritable(opened.fileno(), True)
        line = [*bare.command("run", "t1", "--", "sh", "-c", "readlink /proc/self/fd/* /proc/1/fd/* | sort -u; true")]
        done = subprocess.run(
            line, env=bare.environ, stdin=subprocess.DEVNULL, capture_output=True, close_fds=False, check=True
        )
    seen = done.stdout.decode().splitlines()
    assert all(each == "/dev/null" or each.startswith(("pipe:", "/proc/")) for each in seen), seen


def test_tmp_is_the_sessions_alone(thread: World) -> None:
    """Not the host's, not another thread's, and gone with the session."""
    thread.apply("t2")
    keeper = thread.start("run", "t1", "--", "sh", "-c", "echo mine > /tmp/note; touch /up; exec sleep 600")
    wait_for_file(thread.workspace() / "up")
    assert thread.out("cat /tmp/note") == "mine\n"
    assert thread.sh("cat /tmp/note", thread="t2").status == 1
    assert not os.path.exists("/tmp/note")
    keeper.kill()
