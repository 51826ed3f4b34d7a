"""Files that a profile and an agent share, from release to release, through the API: the cases r10 and r11 among them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import ConflictError

if TYPE_CHECKING:
    from solven_env.reconcile.model import OnConflict
    from solven_env.report import ThreadReport

FIRST = """\
version: 1
name: merged
release: 1.0.0
dotfiles:
  pyproject.toml: {content: "[project]\\nname = 'x'\\nrequires-python = '>=3.12'\\ndependencies = ['six']\\n", own: keys}
  package.json: {content: '{"name": "x", "private": true}', own: keys}
  .ignore: {content: "/usr\\n", own: block}
  notes.md: {content: "begin\\n", own: seed}
  run.sh: {content: "one\\ntwo\\nthree\\nfour\\nfive\\n"}
"""
SECOND = (
    FIRST.replace("1.0.0", "1.1.0")
    .replace(">=3.12", ">=3.13")
    .replace('"private": true', '"private": true, "type": "module"')
    .replace("/usr", "/opt")
    .replace("begin", "begun")
    .replace("five", "FIVE")
)


@dataclass
class Journey:
    """A profile, and a thread in a storage."""

    place: Path

    @property
    def workspace(self) -> Path:
        """The thread's workspace."""
        return self.place / "storage/threads/t1"

    def release(self, text: str, on_conflict: OnConflict = "fail") -> ThreadReport:
        """Write the profile and apply it."""
        (self.place / "p.yaml").write_text(text)
        return solven_env.apply(
            self.place / "p.yaml", "t1", storage=self.place / "storage", on_conflict=on_conflict
        ).threads[0]

    def refused(self, text: str, on_conflict: OnConflict = "fail") -> ConflictError:
        """The conflict of a release."""
        with pytest.raises(ConflictError) as caught:
            self.release(text, on_conflict)
        return caught.value

    def diff(self) -> ThreadReport:
        """What an apply would do."""
        return solven_env.diff(self.place / "p.yaml", "t1", storage=self.place / "storage").threads[0]

    def status(self) -> ThreadReport:
        """How the thread differs from what was applied."""
        return solven_env.status("t1", storage=self.place / "storage").threads[0]

    def read(self, name: str) -> str:
        """A file of the workspace."""
        return (self.workspace / name).read_text()


@pytest.fixture
def thread(memory_path: Path, own_data: None) -> Journey:
    """A thread with the first release."""
    journey = Journey(memory_path)
    journey.release(FIRST)
    return journey


def edit(workspace: Path) -> None:
    """Edit what the second release changes too, and more."""
    project = workspace / "pyproject.toml"
    project.write_text(project.read_text().replace(">=3.12", ">=3.11").replace("['six']", "['six', 'humanize']"))
    (workspace / "package.json").write_text('{"name": "x", "private": true, "mine": 1}')
    (workspace / "run.sh").write_text("ONE\ntwo\nthree\nfour\nfive\n")


def test_r10_a_mode_is_put_right_and_no_conflict(thread: Journey) -> None:
    for name in ("pyproject.toml", "package.json", "run.sh"):
        (thread.workspace / name).chmod(0o600)
    assert [(each.cause, each.reason) for each in thread.status().changes] == [
        ("drift", "the workspace changed its mode")
    ] * 3
    thread.release(SECOND)
    assert {path.stat().st_mode & 0o777 for path in thread.workspace.iterdir()} == {0o644}
    assert thread.diff().changes == ()


def test_r11_what_is_linked_back_is_edited_where_it_is(thread: Journey) -> None:
    workspace, repo = thread.workspace, thread.workspace / "repo"
    repo.mkdir()
    for name in ("pyproject.toml", "package.json"):
        shutil.move(workspace / name, repo / name)
        (workspace / name).symlink_to(f"repo/{name}")
    text = thread.read("repo/pyproject.toml")
    (repo / "pyproject.toml").write_text(text.replace("['six']", "['six', 'humanize']"))
    assert thread.release(FIRST).changes == ()
    thread.release(SECOND)
    for place in ("", "repo/"):
        text = thread.read(f"{place}pyproject.toml")
        assert ("humanize" in text, ">=3.13" in text) == (True, True)
        assert json.loads(thread.read(f"{place}package.json")) == {"name": "x", "private": True, "type": "module"}
    assert {path.name for path in workspace.iterdir() if path.is_symlink()} == {"pyproject.toml", "package.json"}


def test_a_conflict_is_told_as_data(thread: Journey) -> None:
    edit(thread.workspace)
    refused = thread.refused(SECOND)
    assert "project.requires-python" in refused.message
    told = thread.diff().to_json()["changes"]
    assert isinstance(told, list)
    conflicts = {each["address"]: each for each in told if each["cause"] == "conflict"}
    assert conflicts.keys() == {"file:pyproject.toml", "file:run.sh"}
    (clash,) = conflicts["file:pyproject.toml"]["clashes"]
    assert (">=3.13" in clash["ours"], ">=3.11" in clash["theirs"]) == (True, True)
    assert set(conflicts["file:pyproject.toml"]["choices"]) == {"keep", "overwrite"}
    assert set(conflicts["file:run.sh"]["choices"]) == {"merge", "keep", "overwrite"}


