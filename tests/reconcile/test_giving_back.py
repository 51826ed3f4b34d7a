"""What a generation kept comes back: bytes, modes, links and whole directories, whatever an agent put in their place."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import ConflictError, SolvenError, StateError, UsageError, WorkspaceError
from tests.profiles import write_profile
from tests.reconcile.crashes import dies_at
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")

DOTFILES = dict.fromkeys(("file", "dir", "link", "pipe", "deep/er/file", ".bashrc"), "ours")


class World:
    """A thread whose first apply found a workspace of the agent's, and kept what stood in the place of its files."""

    def __init__(self, place: Path, dotfiles: dict[str, Any] | None = None) -> None:
        self.storage = place / "storage"
        self.workspace = self.storage / "threads/t1"
        (self.workspace / "dir/sub").mkdir(parents=True)
        (self.workspace / "dir/sub/inner").write_text("in it")
        (self.workspace / "dir/out").symlink_to("/etc/passwd")
        (self.workspace / "dir").chmod(0o750)
        (self.workspace / "file").write_text("the agent's")
        (self.workspace / "file").chmod(0o640)
        (self.workspace / "link").symlink_to("../../etc/passwd")
        os.mkfifo(self.workspace / "pipe")
        (self.workspace / "deep/er").mkdir(parents=True)
        (self.workspace / "deep/er/file").write_text("deep")
        self.full = write_profile(place / "full.yaml", DOTFILES if dotfiles is None else dotfiles)
        self.bare = write_profile(place / "bare.yaml", {".bashrc": "ours"})
        solven_env.apply(self.full, "t1", storage=self.storage, on_conflict="overwrite")
        solven_env.apply(self.bare, "t1", storage=self.storage)

    @property
    def kept(self) -> Path:
        return self.storage / ".solven-env/threads/t1/generations/1/kept.json"

    def recover(self, path: str, **options: Any) -> tuple[int, int, int]:
        (thread,) = solven_env.recover("t1", path, storage=self.storage, **options).threads
        return thread.restored, thread.generation, len(thread.changes)

    def check_in_sync(self) -> None:
        (report,) = solven_env.apply(self.bare, "t1", storage=self.storage).threads
        assert (report.changes, report.is_interrupted) == ((), False)
        assert not list(self.storage.rglob(".solven-env-*.tmp"))

    def uid(self) -> int:
        return (self.workspace / ".bashrc").lstat().st_uid


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_bytes_modes_links_and_whole_directories_come_back(world: World) -> None:
    for number, path in enumerate(("file", "/dir/", "./link", "deep/er/file"), 3):
        assert world.recover(path) == (1, number, 1)
    workspace = world.workspace
    assert ((workspace / "file").read_text(), (workspace / "file").stat().st_mode & 0o7777) == ("the agent's", 0o640)
    assert os.readlink(workspace / "link") == "../../etc/passwd"
    assert ((workspace / "dir/sub/inner").read_text(), (workspace / "dir").stat().st_mode & 0o777) == ("in it", 0o750)
    assert os.readlink(workspace / "dir/out") == "/etc/passwd"
    assert (workspace / "deep/er/file").read_text() == "deep"
    assert {path.lstat().st_uid for path in workspace.rglob("*")} == {world.uid()}
    causes = [each.about("cause") for each in solven_env.history("t1", storage=world.storage).generations]
    assert causes == [*(f"recover {path}" for path in ("deep/er/file", "link", "dir", "file")), "apply", "apply"]
    world.check_in_sync()
    assert world.recover("file") == (1, 6, 0)  # it is there


def test_what_stands_there_is_a_conflict_and_kept_when_overwritten(world: World) -> None:
    (world.workspace / "file").mkdir()
    (world.workspace / "file/new").write_text("newer")
    (world.workspace / "dir").write_text("newer")
    before = snapshot(world.workspace)
    for path in ("file", "dir"):
        with pytest.raises(ConflictError, match="stands there"):
            world.recover(path)
    assert snapshot(world.workspace) == before
    assert [world.recover(path, on_conflict="overwrite")[1] for path in ("file", "dir")] == [3, 4]
    assert (world.workspace / "file").read_text() == "the agent's"
    assert (world.workspace / "dir/sub/inner").read_text() == "in it"
    # And back again: the newest that kept something of the path.
    assert [world.recover(path, on_conflict="overwrite")[0] for path in ("file", "dir")] == [3, 4]
    assert ((world.workspace / "file/new").read_text(), (world.workspace / "dir").read_text()) == ("newer", "newer")
    assert world.recover("file", generation=1, on_conflict="overwrite")[0] == 1
    world.check_in_sync()


def test_a_file_of_the_profile_is_drift_afterwards(world: World) -> None:
    (world.workspace / ".bashrc").write_text("edited")
    solven_env.apply(world.bare, "t1", storage=world.storage)
    assert world.recover(".bashrc", on_conflict="overwrite") == (3, 4, 1)
    (report,) = solven_env.status("t1", storage=world.storage).threads
    assert (report.state, (world.workspace / ".bashrc").read_text()) == ("drift", "edited")


def test_a_rollback_without_a_number_passes_over_what_was_given_back(world: World) -> None:
    world.recover("file")
    assert solven_env.rollback("t1", storage=world.storage, dry_run=True).threads[0].restored == 1


