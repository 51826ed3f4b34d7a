"""What becomes of a command when the process ends that started its `solven-env run`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.running import survivors, wait_for_file, wait_until_alone, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World

COMMAND = ("run", "t1", "--", "sh", "-c", "touch /up; while [ ! -e /go ]; do sleep 0.01; done; touch /done")


def start_below(world: World, *shell: str) -> subprocess.Popen[bytes]:
    """A shell of a session of its own, once its command runs."""
    line = [*shell, *world.command(*COMMAND)]
    process = subprocess.Popen(line, env=world.environ, start_new_session=True, stderr=subprocess.DEVNULL)
    world.started.append(process)
    wait_for_file(world.workspace() / "up")
    return process


@pytest.fixture(autouse=True)
def hangups() -> Iterator[None]:
    """What is started takes SIGHUP as usual, though the tests may run under nohup(1)."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


def test_a_killed_shell_takes_the_command_with_it(bare: World) -> None:
    shell = start_below(bare, "sh", "-c", '"$@"; exit $?', "sh")
    shell.kill()
    shell.wait()
    wait_until_alone(bare.base.name)
    assert not (bare.workspace() / "done").exists()


def test_a_command_below_nohup_outlives_its_shell(bare: World) -> None:
    shell = start_below(bare, "sh", "-c", 'nohup "$@" >/dev/null; exit $?', "sh")
    shell.kill()
    shell.wait()
    (holder,) = survivors(bare.base.name, b" import holder; holder.main(")
    (bare.workspace() / "go").touch()
    wait_for_file(bare.workspace() / "done")
    wait_until_gone(holder)
    assert os.listdir(bare.base / "runtime/solven-env") == []


def test_a_command_outlives_the_thread_that_started_it(bare: World) -> None:
    """The kernel tells of a parent's end when its thread ends (PR_SET_PDEATHSIG in prctl(2))."""
    text = (
        "import os, subprocess, sys, threading\n"
        "started = []\n"
        "def start():\n"
        "    started.append(subprocess.Popen(sys.argv[1:]))\n"
        f"    while not os.path.exists({str(bare.workspace() / 'up')!r}): os.sched_yield()\n"
        "thread = threading.Thread(target=start)\n"
        "thread.start()\n"
        "thread.join()\n"
        f"open({str(bare.workspace() / 'go')!r}, 'w').close()\n"
        "sys.exit(started[0].wait())\n"
    )
    process = start_below(bare, sys.executable, "-c", text)
    assert process.wait() == 0
    assert (bare.workspace() / "done").exists()
    assert os.listdir(bare.base / "runtime/solven-env") == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -2)])
def test_a_signal_that_comes_in_a_finalizer_is_not_lost(number: int, status: int) -> None:
    """Python drops the exception there."""
    text = (
        "import signal, sys, time\n"
        "from solven_env.cli.run import end_with_us\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "end_with_us()\n"
        "class Finalized:\n"
        "    def __del__(self):\n"
        f"        signal.raise_signal({int(number)})\n"
        "Finalized()\n"
        "time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, timeout=30, check=False)
    assert done.returncode == status
    assert b"Exception ignored" not in done.stderr
