"""A new kind of resource is a module, a row and a part of the schema: nothing else has to know it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.cli.unified import say_diff
from solven_env.errors import ConflictError, ProfileError, StateError
from solven_env.profile.source import read_schema
from solven_env.reconcile.kinds import KINDS
from solven_env.state.records import load
from solven_env.threads.thread import vocabulary
from tests.profiles import write_profile
from tests.reconcile.kinds import toy
from tests.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.report import Report

pytestmark = pytest.mark.usefixtures("own_data", "countdowns")

NAME = "steps/launch.txt"
ADDRESS = f"countdown:{NAME}"


@pytest.fixture
def countdowns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's row, and its part of the schema."""
    schema = json.loads(read_schema("profile-v1.json"))
    schema["properties"]["countdowns"] = toy.SCHEMA
    monkeypatch.setattr("solven_env.profile.prepare.read_schema", lambda name: json.dumps(schema).encode())
    monkeypatch.setitem(KINDS, "countdown", toy)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The workspace of the thread, in a storage that is not there yet."""
    return tmp_path / "storage/threads/t1"


def counting_from(start: int | None, tmp_path: Path) -> Path:
    """A profile with one countdown, or none."""
    sections: dict[str, Any] = {} if start is None else {"countdowns": {NAME: start}}
    return write_profile(tmp_path / f"from-{start}.yaml", {".bashrc": "true\n"}, **sections)


def told(report: Report) -> tuple[str, list[str]]:
    """State of the report's one thread, and its changes: cause, action, address."""
    (thread,) = report.threads
    return thread.state, [f"{change.cause} {change.action} {change.address}" for change in thread.changes]


def test_it_is_planned_applied_and_in_sync(tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile, storage = counting_from(2, tmp_path), tmp_path / "storage"
    (change,) = (each for each in solven_env.plan(profile, "t1", storage=storage).changes if each.address == ADDRESS)
    assert (change.action, change.reason) == ("create", "the profile asks for it")
    say_diff(solven_env.diff(profile, "t1", storage=storage).threads[0])
    assert f"+++ {NAME}\n@@ -0,0 +1,3 @@\n+2\n+1\n+0\n" in capsys.readouterr().out
    solven_env.apply(profile, "t1", storage=storage)
    assert (place / NAME).read_bytes() == toy.lines(2)
    before = snapshot(storage)
    assert told(solven_env.apply(profile, "t1", storage=storage)) == ("in-sync", [])
    assert snapshot(storage) == before
    rendered = solven_env.contents("t1", storage=storage, packages=False).rendered
    assert NAME in [each.path for each in rendered]


def test_its_drift_and_its_conflict_are_told_and_nothing_of_the_agents_is_lost(tmp_path: Path, place: Path) -> None:
    storage = tmp_path / "storage"
    solven_env.apply(counting_from(2, tmp_path), "t1", storage=storage)
    later = counting_from(3, tmp_path)
    assert told(solven_env.status("t1", profile=later, storage=storage)) == ("pending", [f"pending replace {ADDRESS}"])
    (place / NAME).write_text("the agent's\n")
    assert told(solven_env.status("t1", storage=storage)) == ("drift", [f"drift replace {ADDRESS}"])
    assert told(solven_env.status("t1", profile=later, storage=storage)) == (
        "conflict",
        [f"conflict replace {ADDRESS}"],
    )
    with pytest.raises(ConflictError, match="the profile and the workspace both changed it"):
        solven_env.apply(later, "t1", storage=storage)
    report = solven_env.apply(later, "t1", storage=storage, on_conflict="overwrite")
    (kept,) = report.threads[0].kept
    assert (storage / ".solven-env" / kept.kept).read_text() == "the agent's\n"
    assert (place / NAME).read_bytes() == toy.lines(3)


def test_an_upgrade_changes_it_and_a_profile_without_it_removes_it(tmp_path: Path, place: Path) -> None:
    storage = tmp_path / "storage"
    solven_env.apply(counting_from(2, tmp_path), "t1", storage=storage)
    upgraded = solven_env.apply(counting_from(3, tmp_path), "t1", storage=storage)
    assert told(upgraded) == ("pending", [f"pending replace {ADDRESS}"])
    assert (place / NAME).read_bytes() == toy.lines(3)
    removed = solven_env.apply(counting_from(None, tmp_path), "t1", storage=storage)
    assert told(removed) == ("pending", [f"pending remove {ADDRESS}", "pending remove directory:steps"])
    assert not (place / "steps").exists()


@pytest.mark.parametrize("to", ["file", "countdown"])
def test_a_path_changes_its_kind(tmp_path: Path, place: Path, to: str) -> None:
    storage = tmp_path / "storage"
    profiles = {
        "file": write_profile(tmp_path / "file.yaml", {NAME: "content\n"}),
        "countdown": write_profile(tmp_path / "countdown.yaml", {}, countdowns={NAME: 2}),
    }
    other = next(name for name in profiles if name != to)
    solven_env.apply(profiles[other], "t1", storage=storage)
    solven_env.apply(profiles[to], "t1", storage=storage)
    assert (place / NAME).read_bytes() == (b"content\n" if to == "file" else toy.lines(2))
    assert told(solven_env.diff(profiles[to], "t1", storage=storage)) == ("in-sync", [])


def test_its_record_is_read_where_the_row_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solven_env.apply(counting_from(2, tmp_path), "t1", storage=tmp_path / "storage")
    written = (tmp_path / "storage/.solven-env/threads/t1/state.json").read_bytes()
    assert load(written, "state.json", vocabulary()).resources[ADDRESS].kind == "countdown"
    assert load(written, "state.json", vocabulary()).dump() == written
    monkeypatch.delitem(KINDS, "countdown")
    with pytest.raises(StateError, match=f"this record has {ADDRESS}, which this solven-env does not know"):
        load(written, "state.json", vocabulary())


def test_a_command_finds_it_and_doctor_tells_its_drift(tmp_path: Path, place: Path) -> None:
    storage = tmp_path / "storage"
    solven_env.apply(counting_from(2, tmp_path), "t1", storage=storage)
    assert solven_env.explain("t1", ["true"], storage=storage).cwd == "/"
    with (tmp_path / "said").open("w+b") as said, open(os.devnull) as nothing:
        status = solven_env.run(
            "t1", ["cat", f"/{NAME}"], storage=storage, stdin=nothing.fileno(), stdout=said.fileno(), stderr=2
        )
        said.seek(0)
        assert (status, said.read()) == (0, toy.lines(2))
    solven_env.stop("t1", storage=storage)
    (place / NAME).unlink()
    (finding,) = (
        each for each in solven_env.doctor("t1", storage=storage, only=("drift",)).findings if each.question == "drift"
    )
    assert (finding.answer.level, NAME in finding.answer.detail) == ("limited", True)


def test_two_kinds_cannot_have_one_path(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "both.yaml", {NAME: "content\n"}, countdowns={NAME: 2})
    with pytest.raises(ProfileError, match=f"{NAME} is asked for twice, as countdown and as file"):
        solven_env.plan(profile, "t1", storage=tmp_path / "storage")


def test_a_wrong_value_is_told_by_its_part_of_the_schema(tmp_path: Path) -> None:
    profile = tmp_path / "wrong.yaml"
    profile.write_text("version: 1\nname: test\nrelease: 1.0.0\ncountdowns: {a.txt: -1}\n")
    (mistake,) = solven_env.validate(profile)
    assert (mistake.location.line, mistake.location.column) == (4, 21)
