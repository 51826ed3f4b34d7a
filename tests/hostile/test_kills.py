"""SIGKILL at random moments, to each process of the chain in turn: nothing is left, and the next command runs.

`SOLVEN_ENV_TEST_KILLS` sets the number of moments for each (5).
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from solven_env.sandbox import runtime, wire
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.system.effects import drive
from solven_env.system.plain import Socket
from tests.sandbox.running import (
    DEADLINE,
    Box,
    command,
    helpers,
    pids,
    survivors,
    wait_for_file,
    wait_until_alone,
    wait_until_gone,
)

if TYPE_CHECKING:
    from tests.run.world import World

KILLS = int(os.environ.get("SOLVEN_ENV_TEST_KILLS", "5"))
LONGEST = 0.15
"""Seconds after a stage has been reached: the launcher is started, the holder is, the command runs."""
CHECKOUT = Path(__file__).resolve().parents[2]
STRAYS = "(setsid sleep 600 &) ; setsid sleep 600 & "
TEXT = STRAYS + "touch /up; while [ ! -e /go ]; do sleep 0.01; done; exit 8"
SHELL = ("sh", "-c", '"$@"; exit $?', "sh")  # stays, as the launcher's parent

HOLDER = b" import holder; holder.main("

Victim: TypeAlias = Callable[["World", subprocess.Popen[bytes]], None]


def the_shell(world: World, shell: subprocess.Popen[bytes]) -> None:
    shell.kill()


def the_launcher(world: World, shell: subprocess.Popen[bytes]) -> None:
    while is_running(shell):
        if launchers := [pid for pid in of_session(shell.pid) if pid != shell.pid]:
            return kill(launchers)


def the_holder(world: World, shell: subprocess.Popen[bytes]) -> None:
    """Its first stage too. Killed before it took the request it is replaced: then the command may end."""
    every(HOLDER)(world, shell)
    (world.workspace() / "go").touch()


def every(program: bytes) -> Victim:
    """The processes of that program in the session, as soon as there is one."""

    def victim(world: World, shell: subprocess.Popen[bytes]) -> None:
        while is_running(shell):
            if found := survivors(world.base.name, program):
                return kill(found)

    return victim


def helpers_of(world: World) -> list[int]:
    """The network helpers of the session; none while it is being made."""
    found = []
    for holder in survivors(world.base.name, HOLDER):
        with suppress(OSError):
            found += helpers(holder)
    return found


def the_network_helper(world: World, shell: subprocess.Popen[bytes]) -> None:
    """Killed while it is being set up, it keeps the command from starting; afterwards the command goes on without."""
    while is_running(shell):
        if found := helpers_of(world):
            kill(found)
            break
    (world.workspace() / "go").touch()


VICTIMS: dict[str, Victim] = {
    "shell": the_shell,
    "launcher": the_launcher,
    "holder": the_holder,
    "bubblewrap": every(b"/usr/bin/bwrap"),
    "network helper": the_network_helper,
}


def has_begun(world: World) -> bool:
    return True


def has_holder(world: World) -> bool:
    return bool(survivors(world.base.name, HOLDER))


def is_up(world: World) -> bool:
    return (world.workspace() / "up").exists()


STAGES = (has_begun, has_holder, is_up)


def is_running(shell: subprocess.Popen[bytes]) -> bool:
    """Asked in a loop that shall leave the processor to those whom it waits for."""
    with suppress(subprocess.TimeoutExpired):
        shell.wait(timeout=0.005)
    return shell.returncode is None


def kill(victims: Iterable[int]) -> None:
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def of_session(leader: int) -> list[int]:
    """The processes of a shell's session that have not ended: itself and the launcher."""
    found = []
    for pid in pids():
        with suppress(OSError):
            state, _, _, session_id, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(session_id) == leader and state not in "ZX":
                found.append(pid)
    return found


