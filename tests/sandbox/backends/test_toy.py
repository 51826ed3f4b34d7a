"""A new backend is a module, a row and its name in the schema: nothing else has to know it."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.doctor.host import installed_backend
from solven_env.errors import ProfileError, UsageError
from solven_env.profile.source import read_schema
from solven_env.run import explanation
from solven_env.sandbox.backends import BACKENDS
from tests.profiles import write_profile
from tests.run.world import World, new_world
from tests.sandbox.backends import toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SANDBOX = {"backend": "toy", "network": "none", "limits": {"processes": 9}}


@pytest.fixture
def unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A host, and this process on it."""
    with tempfile.TemporaryDirectory(prefix="solven-") as cache, closing(new_world(tmp_path / cache)) as made:
        for name, value in made.environ.items():
            if name.startswith(("SOLVEN_", "XDG_")):
                monkeypatch.setenv(name, value)
        made.profile = write_profile(made.base / "toy.yaml", {"hello": "hello\n"}, sandbox=SANDBOX)
        made.backend = "toy"
        yield made


@pytest.fixture
def world(unknown: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The host with the toy's row, and its name in the schema."""
    schema = json.loads(read_schema("profile-v1.json"))
    schema["properties"]["sandbox"]["properties"]["backend"]["enum"].append(toy.NAME)
    monkeypatch.setattr("solven_env.profile.prepare.read_schema", lambda name: json.dumps(schema).encode())
    monkeypatch.setitem(BACKENDS, toy.NAME, toy.__name__)
    return unknown


def test_without_its_row_it_is_refused(unknown: World) -> None:
    with pytest.raises(ProfileError, match="'toy' is not bubblewrap or proot"):
        unknown.apply()


def test_it_is_applied_and_runs_commands(world: World) -> None:
    told: list[str] = []
    world.apply(progress=told.append)
    assert told == ["backend: toy (network asked for: none). The toy backend isolates nothing."]
    assert world.run("cat", "hello").out == "hello\n"
    done = world.run("sh", "-c", "echo $SOLVEN_ENV_CWD; echo err >&2; exit 7")
    assert (done.status, done.out, done.err) == (7, "/\n", "err\n")


def test_status_tells_what_it_does_not_enforce(world: World) -> None:
    world.apply()
    report = world.status()
    assert (report.state, report.session) == ("in-sync", None)
    told = [(each.limit, each.why) for each in report.unenforced]
    assert ("processes", "the backend is toy") in told


def test_it_is_explained(world: World) -> None:
    world.apply()
    told = solven_env.explain("t1", ["true"], storage=world.storage)
    assert (told.backend, told.network, told.program) == ("toy", "host", ("/usr/bin/env", "true"))
    assert "t1: generation 1, in toy. Nothing was started." in list(explanation.text(told))


def test_doctor_asks_about_it(world: World) -> None:
    world.apply()
    report = solven_env.doctor("t1", storage=world.storage, only=["backend"])
    (found,) = (each.answer for each in report.findings if each.question == "backend")
    assert (found.level, found.detail, found.cause) == ("limited", toy.LACKS, toy.STATEMENT)
    assert installed_backend("toy").name == "toy"


def test_its_lack_of_sessions_and_its_name_are_told(world: World) -> None:
    world.apply()
    with pytest.raises(UsageError, match="keep_alive: the backend toy has no session to keep"):
        world.run("true", keep_alive=1)
    with pytest.raises(UsageError, match="unknown backend x; use bubblewrap, proot or toy"):
        world.run("true", backend="x")
    assert solven_env.stop("t1", storage=world.storage) is False
