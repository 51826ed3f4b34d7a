"""A session that stays after its commands, is looked at, and is ended, whatever its holder does."""

from __future__ import annotations

import os
import random
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox import runtime
from solven_env.sandbox.backends.bubblewrap import control, session
from solven_env.sandbox.launch_plan import Bind
from solven_env.sandbox.runtime import SessionState
from solven_env.system.effects import drive
from tests.sandbox.running import DEADLINE, Box, command, pids, wait_for_file, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

STRAY = "(setsid sleep 600 &); setsid sleep 600 & touch /up; sleep 600"


@pytest.fixture
def kept(box: Box) -> Iterator[Box]:
    """A session that stays until the test ends."""
    assert box.shell("echo kept > /tmp/note", keep_alive=3600.0).status == 0
    yield box
    control.stop(box.plan.session, box.runtime)


def look(box: Box) -> SessionState | None:
    return control.look(box.plan.session, box.runtime)


def stop(box: Box) -> bool:
    return control.stop(box.plan.session, box.runtime)


def test_a_kept_session_is_the_next_commands_too(kept: Box) -> None:
    holder = kept.holder()
    assert kept.shell("cat /tmp/note").out == b"kept\n"
    assert kept.but(network="host").shell("cat /tmp/note").out == b"kept\n"
    assert holder is not None
    assert kept.holder() == holder


def test_a_session_that_nobody_keeps_longer_ends_by_itself(box: Box) -> None:
    assert box.shell("true", keep_alive=0.2).status == 0
    holder = box.holder()
    if holder is not None:  # else it has ended already
        wait_until_gone(holder)
    assert os.listdir(box.runtime) == []


def test_of_several_ends_the_latest_counts(kept: Box) -> None:
    holder = kept.holder()
    for seconds in (0.0, 0.01):
        assert kept.shell("true", keep_alive=seconds).status == 0
        state = look(kept)
        assert state is not None
        assert state.keep_alive is not None
        assert state.keep_alive > 3000
    assert kept.holder() == holder


def test_a_kept_session_shows_what_stands_there_now(kept: Box) -> None:
    shared = kept.base / "shared"
    mine = kept.but(mounts=(*kept.plan.mounts, Bind("/.skills", str(shared), beneath="skills", optional=True)))
    shared.mkdir()
    assert mine.shell("ls -A /.skills").status == 2
    for content in ("one", "two"):
        (shared / "skills").mkdir()
        (shared / "skills" / content).touch()
        assert mine.shell("ls -A /.skills").out == f"{content}\n".encode()
        (shared / "skills").rename(shared / content)
    workspace = kept.workspace.rename(kept.base / "old")
    kept.workspace.mkdir()
    os.chown(kept.workspace, workspace.stat().st_uid, workspace.stat().st_gid)
    assert mine.shell("echo > /new; cat /tmp/note").out == b"kept\n"
    assert "new" in os.listdir(kept.workspace)


def test_a_link_planted_in_a_kept_session_is_not_followed(kept: Box) -> None:
    victim = kept.base / "victim"
    victim.mkdir(mode=0o777)
    kept.shell(f"ln -s {victim} /.skills")
    planted = kept.but(mounts=(*kept.plan.mounts, Bind("/.skills/system", "/usr")))
    with pytest.raises(SandboxError, match="link"):
        planted.run("true")
    assert os.listdir(victim) == []
    assert kept.shell("rm /.skills; cat /tmp/note").out == b"kept\n"


def test_a_session_says_how_it_is(box: Box) -> None:
    assert look(box) is None
    assert not os.path.exists(box.runtime)
    with ExitStack() as stack:
        for count in (1, 2):
            stack.enter_context(session.start(box.plan, command("sleep", "600", keep_alive=7.0), box.runtime))
            state = look(box)
            assert state is not None
            assert (state.answers, state.commands, state.keep_alive) == (True, count, 7.0)
            assert state.age is not None
            assert 0 < state.age < DEADLINE
        assert box.shell("exit 3").status == 3  # the session goes on after the question
    stop(box)
    assert look(box) is None


