"""The generations of a thread: listed, shown and gone back to."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import ConflictError, NeverAppliedError, PlatformError, StateError, UsageError
from solven_env.state.local import LocalState
from solven_env.state.records import record_key
from tests.profiles import write_profile
from tests.reconcile.crashes import dies_at
from tests.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")

FIRST = {".bashrc": "first {{ who }}\n", "bin/tool": {"content": "#!/bin/sh\n", "mode": "0755"}, "gone": "x"}
SECOND = {".bashrc": "second {{ who }}\n", "bin/tool": {"content": "#!/bin/sh\n", "mode": "0700"}, "new/b": "y"}
INPUTS = {"who": {"type": "string", "default": "ada"}}


class World:
    """A storage, and a profile of two releases."""

    def __init__(self, place: Path) -> None:
        self.place, self.storage = place, place / "storage"
        self.workspace = self.storage / "threads/t1"
        self.state = self.storage / ".solven-env/threads/t1"

    def release(self, number: int, **sections: object) -> Path:
        return write_profile(
            self.place / "profile.yaml",
            FIRST if number == 1 else SECOND,
            **{"inputs": INPUTS, "release": f"{number}.0.0", "env": {"N": str(number)}, **sections},
        )

    def apply(self, number: int, **inputs: str) -> int:
        report = solven_env.apply(self.release(number), "t1", storage=self.storage, inputs=inputs)
        return report.threads[0].generation

    def rollback(self, number: int | None = None, **options: object) -> tuple[int, int]:
        (thread,) = solven_env.rollback("t1", number, storage=self.storage, **options).threads  # type: ignore[arg-type]
        return thread.restored, thread.generation

    def ours(self) -> dict[str, tuple[bytes, int]]:
        """Bytes and mode of every file of the workspace."""
        files = (path for path in self.workspace.rglob("*") if path.is_file())
        return {str(path.relative_to(self.workspace)): (path.read_bytes(), path.stat().st_mode) for path in files}

    def recorded(self) -> dict[str, object]:
        """The record without what counts applies."""
        stored = LocalState(self.storage).get(record_key("t1"))
        assert stored is not None
        return {name: value for name, value in json.loads(stored.value).items() if name != "generation"}

    def told(self) -> list[tuple[int, str, str, bool]]:
        """The history: number, cause, paths that were kept, and whether it is the present one."""
        return [
            (each.number, each.about("cause"), " ".join(kept.path for kept in each.kept), each.is_present)
            for each in solven_env.history("t1", storage=self.storage).generations
        ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_rollback_restores_every_byte_mode_setting_and_input(world: World) -> None:
    world.apply(1)
    files, recorded = world.ours(), world.recorded()
    assert world.apply(2, who="bob") == 2
    before = snapshot(world.storage)
    assert world.rollback(dry_run=True) == (1, 2)
    assert snapshot(world.storage) == before
    assert world.rollback() == (1, 3)
    assert (world.ours(), world.recorded()) == (files, recorded)
    assert not (world.workspace / "new").exists()
    assert world.told() == [(3, "rollback to 1", "", True), (2, "apply", "", False), (1, "apply", "", False)]
    before = snapshot(world.storage)
    assert world.rollback(1) == (1, 3)
    assert snapshot(world.storage) == before  # it is in sync already


def test_a_rollback_of_a_rollback_goes_forward_again(world: World) -> None:
    world.apply(1)
    world.apply(2, who="bob")
    files, recorded = world.ours(), world.recorded()
    assert [world.rollback(), world.rollback()] == [(1, 3), (2, 4)]
    assert (world.ours(), world.recorded()) == (files, recorded)
    assert solven_env.status("t1", storage=world.storage).threads[0].state == "in-sync"


def test_what_the_agent_wrote_is_a_conflict_and_kept_when_overwritten(world: World) -> None:
    world.apply(1)
    world.apply(2)
    (world.workspace / ".bashrc").write_text("the agent's")
    before = snapshot(world.storage)
    with pytest.raises(ConflictError, match=r"\.bashrc"):
        world.rollback()
    assert snapshot(world.storage) == before
    assert world.rollback(on_conflict="overwrite") == (1, 3)
    assert (world.workspace / ".bashrc").read_text() == "first ada\n"
    assert world.told()[0] == (3, "rollback to 1", ".bashrc", True)


def test_lost_bytes_are_named_and_nothing_is_changed(world: World) -> None:
    world.apply(1)
    world.apply(2)
    (world.storage / ".solven-env/rendered").rename(world.place / "lost")
    before = snapshot(world.storage)
    with pytest.raises(StateError, match=r"generation 1 had for \.bashrc are gone or damaged"):
        world.rollback()
    assert snapshot(world.storage) == before


def test_a_source_that_is_gone_is_named_before_anything_is_changed(world: World) -> None:
    source = world.place / "shown"
    source.mkdir()
    mounts = [{"source": str(source), "target": "/shown"}]
    solven_env.apply(world.release(1, mounts=mounts), "t1", storage=world.storage)
    world.apply(2)
    source.rmdir()
    with pytest.raises(PlatformError, match="not on this host"):
        world.rollback()
    assert world.told()[0][:2] == (2, "apply")


def test_without_a_number_an_interrupted_thread_goes_back_to_its_last_whole_generation(world: World) -> None:
    world.apply(1)
    files = world.ours()
    record = {**world.recorded(), "generation": 1, "intended": {}}
    (world.state / "state.json").write_text(json.dumps(record))
    (world.workspace / ".bashrc").write_text("half")
    assert world.rollback() == (1, 2)
    assert world.ours() == files


def test_the_first_generation_has_none_before_it(world: World) -> None:
    world.apply(1)
    with pytest.raises(StateError, match="no generation before 1"):
        world.rollback()


def test_damaged_generations_are_named_and_the_others_told(world: World) -> None:
    for number in (1, 2, 1):
        world.apply(number)
    generations = world.state / "generations"
    (generations / "1/record.json").write_text("{")
    (generations / "2/record.json").write_bytes((generations / "3/record.json").read_bytes())
    found = solven_env.history("t1", storage=world.storage)
    assert [(each.number, bool(each.record), each.error) for each in found.generations] == [
        (3, True, ""),
        (2, False, "this record is that of another generation"),
        (1, False, "this record is damaged"),
    ]
    assert json.loads(json.dumps(found.to_json()))["threads"][0]["generations"][2]["damaged"]
    for call in (world.rollback, lambda: solven_env.show("t1", 2, storage=world.storage)):
        with pytest.raises(StateError, match="generation 2 cannot be used"):
            call()
    (generations / "3/kept.json").write_text('[{"path": "../../etc/passwd", "kept": "locks/x"}]')
    assert solven_env.history("t1", storage=world.storage).generations[0].error == "this list of kept files is damaged"
    assert solven_env.show("t1", 3, storage=world.storage).generation.kept == ()


def test_what_an_earlier_version_did_not_note_is_told_as_unknown(world: World) -> None:
    world.apply(1)
    record = world.state / "generations/1/record.json"
    fields = json.loads(record.read_text())
    assert fields.pop("about").keys() == {"time", "host", "version", "cause", "kept"}
    record.write_text(json.dumps(fields))
    assert world.told() == [(1, "", "", True)]
    described = solven_env.show("t1", 1, storage=world.storage).to_json()["threads"][0]  # type: ignore[index]
    assert [described[name] for name in ("time", "host", "version", "cause")] == [None] * 4


def test_show_tells_what_a_generation_left_and_what_is_other_than_before(world: World) -> None:
    world.apply(1)
    world.apply(2, who="bob")
    found = solven_env.show("t1", 2, storage=world.storage)
    assert (found.before, found.changed) == (1, ("env.N", "inputs.who", "release"))
    described = json.loads(json.dumps(found.to_json()))["threads"][0]
    assert (described["generation"], described["inputs"]) == (2, {"who": "bob"})
    modes = {each["address"]: each["mode"] for each in described["resources"]}
    assert (modes["file:bin/tool"], modes["file:.bashrc"]) == ("0700", "0644")


def test_what_there_is_none_of_is_said(world: World) -> None:
    for verb in (solven_env.history, solven_env.rollback):
        with pytest.raises(NeverAppliedError):
            verb("t1", storage=world.storage)
    assert not world.storage.exists()
    world.apply(1)
    for call in (world.rollback, lambda number: solven_env.show("t1", number, storage=world.storage)):
        with pytest.raises(UsageError, match="no generation 7"):
            call(7)


def test_a_rollback_that_died_at_any_effect_is_finished(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same rollback again, or by an apply of the profile; what the agent wrote is kept, and nothing is left."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    world = World(memory_path)
    world.apply(1)
    first = world.ours()
    world.apply(2)
    (world.workspace / ".bashrc").write_text("the agent's")
    (world.workspace / "gone").mkdir()
    (world.workspace / "gone/mine").write_text("the agent's too")
    aside = memory_path / "aside"
    shutil.copytree(world.storage, aside, symlinks=True)
    number, died = 0, True
    while died:
        died = dies_at(number, lambda: world.rollback(1, on_conflict="overwrite"))
        if number % 2:
            solven_env.apply(world.release(2), "t1", storage=world.storage, on_conflict="overwrite")
            assert {*world.ours()} - {"gone/mine"} == {".bashrc", "bin/tool", "new/b"}
            assert world.ours()[".bashrc"][0] == b"second ada\n"
        else:
            world.rollback(1, on_conflict="overwrite")
            assert world.ours() == first
        assert world.recorded()["intended"] is None
        assert [*world.workspace.rglob(".solven-env-*.tmp"), *world.storage.rglob(".tmp-*")] == []
        texts = {path.read_text() for path in world.storage.rglob("*") if path.is_file()}
        assert {"the agent's", "the agent's too"} <= texts
        shutil.rmtree(world.storage)
        shutil.copytree(aside, world.storage, symlinks=True)
        number += 1
    assert number > 30


def test_a_rollback_makes_the_directories_that_an_agent_had(world: World) -> None:
    """They are in no record, since they were not ours."""
    (world.workspace / "bin").mkdir(parents=True)
    world.apply(1)
    files = world.ours()
    solven_env.apply(write_profile(world.place / "none.yaml", {}), "t1", storage=world.storage)
    (world.workspace / "bin").rmdir()
    assert world.rollback(1) == (1, 3)
    assert world.ours() == files


def test_a_rollback_writes_files_whose_modes_the_storage_did_not_keep(world: World) -> None:
    world.apply(1)
    record = world.state / "generations/1/record.json"
    fields = json.loads(record.read_text())
    for entry in fields["resources"].values():
        entry["mode"] = ""
    record.write_text(json.dumps(fields))
    world.apply(2)
    assert world.rollback(1) == (1, 3)
    assert (world.workspace / "gone").read_text() == "x"
