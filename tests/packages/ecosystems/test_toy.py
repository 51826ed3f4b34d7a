"""A new ecosystem is a module, a row and a part of the schema: nothing else has to know it."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import LockError
from solven_env.packages.ecosystems import ECOSYSTEMS, rows
from solven_env.profile.source import read_schema
from tests.packages.ecosystems import toy
from tests.profiles import write_profile
from tests.run.world import World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A host that knows the toy, and this process on it."""
    schema = json.loads(read_schema("profile-v1.json"))
    schema["properties"][toy.NAME] = toy.SCHEMA
    monkeypatch.setattr("solven_env.profile.prepare.read_schema", lambda name: json.dumps(schema).encode())
    monkeypatch.setitem(ECOSYSTEMS, toy.NAME, toy)
    with tempfile.TemporaryDirectory(prefix="solven-") as cache, closing(new_world(tmp_path / cache)) as made:
        for name, value in made.environ.items():
            if name.startswith(("SOLVEN_", "XDG_")):
                monkeypatch.setenv(name, value)
        yield made


def profile(place: Path, version: str) -> Path:
    return write_profile(place / "toy.yaml", {"a": "a\n"}, toy={"version": version})


def out(world: World, *argv: str) -> str:
    with tempfile.TemporaryFile("w+b") as said, open(os.devnull) as nothing:
        status = solven_env.run("t1", argv, storage=world.storage, stdin=nothing.fileno(), stdout=said.fileno())
        said.seek(0)
        assert status == 0
        return said.read().decode()


def report(world: World, path: Path) -> Any:
    return solven_env.status("t1", profile=path, storage=world.storage).threads[0]


def test_a_toy_is_locked_applied_and_used(world: World, tmp_path: Path) -> None:
    path, told = profile(tmp_path, "1"), list[str]()
    with pytest.raises(LockError, match="is missing"):
        solven_env.apply(path, "t1", storage=world.storage)
    assert solven_env.lock(path, progress=told.append).files == ("toy.txt", "lock.json")
    assert [line.partition(" in ")[0] for line in told] == ["locking the toy 1 …", "locked the toy 1"]
    assert solven_env.check_lock(path, resolve=True).files == ("toy.txt", "lock.json")
    solven_env.apply(path, "t1", storage=world.storage)
    assert (world.workspace() / "toy.lock").read_text() == "toy 1\n"
    assert out(world, "sh", "-c", "cat /toy/version; echo $TOY; echo mine > /toy/mine") == "toy 1\n1\n"
    status = report(world, path)
    assert (status.state, [key.partition("-")[0] for key in status.builds]) == ("in-sync", ["toy"])
    explanation = solven_env.explain("t1", ["true"], storage=world.storage)
    assert [(mount.target, mount.why) for mount in explanation.mounts if mount.target == "/toy"] == [
        ("/toy", "the toys")
    ]
    assert [build.kind for build in explanation.builds] == ["toy"]
    listed = solven_env.contents("t1", storage=world.storage)
    assert listed.packages["toy"] == ("toy 1",)
    asked = solven_env.doctor(only=("toys", "toy registry"), storage=world.storage)
    assert [(each.question, each.answer.level) for each in asked.findings] == [("toys", "ok"), ("toy registry", "ok")]


def test_an_upgrade_is_another_build_with_a_layer_of_its_own(world: World, tmp_path: Path) -> None:
    path = profile(tmp_path, "1")
    solven_env.lock(path)
    solven_env.apply(path, "t1", storage=world.storage)
    out(world, "touch", "/toy/mine")
    profile(tmp_path, "2")
    with pytest.raises(LockError, match="is out of date"):
        solven_env.apply(path, "t1", storage=world.storage)
    solven_env.lock(path)
    assert report(world, path).state == "pending"
    solven_env.apply(path, "t1", storage=world.storage)
    assert out(world, "sh", "-c", "cat /toy/version; ls /toy") == "toy 2\nversion\n"
    out(world, "rm", "/toy/version")
    assert report(world, path).state == "drift"
    solven_env.apply(path, "t1", storage=world.storage)
    assert out(world, "cat", "/toy/version") == "toy 2\n"


def test_profiles_without_it_are_recorded_and_locked_as_before(world: World, tmp_path: Path) -> None:
    path = write_profile(tmp_path / "plain.yaml", {"a": "a\n"})
    solven_env.apply(path, "t1", storage=world.storage)
    record = json.loads((world.storage / ".solven-env/threads/t1/state.json").read_text())
    assert toy.NAME not in record["settings"]
    assert [row.NAME for row in rows()] == ["python", "bun", "toy"]
