"""`Sandbox` as a program uses it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import CommandError, NeverAppliedError, UsageError, WorkingDirectoryError
from tests.profiles import write_profile
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from tests.run.world import World


def test_a_sandbox_is_created_runs_and_is_stopped(bare: World) -> None:
    with solven_env.Sandbox.create(bare.profile, "t1", storage=bare.storage, env={"A": "1"}) as sandbox:
        done = sandbox.run('echo "$A $B"; echo no >&2; exit 3', env={"B": "2"})
        assert (done.exit_code, done.stdout, done.stderr) == (3, "1 2\n", "no\n")
        assert not done.truncated
        assert not done.timed_out
        assert sandbox.run(["cat"], stdin="in é").stdout == "in é"
        assert sandbox.run(["cat"]).stdout == ""
        assert sandbox.run("echo out; echo err >&2; echo out", merge=True).stdout == "out\nerr\nout\n"
        with pytest.raises(CommandError, match="status 7"):
            sandbox.run("exit 7", check=True)
    assert survivors(bare.base.name) == []


def test_output_beyond_the_bound_is_dropped_and_time_keeps_what_was_printed(bare: World) -> None:
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
        head = sandbox.run("seq 100000", max_output=4)
        assert (head.stdout, head.truncated) == ("1\n2\n", True)
        tail = sandbox.run("seq 100000", max_output=7, keep="tail")
        assert (tail.stdout, tail.truncated) == ("100000\n", True)
        late = sandbox.run("echo begun; sleep 60 & sleep 60", timeout=0.5)
        assert (late.exit_code, late.timed_out, late.stdout) == (124, True, "begun\n")
        said: list[str] = []
        sandbox.run("printf '\\303'; sleep 0.1; printf '\\251'", on_stdout=said.append)
        assert said == ["é"]


def test_a_thread_that_was_never_applied_is_told(bare: World) -> None:
    with pytest.raises(NeverAppliedError):
        solven_env.Sandbox.connect("never", storage=bare.storage)


def test_a_callback_that_fails_ends_the_command(bare: World) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
        begun = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            sandbox.run("echo; sleep 600", on_stdout=fail)
        assert time.monotonic() - begun < 60
        before = len(os.listdir("/proc/self/fd"))
        sandbox.run("true")
        assert len(os.listdir("/proc/self/fd")) <= before


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"command": 5}, "command: "),
    ({"command": []}, "command: "),
    ({"command": b"true"}, "command: "),
    ({"command": ["a\0b"]}, "command: argument 0 has a NUL"),
    ({"command": "\ud800"}, "command: the text has a lone surrogate"),
    ({"env": {"A=B": "1"}}, "env: 'A=B' is no name"),
    ({"env": ["A"]}, "env: a mapping"),
    ({"timeout": True}, "timeout: "),
    ({"timeout": float("nan")}, "timeout: "),
    ({"cwd": False}, "cwd: text"),
    ({"stdin": 1.5}, "stdin: text, bytes"),
    ({"stdin": False}, "stdin: text, bytes"),
    ({"stdin": "\ud800"}, "stdin: the text has a lone surrogate"),
    ({"stdin": 999_999}, "stdin: 999999 is no open descriptor"),
    ({"stdin": -1}, "stdin: -1 is no open descriptor"),
    ({"max_output": 1.0}, "max_output: "),
    ({"max_output": True}, "max_output: "),
    ({"keep": "middle"}, "keep: 'middle'"),
    ({"on_stdout": 3}, "on_stdout: a function"),
    ({"merge": True, "on_stderr": print}, "on_stderr: with merge"),
    ({"network": "moon"}, "network: unknown"),
)


def test_what_no_command_can_be_is_told_by_its_name(bare: World) -> None:
    sandbox = solven_env.Sandbox.connect("t1", storage=bare.storage)
    for asked, told in WRONG:
        with pytest.raises(UsageError) as caught:
            sandbox.run(**{"command": ["true"], **asked})
        assert str(caught.value).startswith(told)
    for asked in ({"env": ["A"]}, {"keep_alive": True}, {"processes": "all"}):
        with pytest.raises(UsageError, match=next(iter(asked))):
            solven_env.Sandbox.connect("t1", storage=bare.storage, **asked).run("true")


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_a_directory_that_is_none_and_a_backend_without_sessions(bare: World, backend: str) -> None:
    bare.profile = write_profile(bare.base / f"{backend}.yaml", {}, sandbox={"backend": backend})
    with solven_env.Sandbox.create(bare.profile, "t2", storage=bare.storage) as sandbox:
        with pytest.raises(WorkingDirectoryError, match="/nowhere"):
            sandbox.run("true", cwd="/nowhere")
        done = sandbox.run("seq 100000; exit 4", max_output=4)
        assert (done.exit_code, done.stdout, done.truncated) == (4, "1\n2\n", True)
        assert sandbox.run("sleep 600", timeout=0.3).timed_out


@pytest.mark.filterwarnings("ignore")  # an interrupt may come in a finalizer, an import, or before the start
def test_an_interrupt_at_any_moment_ends_its_command_alone(bare: World) -> None:
    """KeyboardInterrupt, as ^C raises it in the main thread, while another command of the session goes on.

    Python drops one that comes in a finalizer: that command ends by its timeout. One that comes between two steps of
    ours is raised when the command has been killed, a moment before its end.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with solven_env.Sandbox.connect("t1", storage=bare.storage) as sandbox:
            sandbox.run("true")
            interrupted = 0
            other = bare.start("run", "t1", "--", "sleep", "601")
            try:
                while not survivors(bare.base.name, b"601"):
                    time.sleep(0.02)
                for delay in (0.0002, 0.001, 0.002, 0.003, 0.005, 0.008, 0.015, 0.05, 0.2):
                    try:
                        signal.setitimer(signal.ITIMER_REAL, delay)
                        sandbox.run(["sleep", "600"], timeout=3)
                    except KeyboardInterrupt:
                        interrupted += 1
                    ended = time.monotonic()
                    while survivors(bare.base.name, b"sleep\x00600"):
                        assert time.monotonic() < ended + 1
                assert interrupted > 4
                assert other.poll() is None
            finally:
                other.terminate()
    finally:
        signal.signal(signal.SIGALRM, before)