def test_a_session_that_hangs_holds_nobody_up(kept: Box) -> None:
    holder = kept.holder()
    assert holder is not None
    os.kill(holder, signal.SIGSTOP)
    assert look(kept) == SessionState(answers=False)
    with ExitStack() as stack:  # nor one that so many wait for that no more can
        directory = runtime.open_directory(kept.runtime)
        stack.callback(os.close, directory)
        address = runtime.address(directory, runtime.socket_name(kept.plan.session))
        with pytest.raises(BlockingIOError):
            while True:
                connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                connection.setblocking(False)
                connection.connect(address)
        assert look(kept) == SessionState(answers=False)
        assert stop(kept)
        assert os.listdir(kept.runtime) == []
    assert kept.shell("cat /tmp/note").status == 1


@pytest.mark.parametrize("state", ["working", "hanging", "without a socket"])
def test_stop_ends_a_session_with_all_its_commands(box: Box, state: str) -> None:
    others = box.neighbour("other")
    with (
        session.start(others.plan, command("sleep", "600"), box.runtime) as other,
        session.start(box.plan, command("sh", "-c", STRAY), box.runtime) as first,
        session.start(box.plan, command("sleep", "600"), box.runtime) as second,
    ):
        wait_for_file(box.workspace / "up")
        holder = box.holder()
        assert holder is not None
        inside = {pid for pid in pids() if is_beneath(pid, holder)}
        assert len(inside) >= 7  # the holder, two bubblewraps of two processes each, and four sleeps
        if state == "hanging":
            os.kill(holder, signal.SIGSTOP)
        if state == "without a socket":
            os.unlink(os.path.join(box.runtime, runtime.socket_name(box.plan.session)))
        assert stop(box)
        assert not [pid for pid in inside if parent(pid)]
        assert len(os.listdir(box.runtime)) == 1
        assert [drive(first.wait()), drive(second.wait())] == [137, 137]
        assert not stop(box)
        assert others.shell("exit 5").status == 5
        other.kill()
        assert drive(other.wait()) == 137
    assert box.shell("exit 4").status == 4


def parent(pid: int) -> int | None:
    """Of a process that has not ended."""
    try:
        state, number, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(number)


def is_beneath(pid: int | None, ancestor: int) -> bool:
    while pid and pid != ancestor:
        pid = parent(pid)
    return pid == ancestor


def test_stop_buries_a_dead_session(kept: Box) -> None:
    for mend in (stop, look):
        assert kept.shell("true", keep_alive=3600.0).status == 0
        holder = kept.holder()
        assert holder is not None
        os.kill(holder, signal.SIGKILL)
        wait_until_gone(holder)
        assert len(os.listdir(kept.runtime)) == 1
        assert not mend(kept)
        assert os.listdir(kept.runtime) == []


def test_stop_at_any_moment_of_a_start(box: Box) -> None:
    """The command was ended, or it began after the stop, or it had left: nothing else, and nothing is left."""

    def run() -> int | str:
        try:
            return box.shell("exit 6").status
        except SandboxError as error:
            return error.message

    chance = random.Random(0)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(20):
            running = pool.submit(run)
            with suppress(TimeoutError):
                running.result(timeout=0.06 * chance.random())
            stop(box)
            assert running.result() in (6, 137, "the session was ended while the command started")
            assert os.listdir(box.runtime) == []


def test_stop_is_not_deceived_by_a_command_that_is_called_like_a_holder(box: Box) -> None:
    """Another thread's command, which may fork so fast that a stop that kills it never ends."""
    text = "touch /up; while ! [ -e /go ]; do sleep 0.01; done; exit 5"
    victim = box.neighbour("other")
    called = (" import holder; holder.main(", runtime.socket_name(victim.plan.session))
    with session.start(box.plan, command("sh", "-c", text, *called), box.runtime) as pretender:
        wait_for_file(box.workspace / "up")
        assert not stop(victim)
        (box.workspace / "go").touch()
        assert drive(pretender.wait()) == 5
