"""The store: lost builds are seen and made again, killed builders leave nothing that is believed, locks decide."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import BuildError, LockError
from solven_env.system.publishing import sweep
from tests.profiles import write_profile
from tests.run.world import DATA, PYTHON, tree
from tests.sandbox.running import POLL, wait_for_file, wait_until_alone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

WORKS = f"""python -c 'import six'; test "$(bun -e 'console.log(require("is-number")(5))')" = true; echo {PYTHON}"""


def builds(world: World) -> list[Path]:
    """The builds in the store, under their names."""
    return sorted(path for path in world.builds.iterdir() if not path.name.startswith("."))


def lost(world: World) -> set[str]:
    """The builds that `status` and `diff` find missing, which must say the same."""
    report = world.status()
    compared = solven_env.diff(world.profile, "t1", storage=world.storage).threads[0]
    assert report.changes == compared.changes
    assert {change.cause for change in report.changes} <= {"drift"}
    return {change.name for change in report.changes if change.kind == "build"}


def damage_whole(world: World) -> set[str]:
    shutil.rmtree(world.environ["XDG_CACHE_HOME"])
    return {"python", "bun"}


def damage_build(world: World) -> set[str]:
    shutil.rmtree(next(path for path in builds(world) if path.name.startswith("bun-")))
    return {"bun"}


def damage_file(world: World) -> set[str]:
    (python,) = (path for path in builds(world) if path.name.startswith("python-"))
    (python / f"tree/lib/python{PYTHON}/site-packages/six.py").unlink()
    return {"python"}


def test_what_is_lost_is_seen_and_mended_by_the_next_apply_and_by_the_next_run(copied_world: World) -> None:
    """Each damage is seen; `apply` and `run` each make a Python and a Bun build again."""
    world = copied_world
    before = builds(world)
    for damage, mend in (
        (damage_build, "apply"),
        (damage_file, "apply"),
        (damage_build, "run"),
        (damage_whole, "run"),
    ):
        expected = damage(world)
        assert lost(world) == expected
        if mend == "apply":
            report = world.apply()
            assert {(change.cause, change.address) for change in report.changes} == {
                ("drift", f"build:{kind}") for kind in expected
            }
        assert world.out(WORKS) == f"{PYTHON}\n"
        assert builds(world) == before
        assert lost(world) == set()
        assert world.apply().changes == ()


def test_a_build_that_is_made_again_stays_below_those_that_use_it(
    lone_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build was changed: without a network it is used as it is, with one made again, and a live session keeps it.

    A command has no descriptor of the lock: it can neither hold nor release it.
    """
    world = lone_world
    world.profile = write_profile(world.base / "alone.yaml", {}, python={"version": PYTHON})
    world.apply("t1", "t2")
    (build,) = builds(world)
    instance = json.loads((build / "build.json").read_text())["instance"]
    script = (
        "touch /.venv/mine /up; ls -l /proc/self/fd >/open; read -r _; ls /.venv/bin/pip /.venv/mine; cat /.venv/new"
    )
    session = world.start("run", "t1", "--", "sh", "-c", script, stdin=-1, stdout=-1)
    wait_for_file(world.workspace() / "up")
    os.utime(build / "tree/lib")
    assert world.out("echo fine", "t2") == "fine\n"
    assert builds(world) == [build]
    (build / "tree/new").write_text("new\n")
    wheels = build.parents[1] / "wheels"
    wheels.rename(wheels.with_name("aside"))
    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
        patched.setenv("UV_HTTP_RETRIES", "0")
        assert world.out("cat /.venv/new", "t2", progress=told.append) == "new\n"
        assert [line for line in told if "left as it is" in line] == told[-1:]
        with pytest.raises(BuildError, match="left as it is"):
            world.apply("t2")
    wheels.with_name("aside").rename(wheels)
    assert world.apply("t2").state == "in-sync"
    assert json.loads((build / "build.json").read_text())["instance"] != instance
    assert world.sh("test -e /.venv/new", "t2").status == 1
    assert world.sh("test -e /.venv/mine").status == 0  # carried into a layer of its own above the new one
    (old,) = build.parent.glob(".new-*")
    sweep(build.parent)
    assert old.exists()
    out, _ = session.communicate(b"\n")
    assert (session.returncode, out) == (0, b"/.venv/bin/pip\n/.venv/mine\nnew\n")
    assert "lock" not in (world.workspace() / "open").read_text()
    wait_until_alone(world.base.name)
    sweep(build.parent)
    assert not old.exists()


