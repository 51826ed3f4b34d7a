"""What stands in the place of a mount point is drift, which the next apply takes away and keeps."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import ConflictError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.run.world import World


def file(place: Path) -> None:
    place.write_text("mine")


def link(place: Path) -> None:
    place.symlink_to("/etc")


def changes(report_changes: object) -> list[tuple[str, str]]:
    return [(change.address, change.cause) for change in report_changes]  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["tmp", "usr", "proc"])
@pytest.mark.parametrize("plant", [file, link])
def test_it_is_drift_and_apply_mends_it_and_keeps_what_stood_there(
    bare: World, plant: Callable[[Path], None], place: str
) -> None:
    bare.run("true")
    planted = bare.workspace() / place
    planted.rmdir()
    plant(planted)
    with pytest.raises(SandboxError, match="apply the profile again"):
        bare.run("true")
    status = bare.status()
    assert (status.state, changes(status.changes)) == ("drift", [(f"mount:{place}", "drift")])
    report = bare.apply()
    assert [kept.path for kept in report.kept] == [place]
    assert not os.path.lexists(planted)
    assert bare.status().state == "in-sync"
    assert bare.run("true").status == 0


def test_a_missing_one_is_as_it_should_be_and_nothing_is_recorded_of_any(bare: World) -> None:
    assert bare.status().state == "in-sync"
    generation = bare.status().generation
    bare.run("true")
    for name in ("tmp", "var"):
        (bare.workspace() / name).rmdir()
    assert changes(bare.apply().changes) == []
    assert bare.status().generation == generation


def test_on_adoption_it_is_a_conflict(bare: World) -> None:
    new = bare.workspace("t2")
    new.mkdir(parents=True)
    (new / "tmp").write_text("mine")
    (new / "var/deep").mkdir(parents=True)
    (new / "var/deep/theirs").write_text("hidden by the mount")
    (new / "run").mkdir()
    with pytest.raises(ConflictError, match=r"tmp: a file.*var: deep in it would be hidden"):
        bare.apply("t2")
    assert (new / "tmp").read_text() == "mine"
    assert (new / "var/deep/theirs").exists()
    kept = bare.apply("t2", on_conflict="overwrite").kept
    assert [each.path for each in kept] == ["tmp", "var"]
    moved = bare.storage / ".solven-env" / kept[1].kept
    assert (moved / "deep/theirs").read_text() == "hidden by the mount"
    assert (new / "run").is_dir()
    assert not (new / "var").exists()
    assert bare.sh("test -d /tmp && test ! -e /var/deep", thread="t2").status == 0
    assert bare.status("t2").state == "in-sync"


def test_what_a_mount_of_a_new_release_would_hide_is_a_conflict_once(bare: World) -> None:
    bare.out("mkdir -p /.solven/skills; echo mine > /.solven/skills/notes")
    (bare.storage / "skills").mkdir()
    profile = bare.base / "linked.yaml"
    links = {".solven/skills": {"to": "skills"}}
    profile.write_text(json.dumps(json.loads(bare.profile.read_text()) | {"links": links}))
    with pytest.raises(ConflictError, match=r"\.solven/skills: notes in it would be hidden"):
        bare.apply(profile=profile)
    assert bare.run("cat", "/.solven/skills/notes").out == "mine\n"
    assert next(each.path for each in bare.apply(profile=profile, on_conflict="overwrite").kept) == ".solven/skills"
    assert bare.status().state == "in-sync"
    (bare.workspace() / ".solven/skills").mkdir(exist_ok=True)
    (bare.workspace() / ".solven/skills/later").touch()
    assert bare.status().state == "in-sync"  # a command made it there: it is mounted upon, and told
    assert bare.apply(profile=profile).changes == ()


def test_a_link_above_a_link_of_the_profile_is_seen(thread: World) -> None:
    thread.run("true")
    above = thread.workspace() / ".solven"
    for directory, _, _ in os.walk(above, topdown=False):
        os.rmdir(directory)
    above.symlink_to("/etc")
    assert changes(thread.status().changes) == [("mount:.solven", "drift")]
    thread.apply()
    assert thread.run("true").status == 0


def test_a_file_is_mounted_upon_an_empty_one_that_apply_makes(bare: World) -> None:
    source = bare.base / "tool.conf"
    source.write_text("the host's")
    profile = bare.base / "with-file.yaml"
    mounts = [{"source": str(source), "target": target} for target in ("/tool.conf", "/deep/er/tool.conf")]
    profile.write_text(json.dumps(json.loads(bare.profile.read_text()) | {"mounts": mounts}))
    (bare.workspace() / "tool.conf").write_text("mine")
    bare.base.chmod(0o711)
    with pytest.raises(ConflictError, match=r"tool\.conf: its 4 bytes would be hidden by what is mounted there"):
        bare.apply(profile=profile)
    (kept,) = bare.apply(profile=profile, on_conflict="overwrite").kept
    assert (kept.path, (bare.storage / ".solven-env" / kept.kept).read_text()) == ("tool.conf", "mine")
    assert bare.out("cat /tool.conf /deep/er/tool.conf") == "the host's" * 2
    assert bare.status().state == "in-sync"
    (bare.workspace() / "tool.conf").write_text("a command's, where something is mounted already")
    (bare.workspace() / "deep/er/tool.conf").unlink()
    (bare.workspace() / "deep/er/tool.conf").mkdir()
    assert changes(bare.status().changes) == [("mount:deep/er/tool.conf", "drift")]
    assert bare.apply(profile=profile).kept[0].is_moved
    (bare.workspace() / "deep/er/tool.conf").unlink()
    bare.apply(profile=profile)
    assert bare.out("cat /tool.conf /deep/er/tool.conf") == "the host's" * 2


def test_a_directory_that_a_command_made_there_is_mounted_upon_and_told(either: World) -> None:
    theirs = either.workspace() / "var/theirs"
    theirs.mkdir(parents=True)
    done = either.cli("run", "t1", "--", "sh", "-c", "ls /var")
    assert (done.returncode, done.stdout) == (0, b"")
    said = done.stderr.decode().splitlines()
    assert said[-1] == "solven-env: hidden by what the profile mounts there: the thread's own /var"
    assert theirs.is_dir()
    assert either.status().state == "in-sync"


def test_a_mount_that_was_moved_away_is_there_again_and_told_by_the_api(either: World) -> None:
    (either.storage / "skills").mkdir()
    (either.storage / "skills/genuine").touch()
    profile = either.base / "linked.yaml"
    links = {".solven/skills": {"to": "skills"}}
    profile.write_text(json.dumps(json.loads(either.profile.read_text()) | {"links": links}))
    either.apply(profile=profile)
    keep_alive = 0.0 if either.backend == "proot" else 60.0
    assert either.out("ls /.solven/skills", keep_alive=keep_alive) == "genuine\n"
    either.out("mkdir -p /y/skills; touch /y/skills/evil; mv /.solven /x; mv /y /.solven")
    told: list[str] = []
    assert either.out("ls /.solven/skills", progress=told.append) == "genuine\n"
    assert told[-1] == "solven-env: hidden by what the profile mounts there: the thread's own /.solven/skills"
    either.out("mv /.solven /z; touch /.solven")
    with pytest.raises(SandboxError, match="apply the profile again"):
        either.run("true")
    assert changes(either.status().changes) == [("mount:.solven", "drift")]
    assert [kept.path for kept in either.apply(profile=profile).kept] == [".solven"]
    assert either.out("ls /.solven/skills") == "genuine\n"
    solven_env.stop("t1", storage=either.storage)