@pytest.fixture
def hangups() -> Iterator[None]:
    """What is started takes SIGHUP as usual, though the tests may run under nohup(1)."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_at_any_moment_leaves_nothing(bare: World, victim: str) -> None:
    """No process, no mount, no file; a namespace is gone with its processes, since nothing else holds it."""
    chance = random.Random(victim)
    for number in range(KILLS):
        line = [*SHELL, *bare.command("run", "t1", "--network", "internet", "--", "sh", "-c", TEXT)]
        shell = subprocess.Popen(line, env=bare.environ, start_new_session=True, stderr=subprocess.DEVNULL)
        bare.started.append(shell)
        reached = STAGES[number % len(STAGES)]
        while not reached(bare) and is_running(shell):
            pass
        with suppress(subprocess.TimeoutExpired):
            shell.wait(timeout=LONGEST * chance.random())
        served = helpers_of(bare)
        VICTIMS[victim](bare, shell)
        status = shell.wait(timeout=DEADLINE)
        assert status in (-signal.SIGKILL, 137, 125, 8), (number, status)
        end = time.monotonic() + DEADLINE
        while left := of_session(shell.pid):
            assert time.monotonic() < end, (number, left)
        wait_until_alone(bare.base.name)
        for helper in served:
            wait_until_gone(helper)
        assert bare.base.name not in Path("/proc/self/mountinfo").read_text()
        assert list((bare.base / "runtime").glob("*/*")) == [], number
        assert bare.sh("rm -f /go /up; exit 9").status == 9, number


def launch(box: Box) -> subprocess.Popen[bytes]:
    arguments = [box.plan.session, str(box.workspace), box.runtime, STRAYS + "sleep 600"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox.launcher", *arguments], cwd=CHECKOUT, stderr=subprocess.DEVNULL
    )


def test_ten_launchers_killed_at_once(box: Box) -> None:
    launchers = [launch(box) for _ in range(10)]
    end = time.monotonic() + DEADLINE
    while len([pid for pid in pids() if _is_sleep(box, pid)]) < 10 * 3:
        assert time.monotonic() < end
    for launcher in launchers:
        launcher.kill()
    for launcher in launchers:
        launcher.wait()
    wait_until_alone(box.base.name)


def _is_sleep(box: Box, pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        return line == b"sleep\x00600\x00" and box.base.name in Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return False


def test_a_launcher_that_misbehaves_ends_no_other_command(box: Box) -> None:
    text = "echo > /up; while [ ! -e /go ]; do :; done; exit 9"
    good = session.document(box.plan, command("sleep", "600"))
    del good["open_files"]
    with session.start(box.plan, command("sh", "-c", text), box.runtime) as kept, open("/dev/null", "r+b") as null:
        wait_for_file(box.workspace / "up")
        streams = (null.fileno(),) * 3
        directory = runtime.open_directory(box.runtime)
        address = runtime.address(directory, runtime.socket_name(box.plan.session))
        requests: list[bytes | dict[str, object]] = [b"junk", b"request", {}, {"plan": {}, "command": []}, {**good}]
        for request in requests * 3:
            with Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                connection.connect(address)
                if isinstance(request, bytes):
                    connection.send(request)
                else:
                    wire.send_request(connection, "request", request, streams)  # and gone, the answers unread
        for kind in ("request", "files", "start", "claim", "ask", "publish", "room", "status", "none"):
            for asked in ({}, [1], {"plan": {}, "command": {}, "process": {}, "ask": 7, "port": "x"}):
                with Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                    connection.connect(address)
                    wire.send_request(connection, kind, asked)  # type: ignore[arg-type]
            with Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                connection.connect(address)
                connection.send(kind.encode())
        os.close(directory)
        assert box.shell("exit 8").status == 8
        (box.workspace / "go").touch()
        assert drive(kept.wait()) == 9


# Kills itself where it is about to call a method of a socket's for the given time.
DEADLY = """
import os, runpy, signal, sys
from solven_env.system.plain import Socket
name, left = sys.argv.pop(1), int(sys.argv.pop(1))
def method(self, *arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return getattr(super(Socket, self), name)(*arguments)
setattr(Socket, name, method)
runpy.run_module("tests.sandbox.launcher", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("method", "time"),
    [("bind", 1), ("listen", 1), ("connect", 3), ("close", 3)],  # it connects twice to find nobody
)
def test_a_launcher_that_is_killed_while_it_makes_a_holder_leaves_no_socket(box: Box, method: str, time: int) -> None:
    arguments = [method, str(time), box.plan.session, str(box.workspace), box.runtime, "exit 8"]
    launcher = subprocess.run([sys.executable, "-c", DEADLY, *arguments], cwd=CHECKOUT, check=False)
    assert launcher.returncode == -signal.SIGKILL
    wait_until_alone(box.base.name)
    assert os.listdir(box.runtime) == []