def test_keep_leaves_the_agents_values_and_is_in_sync(thread: Journey) -> None:
    edit(thread.workspace)
    told = {note.path: note.message for note in thread.release(SECOND, "keep").notes}
    assert told == dict.fromkeys(("run.sh", "pyproject.toml"), "the workspace's version stays")
    assert ">=3.11" in thread.read("pyproject.toml")
    assert thread.read("run.sh") == "ONE\ntwo\nthree\nfour\nfive\n"
    assert json.loads(thread.read("package.json"))["type"] == "module"
    assert thread.diff().changes == ()
    notes = {note.path: note.message for note in thread.status().notes}
    assert notes == dict.fromkeys(("run.sh", "pyproject.toml"), "it holds changes of the workspace that an apply kept")
    (thread.workspace / "run.sh").write_text("edited\n")
    thread.release(SECOND)
    assert thread.read("run.sh") == "ONE\ntwo\nthree\nfour\nfive\n"
    third = SECOND.replace("1.1.0", "1.2.0").replace("FIVE", "FIVE!").replace(">=3.13", ">=3.14")
    assert thread.refused(third).changes[0].cause in ("pending", "conflict")
    assert thread.refused(third, "merge").generation == 3


def test_overwrite_takes_the_clashing_keys_alone(thread: Journey) -> None:
    edit(thread.workspace)
    before = thread.read("pyproject.toml")
    report = thread.release(SECOND, "overwrite")
    text = thread.read("pyproject.toml")
    assert (">=3.13" in text, "humanize" in text) == (True, True)
    assert thread.read("run.sh") == "one\ntwo\nthree\nfour\nFIVE\n"
    kept = [Path(place).read_text() for place in report.kept_at]
    assert before in kept
    assert "ONE\ntwo\nthree\nfour\nfive\n" in kept
    assert thread.diff().changes == ()


def test_merge_has_the_lines_of_both_and_no_marks(thread: Journey) -> None:
    (thread.workspace / "run.sh").write_text("ONE\ntwo\nthree\nfour\nfive\n")
    assert "or merge, which takes the lines of both" in thread.refused(SECOND).fix
    thread.release(SECOND, "merge")
    assert thread.read("run.sh") == "ONE\ntwo\nthree\nfour\nFIVE\n"
    assert thread.diff().changes == ()
    thread.release(SECOND.replace("1.1.0", "1.2.0").replace("three", "THREE"), "merge")
    assert thread.read("run.sh") == "ONE\ntwo\nTHREE\nfour\nFIVE\n"


def test_a_base_that_is_lost_is_no_base(thread: Journey) -> None:
    """Also of a record of an earlier version, which kept none: what differs is a clash, and all else is merged."""
    (thread.workspace / "package.json").write_text('{"name": "x", "private": false, "mine": 1}')
    for path in (thread.place / "storage/.solven-env/rendered").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert thread.status().state == "in-sync"
    assert "private" in thread.refused(SECOND).message
    thread.release(FIRST)  # which puts the base back
    thread.release(SECOND)
    merged = json.loads(thread.read("package.json"))
    assert merged == {"name": "x", "private": False, "mine": 1, "type": "module"}


def test_a_link_out_of_the_workspace_is_left_and_told(thread: Journey) -> None:
    (thread.workspace / "package.json").unlink()
    (thread.workspace / "package.json").symlink_to("/etc/passwd")
    (note,) = thread.release(FIRST).notes
    assert note.message.startswith("it is a symbolic link that is not followed")
    assert "package.json: a symbolic link that is not followed" in thread.refused(SECOND).message
    assert os.readlink(thread.workspace / "package.json") == "/etc/passwd"


def test_a_rollback_brings_back_the_version_that_was_kept(thread: Journey) -> None:
    edit(thread.workspace)
    thread.release(SECOND, "keep")
    project = thread.read("pyproject.toml")
    thread.release(FIRST.replace("1.0.0", "1.2.0").replace("two", "TWO"), "overwrite")
    assert thread.read("run.sh") == "one\nTWO\nthree\nfour\nfive\n"
    solven_env.rollback("t1", 2, storage=thread.place / "storage")
    assert thread.read("run.sh") == "ONE\ntwo\nthree\nfour\nfive\n"
    assert thread.status().state == "in-sync"
    assert {note.path for note in thread.status().notes} == {"run.sh"}
    assert ">=3.11" in project
    assert "humanize" in thread.read("pyproject.toml")
