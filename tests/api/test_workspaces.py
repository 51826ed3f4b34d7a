"""The verbs of a workspace as a program calls them: results and errors."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import (
    ConflictError,
    HeldError,
    NeverAppliedError,
    ProfileError,
    StateError,
    UsageError,
    WorkspaceError,
)
from solven_env.state.local import LocalState
from tests.api.conftest import DOTFILES, INPUTS
from tests.profiles import write_profile
from tests.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.report import ThreadReport

pytestmark = pytest.mark.usefixtures("own_data")


def only(report: solven_env.Report) -> ThreadReport:
    """The report's one thread."""
    (thread,) = report.threads
    return thread


def told(report: solven_env.Report) -> tuple[str, list[tuple[str, str, str]]]:
    """A report's state and its changes: cause, action, address."""
    thread = only(report)
    return thread.state, [(change.cause, change.action, change.address) for change in thread.changes]


NEW = [
    ("pending", "create", "directory:/"),
    ("pending", "create", "directory:scripts"),
    ("pending", "create", "file:.bashrc"),
    ("pending", "create", "file:scripts/tool"),
    ("pending", "create", "settings:launch"),
]


def test_looking_at_a_new_thread_makes_nothing(profile: Path, storage: Path) -> None:
    assert told(solven_env.diff(profile, "t1", storage=storage)) == ("new", NEW)
    for named in (None, profile):
        with pytest.raises(NeverAppliedError, match="thread t1 was never applied"):
            solven_env.status("t1", profile=named, storage=storage)
    computed = solven_env.plan(profile, "t1", storage=storage)
    assert [change.address for change in computed.changes] == [address for _, _, address in NEW]
    assert not storage.exists()


def test_an_apply_reports_what_it_did_and_a_second_one_nothing(profile: Path, storage: Path) -> None:
    report = solven_env.apply(profile, "t1", storage=storage)
    assert (report.command, told(report), only(report).generation) == ("apply", ("new", NEW), 1)
    before = snapshot(storage)
    again = solven_env.apply(profile, "t1", storage=storage)
    assert (told(again), only(again).generation) == (("in-sync", []), 1)
    assert told(solven_env.diff(profile, "t1", storage=storage)) == ("in-sync", [])
    assert told(solven_env.status("t1", storage=storage)) == ("in-sync", [])
    assert snapshot(storage) == before


