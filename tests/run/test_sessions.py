"""A thread's session as its user has it: kept alive, shown, stopped, and given another build while commands run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import UsageError
from tests.run.test_store import edited_profile
from tests.sandbox.running import holders, survivors, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from tests.run.world import World


def session_line(world: World) -> str:
    """What `status` prints of the session; empty where it says nothing."""
    lines = world.cli("status", "t1").stdout.decode().splitlines()
    return "".join(line for line in lines if line.startswith("  session "))


def test_a_session_is_kept_shown_and_stopped(bare: World) -> None:
    assert bare.status().session is None
    assert session_line(bare) == ""
    assert bare.cli("run", "t1", "--keep-alive", "3600", "--", "touch", "/tmp/kept").returncode == 0
    assert bare.cli("run", "t1", "--", "ls", "/tmp").stdout == b"kept\n"
    assert bare.out("ls /tmp", keep_alive=1.0) == "kept\n"
    assert session_line(bare).startswith("  session of 0 commands, ")
    assert re.search(r" s old, kept for 3(5\d\d|600) s after them$", session_line(bare))
    (thread,) = json.loads(bare.cli("status", "t1", "--format", "json").stdout)["threads"]
    assert thread["session"]["answers"] is True
    assert thread["session"]["commands"] == 0
    done = bare.cli("stop", "t1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"t1: the session was stopped.\n")
    assert survivors(bare.base.name) == []
    assert bare.cli("stop", "t1").stderr == b"t1: there was no session.\n"
    assert bare.out("ls /tmp") == ""


def test_stop_ends_running_commands_with_137(bare: World) -> None:
    process = bare.start("run", "t1", "--", "sh", "-c", "setsid sleep 600 & touch /up; sleep 600")
    wait_for_file(bare.workspace() / "up")
    assert session_line(bare).startswith("  session of 1 command, ")
    assert "kept" not in session_line(bare)
    done = bare.cli("stop", "t1", "--format", "json")
    assert json.loads(done.stdout)["threads"] == [{"thread": "t1", "error": None, "stopped": True}]
    assert process.wait() == 137
    assert not solven_env.stop("t1", storage=bare.storage)


def test_a_session_that_hangs_is_shown_and_stopped(bare: World) -> None:
    process = bare.start("run", "t1", "--", "sh", "-c", "touch /up; sleep 600")
    wait_for_file(bare.workspace() / "up")
    (holder,) = holders(bare.base.name)
    os.kill(holder, signal.SIGSTOP)
    assert session_line(bare) == "  session does not answer; end it: solven-env stop t1"
    assert solven_env.stop("t1", storage=bare.storage)
    assert process.wait() == 137
    assert session_line(bare) == ""


def test_stop_of_no_thread_is_wrong_usage_and_makes_nothing(world: World) -> None:
    done = world.cli("stop", "t1")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"there is no thread t1" in done.stderr
    assert not world.storage.exists()
    with pytest.raises(UsageError):
        solven_env.stop("../t1", storage=world.storage)


def test_stop_before_the_first_run_finds_no_session(bare: World) -> None:
    assert not solven_env.stop("t1", storage=bare.storage)
    assert bare.status().session is None


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_a_time_to_keep_that_is_none_is_wrong_usage(bare: World, seconds: str) -> None:
    done = bare.cli("run", "t1", "--keep-alive", seconds, "--", "true")
    assert done.returncode == 2
    assert b"keep-alive" in done.stderr


def test_another_build_is_mounted_beside_that_of_running_commands(thread: World) -> None:
    """The old build goes with its last command, the new one has a layer of its own, and the session is one."""
    script = "touch /up; while read -r _; do python -c 'import six; print(1)'; touch /.venv/old; ls /tmp; done"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = thread.start("run", "t1", "--keep-alive", "3600", "--", "sh", "-c", script, **streams)
    assert process.stdin is not None
    assert process.stdout is not None
    wait_for_file(thread.workspace() / "up")
    (holder,) = holders(thread.base.name)
    before = layers_mounted(holder)
    edited = edited_profile(thread, "[six]", "[]")
    edited.write_text(edited.read_text().replace("{is-number: ^7.0.0}", "{}"))  # nothing is left to be resolved
    thread.apply(profile=edited)
    assert thread.sh("python -c 'import six' 2>/dev/null").status == 1
    assert thread.sh("touch /.venv/new /tmp/shared; test -e /.venv/old").status == 1
    assert before < layers_mounted(holder)
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert [process.stdout.readline(), process.stdout.readline()] == [b"1\n", b"shared\n"]
    process.stdin.close()
    assert process.wait() == 0
    assert holders(thread.base.name) == [holder]
    assert thread.out("ls -d /.venv/*; ls /tmp").split()[-2:] == ["/.venv/pyvenv.cfg", "shared"]
    # Until here one of two: what a command left is dropped after its caller has been told.
    assert len(layers_mounted(holder)) == len(before)
    assert layers_mounted(holder) != before
    thread.apply()
    assert "/.venv/old" in thread.out("ls -d /.venv/*")
    assert solven_env.stop("t1", storage=thread.storage)
    wait_until_alone(thread.base.name)


def layers_mounted(holder: int) -> set[str]:
    """The devices of the overlays in a holder's mounts: one a build and layer."""
    with open(f"/proc/{holder}/mountinfo") as file:
        return {line.split()[2] for line in file if " - overlay " in line}