def test_status_names_the_builds_and_what_optional_links_miss(thread: World) -> None:
    done = thread.cli("status", "t1")
    for path in builds(thread):
        about = json.loads((path / "build.json").read_text())
        if about["key"].startswith("bun-") and about["inputs"]["packages"] == {"is-number": "^7.0.0"}:
            assert f"  build {about['key']}\n" in done.stdout.decode()
    assert "  link .solven/skills/system leads nowhere yet" in done.stdout.decode()
    (thread.storage / "skills/system").mkdir(parents=True)
    assert thread.status().missing_links == (".drafts",)
    assert [key.partition("-")[0] for key in thread.status().builds] == ["python", "bun"]
    document = json.loads(thread.cli("status", "t1", "--format", "json").stdout)
    (told,) = document["threads"]
    assert told["builds"] == list(thread.status().builds)
    assert told["missing_links"] == [".drafts"]
    known = {
        "thread",
        "state",
        "generation",
        "error",
        "changes",
        "builds",
        "added",
        "missing_links",
        "interrupted",
        "unenforced",
    }
    assert set(told) == known | {"session", "profile", "remarks", "carried"}


def test_a_killed_first_apply_is_finished_by_the_next(lone_world: World) -> None:
    """Killed while uv installs: what it has of the build is there, under no name that is believed."""
    world = lone_world
    process = world.start("apply", str(world.profile), "t1", stderr=subprocess.DEVNULL)
    while not list(world.builds.glob(".new-python-*/tree/pyvenv.cfg")):
        time.sleep(POLL)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    wait_until_alone(world.base.name)
    assert [path for path in builds(world) if path.name.startswith("python-")] == []
    assert "never applied" in world.cli("run", "t1", "--", "true").stderr.decode()
    assert world.apply().generation == 1
    assert world.out(WORKS) == f"{PYTHON}\n"
    assert not list(world.builds.glob(".new-*"))


def test_an_apply_while_a_command_runs_succeeds_and_changes_nothing_of_it(thread: World) -> None:
    script = "touch /up; read -r _; python -c 'import six'; echo $GREETING; cat /greeting"
    process = thread.start("run", "t1", "--", "sh", "-c", script, stdin=-1, stdout=-1)
    wait_for_file(thread.workspace() / "up")
    edited = edited_profile(thread, "env:\n", "env:\n  GREETING: hello\n")
    edited.write_text(edited.read_text().replace("dotfiles:\n", "dotfiles:\n  greeting: {content: new}\n"))
    thread.apply(profile=edited)
    assert thread.out("echo $GREETING; cat /greeting") == "hello\nnew"
    out, _ = process.communicate(b"\n")
    assert (process.returncode, out) == (0, b"\nnew")


def edited_profile(world: World, old: str, new: str) -> Path:
    """The small profile with another text in it, its lock beside it."""
    place = world.base / "edited.yaml"
    shutil.copytree(DATA / "small.lock", world.base / "edited.lock", dirs_exist_ok=True)
    text = (DATA / "small.yaml").read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    return place


def test_a_lock_that_is_out_of_date_is_7_and_names_lock(thread: World) -> None:
    edited = edited_profile(thread, "[six]", "[six, packaging]")
    for verb in ("apply", "diff"):
        done = thread.cli(verb, str(edited), "t1")
        assert (done.returncode, done.stdout) == (7, b"")
        assert f"solven-env lock {edited}" in done.stderr.decode()
    with pytest.raises(LockError):
        thread.apply(profile=edited)
    assert thread.out(WORKS) == f"{PYTHON}\n"  # commands need the recorded lock only


def test_a_changed_lock_is_a_new_build_and_a_new_layer(thread: World) -> None:
    """Without packages, so that nothing is to be resolved: pip alone, and an empty node_modules."""
    thread.out("touch /.venv/mine")
    before = set(thread.status().builds)
    layers = tree(thread.base / "data/solven-env/layers")
    edited = edited_profile(thread, "[six]", "[]")
    edited.write_text(edited.read_text().replace("{is-number: ^7.0.0}", "{}"))
    report = thread.apply(profile=edited)
    assert {"file:uv.lock", "settings:launch"} <= {change.address for change in report.changes}
    assert set(thread.status().builds) & before == set()
    assert thread.sh("python -c 'import six'").status != 0
    assert thread.out("pip --version; ls -A /node_modules; ls /.venv").split()[0] == "pip"
    assert thread.sh("test -e /.venv/mine").status == 1
    assert layers < tree(thread.base / "data/solven-env/layers")
    thread.apply()  # and back: the old layer is the one of the old build
    assert thread.out("ls /.venv/mine; python -c 'import six'") == "/.venv/mine\n"


def test_threads_that_are_first_at_the_same_time_share_one_build(lone_world: World) -> None:
    world = lone_world
    applies = [
        world.start("apply", str(world.profile), f"t{number}", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(3)
    ]
    for process in applies:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert len(builds(world)) == 2
    assert world.out(WORKS, "t2") == f"{PYTHON}\n"
