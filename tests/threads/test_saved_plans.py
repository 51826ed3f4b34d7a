"""Plans as files: what was saved is what is applied, or nothing is."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import ConflictError, HeldError, PlanError, SolvenError, UsageError
from solven_env.state.local import LocalState
from tests.profiles import write_profile
from tests.reconcile.crashes import dies_at
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")

FIRST = {".bashrc": "first {{ who }}\n", "bin/tool": {"content": "#!/bin/sh\n", "mode": "0755"}, "gone": "x"}
SECOND = {".bashrc": "second {{ who }}\n", "bin/tool": {"content": "#!/bin/sh\n", "mode": "0700"}, "new/b": "y"}
INPUTS = {"who": {"type": "string", "default": "ada"}}


class World:
    """A storage whose thread has the first release, and a plan for the second."""

    def __init__(self, place: Path) -> None:
        self.place, self.storage, self.file = place, place / "storage", place / "saved.plan"
        self.workspace = self.storage / "threads/t1"
        self.first = write_profile(place / "first.yaml", FIRST, inputs=INPUTS, env={"N": "1"})
        self.second = write_profile(place / "second.yaml", SECOND, inputs=INPUTS, env={"N": "2"}, release="2.0.0")
        solven_env.apply(self.first, "t1", storage=self.storage)

    def save(self, **options: Any) -> None:
        solven_env.save_plan(self.second, "t1", self.file, storage=self.storage, inputs={"who": "bob"}, **options)

    def apply(self, thread: str | None = None, **options: Any) -> Any:
        (report,) = solven_env.apply_plan(self.file, thread, storage=self.storage, **options).threads
        return report

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Forge the plan, with the checksum that it then has to have."""
        fields = json.loads(self.file.read_text())
        change(fields)
        fields.pop("sha256", None)
        self.file.write_text(json.dumps({**fields, "sha256": checksum(fields)}))


def checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def left(storage: Path) -> tuple[Any, ...]:
    """What an apply left: every file of the workspace with its mode, and the record."""
    workspace = storage / "threads/t1"
    files = {str(path.relative_to(workspace)): path for path in workspace.rglob("*")}
    modes = {name: path.lstat().st_mode for name, path in files.items()}
    data = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    record = json.loads((storage / ".solven-env/threads/t1/state.json").read_text())
    return modes, data, {name: value for name, value in record.items() if name != "incarnation"}


