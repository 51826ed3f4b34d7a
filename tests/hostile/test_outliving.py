"""Processes that outlive their callers: killed parts, callers that come and go, and commands that print without end."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import NoProcessError
from tests.sandbox.running import DEADLINE, survivors, wait_until_alone, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.programs.blocking import Process
    from tests.run.world import World

KILLS = int(os.environ.get("SOLVEN_ENV_TEST_KILLS", "3"))


@pytest.fixture
def sandbox(bare: World) -> Iterator[solven_env.Sandbox]:
    with solven_env.Sandbox.connect("t1", storage=bare.storage, keep_alive=0) as made:
        yield made
    assert survivors(bare.base.name) == []


def keepers(world: World, count: int) -> list[int]:
    """The children of the session's holder that are holders by their words, once there are so many of them.

    A command that is just starting is one too.
    """
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        found = survivors(world.base.name, b" import holder; holder.main(")
        forked = [pid for pid in found if _parent(pid) in found]
        if len(forked) == count:
            return forked
    raise AssertionError(forked)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_keeper_that_is_killed_takes_its_process_along_and_says_so(sandbox: solven_env.Sandbox, bare: World) -> None:
    other = sandbox.start("sleep 600")
    before = keepers(bare, 1)
    process = sandbox.start("(setsid sleep 601 &); sleep 601")
    (killed,) = set(keepers(bare, 2)) - set(before)
    waiting = threading.Timer(0.1, os.kill, (killed, signal.SIGKILL))
    waiting.start()
    with pytest.raises(NoProcessError):
        process.wait()
    with pytest.raises(NoProcessError):
        process.poll()
    assert other.poll() is None
    for pid in survivors(bare.base.name, b"601"):
        wait_until_gone(pid)
    assert [each.id for each in sandbox.processes()] == [other.id]


def test_a_holder_that_is_killed_leaves_nothing(sandbox: solven_env.Sandbox, bare: World) -> None:
    process = sandbox.start("(setsid sleep 600 &); sleep 600")
    found = survivors(bare.base.name, b" import holder; holder.main(")
    os.kill(next(pid for pid in found if _parent(pid) not in found), signal.SIGKILL)
    with pytest.raises(NoProcessError):
        process.wait()
    wait_until_alone(bare.base.name)
    assert sandbox.processes() == ()


def test_callers_that_are_killed_leave_only_what_they_knew_of(sandbox: solven_env.Sandbox, bare: World) -> None:
    text = (
        "import solven_env, sys\n"
        f"box = solven_env.Sandbox.connect('t1', storage={str(bare.storage)!r})\n"
        "box.run('true')\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    process = box.start('cat; sleep 600', pty=(3, 4))\n"
        "    print(process.id, flush=True)\n"
        "    process.send_stdin('x' * 100)\n"
        "    next(iter(process))\n"
        "    process.kill()\n"
        "    print('-' + process.id, flush=True)\n"
    )
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env={**os.environ, **bare.environ}
        ) as caller:
            assert caller.stdout is not None
            assert caller.stdout.readline() == "ready\n"
            time.sleep(random.random() * 0.3)
            caller.kill()
            known = set(caller.stdout.read().split())
        time.sleep(0.05)
        running = {each.id for each in sandbox.processes() if each.exit_code is None}
        assert len(running) <= 1, (running, known)
        for each in running:
            assert sandbox.process(each).kill() in (True, False)


def test_a_gibibyte_holds_nobody_up_and_is_kept_in_bounds(sandbox: solven_env.Sandbox, bare: World) -> None:
    process = sandbox.start("head -c 1073741824 /dev/zero; echo end; head -c 300000 /dev/zero >&2; exit 5")
    (keeper,) = keepers(bare, 1)
    done = process.wait()
    assert (done.exit_code, done.truncated, len(done.stdout_bytes)) == (5, True, 1 << 20)
    assert done.stdout_bytes.endswith(b"\0end\n")
    assert len(done.stderr_bytes) == 300_000
    about = dict(line.split(":\t") for line in Path(f"/proc/{keeper}/status").read_text().splitlines() if ":\t" in line)
    assert int(about["RssAnon"].split()[0]) < 24 << 10
    assert sandbox.start("echo lost", max_output=0).wait().truncated


def test_a_stream_that_another_command_keeps_open_ends_with_its_process(
    sandbox: solven_env.Sandbox, bare: World
) -> None:
    """The writing end is handed to a command that goes on, and writes for ever."""
    bare.workspace().joinpath("take.py").write_text(
        "import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('/tmp/s')\ns.listen()\n"
        "c, _ = s.accept()\n_, fds, _, _ = socket.recv_fds(c, 1, 1)\nprint('has it', flush=True)\n"
        "while True: os.write(fds[0], b'x' * 60000)\n"
    )
    bare.workspace().joinpath("give.py").write_text(
        "import socket, time\nfor _ in range(200):\n  try:\n    c = socket.socket(socket.AF_UNIX); c.connect('/tmp/s')\n"
        "    break\n  except OSError: time.sleep(0.02)\nsocket.send_fds(c, [b'x'], [1])\ntime.sleep(0.2)\n"
    )
    taker = sandbox.start(["python3", "/take.py"])
    giver = sandbox.start(["python3", "/give.py"])
    assert giver.wait(timeout=DEADLINE).exit_code == 0
    assert giver.poll() == 0
    assert taker.wait(timeout=DEADLINE).exit_code != 0  # EPIPE: nobody reads
    assert taker.wait().stdout == "has it\n"


def test_input_that_nobody_reads_waits_at_its_caller(sandbox: solven_env.Sandbox) -> None:
    process = sandbox.start("read line; sleep 600")
    sender = threading.Thread(target=_send_much, args=(process,))
    sender.start()
    sender.join(0.5)
    assert sender.is_alive()
    assert process.poll() is None
    assert process.kill()
    sender.join(DEADLINE)
    assert not sender.is_alive()


def _send_much(process: Process) -> None:
    with contextlib.suppress(BrokenPipeError, NoProcessError):
        process.send_stdin(b"x" * (16 << 20))
