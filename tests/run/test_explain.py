"""`run --explain` tells what a run does, and does nothing of it."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from tests.run.world import tree
from tests.sandbox.running import ROOT
from tests.sandbox.terminals import Terminal

if TYPE_CHECKING:
    from tests.run.world import World


def explained(world: World, *options: str, **environ: Any) -> dict[str, Any]:
    done = world.cli("run", "t1", "--explain", "--format", "json", *options, **environ)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["threads"]
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("network", ["none", "host"])
def test_the_command_line_is_the_one_that_is_started(thread: World, network: str) -> None:
    argv = ("sh", "-c", "tr '\\0' '\\n' < /proc/1/cmdline")
    told = explained(thread, "--network", network, "--", *argv)["program"]
    started = thread.run(*argv, network=network).out.splitlines()
    numbers = re.compile(r"(--args|--seccomp|--json-status-fd) \d+")
    assert numbers.sub(r"\1", " ".join(told)) == numbers.sub(r"\1", " ".join(started))


def test_the_command_line_of_proot_is_the_one_that_is_started(thread: World) -> None:
    traced = "/proc/$(sed -n 's/^TracerPid:[[:space:]]*//p' /proc/self/status)/cmdline"
    argv = ("sh", "-c", f"tr '\\0' '\\n' < {traced}")
    thread.run("true", backend="proot")  # which makes the copies of the builds
    told = explained(thread, "--backend", "proot", "--cwd", "/usr", "--", *argv)["program"]
    started = thread.run(*argv, backend="proot", cwd="/usr").out.splitlines()
    assert told[1:] == started[1:]


def test_what_it_tells_is_what_a_command_finds(thread: World) -> None:
    told = explained(thread, "--env", "SECRET=hidden", "--", "true")
    found = thread.out("env -0", env={"SECRET": "hidden"})
    variables = dict(pair.split("=", 1) for pair in found.split("\0") if pair)
    known = {name: value for name, value in told["variables"].items() if value is not None}
    assert known.items() <= variables.items()
    assert told["variables"]["SECRET"] is None
    assert {mount["target"] for mount in told["mounts"]} >= {"/", "/usr", "/tmp", "/.venv"}
    assert told["builds"][0]["instance"]


def test_nothing_is_made_built_or_started(thread: World) -> None:
    before = tree(thread.base)
    text = thread.cli("run", "t1", "--explain", "--", "true").stdout.decode()
    assert tree(thread.base) == before
    assert "starts     " in text
    assert "Nothing was started." in text


def test_a_range_of_uids_is_for_root_alone(bare: World) -> None:
    (bare.base / "config.yaml").write_text("sandbox: {uids: {first: 70000, count: 9}}\n")
    bare.apply("t2")
    assert bare.out("touch /a; stat -c %u /a", "t2") == "1000\n"
    owner = bare.workspace("t2").stat().st_uid
    assert solven_env.explain("t2", ["true"], storage=bare.storage).uid == (owner if ROOT else None)
    assert owner in range(70000, 70009) if ROOT else owner == os.geteuid()


def test_a_build_that_is_missing_is_told_and_not_made(thread: World) -> None:
    elsewhere = thread.base / "elsewhere"
    told = explained(thread, "--", "true", XDG_CACHE_HOME=str(elsewhere))
    assert [(build["kind"], build["key"]) for build in told["builds"]] == [("python", ""), ("bun", "")]
    assert not (elsewhere / "solven-env/builds").exists()


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--network", "moon", "--", "true"), 2),
        ((), 2),
        (("--timeout", "0", "--", "true"), 2),
        (("--timeout", "inf", "--", "true"), 2),
    ],
)
def test_what_run_refuses_it_refuses(thread: World, options: tuple[str, ...], status: int) -> None:
    assert thread.cli("run", "t1", "--explain", *options).returncode == status
    assert thread.cli("run", "t1", *options).returncode == status


def test_the_code_that_the_document_tells_is_the_exit_code(thread: World) -> None:
    done = thread.cli("run", "t9", "--explain", "--format", "json", "--", "true")
    (told,) = json.loads(done.stdout)["threads"]
    assert (done.returncode, told["error"]["code"]) == (125, 125)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--explain", "--", "sh", "-c", "true"), 0),
        (("--explain", "--backend", "proot", "--", "true"), 0),
        (("--network", "none", "--", "getent", "hosts", "name.invalid"), 2),
        (("--timeout", "0.1", "--", "sleep", "9"), 124),
        (("--cwd", "/not/there", "--", "true"), 2),
        (("--network", "all", "--", "true"), 2),
        (("ls", "--timeout", "5"), 2),
    ],
)
def test_what_run_says_keeps_to_a_terminal_of_80_columns(bare: World, arguments: tuple[str, ...], status: int) -> None:
    """A word that is longer, a path for example, stays whole; so does a command to be pasted."""
    with Terminal() as terminal:
        terminal.start(bare.command("run", "t1", *arguments), bare.environ)
        assert terminal.status() == status
        lines = terminal.shown.decode().splitlines()
    assert lines
    long = [line.strip() for line in lines if len(line) > 80]
    assert [line for line in long if " " in line and not line.startswith("Write: ")] == []
