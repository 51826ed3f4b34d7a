"""Which status `run` ends with, and how: the command's own, its streams, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.running import survivors, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from tests.run.world import World


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "exit 125"), 125),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("sh", "-c", "kill -9 $$"), 137),
        (("nothing-of-this-name",), 127),
        (("/nothing/of/this/name",), 127),
        (("/hello",), 126),
        (("/usr",), 126),
        (("--version",), 127),  # a word of the command's, whatever it looks like
        (("-x", "y"), 127),
        (("/no-interpreter",), 127),
    ],
)
def test_the_status_is_the_commands(either: World, argv: tuple[str, ...], status: int) -> None:
    script = either.workspace() / "no-interpreter"
    script.write_text("#!/nothing/of/this/name\n")
    script.chmod(0o755)
    done = either.cli("run", "t1", "--", *argv)
    why = {127: "No such file or directory", 126: "Permission denied"}.get(status)
    told = f"solven-env: failed to execute {argv[0]}: {why}\n" if why else ""
    assert (done.returncode, done.stdout, either.told(done.stderr).decode()) == (status, b"", told)
    assert either.run(*argv).status == status


def test_a_timeout_ends_everything_with_124(either: World) -> None:
    done = either.cli("run", "t1", "--timeout", "0.3", "--", "sh", "-c", "setsid sleep 600 & echo started; sleep 600")
    assert (done.returncode, done.stdout, either.told(done.stderr)) == (
        124,
        b"started\n",
        b"solven-env: limit reached: timeout (0.3 s). Raise --timeout.\n",
    )
    wait_until_alone(either.base.name)
    assert either.run("true", timeout=1e300).status == 0


def test_streams_are_apart_whole_and_the_commands_own(either: World) -> None:
    text = (
        "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data); sys.stderr.buffer.write(data[::-1])"
    )
    data = bytes(range(256)) * 4096
    done = either.cli("run", "t1", "--", "python3", "-c", text, data=data)
    assert (done.returncode, done.stdout, either.told(done.stderr)) == (0, data, data[::-1])


def test_input_and_output_are_streamed(either: World) -> None:
    """Each line is answered before the next one is written, and the end of the input is the end."""
    process = either.start(
        *("run", "t1", "--", "sh", "-c", "while read -r line; do echo got $line; done; echo end"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        process.stdin.write(b"%d\n" % number)
        process.stdin.flush()
        assert process.stdout.readline() == b"got %d\n" % number
    process.stdin.close()
    assert process.stdout.read() == b"end\n"
    assert process.wait() == 0


def test_a_reader_that_goes_away_ends_the_command_as_everywhere(either: World) -> None:
    line = " ".join(["set -o pipefail;", *either.command("run", "t1", "--", "sh", "-c", "'yes'"), "| head -n 2"])
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=either.environ, check=False)
    assert (done.stdout, done.returncode) == (b"y\ny\n", 128 + signal.SIGPIPE)


def test_a_closed_stream_is_empty_and_never_another_file(either: World) -> None:
    line = " ".join([*either.command("run", "t1", "--", "sh", "-c", "'readlink /proc/self/fd/0; cat'"), "<&-"])
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=either.environ, check=False)
    assert (done.returncode, done.stdout) == (0, b"/dev/null\n"), done.stderr
    line = " ".join([*either.command("run", "t1", "--", "sh", "-c", "'echo said; exit 3'"), ">&- 2>&-"])
    assert subprocess.run(["bash", "-c", line], env=either.environ, check=False).returncode == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_the_launcher_ends_everything(either: World, number: signal.Signals, status: int) -> None:
    text = "trap '' INT TERM HUP; setsid sleep 600 & touch /up; sleep 600; sleep 600"
    process = either.start("run", "t1", "--", "sh", "-c", text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_file(either.workspace() / "up")
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (status, b"")
    assert b"Traceback" not in err
    wait_until_alone(either.base.name)


def test_nohup_keeps_its_meaning(either: World) -> None:
    command = either.command("run", "t1", "--", "sh", "-c", "touch /up; read -r _; exit 6")
    process = subprocess.Popen(
        ["nohup", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=either.environ,
    )
    either.started.append(process)
    wait_for_file(either.workspace() / "up")
    process.send_signal(signal.SIGHUP)
    process.communicate(b"\n")
    assert process.returncode == 6


def test_an_interrupted_call_of_the_api_ends_the_command(either: World) -> None:
    """The exception comes from a signal handler, as KeyboardInterrupt does."""
    text = (
        "import solven_env, sys\n"
        f"try: solven_env.run('t1', ['sh', '-c', 'touch /up; sleep 600'], backend='{either.backend}')\n"
        "except KeyboardInterrupt: sys.exit(42)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", text], env=either.environ)
    either.started.append(process)
    wait_for_file(either.workspace() / "up")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 42
    wait_until_alone(either.base.name)


def test_killed_launchers_leave_nothing_and_the_next_run_works(either: World) -> None:
    process = either.start("run", "t1", "--", "sh", "-c", "setsid sleep 600 & touch /up; sleep 600")
    wait_for_file(either.workspace() / "up")
    process.kill()
    process.wait()
    wait_until_alone(either.base.name)
    assert either.run("true").status == 0


def test_a_killed_holder_is_137_and_the_next_run_works(bare: World) -> None:
    process = bare.start("run", "t1", "--", "sh", "-c", "touch /up; sleep 600")
    wait_for_file(bare.workspace() / "up")
    for pid in survivors(bare.base.name, b"solven_env.sandbox"):
        os.kill(pid, signal.SIGKILL)
    assert process.wait() == 137
    wait_until_alone(bare.base.name)
    assert bare.run("true").status == 0


LACKING = b"network: the command tried to reach a name or an address outside, and its network is none. "
PYTHON = "python3 -c 'import socket; {}'"


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("getent hosts example.com", True),
        ("getent ahosts example.com", True),
        (PYTHON.format('socket.getaddrinfo("example.com", 80, flags=socket.AI_ADDRCONFIG)'), True),
        (PYTHON.format('socket.create_connection(("198.51.100.2", 80))'), True),
        (PYTHON.format('socket.create_connection(("2001:db8::1", 80))'), True),
        (PYTHON.format('socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.2", 9))'), True),
        ("getent hosts example.com >/dev/null 2>&1", True),
        ("exec >&- 2>&- <&-; getent hosts example.com", True),
        ("getent hosts example.com; true", False),
        ("false", False),
        ("getent hosts localhost; false", False),
        (PYTHON.format('socket.create_connection(("127.0.0.1", 81))'), False),
        (PYTHON.format('socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 81))') + "; false", False),
        ("nothing-of-this-name", False),
    ],
)
def test_a_download_that_fails_without_a_network_is_explained(bare: World, text: str, is_told: bool) -> None:
    """By what the kernel counts: no stream is read for it, and nothing is written to standard output."""
    done = bare.cli("run", "t1", "--network", "none", "--", "sh", "-c", text)
    assert (LACKING + b"Set sandbox.network" in done.stderr) == is_told, done.stderr
    assert LACKING not in done.stdout
    assert not is_told or done.stderr.endswith(b"--network internet.\n")


def test_it_is_told_of_no_command_that_shared_the_network_with_another(bare: World) -> None:
    """The kernel counts by network: which of the two it was cannot be known."""
    waiting = "until [ -e /tmp/done ]; do sleep 0.05; done; exit 3"
    one = bare.start(
        "run", "t1", "--network", "none", "--", "sh", "-c", f"touch /begun; {waiting}", stderr=subprocess.PIPE
    )
    wait_for_file(bare.workspace() / "begun")
    other = bare.cli(
        "run", "t1", "--network", "none", "--", "sh", "-c", "getent hosts x.example; touch /tmp/done; exit 4"
    )
    _, told = one.communicate()
    assert (one.returncode, other.returncode) == (3, 4)
    assert LACKING not in told + other.stderr
    alone = bare.cli("run", "t1", "--network", "none", "--", "getent", "hosts", "x.example")
    assert LACKING in alone.stderr


@pytest.mark.parametrize("network", ["host"])
def test_with_a_network_nothing_is_told_of_it(bare: World, network: str) -> None:
    done = bare.cli("run", "t1", "--network", network, "--", "sh", "-c", "getent hosts name.invalid; exit 1")
    assert LACKING not in done.stderr
