"""Deleting a thread: nothing of it stays, nothing else goes, and a death anywhere leaves what the next one finishes."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import HeldError, StateError, UsageError, WorkspaceError
from solven_env.state.local import LocalState
from solven_env.system import directories
from solven_env.threads import claims
from solven_env.threads.thread import Thread
from tests.mounts import as_root, bound
from tests.profiles import write_profile
from tests.reconcile.crashes import dies_at

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def storage(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage whose threads are all of one profile, on a host of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(memory_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(memory_path / "run"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    write_profile(memory_path / "profile.yaml", {"bin/hello": "hello\n", ".bashrc": "a\n"})
    return memory_path / "storage"


def make(storage: Path, thread: str) -> None:
    """A thread of two generations with something kept and moved, a layer of a former life, a uid and an agent's files."""
    profile = storage.with_name("profile.yaml")
    solven_env.apply(profile, thread, storage=storage)
    workspace = storage / "threads" / thread
    (workspace / ".bashrc").write_text("the agent's")
    (workspace / "bin/hello").unlink()
    (workspace / "bin/hello/inner").mkdir(parents=True)
    (workspace / "bin/hello/inner/file").write_text("moved")
    solven_env.apply(profile, thread, storage=storage, on_conflict="overwrite")
    (workspace / "own/deep").mkdir(parents=True)
    (workspace / "own/deep/file").write_text("the agent's")
    (workspace / "link").symlink_to("/etc")
    known_as = str(Thread.find(thread, storage).storage_id)
    for incarnation in ("former", "now"):
        layer = directories.data() / "layers" / known_as / thread / incarnation / "python-1" / "upper"
        layer.mkdir(parents=True)
        (layer / "added").write_text("added")
    claims.draw(directories.data(), (), range(70000, 70010), claims.Claimant(known_as, thread, "now"))


def left(storage: Path, thread: str) -> list[str]:
    """The paths of storage and host that are of a thread still."""
    data = directories.data()
    found = [path for place in (storage, data) for path in place.rglob("*") if thread in str(path.relative_to(place))]
    return sorted(map(str, found)) + [claim.thread for claim in claims.claimed(data).values() if claim.thread == thread]


def test_nothing_stays(storage: Path) -> None:
    make(storage, "t1")
    make(storage, "other")
    others = left(storage, "other")
    (report,) = solven_env.delete("t1", storage=storage).threads
    assert (report.state, report.freed > 8192, report.has_workspace) == ("deleted", True, False)
    assert (left(storage, "t1"), left(storage, "other")) == ([], others)
    assert solven_env.status("other", storage=storage).threads[0].state == "in-sync"
    with pytest.raises(UsageError, match="there is no thread t1 "):
        solven_env.delete("t1", storage=storage)
    make(storage, "t1")  # and begins anew
    assert [each.number for each in solven_env.history("t1", storage=storage).generations] == [2, 1]


def test_the_workspace_is_kept_with_its_uid(storage: Path) -> None:
    make(storage, "t1")
    (report,) = solven_env.delete("t1", storage=storage, keep_workspace=True).threads
    assert report.has_workspace
    assert (storage / "threads/t1/own/deep/file").read_text() == "the agent's"
    assert [each.thread for each in claims.claimed(directories.data()).values()] == ["t1"]
    assert not (storage / ".solven-env/threads/t1").exists()
    solven_env.delete("t1", storage=storage)
    assert left(storage, "t1") == []


def damage_record(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").write_text('{"format": 1, "gener')


def lose_record(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").unlink()


def write_newer(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").write_text(json.dumps({"format": 99}))


def lose_workspace(storage: Path) -> None:
    (storage / "threads/t1").rename(storage / "elsewhere")


def put_a_file(storage: Path) -> None:
    lose_workspace(storage)
    (storage / "threads/t1").write_text("")


def put_a_link(storage: Path) -> None:
    lose_workspace(storage)
    (storage / "threads/t1").symlink_to(storage / "elsewhere")


@pytest.mark.parametrize(
    "harm",
    [damage_record, lose_record, write_newer, lose_workspace, put_a_file, put_a_link],
    ids=lambda each: each.__name__,
)
def test_whatever_is_damaged(storage: Path, harm: object) -> None:
    make(storage, "t1")
    harm(storage)  # type: ignore[operator]
    solven_env.delete("t1", storage=storage)
    assert left(storage, "t1") == []
    if (storage / "elsewhere").exists():
        assert (storage / "elsewhere/own/deep/file").exists()


@pytest.mark.parametrize("place", [".solven-env/threads/t1", ".solven-env/threads/t1/generations", "threads"])
def test_a_link_in_our_place_is_not_followed(storage: Path, place: str) -> None:
    make(storage, "t1")
    (storage / place).rename(storage / "elsewhere")
    (storage / place).symlink_to(storage / "elsewhere")
    try:
        solven_env.delete("t1", storage=storage)
    except (StateError, WorkspaceError) as error:
        assert "link" in error.message or "no directory" in error.message
        assert (storage / ".solven-env/threads/t1/state.json").exists()
    assert len(list((storage / "elsewhere").rglob("*"))) > 2


def test_an_apply_holds_it(storage: Path) -> None:
    make(storage, "t1")
    before = left(storage, "t1")
    with LocalState(storage).lock("t1"), pytest.raises(HeldError):
        solven_env.delete("t1", storage=storage)
    assert left(storage, "t1") == before


def test_who_waited_for_the_lock_of_a_deleted_thread_does_not_have_it(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(storage, "t1")
    from solven_env.state import local

    take = local._take

    def take_late(directory: int, *arguments: object) -> int:
        monkeypatch.setattr(local, "_take", take)
        solven_env.delete("t1", storage=storage)
        return take(directory, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "_take", take_late)
    with pytest.raises(HeldError, match="being deleted"), LocalState(storage).lock("t1"):
        pass
    assert left(storage, "t1") == []


@as_root
def test_what_is_mounted_in_it_keeps_all(storage: Path) -> None:
    make(storage, "t1")
    (storage / "threads/t1/a b").mkdir()
    before = left(storage, "t1")
    with bound(storage.with_name("data"), storage / "threads/t1/a b"):
        with pytest.raises(WorkspaceError, match="mounted here") as caught:
            solven_env.delete("t1", storage=storage)
        assert caught.value.location.endswith("threads/t1/a b")
    assert left(storage, "t1") == before
    solven_env.delete("t1", storage=storage)
    assert left(storage, "t1") == []


def test_it_dies_at_any_effect_and_the_next_one_finishes(storage: Path) -> None:
    make(storage, "t1")
    made = storage.with_name("made")
    made.mkdir()
    for place in (storage, storage.with_name("data")):
        subprocess.run(["cp", "-a", place, made], check=True)
    number, dies = 0, True
    while dies:
        subprocess.run(["cp", "-a", *made.iterdir(), storage.parent], check=True)
        before = {path.name: path.read_bytes() for path in (storage / "threads/t1/own").rglob("file")}
        dies = dies_at(number, lambda: solven_env.delete("t1", storage=storage))
        record = storage / ".solven-env/threads/t1/state.json"
        workspace = storage / "threads/t1/own"
        if record.exists():
            assert Thread.find("t1", storage).applied().generation == 2, number
            assert {path.name: path.read_bytes() for path in workspace.rglob("file")} == before, number
        if (storage / "threads/t1").exists():
            assert [each.thread for each in claims.claimed(directories.data()).values()] == ["t1"], number
        if left(storage, "t1"):
            solven_env.delete("t1", storage=storage)
        assert left(storage, "t1") == [], number
        number += 1
    assert number > 20
