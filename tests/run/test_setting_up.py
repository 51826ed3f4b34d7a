"""Commands of `setup`, run by applies in real sandboxes: once, again where they have to, and told when they fail."""

from __future__ import annotations

import json
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import HeldError, SetupError
from tests.profiles import write_profile
from tests.run.world import DATA

if TYPE_CHECKING:
    from tests.run.world import World


def profiled(world: World, *setup: Any, files: dict[str, Any] | None = None, **sections: Any) -> World:
    """The world with a profile that has these commands."""
    sections = {"env": {"HOME": "/", "GREETING": "hello"}, **sections}
    world.profile = write_profile(world.base / "setup.yaml", files or {}, setup=list(setup), **sections)
    return world


def told(world: World, thread: str = "t1") -> list[str]:
    """The changes that an apply would make."""
    report = solven_env.diff(world.profile, thread, storage=world.storage).threads[0]
    return [f"{each.action} {each.kind} {each.name}: {each.reason}" for each in report.changes]


def lines(world: World, name: str, thread: str = "t1") -> list[str]:
    """The lines of a file of the workspace; none where there is none."""
    path = world.workspace(thread) / name
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_commands_run_once_in_order_as_a_login_shell_runs_a_text(world: World, backend: str) -> None:
    files = {".bash_profile": "export FROM=profile\n", "in.txt": "rendered\n"}
    sandbox = {"backend": backend, "workdir": "/work"}
    first = 'echo "$GREETING {{ thread }} $FROM $PWD $(id -un 2>/dev/null || echo -)" >>/out.txt'
    profiled(world, first, {"run": "cat /in.txt /out.txt >>/seen.txt"}, files=files, sandbox=sandbox)
    report = world.apply()
    assert [each.kind for each in report.changes][-2:] == ["setup", "setup"]
    assert lines(world, "out.txt")[0].startswith("hello t1 profile /work ")
    assert lines(world, "seen.txt") == ["rendered", *lines(world, "out.txt")]
    assert told(world) == []
    assert world.status().state == "in-sync"
    again = world.apply()
    assert (again.changes, again.generation, len(lines(world, "out.txt"))) == ((), 1, 1)


def test_a_command_runs_again_where_its_inputs_changed_and_no_other_does(world: World) -> None:
    profiled(
        world,
        "echo x >>once.txt",
        {"run": "cat in.txt src/* >>again.txt", "inputs": ["in.txt", "src"]},
        files={"in.txt": "1\n", "src/a": "a\n"},
    )
    world.apply()
    (world.workspace() / "src/b").write_text("agent's\n")
    assert told(world) == ["replace setup cat in.txt src/* >>again.txt: src changed"]
    assert world.apply().generation == 1
    profiled(world, *json.loads(world.profile.read_text())["setup"], files={"in.txt": "2\n", "src/a": "a\n"})
    assert told(world)[-1] == "replace setup cat in.txt src/* >>again.txt: in.txt changed"
    world.apply()
    assert lines(world, "again.txt") == ["1", "a", "1", "a", "agent's", "2", "a", "agent's"]
    assert lines(world, "once.txt") == ["x"]
    assert told(world) == []


def test_a_command_that_changes_inputs_does_not_run_for_ever(world: World) -> None:
    profiled(
        world,
        {"run": "echo x >>first.txt", "inputs": ["first.txt", "second.txt"]},
        {"run": "echo y >>second.txt", "inputs": ["first.txt"]},
    )
    world.apply()
    assert told(world) == []
    assert world.apply().changes == ()
    assert (lines(world, "first.txt"), lines(world, "second.txt")) == (["x"], ["y"])


def test_a_workspace_that_was_lost_is_set_up_again(world: World) -> None:
    profiled(world, "echo x >>out.txt", files={"in.txt": "1\n"})
    world.apply()
    shutil.rmtree(world.workspace())
    assert told(world)[-1] == "replace setup echo x >>out.txt: the workspace begins anew"
    world.apply()
    assert (lines(world, "out.txt"), told(world)) == (["x"], [])


def test_a_failure_leaves_the_rest_applied_and_is_tried_again(world: World) -> None:
    profiled(
        world, "echo 1 >>one.txt", "echo told; printf 'evil\\033[2J\\a\\n' >&2; test -e ok", "echo 3 >>three.txt",
        files={"in.txt": "x\n"},
    )  # fmt: skip
    with pytest.raises(SetupError) as caught:
        world.apply()
    error = caught.value
    assert error.message.endswith("ended with status 1")
    assert error.details == ("told", "evil\\x07")
    assert (error.generation, [each.name for each in error.changes][-2:]) == (1, ["launch", "echo 1 >>one.txt"])
    assert "generation 1" in error.fix
    assert (lines(world, "in.txt"), lines(world, "one.txt"), lines(world, "three.txt")) == (["x"], ["1"], [])
    assert world.status().state == "pending"
    assert [line.rpartition(": ")[2] for line in told(world)] == ["it ended with status 1", "it has not run to its end"]
    with pytest.raises(SetupError):
        world.apply()
    (world.workspace() / "ok").touch()
    assert world.apply().generation == 1
    assert (lines(world, "one.txt"), lines(world, "three.txt")) == (["1"], ["3"])
    assert told(world) == []