def tree(place: Path) -> dict[str, tuple[object, ...]]:
    return snapshot(place) if place.exists() else {}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_plan_that_was_saved_does_what_an_apply_does(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    applied = solven_env.apply(other.second, "t1", storage=other.storage, inputs={"who": "bob"}).threads[0]
    before = snapshot(world.storage)
    world.save()
    assert snapshot(world.storage) == before
    assert stat.S_IMODE(world.file.stat().st_mode) == 0o600
    assert world.apply(dry_run=True).changes == applied.changes
    assert snapshot(world.storage) == before
    report = world.apply("t1")
    assert (report.changes, report.generation) == (applied.changes, 2)  # with their reasons
    assert left(world.storage) == left(other.storage)
    assert solven_env.history("t1", storage=world.storage).generations[0].about("cause") == "plan"
    assert solven_env.diff(world.second, "t1", storage=world.storage).threads[0].changes == ()


def test_a_new_thread_and_a_new_storage_can_be_planned(world: World, tmp_path: Path) -> None:
    storage = tmp_path / "none"
    solven_env.save_plan(world.second, "t9", world.file, storage=storage)
    assert not storage.exists()
    with pytest.raises(PlanError, match="another one"):
        world.apply()
    assert solven_env.apply_plan(world.file, storage=storage).threads[0].generation == 1


@pytest.mark.parametrize(
    ("move", "named"),
    [
        (lambda world: (world.workspace / ".bashrc").write_text("agent"), r"file:\.bashrc"),
        (lambda world: (world.workspace / "bin/tool").chmod(0o711), "file:bin/tool"),
        (lambda world: (world.workspace / "gone").unlink(), "file:gone: there is nothing to change any more"),
        (lambda world: (world.workspace / "new").symlink_to("/etc"), "directory:new"),
        (lambda world: shutil.rmtree(world.workspace), r"directory:/: .*directory:bin: .*file:\.bashrc"),
        (lambda world: solven_env.apply(world.second, "t1", storage=world.storage), "has generation 2, and had 1"),
        (lambda world: shutil.rmtree(world.storage / ".solven-env/threads"), "generation 0, and had 1|made anew"),
    ],
)
def test_each_thing_that_moved_is_named_and_nothing_is_changed(
    world: World, move: Callable[[World], object], named: str
) -> None:
    world.save()
    move(world)
    before = tree(world.workspace)
    for dry_run in (True, False):
        with pytest.raises(PlanError, match=named):
            world.apply(dry_run=dry_run)
    assert tree(world.workspace) == before


def test_what_the_plan_does_not_touch_may_change(world: World) -> None:
    world.save()
    (world.workspace / "mine").write_text("the agent's")
    assert world.apply().generation == 2


def test_a_plan_that_is_older_than_places_is_applied(world: World) -> None:
    world.save()
    world.edit(lambda fields: fields.pop("places"))
    assert world.apply().generation == 2


def test_it_is_for_its_thread_and_its_storage_alone(world: World, tmp_path: Path) -> None:
    world.save()
    with pytest.raises(PlanError, match="a plan for thread t1, not for t2"):
        world.apply("t2")
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    with pytest.raises(PlanError, match="a plan for the storage"):
        solven_env.apply_plan(world.file, storage=other.storage)
    assert not (world.storage / "threads/t2").exists()


def test_conflicts_are_saved_only_with_the_choice_that_settles_them(world: World) -> None:
    (world.workspace / ".bashrc").write_text("agent")
    with pytest.raises(ConflictError):
        world.save()
    assert not world.file.exists()
    world.save(on_conflict="overwrite")
    report = world.apply()
    assert ([kept.path for kept in report.kept], report.generation) == ([".bashrc"], 2)
    assert (world.workspace / ".bashrc").read_text() == "second bob\n"


def test_a_held_thread_is_not_planned_upon(world: World) -> None:
    world.save()
    with LocalState(world.storage).lock("t1"), pytest.raises(HeldError):
        world.apply()
    world.apply()
    with pytest.raises(PlanError, match="generation 2"):  # whoever comes second
        world.apply()


def _bytes(fields: dict[str, Any]) -> None:
    digest = next(iter(fields["files"]))
    fields["files"][digest] = base64.b64encode(b"forged").decode()


def _resource(address: str, **entry: str) -> Callable[[dict[str, Any]], object]:
    data = b"forged"
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"

    def change(fields: dict[str, Any]) -> None:
        kind = address.partition(":")[0]
        fields["files"][digest] = base64.b64encode(data).decode()
        described = {"kind": kind, "own": "whole", "digest": digest, "mode": "0644", **entry}
        fields["wanted"]["resources"][address] = described

    return change


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "bytes": _bytes,
    "a path outside": _resource("file:../../t2/.bashrc"),
    "an absolute path": _resource("file:/etc/passwd"),
    "another file": _resource("file:extra"),
    "an unknown kind": _resource("socket:x"),
    "a build": _resource("build:python"),
    "a file above one": _resource("file:bin"),
    "a file in one": _resource("file:.bashrc/x"),
    "no mode": _resource("file:extra", mode=""),
    "an interrupted thread": lambda fields: fields.update(is_interrupted=True),
    "a version that was kept": lambda fields: fields["wanted"]["resources"]["file:.bashrc"].update(
        kept=f"sha256:{'0' * 64}"
    ),
    "a mode": _resource("file:extra", mode="99"),
    "a set-user-ID file": _resource("file:bin/hello", mode="4755"),
    "a digest": _resource("file:extra", digest="sha256:../../x"),
    "settings": lambda fields: fields["wanted"]["settings"].update(network="all"),
    "other settings": lambda fields: fields["wanted"]["settings"].pop("env"),
    "a link": lambda fields: fields["wanted"]["settings"]["links"].append({"path": "x", "to": "../../etc"}),
    "a command": lambda fields: fields["wanted"]["settings"].update(setup=[{"run": "echo forged", "inputs": []}]),
    "an input outside": lambda fields: fields["wanted"]["settings"].update(setup=[{"run": "x", "inputs": ["../x"]}]),
    "a secret of nowhere": lambda fields: fields["wanted"]["settings"].update(secrets=["KEY"]),
    "a place": lambda fields: fields["places"]["paths"].update({".bashrc": 1}),
    "a thread": lambda fields: fields.update(thread="../t2"),
    "another thread": lambda fields: fields.update(thread="t2"),
    "a storage": lambda fields: fields.update(storage={"id": "0" * 32, "path": "/"}),
    "no storage": lambda fields: fields.update(storage=None),
    "a generation": lambda fields: fields.update(generation=True),
    "a choice": lambda fields: fields.update(on_conflict="burn"),
    "changes": lambda fields: fields.update(changes={}),
    "a change": lambda fields: fields["changes"]["file:.bashrc"].update(after={"type": 1}),
    "another change": lambda fields: fields["changes"]["file:.bashrc"].update(action="remove"),
    "base64": lambda fields: fields["files"].update(dict.fromkeys(fields["files"], "§")),
    "a newer format": lambda fields: fields.update(format=2),
    "no format": lambda fields: fields.pop("format"),
    "a newer word": lambda fields: fields.update(novelty=1),
    "nothing wanted": lambda fields: fields.pop("wanted"),
    "a list": lambda fields: fields.update(wanted=[]),
    "a lock": lambda fields: fields["wanted"]["settings"].update(python={"version": "3.12", "packages": ["six"]}),
}