def test_what_cannot_be_given_back_is_said(world: World) -> None:
    before = snapshot(world.storage)
    for path, error, words in (
        ("../t2/file", UsageError, "no path of a workspace"),
        ("/", UsageError, "no path of a workspace"),
        ("deep/../file", UsageError, "no path of a workspace"),
        ("nothing", UsageError, "no generation of t1 kept nothing"),
        ("dir/sub/inner", UsageError, "Generation 1 moved dir aside whole"),
        ("pipe", StateError, "neither a file, a link nor a directory"),
    ):
        with pytest.raises(error, match=words):
            world.recover(path)
        assert snapshot(world.storage).keys() == before.keys()


def test_nothing_is_followed_and_nothing_is_waited_for(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(world.workspace / "deep", ignore_errors=True)
    (world.workspace / "deep").symlink_to(outside)
    with pytest.raises(WorkspaceError, match="a symbolic link stands here"):
        world.recover("deep/er/file", on_conflict="overwrite")
    (world.workspace / "file").symlink_to(outside / "target")
    os.mkfifo(world.workspace / "dir")
    for path in ("file", "dir"):
        with pytest.raises(ConflictError):
            world.recover(path)
        world.recover(path, on_conflict="overwrite")
    assert (world.workspace / "file").read_text() == "the agent's"
    assert list(outside.iterdir()) == []


EDITS: tuple[Callable[[dict[str, Any]], Any], ...] = (
    lambda entry: {**entry, "kept": "threads/t2/state.json"},
    lambda entry: {**entry, "kept": "../../../etc/passwd", "digest": ""},
    lambda entry: {**entry, "mode": "7"},
    lambda entry: {**entry, "digest": "sha256:" + "0" * 64, "kept": entry["kept"][:-64] + "0" * 64},
    lambda entry: {**entry, "path": "../../file"},
    lambda entry: {**entry, "size": "many"},
    lambda entry: [],
    lambda entry: {**entry, "type": "directory", "digest": "", "kept": "threads/t1/moved/1-00000000/../../x"},
)


def test_an_edited_list_gives_nothing_back(world: World) -> None:
    listed, before = json.loads(world.kept.read_text()), snapshot(world.workspace)
    for edit in EDITS:
        world.kept.write_text(json.dumps([edit(each) if each["path"] == "file" else each for each in listed]))
        with pytest.raises(SolvenError):
            world.recover("file")
        assert snapshot(world.workspace) == before
        assert solven_env.history("t1", storage=world.storage).generations


def test_damaged_bytes_are_not_given_back(world: World) -> None:
    for kept in (world.kept.parent / "kept").iterdir():
        kept.write_text("others")
    with pytest.raises(StateError, match="gone or damaged"):
        world.recover("file")
    assert not (world.workspace / "file").exists()


def test_what_a_mount_would_hide_is_not_given_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    profile = write_profile(tmp_path / "p.yaml", {}, mounts=[{"kind": "tmpfs", "target": "/dir"}])
    solven_env.apply(profile, "t1", storage=world.storage)
    with pytest.raises(WorkspaceError, match="the profile mounts something here"):
        world.recover("dir")


def test_an_interrupted_thread_is_finished_first(world: World) -> None:
    state = world.storage / ".solven-env/threads/t1/state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "intended": {}}))
    with pytest.raises(StateError, match="interrupted"):
        world.recover("file")


@pytest.mark.parametrize("path", ["dir", "deep/er/file"])
def test_a_death_at_any_effect_loses_nothing(path: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the one that comes back and of what stood in its place; the next apply converges."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    original = World(memory_path / "original")
    (original.workspace / path).write_text("newer")
    wanted = {"file": "the agent's", "dir": "in it", "deep/er/file": "deep"}
    number, died = 0, True
    while died:
        place = memory_path / str(number)
        shutil.copytree(original.storage.parent, place, symlinks=True)
        monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
        storage = place / "storage"
        died = dies_at(number, lambda at=storage: solven_env.recover("t1", path, storage=at, on_conflict="overwrite"))  # type: ignore[misc]
        solven_env.apply(place / "bare.yaml", "t1", storage=storage)
        assert json.loads((storage / ".solven-env/threads/t1/state.json").read_text())["intended"] is None
        assert not list((storage / "threads").rglob(".solven-env-*.tmp"))
        assert "newer" in texts(storage), number
        assert wanted.get(path, "newer") in texts(storage), number
        if number % 3 == 0 and not is_back(storage, path):  # then it is still kept
            solven_env.recover("t1", path, generation=1, storage=storage, on_conflict="overwrite")
            assert is_back(storage, path), number
        shutil.rmtree(place)
        number += 1
    assert number > 10


def is_back(storage: Path, path: str) -> bool:
    """True if the agent's stands at a path again."""
    at = storage / "threads/t1" / path
    return (at / "sub/inner").is_file() if path == "dir" else at.is_file() and at.read_text() != "newer"


def texts(storage: Path) -> set[str]:
    """The bytes of every file of a storage, but for locks and lists."""
    return {path.read_text() for path in storage.rglob("*") if path.is_file() and not path.is_symlink()}
