"""Lists of threads and of the disk that they take, on the command line and as the API gives them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.cli import rows
from solven_env.cli.options import StreamFormat
from solven_env.cli.tables import COLUMNS
from solven_env.errors import LockError, StateError, UsageError
from solven_env.report import ListedThread
from solven_env.state.local import LocalState
from solven_env.state.records import Record
from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Cli

UUID = "0197a8b2-5f5e-7d3a-9c1e-0a1b2c3d4e5f"
LONG = "x" * 70


@pytest.fixture
def storage(tmp_path: Path, own_data: Path) -> Path:
    """A storage: three threads of a profile, one of another, one that drifted, one damaged, one that was interrupted."""
    place, team = tmp_path / "storage", tmp_path / "team.yaml"
    team.write_text(PROFILE)
    for name in (UUID, LONG, "damaged", "drifted", "fine"):
        solven_env.apply(team, name, storage=place)
    other = tmp_path / "other.yaml"
    other.write_text(PROFILE.replace("name: small", "name: other"))
    solven_env.apply(other, "others", storage=place)
    (place / "threads/drifted/bin/hello").write_text("echo agent\n")
    (place / ".solven-env/threads/damaged/state.json").write_text("{")
    LocalState(place).create("threads/interrupted/state.json", Record("0" * 32, intended={}).dump())
    return place


def listed(storage: Path, **chosen: object) -> dict[str, str]:
    """The state of each thread of a list, in its order."""
    return {each.thread: each.state for each in solven_env.list_threads(storage=storage, **chosen)}  # type: ignore[arg-type]


def test_every_thread_is_listed_with_its_state(storage: Path) -> None:
    states = {UUID: "in-sync", "damaged": "failed", "drifted": "drift", "fine": "in-sync", "interrupted": "new"}
    everything = {**states, "others": "in-sync", LONG: "in-sync"}
    assert list(listed(storage).items()) == list(everything.items())
    found = {each.thread: each for each in solven_env.list_threads(storage=storage, disk=True)}
    fine, damaged = found["fine"], found["damaged"]
    assert (fine.profile, fine.release, fine.generation, fine.is_interrupted) == ("small", "1.0.0", 1, False)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", fine.applied)
    assert fine.disk is not None
    assert fine.disk.is_complete
    assert fine.disk.bytes > 4096
    assert isinstance(damaged.error, StateError)
    assert found["interrupted"].is_interrupted


def test_a_list_leaves_out_what_is_not_asked_for(storage: Path, tmp_path: Path) -> None:
    failed = {"damaged": "failed"}
    assert listed(storage, drifted=True) == {**failed, "drifted": "drift"}
    assert listed(storage, profile="other") == {**failed, "others": "in-sync"}
    assert listed(storage, profile=tmp_path / "other.yaml", drifted=True) == failed
    assert listed(storage, profile="nobody") == failed
    assert listed(tmp_path / "none") == {}


def test_threads_of_a_changed_profile_are_outdated(storage: Path, tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    assert listed(storage, profile=team, outdated=True) == {"damaged": "failed"}
    solven_env.apply(team, "fine", storage=storage, inputs={"who": "eve"})
    expected = {UUID: "in-sync", "damaged": "failed", "drifted": "drift", "fine": "in-sync", LONG: "in-sync"}
    for before, after in (
        ("release: 1.0.0", "release: 1.1.0"),
        ("echo hi", "echo you"),
        ("env: {", "env: {NEW: here, "),
    ):
        team.write_text(PROFILE.replace(before, after))
        assert listed(storage, profile=team, outdated=True) == expected
    team.write_text(PROFILE.replace("default: ada", "default: bob"))
    del expected["fine"]  # whose input is its own
    assert listed(storage, profile=team, outdated=True) == expected


def test_what_nobody_knows_is_told(storage: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert listed(storage, outdated=True, progress=said.append) == {"damaged": "failed"}
    assert [each.partition(":")[0] for each in said] == [
        "1 thread of the profile other",
        "4 threads of the profile small",
    ]
    with pytest.raises(UsageError, match="there is no shipped profile 'small'"):
        solven_env.list_threads(storage=storage, profile="small", outdated=True)
    unlocked = tmp_path / "unlocked.yaml"
    unlocked.write_text(f'{PROFILE}python: {{version: "3.12", packages: [six]}}\n')
    with pytest.raises(LockError):
        solven_env.list_threads(storage=storage, profile=unlocked, outdated=True)


def test_a_list_on_the_command_line(cli: Cli, storage: Path, own_data: Path) -> None:
    def run(*words: str) -> tuple[int, list[str], str]:
        done = cli(*words, XDG_DATA_HOME=str(own_data.parent))
        return done.returncode, done.stdout.splitlines(), done.stderr

    code, lines, errors = run("list", "--disk")
    assert code == 1
    assert max(map(len, lines)) <= COLUMNS
    assert lines[0].split() == ["THREAD", "PROFILE", "GEN", "AGE", "STATE", "DISK"]
    assert [line.split()[0] for line in lines[1:]] == [
        *(UUID, "damaged", "drifted", "fine", "interrupted", "an", "others", LONG, "small")
    ]
    assert re.fullmatch(rf"{UUID} small 1.0.0 +1 +\d+ (s|min) in-sync +\d+\.0 KiB", lines[1])
    assert "this record is damaged" in errors
    assert "--restore-record" in errors
    code, lines, _ = run("list", "--drifted", "--format", "jsonl")
    assert [(each["thread"], each["state"]) for each in map(json.loads, lines)] == [
        ("damaged", "failed"),
        ("drifted", "drift"),
    ]
    code, lines, errors = run("du", "--format", "json")
    document = json.loads("\n".join(lines))
    assert (code, document["command"], len(document["threads"])) == (0, "du", 7)
    total = sum(each["total"]["bytes"] for each in document["threads"])
    assert document["sum"]["total"] == {"bytes": total, "complete": False}
    with pytest.raises(UsageError, match="one text"):
        solven_env.disk_usage("fine", storage=storage)
    code, lines, errors = run("du", "fine", "nobody", LONG)
    assert (code, [line.split()[0] for line in lines]) == (
        2,
        ["THREAD", "fine", "nobody", LONG, lines[4].split()[0], "total"],
    )
    assert "there is no thread nobody" in errors
    assert max(map(len, lines)) <= COLUMNS
    for verb in ("list", "du"):
        code, lines, errors = run(verb, "--storage", str(storage / "none"))
        assert (code, lines, errors) == (0, [], "there is no thread in this storage.\n")


def test_an_interrupted_list_is_a_document_still(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> Iterator[ListedThread]:
        yield ListedThread("t1", "new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows.show("list", interrupted(), StreamFormat.JSON, lambda _: None, storage=None)
    document = json.loads(capsys.readouterr().out)
    assert [each["thread"] for each in document["threads"]] == ["t1"]
    assert document["error"]["code"] == 130