def test_the_command_line_tells_it_with_exit_code_1_behind_what_is_applied(world: World) -> None:
    profiled(world, "echo why; exit 3", files={"in.txt": "x\n"})
    done = world.cli("apply", str(world.profile), "t1", "--format", "json")
    (thread,) = json.loads(done.stdout)["threads"]
    assert (done.returncode, thread["state"], thread["generation"]) == (1, "failed", 1)
    assert (thread["error"]["code"], thread["error"]["details"]) == (1, ["why"])
    assert [each["kind"] for each in thread["changes"]][-2:] == ["file", "settings"]
    done = world.cli("apply", str(world.profile), "t3")
    assert (done.returncode, done.stdout) == (1, b"  + directory /\n  + file in.txt\n  + settings launch\n")
    assert b"error: t3: setup: echo why; exit 3 ended with status 3." in done.stderr
    done = world.cli("apply", str(world.profile), "t1", "t2")
    assert done.returncode == 1
    assert done.stderr.count(b"ended with status 3") == 2
    assert world.cli("diff", str(world.profile), "t2").stdout == b"~ setup echo why; exit 3  (it ended with status 3)\n"
    assert world.cli("status", "t2", "--exit-code").returncode == 3


def test_many_threads_run_theirs_each_in_its_own(world: World) -> None:
    profiled(world, "echo {{ thread }} >>name.txt")
    names = [f"t{number}" for number in range(6)]
    reports = list(solven_env.apply_many(world.profile, names, storage=world.storage))
    assert [each.error for each in reports] == [None] * 6
    assert [lines(world, "name.txt", name) for name in names] == [[name] for name in names]


def test_a_rollback_runs_the_commands_of_the_former_generation_that_are_not_run(world: World) -> None:
    profiled(world, "echo old >>out.txt")
    world.apply()
    profiled(world, "echo new >>out.txt")
    world.apply()
    assert lines(world, "out.txt") == ["old", "new"]
    report = solven_env.rollback("t1", storage=world.storage).threads[0]
    assert [each.name for each in report.changes if each.kind == "setup"] == ["echo old >>out.txt"]
    assert lines(world, "out.txt") == ["old", "new", "old"]
    profiled(world, "echo old >>out.txt")
    assert told(world) == []


def test_a_saved_plan_runs_what_it_says_and_nothing_else(world: World) -> None:
    profiled(world, {"run": "cat in.txt >>out.txt || true", "inputs": ["in.txt"]})
    world.apply()
    (world.workspace() / "in.txt").write_text("a\n")
    saved = world.base / "saved.plan"
    solven_env.save_plan(world.profile, "t1", saved, storage=world.storage)
    world.apply()
    with pytest.raises(solven_env.errors.PlanError, match="there is nothing to change any more"):
        solven_env.apply_plan(saved, storage=world.storage)
    (world.workspace() / "in.txt").write_text("b\n")
    solven_env.apply_plan(saved, storage=world.storage)
    assert lines(world, "out.txt") == ["a", "b"]


def with_packages(world: World, *setup: Any) -> World:
    """The world with the small profile, and these commands."""
    world.profile = world.base / "small.yaml"
    world.profile.write_text(f"{(DATA / 'small.yaml').read_text()}setup: {json.dumps(setup)}\n")
    if not (world.base / "small.lock").exists():
        (world.base / "small.lock").symlink_to(DATA / "small.lock")
    return world


WHEEL = """
import zipfile
with zipfile.ZipFile("/acme-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("acme.py", "")
    wheel.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: acme\\nVersion: 1.0\\n")
    wheel.writestr("acme-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("acme-1.0.dist-info/RECORD", "acme.py,,\\n")
"""


def test_what_a_command_adds_to_a_layer_is_noted(world: World) -> None:
    install = f"python - <<'E'\n{WHEEL}\nE\nuv pip install --offline --no-deps /acme-1.0-py3-none-any.whl"
    with_packages(world, install, {"run": "python -c 'import acme, six'", "inputs": ["uv.lock", "pyproject.toml"]})
    world.apply()
    assert [package.name for added in world.status().added for package in added.packages] == ["acme"]
    assert told(world) == []