def test_a_forged_plan_changes_nothing(world: World) -> None:
    world.save()
    saved, before = world.file.read_bytes(), snapshot(world.workspace)
    for name, forge in FORGERIES.items():
        world.file.write_bytes(saved)
        world.edit(forge)
        with pytest.raises(SolvenError) as caught:
            world.apply()
        assert isinstance(caught.value, (PlanError, UsageError)), name
        assert snapshot(world.workspace) == before, name


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: data[:-9],
    lambda data: b"",
    lambda data: b"[" * 100_000,
    lambda data: b"\xff\xfe",
    lambda data: b"[1]",
    lambda data: data.replace(b'"who": "bob"', b'"who": "eve"'),
    lambda data: data.replace(b'"format": 1', b'"format": 2'),
)


def test_a_damaged_plan_is_told_in_one_message(world: World) -> None:
    world.save()
    saved = world.file.read_bytes()
    for damage in DAMAGES:
        world.file.write_bytes(damage(saved))
        with pytest.raises(PlanError, match=r"saved\.plan"):
            world.apply()


def test_what_is_no_file_is_neither_read_nor_replaced(world: World) -> None:
    os.mkfifo(world.file)
    (world.place / "directory").mkdir()
    for path in (world.file, world.place / "directory", world.place / "none"):
        with pytest.raises(UsageError):
            solven_env.apply_plan(path, storage=world.storage)
    for path in (world.file, world.place / "directory", world.place / "none/x"):
        with pytest.raises(UsageError, match="cannot write"):
            solven_env.save_plan(world.second, "t1", path, storage=world.storage)
    assert {path.name for path in world.place.iterdir()} == {
        *("directory", "first.yaml", "saved.plan", "second.yaml", "storage")
    }


def test_a_death_at_any_effect_is_finished_by_the_next_apply(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    world = World(memory_path)
    (world.workspace / ".bashrc").write_text("the agent's")
    world.save(on_conflict="overwrite")
    aside = memory_path / "aside"
    shutil.copytree(world.storage, aside, symlinks=True)
    number, died = 0, True
    while died:
        died = dies_at(number, world.apply)
        choice = {"inputs": {"who": "bob"}, "on_conflict": "overwrite"}
        solven_env.apply(world.second, "t1", storage=world.storage, **choice)  # type: ignore[arg-type]
        assert solven_env.diff(world.second, "t1", storage=world.storage).threads[0].state == "in-sync", number
        assert not list((world.storage / "threads").rglob(".solven-env-*.tmp"))
        kept = (world.storage / ".solven-env/threads/t1/generations").glob("*/kept/*")
        assert b"the agent's" in {path.read_bytes() for path in kept}, number
        shutil.rmtree(world.storage)
        shutil.copytree(aside, world.storage, symlinks=True)
        number += 1
    assert number > 30