def test_pending_drift_and_conflict(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    bashrc = storage / "threads/t1/.bashrc"
    write_profile(profile, {**DOTFILES, ".bashrc": "edited"}, inputs=INPUTS)
    assert told(solven_env.diff(profile, "t1", storage=storage))[0] == "pending"
    assert told(solven_env.status("t1", storage=storage)) == ("in-sync", [])
    bashrc.write_text("mine")
    assert told(solven_env.status("t1", storage=storage)) == ("drift", [("drift", "replace", "file:.bashrc")])
    assert told(solven_env.diff(profile, "t1", storage=storage))[0] == "conflict"
    with pytest.raises(ConflictError, match=r"t1: nothing was written.*\.bashrc") as caught:
        solven_env.apply(profile, "t1", storage=storage)
    assert [change.address for change in caught.value.changes] == ["file:.bashrc"]
    assert bashrc.read_text() == "mine"
    report = solven_env.apply(profile, "t1", storage=storage, on_conflict="overwrite")
    (kept,) = only(report).kept
    assert (kept.path, kept.mode, only(report).generation) == (".bashrc", "0644", 2)
    assert (storage / ".solven-env" / kept.kept).read_text() == "mine"
    assert bashrc.read_text() == "edited"


def test_a_file_is_said_to_change_by_what_it_renders_alone(profile: Path, storage: Path) -> None:
    files = {"a": {"content": "{{ env.A }}"}, "b": {"content": "{{ profile.release }}"}, "c": {"content": "x"}}
    write_profile(profile, files, env={"A": "1", "B": "1"})
    solven_env.apply(profile, "t1", storage=storage)
    write_profile(profile, files | {"c": {"content": "y"}}, env={"A": "2", "B": "2"}, release="2.0.0")
    changes = only(solven_env.diff(profile, "t1", storage=storage)).changes
    assert {change.address: change.reason for change in changes} == {
        "file:a": "the profile changed env.A, profile.yaml:1",
        "file:b": "the profile changed release, profile.yaml:1",
        "file:c": "the profile changed it, profile.yaml:1",
        "settings:launch": "the profile changed env.A, profile.yaml:1; env.B, profile.yaml:1; release, profile.yaml:1",
    }


def test_an_edit_of_env_or_limits_alone_is_a_change(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    for sections, names in (
        ({"env": {"A": "1"}}, "env.A"),
        ({"env": {"A": "1"}, "sandbox": {"limits": {"memory": "1GiB"}}}, "limits.memory"),
    ):
        write_profile(profile, DOTFILES, inputs=INPUTS, **sections)
        (change,) = only(solven_env.diff(profile, "t1", storage=storage)).changes
        assert (change.address, change.reason) == ("settings:launch", f"the profile changed {names}, profile.yaml:1")
        before = snapshot(storage / "threads")
        solven_env.apply(profile, "t1", storage=storage)
        assert snapshot(storage / "threads") == before
        assert told(solven_env.diff(profile, "t1", storage=storage)) == ("in-sync", [])


def test_inputs_are_recorded_when_given_and_forgotten_when_unset(
    profile: Path, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bashrc = storage / "threads/t1/.bashrc"
    solven_env.apply(profile, "t1", storage=storage, inputs={"user_id": "ada"})
    assert bashrc.read_text() == "hello ada\n"
    assert told(solven_env.diff(profile, "t1", storage=storage)) == ("in-sync", [])
    before = snapshot(storage)
    assert told(solven_env.diff(profile, "t1", storage=storage, inputs={"user_id": "bob"}))[0] == "pending"
    assert snapshot(storage) == before
    monkeypatch.setenv("SOLVEN_INPUT_USER_ID", "eve")
    assert told(solven_env.status("t1", profile=profile, storage=storage))[0] == "pending"
    monkeypatch.delenv("SOLVEN_INPUT_USER_ID")
    solven_env.apply(profile, "t1", storage=storage, unset=["user_id"])
    assert bashrc.read_text() == "hello user\n"
    assert json.loads((storage / ".solven-env/threads/t1/state.json").read_text())["inputs"] == {}


def test_a_workspace_that_was_deleted_is_drift(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    shutil.rmtree(storage / "threads/t1")
    state, changes = told(solven_env.status("t1", storage=storage))
    assert (state, {cause for cause, _, _ in changes}) == ("drift", {"drift"})
    solven_env.apply(profile, "t1", storage=storage)
    assert told(solven_env.status("t1", storage=storage)) == ("in-sync", [])


def test_threads_of_a_storage_know_nothing_of_each_other(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage, inputs={"user_id": "ada"})
    before = snapshot(storage / "threads/t1")
    solven_env.apply(profile, "t2", storage=storage)
    assert snapshot(storage / "threads/t1") == before
    assert (storage / "threads/t2/.bashrc").read_text() == "hello user\n"


# Errors


def test_an_invalid_profile_leaves_no_trace(tmp_path: Path, storage: Path) -> None:
    broken = write_profile(tmp_path / "broken.yaml", {"../up": "x", "f": "{{ nobody }}"})
    with pytest.raises(ProfileError) as caught:
        solven_env.apply(broken, "t1", storage=storage)
    assert len(caught.value.diagnostics) == 2
    assert solven_env.validate(broken) == caught.value.diagnostics
    assert not storage.exists()


def test_a_required_input_is_asked_for(tmp_path: Path, storage: Path) -> None:
    needy = write_profile(tmp_path / "p.yaml", {"f": "{{ who }}"}, inputs={"who": {"type": "string", "required": True}})
    assert solven_env.validate(needy) == ()
    for act in (solven_env.apply, solven_env.diff):
        with pytest.raises(UsageError, match="'who'"):
            act(needy, "t1", storage=storage)
    assert not storage.exists()
    solven_env.apply(needy, "t1", storage=storage, inputs={"who": "ada"})
    solven_env.apply(needy, "t1", storage=storage)


def test_a_held_thread_is_refused_and_untouched(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    (storage / "threads/t1/.bashrc").write_text("mine")
    with LocalState(storage).lock("t1"):
        before = snapshot(storage)
        with pytest.raises(HeldError, match="t1"):
            solven_env.apply(profile, "t1", storage=storage)
        assert told(solven_env.status("t1", storage=storage))[0] == "drift"
        assert snapshot(storage) == before


def test_a_record_that_cannot_be_read_is_told_with_its_place(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    record = storage / ".solven-env/threads/t1/state.json"
    for content, match in (("{", "damaged"), ('{"format": 2}', "format 2")):
        record.write_text(content)
        for act in (solven_env.apply, solven_env.diff):
            with pytest.raises(StateError, match=match) as caught:
                act(profile, "t1", storage=storage)
            assert caught.value.location == str(record)
        with pytest.raises(StateError):
            solven_env.status("t1", storage=storage)


def test_a_link_at_the_workspace_is_refused(profile: Path, storage: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (storage / "threads").mkdir(parents=True)
    (storage / "threads/t1").symlink_to(outside)
    for act in (solven_env.apply, solven_env.diff):
        with pytest.raises(WorkspaceError, match=r"symbolic link|no directory"):
            act(profile, "t1", storage=storage)
    assert list(outside.iterdir()) == []


# Data


def test_reports_are_frozen_and_say_the_documented_json(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    (storage / "threads/t1/.bashrc").unlink()
    (storage / "threads/t1/.bashrc").symlink_to("/etc/passwd")
    (storage / "threads/t1/scripts/tool").write_text("edited")
    report = solven_env.diff(profile, "t1", storage=storage)
    for each in (report, report.threads[0], report.threads[0].changes[0]):
        with pytest.raises(AttributeError):
            each.__setattr__("command", "x")
    document = json.loads(json.dumps(report.to_json()))
    (thread,) = document["threads"]
    assert {key: thread[key] for key in ("thread", "state", "generation", "error")} == {
        "thread": "t1",
        "state": "drift",
        "generation": 1,
        "error": None,
    }
    link, tool = thread["changes"]
    assert set(link) == {"address", "kind", "action", "cause", "reason", "before", "after"}
    assert link["before"]["type"] == "symlink"
    assert set(tool["before"]) == {"digest", "size", "mode"}
    assert (tool["before"]["size"], tool["after"]["mode"]) == (6, "0755")


def test_an_apply_that_only_records_says_so(profile: Path, storage: Path) -> None:
    solven_env.apply(profile, "t1", storage=storage)
    (storage / "threads/t1/.bashrc").unlink()
    write_profile(profile, {"scripts/tool": DOTFILES["scripts/tool"]}, inputs=INPUTS)
    expected = ("pending", [("pending", "replace", "settings:launch")])
    assert told(solven_env.diff(profile, "t1", storage=storage)) == expected
    assert told(solven_env.apply(profile, "t1", storage=storage)) == expected
    assert told(solven_env.diff(profile, "t1", storage=storage)) == ("in-sync", [])
