"""Programs that mean to outlive their command, each ended in every way: nothing of them is left.

Each is first shown to live on where it is killed as any process is: in a PID namespace of the test's own, whose first
process is the one that has started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.sandbox.backends.bubblewrap import control
from solven_env.sandbox.launch_plan import encode_plan
from solven_env.sandbox.request import encode_request
from tests.sandbox.hosting import CHECKOUT, LAUNCH
from tests.sandbox.running import ROOT, command, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.running import Box

START = """
import ctypes, os, signal, subprocess, sys, threading, time
def up():
    open("up", "w").close()
def stay():
    while True:
        time.sleep(600)
def child():
    return os.fork() == 0
"""
DAEMONS = {
    "a child that stays": "if child(): stay()",
    "two forks": "if child():\n os.setsid()\n if child(): stay()\n os._exit(0)",
    "a session of its own": "if child(): os.setsid(); stay()",
    "deaf to signals": "if child():\n for each in set(signal.valid_signals()) - {9, 19}: signal.signal(each, signal.SIG_IGN)\n stay()",
    "stopped": "if child(): os.kill(os.getpid(), signal.SIGSTOP)",
    "one that takes orphans": "if child():\n ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n if child():\n  if child(): stay()\n  os._exit(0)\n stay()",
    "a chain of orphans": "if child():\n while True:\n  if os.fork(): os._exit(0)",
    "a storm": "for _ in range(60):\n if child():\n  os.setsid(); stay()",
    "a storm that goes on": "if child():\n while True:\n  if child(): time.sleep(0.05); os._exit(0)\n  time.sleep(0.01)",
    "threads that stay": "if child():\n for _ in range(20): threading.Thread(target=stay).start()",
    "blocked in vfork": "subprocess.Popen(['sh', '-c', 'exec sleep 600'])",
    "with open and removed files": "if child():\n kept = [open(f'/tmp/kept-{os.getpid()}-{each}', 'w') for each in range(50)]\n for each in kept: os.unlink(each.name)\n stay()",
    "under another name": "if child(): ctypes.CDLL(None).prctl(15, b'kworker/0:0', 0, 0, 0); stay()",
    "from memory": "if child():\n made = os.memfd_create('x'); os.write(made, open('/bin/sleep', 'rb').read()); os.execve(made, ['sleep', '600'], {})",
    "in the background of a shell": "subprocess.Popen('nohup sleep 600 >/dev/null 2>&1 & (setsid sleep 600 &)', shell=True)",
}


def text(daemon: str) -> str:
    """The program; its first process stays too, and says when it is up."""
    return f"{START}{DAEMONS[daemon]}\nup()\nstay()"


OUTSIDE = """
import os, signal, subprocess, sys, time
started = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
while not os.path.exists("up"):
    time.sleep(0.01)
started.kill()
started.wait()
print(sum(name.isdigit() and name != "1" for name in os.listdir("/proc")))
"""


@pytest.mark.parametrize("daemon", DAEMONS)
def test_it_lives_on_without_the_wall(tmp_path: Path, daemon: str) -> None:
    rights = () if ROOT else ("--user", "--map-root-user")
    line = ["unshare", *rights, "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*line, "/usr/bin/python3", "-c", OUTSIDE, text(daemon)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 0


def stop(box: Box, launcher: subprocess.Popen[bytes]) -> None:
    control.stop(box.plan.session, box.runtime)


def kill_launcher(box: Box, launcher: subprocess.Popen[bytes]) -> None:
    launcher.kill()


def kill_holder(box: Box, launcher: subprocess.Popen[bytes]) -> None:
    holder = box.holder()
    assert holder is not None
    os.kill(holder, 9)


ENDS: dict[str, Callable[[Box, subprocess.Popen[bytes]], None]] = {
    "stop": stop,
    "launcher": kill_launcher,
    "holder": kill_holder,
}


def start(box: Box, daemon: str, timeout: float | None = None) -> subprocess.Popen[bytes]:
    asked = encode_request(command("python3", "-c", text(daemon), timeout=timeout))
    document = json.dumps({"plan": encode_plan(box.plan), "command": asked})
    line = [sys.executable, "-c", LAUNCH, box.runtime, document]
    return subprocess.Popen(line, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.attack("daemons")
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("daemon", DAEMONS)
def test_nothing_of_it_is_left(box: Box, daemon: str, end: str) -> None:
    with start(box, daemon) as launcher:
        wait_for_file(box.workspace / "up")
        ENDS[end](box, launcher)
        launcher.wait()
    wait_until_alone(box.base.name)


@pytest.mark.attack("daemons")
@pytest.mark.parametrize("daemon", DAEMONS)
def test_nothing_of_it_is_left_when_its_time_is_up(box: Box, daemon: str) -> None:
    for timeout in (0.7, 3.0, 20.0):  # until it has been up before that
        with start(box, daemon, timeout) as launcher:
            assert launcher.wait() == 124
        wait_until_alone(box.base.name)
        if (box.workspace / "up").exists():
            return
    raise AssertionError("it never was up")
