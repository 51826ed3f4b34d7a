"""Threads of storages that are copied, unmounted, dead or hung: what commands say and do, and that `stop` works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.cli.errors import exit_code
from solven_env.doctor import looks
from solven_env.doctor.examining import Examination
from solven_env.doctor.host import Host
from solven_env.doctor.questions import Finding, ask_all
from solven_env.errors import SolvenError, StorageError
from tests.mounts import as_root, bound, fused
from tests.sandbox.running import wait_until_alone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.run.world import World


def check_refused(world: World, kind: type[SolvenError], expected: str, storage: Path) -> None:
    """Every verb that looks at the storage says the same of it, and doctor does."""
    verbs: dict[str, Callable[[], object]] = {
        "apply": lambda: solven_env.apply(world.profile, "t1", storage=storage),
        "diff": lambda: solven_env.diff(world.profile, "t1", storage=storage),
        "status": lambda: solven_env.status("t1", storage=storage),
        "run": lambda: solven_env.run("t1", ["true"], storage=storage),
        "explain": lambda: solven_env.explain("t1", ["true"], storage=storage),
        "contents": lambda: solven_env.contents("t1", storage=storage),
    }
    for verb, act in verbs.items():
        with pytest.raises(kind, match=expected) as caught:
            act()
        assert exit_code(caught.value) == 1, verb
        assert str(storage) in caught.value.location
    assert doctor_says(storage) == caught.value.message


def doctor_says(storage: Path) -> str:
    """What is broken about the storage, by the one question about it."""
    (question,) = (each for each in Examination("t1", None, storage).own_questions() if each.name == "storage")
    (found,) = ask_all("host", [question._replace(needs=())], Host.find(), set())
    assert isinstance(found, Finding)
    assert found.answer.level == "broken"
    return found.answer.detail


@as_root
def test_a_storage_that_is_not_mounted(bare: World) -> None:
    mnt, disk = bare.base / "mnt", bare.base / "disk"
    disk.mkdir()
    with bound(disk, mnt):
        solven_env.apply(bare.profile, "t1", storage=mnt)
    check_refused(bare, StorageError, f"nothing is mounted at {mnt} now", mnt)
    refused = bare.cli("run", "--storage", f"{mnt}/", "t1", "--", "true")
    assert (refused.returncode, refused.stderr.count(b"error: ")) == (125, 1)
    stopped = bare.cli("stop", "t1", "--storage", f"{mnt}/")
    assert (stopped.returncode, stopped.stderr) == (0, b"t1: there was no session.\n")
    assert os.listdir(mnt) == []
    with bound(disk, mnt):
        assert solven_env.status("t1", storage=mnt).threads[0].state == "in-sync"


def test_a_mount_that_the_host_requires(bare: World) -> None:
    config = {"storages": {"prod": {"root": str(bare.storage), "require_mount": True}}, "default_storage": "prod"}
    (bare.base / "config.yaml").write_text(json.dumps(config))
    check_refused(bare, StorageError, "the storage prod is not mounted", bare.storage)
    config["storages"]["prod"] = {"root": str(bare.storage), "id": "another"}  # type: ignore[index]
    (bare.base / "config.yaml").write_text(json.dumps(config))
    check_refused(bare, StorageError, "the host configuration says another for prod", bare.storage)
    (bare.base / "config.yaml").write_text("")
    assert bare.status().state == "in-sync"


def test_a_copy_and_its_original_have_layers_of_their_own(thread: World) -> None:
    thread.out("touch /.venv/mine")
    copy = thread.base / "copy"
    subprocess.run(["cp", "-a", thread.storage, copy], check=True)
    done = thread.cli("run", "--storage", f"{copy}/", "t1", "--", "sh", "-c", "ls /.venv; touch /.venv/its")
    assert b"mine" not in done.stdout.split()
    assert done.stderr.decode() == (
        f"storage: {copy} is a copy of {thread.storage}, and gets layers of its own on this host\n"
    )
    again = thread.cli("run", "--storage", f"{copy}/", "t1", "--", "ls", "/.venv/its")
    assert (again.returncode, again.stderr) == (0, b"")
    assert "its" not in thread.out("ls /.venv; test -e /.venv/mine").split()
    assert solven_env.status("t1", storage=copy).threads[0].state == "in-sync"
    shutil.rmtree(thread.storage)
    copy.rename(thread.storage)
    assert "its" in thread.out("ls /.venv").split()


@as_root
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of looks that nobody waits for
@pytest.mark.parametrize("how", ["dead", "hung"])
def test_stop_needs_no_storage(bare: World, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the storage failed, or waited for a daemon that never answers, while the session went on."""
    mnt, disk = bare.base / "mnt", bare.base / "disk"
    disk.mkdir()
    with fused(disk, mnt) as daemon:
        solven_env.apply(bare.profile, "t1", storage=mnt)
        bare.environ["SOLVEN_ENV_STORAGE"] = f"{mnt}/"
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = bare.start("run", "t1", "--", "sh", "-c", "echo up; read -r _", **streams)  # which looks for no file
        assert command.stdout is not None
        assert command.stdout.readline() == b"up\n"
        daemon.send_signal(signal.SIGKILL if how == "dead" else signal.SIGSTOP)
        if how == "dead":
            daemon.wait()
            check_refused(bare, SolvenError, "the mount is dead: its daemon has ended", mnt)
        else:
            monkeypatch.setattr(looks, "SECONDS", 0.1)
            assert "does not answer" in doctor_says(mnt)
        for said in (b"t1: the session was stopped.\n", b"t1: there was no session.\n"):
            stopped = bare.cli("stop", "t1")
            assert (stopped.returncode, stopped.stderr) == (0, said)
        assert command.wait() == 137
    wait_until_alone(bare.base.name)
