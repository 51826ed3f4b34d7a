"""Builds under layers: each thread its own, all commands of a thread the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import Overlay
from tests.sandbox.running import ROOT, SANDBOX_HOST_UID, Box, command, wait_for_file


@pytest.fixture
def build(box: Box) -> Path:
    """A build as the store keeps it: the sandbox uid's, beneath a directory that others may not enter."""
    build = box.base / "build, with: a \\ name"
    for directory in (build, build / "lib"):
        directory.mkdir()
    (build / "lib" / "package.py").write_text("built\n")
    (build / "lib" / "other.py").write_text("built\n")
    give(build)
    return build


def give(path: Path) -> None:
    if SANDBOX_HOST_UID is not None:
        for each in (path, *path.rglob("*")):
            os.chown(each, SANDBOX_HOST_UID, SANDBOX_HOST_UID)


def with_layer(box: Box, build: Path, *, instance: str = "one", layer: str = "layer") -> Box:
    upper, work = (
        box.base / f"{layer}-{box.plan.session}" / "upper",
        box.base / f"{layer}-{box.plan.session}" / "scratch",
    )
    for directory in (upper, work):
        directory.mkdir(parents=True, exist_ok=True)
        give(directory)
    overlay = Overlay("/.venv", str(build), str(upper), str(work), instance)
    return box.but(mounts=(*box.plan.mounts, overlay))


CHANGE = (
    "echo changed > /.venv/lib/package.py; rm /.venv/lib/other.py; echo new > /.venv/lib/new.py; rm -r /.venv/lib/none"
)


def test_changes_are_the_threads_own_and_stay(box: Box, build: Path) -> None:
    mine, other = with_layer(box, build), with_layer(box.neighbour("other"), build)
    assert mine.shell("cat /.venv/lib/package.py; " + CHANGE).out == b"built\n"
    for again in range(2):
        assert mine.shell("cat /.venv/lib/*").out == b"new\nchanged\n", again
    assert other.shell("cat /.venv/lib/*").out == b"built\nbuilt\n"
    assert sorted(os.listdir(build / "lib")) == ["other.py", "package.py"]
    assert os.listdir(box.workspace / ".venv") == []


def test_a_whole_directory_of_the_build_can_be_removed_and_made_again(box: Box, build: Path) -> None:
    mine = with_layer(box, build)
    assert (
        mine.shell("rm -r /.venv/lib && mkdir /.venv/lib && echo x > /.venv/lib/x && mv /.venv/lib /.venv/y").err == b""
    )
    assert mine.shell("ls -A /.venv /.venv/y").out == b"/.venv:\ny\n\n/.venv/y:\nx\n"


def test_concurrent_commands_of_any_shape_see_each_others_writes(box: Box, build: Path) -> None:
    mine = with_layer(box, build)
    text = "echo $1 > /.venv/$1; while [ ! -e /.venv/$2 ]; do :; done; cat /.venv/$2"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(mine.run, "sh", "-c", text, "sh", "a", "b")
        second = pool.submit(mine.but(network="host").run, "sh", "-c", text, "sh", "b", "a")
        assert (first.result().out, second.result().out) == (b"b\n", b"a\n")


def test_a_layer_never_meets_another_instance_of_its_build(box: Box, build: Path) -> None:
    mine = with_layer(box, build)
    with session.start(mine.plan, command("sh", "-c", "echo > /up; exec sleep 600"), box.runtime):
        wait_for_file(box.workspace / "up")
        with pytest.raises(SandboxError, match="in use"):
            with_layer(box, build, instance="two").run("true")
        assert mine.run("true").status == 0


@pytest.mark.skipif(not ROOT, reason="an ordinary user's overlays know no file handles: a copy is as good as the first")
@pytest.mark.parametrize("copied", ["upper", "build"])
def test_a_layer_that_was_copied_is_told_with_what_begins_a_new_one(box: Box, build: Path, copied: str) -> None:
    mine = with_layer(box, build)
    assert mine.shell("rm /.venv/lib/other.py").status == 0
    overlay = mine.plan.mounts[-1]
    assert isinstance(overlay, Overlay)
    copy_in_its_place(Path(overlay.upper if copied == "upper" else overlay.lower))
    with pytest.raises(SandboxError, match="copied or replaced") as caught:
        mine.run("true")
    subprocess.run(caught.value.fix.partition(": ")[2], shell=True, check=True)
    assert with_layer(box, build).shell("cat /.venv/lib/*").out == b"built\nbuilt\n"


def copy_in_its_place(directory: Path) -> None:
    aside = directory.with_name("aside")
    directory.rename(aside)
    shutil.copytree(
        aside, directory, symlinks=True, ignore=lambda *_: {"other.py"} if directory.name == "upper" else ()
    )
    give(directory)


def test_a_changed_build_stands_beside_the_old_one(box: Box, build: Path) -> None:
    newer = box.base / "newer"
    (newer / "lib").mkdir(parents=True)
    (newer / "lib" / "package.py").write_text("newer\n")
    give(newer)
    old, new = with_layer(box, build), with_layer(box, newer, layer="second")
    text = "while [ ! -e /go ]; do :; done; cat /.venv/lib/package.py"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(old.shell, "touch /up; " + text)
        wait_for_file(box.workspace / "up")
        assert new.shell("cat /.venv/lib/package.py; touch /go").out == b"newer\n"
        assert running.result().out == b"built\n"


def test_two_holders_never_have_one_layer(box: Box, build: Path) -> None:
    mine = with_layer(box, build)
    stranger = mine.but(session=mine.plan.session + "-other")
    with session.start(mine.plan, command("sh", "-c", "echo > /up; exec sleep 600"), box.runtime):
        wait_for_file(box.workspace / "up")
        with pytest.raises(SandboxError, match="in use"):
            stranger.run("true")


def test_a_missing_build_is_named(box: Box, build: Path) -> None:
    gone = with_layer(box, box.base / "gone")
    with pytest.raises(SandboxError, match="gone"):
        gone.run("true")


def test_no_path_of_the_host_is_shown(box: Box, build: Path) -> None:
    mine = with_layer(box, build)
    assert box.base.name.encode() not in mine.shell("cat /proc/mounts").out