def test_each_new_layer_runs_them_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with_packages(world)
    world.apply()
    with_packages(world, "echo x >>out.txt")
    world.apply()
    assert (told(world), lines(world, "out.txt")) == ([], ["x"])
    solven_env.layer_reset("t1", storage=world.storage)
    assert told(world) == ["create setup echo x >>out.txt: it has not run to its end"]
    world.apply()
    assert (told(world), lines(world, "out.txt")) == ([], ["x", "x"])
    monkeypatch.setenv("XDG_DATA_HOME", str(world.base / "home"))  # of another host, where the thread has no layer
    assert told(world) == ["replace setup echo x >>out.txt: a new layer begins"]
    world.apply()
    assert (told(world), lines(world, "out.txt")) == ([], ["x", "x", "x"])
    monkeypatch.setenv("XDG_DATA_HOME", str(world.base / "data"))
    assert told(world) == []


def test_another_apply_is_told_that_the_thread_is_held_and_an_interrupt_ends_the_command(world: World) -> None:
    profiled(world, "touch begun; sleep 100")
    applying = world.start("apply", str(world.profile), "t1")
    while not (world.workspace() / "begun").exists():
        time.sleep(0.05)
    with pytest.raises(HeldError):
        world.apply()
    assert world.run("true").status == 0
    applying.send_signal(signal.SIGINT)
    assert applying.wait(10) == 130
    assert told(world) == ["create setup touch begun; sleep 100: it has not run to its end"]


def test_an_interrupt_of_many_ends_the_commands_of_all(world: World) -> None:
    profiled(world, "touch begun; sleep 100")
    applying = world.start("apply", str(world.profile), "t1", "t2", "t3")
    begun = [world.workspace(f"t{number}") / "begun" for number in (1, 2)]  # there may be two CPUs
    while not all(each.exists() for each in begun):
        time.sleep(0.05)
    applying.send_signal(signal.SIGINT)
    assert applying.wait(10) == 130


def test_an_apply_that_is_killed_leaves_no_command_and_the_next_one_goes_on(world: World) -> None:
    profiled(world, "echo x >>one.txt", "echo y >>two.txt; test -e ok || sleep 100")
    applying = world.start("apply", str(world.profile), "t1")
    while not lines(world, "two.txt"):
        time.sleep(0.05)
    applying.kill()
    applying.wait()
    (world.workspace() / "ok").touch()
    assert world.apply().generation == 1
    assert (lines(world, "one.txt"), lines(world, "two.txt")) == (["x"], ["y", "y"])
    assert told(world) == []


def test_a_command_has_the_limits_of_the_profile(world: World) -> None:
    profiled(world, "sleep 100", sandbox={"limits": {"wall_time": 1}})
    with pytest.raises(SetupError, match="ended with status 124, since it reached wall_time 1 s"):
        world.apply()


@pytest.mark.attack("what an apply finds")
def test_what_a_command_prints_without_end_is_bounded_and_printable(world: World) -> None:
    text = 'timeout 2 sh -c \'yes "$(printf "\\033]0;evil\\007%0900d" 7)"\'; head -c 90000000 /dev/zero; false'
    profiled(world, text)
    told_lines: list[str] = []
    with pytest.raises(SetupError) as caught:
        world.apply(progress=told_lines.append)
    assert len(told_lines) < 40
    for line in (*told_lines, *caught.value.details):
        assert line.isprintable()
        assert len(line) < 400


@pytest.mark.attack("what an apply finds")
def test_what_an_agent_does_to_the_shells_files_stays_inside(world: World) -> None:
    """A command of setup is run in the agent's sandbox, with its files: it can be made to fail, and no more."""
    profiled(world, "true", files={"in.txt": "x\n"})
    workspace = world.workspace()
    workspace.mkdir(parents=True)
    (workspace / ".bash_profile").write_text(f"touch {world.base}/evil; exit 7\n")
    with pytest.raises(SetupError, match="ended with status 7"):
        world.apply()
    assert not (world.base / "evil").exists()
    assert lines(world, "in.txt") == ["x"]


def test_what_the_record_says_of_commands_outlives_a_recover_and_a_restored_record(world: World) -> None:
    profiled(world, "echo x >>out.txt", files={"in.txt": "1\n"})
    world.apply()
    (world.workspace() / "in.txt").write_text("agent's\n")
    world.apply()
    solven_env.recover("t1", "in.txt", storage=world.storage, on_conflict="overwrite")
    assert [line for line in told(world) if "setup" in line] == []
    (world.storage / ".solven-env/threads/t1/state.json").write_bytes(b"{")
    world.apply(restore_record=True)
    assert (lines(world, "out.txt"), told(world)) == (["x"], [])
