"""The directory in which commands start, where the profile names one: made by apply, and by a run that misses it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import ConflictError, SandboxError, UsageError
from tests.profiles import write_profile
from tests.run.world import UID

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.doctor.questions import Finding
    from tests.run.world import World

WORKDIR = "/place/it's mine $HOME"


def profile(world: World, workdir: str | None = WORKDIR, **sections: Any) -> Path:
    """A profile with the shipped dotfiles of bash, and that working directory."""
    dotfiles = {f".{name}": {"template": f"{name}.j2"} for name in ("bashrc", "bash_profile")}
    sandbox = {"workdir": workdir} if workdir else {}
    return write_profile(world.base / "workdir.yaml", dotfiles, sandbox=sandbox, env={"HOME": "/"}, **sections)


@pytest.fixture
def working(either: World) -> World:
    """A thread with a working directory, on each backend."""
    either.profile = profile(either)
    either.apply()
    return either


def workdir(world: World) -> Path:
    return world.workspace() / WORKDIR[1:]


def test_commands_and_shells_start_there_unless_their_caller_says_otherwise(working: World) -> None:
    assert working.run("sh", "-c", "pwd; echo $PWD $SOLVEN_ENV_CWD").lines == [WORKDIR, f"{WORKDIR} {WORKDIR}"]
    assert working.run(shell="pwd; echo made > here").lines == [WORKDIR]
    assert (workdir(working) / "here").read_text() == "made\n"
    assert working.run("bash", "-ic", "pwd").lines == [WORKDIR]
    assert working.run(shell="pwd", cwd="/").lines == ["/"]
    assert working.run(shell="pwd", cwd="/usr/bin").lines == ["/usr/bin"]
    assert working.run("env", "-i", "HOME=/", "bash", "--login", "-c", "pwd", cwd="/").lines == [WORKDIR]
    done = working.cli("shell", "t1", data=b"pwd\n")
    assert done.stdout.decode() == f"{WORKDIR}\n"


def test_what_would_be_started_says_it(working: World) -> None:
    assert solven_env.explain("t1", ["true"], storage=working.storage).cwd == WORKDIR
    assert solven_env.explain("t1", ["true"], storage=working.storage, cwd="/").cwd == "/"


def test_it_belongs_to_the_sandboxs_user_and_a_missing_one_is_in_sync(working: World) -> None:
    """Object storage keeps no empty directories: the next command makes it again, and no apply is asked for."""
    for _ in range(2):
        assert UID is None or workdir(working).stat().st_uid == workdir(working).parent.stat().st_uid == UID
        assert working.status().state == "in-sync"
        workdir(working).rmdir()
        workdir(working).parent.rmdir()
        assert working.status().state == "in-sync"
        assert working.apply().changes == ()
        assert working.run("true", cwd="/").status == 0
        assert not workdir(working).exists()
        assert working.run("pwd").lines == [WORKDIR]


@pytest.mark.parametrize("place", ["place", WORKDIR[1:]])
@pytest.mark.parametrize("plant", ["link", "dangling", "file"])
def test_what_stands_in_its_place_is_named_and_never_followed(working: World, place: str, plant: str) -> None:
    """Not even a link to a directory that is there."""
    outside = working.base / "outside"
    outside.mkdir()
    planted = working.workspace() / place
    workdir(working).rmdir()
    if place == "place":
        planted.rmdir()
    if plant == "file":
        planted.write_text("mine")
    else:
        planted.symlink_to(outside if plant == "link" else outside / "made")
    with pytest.raises(SandboxError, match="not a directory, where the profile has its working directory") as told:
        working.run("true")
    assert told.value.location == f"/{place}"
    assert "solven-env apply PROFILE t1" in told.value.fix
    assert list(outside.iterdir()) == []
    assert working.run("true", cwd="/").status == 0
    status = working.status()
    assert (status.state, status.changes[0].address) == ("drift", f"directory:{place}")
    assert [kept.path for kept in working.apply().kept] == [place]
    assert working.run("pwd").lines == [WORKDIR]


@pytest.mark.parametrize("plant", ["link", "file"])
def test_on_adoption_it_is_a_conflict(bare: World, plant: str) -> None:
    new = bare.workspace("t2")
    new.mkdir(parents=True)
    if plant == "file":
        (new / "place").write_text("mine")
    else:
        (new / "place").symlink_to("/etc")
    with pytest.raises(ConflictError, match="place: a"):
        bare.apply("t2", profile=profile(bare))
    assert os.path.lexists(new / "place")


def test_a_release_that_drops_it_removes_it_while_it_is_empty_and_ours(bare: World) -> None:
    theirs = bare.workspace("theirs") / "place"
    theirs.mkdir(parents=True)
    for thread in ("empty", "full", "theirs"):
        bare.apply(thread, profile=profile(bare))
    (bare.workspace("full") / WORKDIR[1:] / "mine").write_text("mine")
    for thread in ("empty", "full", "theirs"):
        bare.apply(thread, profile=profile(bare, None))
        assert bare.run("pwd", thread=thread).lines == ["/"]
        assert bare.status(thread).state == "in-sync"
    assert not (bare.workspace("empty") / "place").exists()
    assert (bare.workspace("full") / WORKDIR[1:] / "mine").read_text() == "mine"
    assert list(theirs.iterdir()) == []


def test_a_release_that_adds_it_is_told(bare: World) -> None:
    before = bare.apply(profile=profile(bare, None))
    record = json.loads((bare.storage / ".solven-env/threads/t1/state.json").read_bytes())
    assert "workdir" not in record["settings"], "as a record of an earlier version"
    report = solven_env.diff(profile(bare, "/project"), "t1", storage=bare.storage).threads[0]
    told = {change.address: change.reason for change in report.changes}
    assert told["directory:project"] == "the profile asks for it"
    assert "workdir" in told["file:.bashrc"]
    assert before.generation == bare.status().generation
    bare.apply(profile=profile(bare, "/project"))
    record = json.loads((bare.storage / ".solven-env/threads/t1/state.json").read_bytes())
    assert record["settings"]["workdir"] == "/project"


def test_one_that_a_command_closed_is_told_as_the_profiles_and_opened_by_apply(bare: World) -> None:
    """The caller named no directory: it is no wrong usage of his. What apply did not make, `--cwd /` leads to."""
    bare.profile = profile(bare)
    bare.apply()
    for closed in ("/place", WORKDIR):
        bare.run("chmod", "000", closed, cwd="/")
        with pytest.raises(SandboxError, match="the profile's working directory cannot be entered") as caught:
            bare.run("true")
        assert caught.value.location == WORKDIR
        with pytest.raises(UsageError, match="cwd: "):
            bare.run("true", cwd=f"{WORKDIR}/deeper")
        assert bare.cli("run", "t1", "--", "true").returncode == 125
        (answer,) = (each.answer for each in doctor(bare) if each.question == "start")
        assert "working directory cannot be entered" in answer.detail
        bare.apply()
        assert bare.run("pwd").lines == [WORKDIR]


def doctor(world: World) -> tuple[Finding, ...]:
    return solven_env.doctor("t1", storage=world.storage, only=("start",)).findings
