"""SIGKILL at random moments, to launcher, holder and bubblewrap: nothing is left, and the next command runs.

`SOLVEN_ENV_KILLS` sets the number of moments for each (20).
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.sandbox import runtime, session, wire
from solven_env.sandbox.plan import encode_command, encode_plan
from tests.sandbox.running import DEADLINE, Box, command, pids, survivors, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS = int(os.environ.get("SOLVEN_ENV_KILLS", "20"))
LONGEST = 0.15
"""Seconds: from before the launcher has imported anything until its command has run for a while."""
CHECKOUT = Path(__file__).resolve().parents[2]
TEXT = "(setsid sleep 600 &) ; setsid sleep 600 & sleep 600"


def launch(box: Box) -> subprocess.Popen[bytes]:
    arguments = [box.plan.session, str(box.workspace), box.runtime, TEXT]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox.launcher", *arguments], cwd=CHECKOUT, stderr=subprocess.DEVNULL
    )


def kill_launcher(box: Box, launcher: subprocess.Popen[bytes]) -> None:
    launcher.kill()


def kill_holder(box: Box, launcher: subprocess.Popen[bytes]) -> None:
    """The holder, its first stage too. Killed before it took the request it is replaced: then the launcher goes."""
    dead: set[int] = set()
    while launcher.poll() is None:
        found = set(survivors(box.base.name, b"solven_env.sandbox"))
        if dead and found - dead:
            launcher.kill()
        for pid in found if not dead else ():
            dead.add(pid)
            kill(pid)


def kill_bubblewrap(box: Box, launcher: subprocess.Popen[bytes]) -> None:
    found: list[int] = []
    while launcher.poll() is None and not found:
        found = survivors(box.base.name, b"/usr/bin/bwrap")
        for pid in found:
            kill(pid)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize("victim", [kill_launcher, kill_holder, kill_bubblewrap])
def test_a_kill_at_any_moment_leaves_nothing(box: Box, victim: Callable[[Box, subprocess.Popen[bytes]], None]) -> None:
    chance = random.Random(victim.__name__)
    for number in range(KILLS):
        launcher = launch(box)
        with suppress(subprocess.TimeoutExpired):
            launcher.wait(timeout=0.03 + LONGEST * chance.random())
        victim(box, launcher)
        status = launcher.wait(timeout=DEADLINE)
        assert status in (-signal.SIGKILL, 137, 1), (number, status)
        wait_until_alone(box.base.name)
        result = box.shell("exit 9")
        assert (result.status, result.err) == (9, b""), number


def test_twenty_launchers_killed_at_once(box: Box) -> None:
    launchers = [launch(box) for _ in range(20)]
    end = time.monotonic() + DEADLINE
    while len([pid for pid in pids() if _is_sleep(box, pid)]) < 20 * 3:
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
    good = {"plan": encode_plan(box.plan), "command": encode_command(command("sleep", "600"))}
    with session.start(box.plan, command("sh", "-c", text), box.runtime) as kept, open("/dev/null", "r+b") as null:
        wait_for_file(box.workspace / "up")
        streams = (null.fileno(),) * 3
        directory = runtime.open_directory(box.runtime)
        address = runtime.address(directory, runtime.socket_name(box.plan.session))
        requests: list[bytes | dict[str, object]] = [b"junk", b"request", {}, {"plan": {}, "command": []}, {**good}]
        for request in requests * 3:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                connection.connect(address)
                if isinstance(request, bytes):
                    connection.send(request)
                else:
                    wire.send_request(connection, request, streams)  # and gone, the answers unread
        os.close(directory)
        assert box.shell("exit 8").status == 8
        (box.workspace / "go").touch()
        assert kept.wait() == 9
