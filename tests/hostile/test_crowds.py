"""Many at once: commands of one thread, threads of one host, commands beyond the limit of open files. None is lost.

`SOLVEN_ENV_TEST_CROWD` sets the number of threads (40).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.sandbox.backends.bubblewrap import session
from solven_env.system.effects import drive
from tests.sandbox.running import command, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.sandbox.running import Box

COMMANDS = 64
THREADS = int(os.environ.get("SOLVEN_ENV_TEST_CROWD", "40"))
CHECKOUT = Path(__file__).resolve().parents[2]
TEXT = "cat; echo $1 >&2; mkdir -p /made; cat /proc/sys/kernel/random/uuid > /made/$1; cat /made/$1; exit $1"


def run_all(boxes: Sequence[Box]) -> None:
    """Run a command in each, all at once, each with an input, an output, an error, a file and a status of its own."""
    barrier = threading.Barrier(len(boxes))

    def run(number: int) -> None:
        data = os.urandom(65536).hex().encode()
        barrier.wait()
        done = boxes[number].run("sh", "-c", TEXT, "sh", str(number), data=data)
        made = (boxes[number].workspace / "made" / str(number)).read_bytes()
        assert (done.status, done.out, done.err) == (number, data + made, f"{number}\n".encode())

    with ThreadPoolExecutor(len(boxes)) as pool:
        list(pool.map(run, range(len(boxes))))


def test_commands_of_one_thread(box: Box) -> None:
    run_all([box] * COMMANDS)
    assert len(list((box.workspace / "made").iterdir())) == COMMANDS


def test_threads_of_one_host(box: Box) -> None:
    """Each has a holder of its own."""
    neighbours = [box.neighbour(str(number)) for number in range(THREADS)]
    run_all(neighbours)
    assert all(len(list(each.workspace.glob("made/*"))) == 1 for each in neighbours)


def test_more_commands_than_descriptors_wait_for_each_other(box: Box) -> None:
    with first_launcher(box):
        run_all([box] * 16)
        assert len(list((box.workspace / "made").iterdir())) == 16


def test_a_command_has_its_own_callers_limit_of_open_files(box: Box) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with first_launcher(box) as holder:
        (line,) = (line for line in Path(f"/proc/{holder}/limits").read_text().splitlines() if "open files" in line)
        assert line.split()[3:5] == ["90", "90"]
        assert box.shell("ulimit -n").out == b"%d\n" % min(soft, 90)
    assert (box.workspace / "up").read_bytes() == b"70\n"


def test_one_that_waits_for_room_can_be_interrupted(box: Box) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with first_launcher(box), session.start(box.plan, command("sleep", "600"), box.runtime) as other:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(KeyboardInterrupt):
                box.run("true")
            other.kill()
            drive(other.wait())
    finally:
        signal.signal(signal.SIGALRM, before)


@contextmanager
def first_launcher(box: Box) -> Iterator[int]:
    """The one whose limits the holder inherits, a low hard one and a lower soft one; the holder."""
    text = "ulimit -n > /limit; mv /limit /up; while [ ! -e /go ]; do sleep 0.01; done"
    arguments = [box.plan.session, str(box.workspace), box.runtime, text]
    line = [sys.executable, "-m", "tests.sandbox.launcher", *arguments]
    limited = ["sh", "-c", 'ulimit -Sn 70; ulimit -Hn 90; exec "$@"', "sh", *line]
    with subprocess.Popen(limited, cwd=CHECKOUT) as launcher:
        try:
            wait_for_file(box.workspace / "up")
            holder = box.holder()
            assert holder is not None
            yield holder
        finally:
            (box.workspace / "go").touch()
    assert launcher.returncode == 0
