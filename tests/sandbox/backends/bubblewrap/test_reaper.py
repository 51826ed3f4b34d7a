"""Commands that share the session's PID namespace: what lives on, what ends, and what no agent may do."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import UsageError
from tests.run.conftest import _settle
from tests.run.world import new_world, remove
from tests.sandbox.running import survivors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World

PROFILE = """
version: 1
name: shared
release: 1.0.0
sandbox: {processes: session, limits: {processes: 200}}
"""
STEALTHY = """
import os
while True:
    if os.fork(): os._exit(0)
    os.setpgid(0, 0)
"""
SIGNALS = """
import os, signal
for each in range(1, 65):
    try: os.kill(1, each)
    except OSError: pass
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = new_world(tmp_path_factory.mktemp("cache"))
    made.profile = made.base / "shared.yaml"
    made.profile.write_text(PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        _settle(made, patch)
        made.apply()
        yield made
    made.close()
    remove(made.base)


@pytest.fixture
def sandbox(world: World) -> Iterator[solven_env.Sandbox]:
    with solven_env.Sandbox.connect("t1", storage=world.storage) as made:
        yield made
    assert survivors(world.base.name) == []


def running(sandbox: solven_env.Sandbox, *names: str) -> list[str]:
    text = 'for each in /proc/[0-9]*; do tr "\\0" " " < $each/cmdline; echo; done'
    lines = [line.strip() for line in sandbox.run(text).stdout.splitlines()]
    return [name for name in names if name in lines]


def test_what_is_left_in_the_background_lives_until_the_session_ends(sandbox: solven_env.Sandbox) -> None:
    began = time.monotonic()
    assert sandbox.run("sleep 101 & setsid sleep 102 & exit 3").exit_code == 3
    assert time.monotonic() - began < 20
    assert running(sandbox, "sleep 101", "sleep 102") == ["sleep 101", "sleep 102"]
    assert sandbox.run("kill $(pidof sleep)").exit_code == 0
    assert running(sandbox, "sleep 101", "sleep 102") == []


def test_a_timeout_ends_the_foreground_and_not_what_detached(sandbox: solven_env.Sandbox) -> None:
    late = sandbox.run("set -m; sleep 103 & set +m; (sleep 104 &); setsid sleep 105 & sleep 106", timeout=0.5)
    assert (late.exit_code, late.timed_out) == (124, True)
    assert running(sandbox, "sleep 103", "sleep 104", "sleep 105", "sleep 106") == ["sleep 105"]


def test_a_process_that_forks_as_fast_as_it_can_is_ended(sandbox: solven_env.Sandbox) -> None:
    bomb = sandbox.run("b() { b | b & }; b; sleep 107", timeout=0.5)
    assert bomb.exit_code == 124
    assert "processes" in [each.limit for each in bomb.limits]
    began = time.monotonic()
    chain = sandbox.run(["sh", "-c", 'python3 -c "$0"; sleep 107', STEALTHY], timeout=0.5)
    assert chain.exit_code == 124
    assert time.monotonic() - began < 30
    seen = sandbox.run('cat /proc/[0-9]*/stat | grep -c "(python3)"').stdout
    assert seen == "0\n"


def test_no_agent_ends_or_reads_pid_1(sandbox: solven_env.Sandbox) -> None:
    sandbox.run("setsid sleep 108 & true")
    sandbox.run(["python3", "-c", SIGNALS])
    assert running(sandbox, "sleep 108") == ["sleep 108"]
    for name in ("environ", "root/", "fd/", "cwd/", "maps", "mem"):
        look = "ls" if name.endswith("/") else "head -c 1"
        assert sandbox.run(f"{look} /proc/1/{name}").stdout == ""
    told = sandbox.run("cat /proc/1/cmdline; readlink /proc/1/exe; cat /proc/[0-9]*/cmdline").stdout
    assert "holder" not in told
    pids = sandbox.run("ls -d /proc/[0-9]* | wc -l").stdout
    assert int(pids) < 10


def test_a_command_sees_and_signals_others_but_reads_none_of_their_variables(sandbox: solven_env.Sandbox) -> None:
    found: list[solven_env.Result] = []
    other = threading.Thread(target=lambda: found.append(sandbox.run("sleep 109", env={"SECRET": "hidden"})))
    other.start()
    while not running(sandbox, "sleep 109"):
        pass
    told = sandbox.run("for each in $(pidof sleep); do cat /proc/$each/environ; done; kill $(pidof sleep)")
    assert "hidden" not in told.stdout
    other.join(30)
    assert found[0].exit_code == 143


def test_the_holder_is_not_kept_by_what_runs_in_the_background(world: World) -> None:
    sandbox = solven_env.Sandbox.connect("t1", storage=world.storage, keep_alive=0.0)
    sandbox.run("setsid sleep 110 & sleep 111 &")
    until = time.monotonic() + 20
    while survivors(world.base.name) and time.monotonic() < until:
        time.sleep(0.01)
    assert survivors(world.base.name) == []


def test_the_object_stands_above_the_profile_and_proot_has_none(world: World) -> None:
    with solven_env.Sandbox.connect("t1", storage=world.storage, processes="command") as sandbox:
        sandbox.run("setsid sleep 112 & true")
        assert running(sandbox, "sleep 112") == []
    with pytest.raises(UsageError, match="processes"):
        solven_env.Sandbox.connect("t1", storage=world.storage, processes="other").run("true")  # type: ignore[arg-type]
    if os.path.exists("/usr/bin/proot"):
        with pytest.raises(UsageError, match="proot has no session"):
            solven_env.run("t1", ["true"], storage=world.storage, backend="proot")
