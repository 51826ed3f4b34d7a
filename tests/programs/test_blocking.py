"""`Sandbox` as a program uses it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import CommandError, NeverAppliedError
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
        assert len(os.listdir("/proc/self/fd")) == before
