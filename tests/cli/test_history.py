"""Generations on the command line: listed, shown, gone back to."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Cli


def test_the_way_back_of_a_thread(cli: Cli, snapshot: SnapshotAssertion) -> None:
    """What a person reads: two releases, an edit, a conflict, a rollback, the history and one generation."""
    profile = cli.write("profile.yaml")
    cli("apply", profile, "t1")
    cli.write("profile.yaml", PROFILE.replace("release: 1.0.0", "release: 1.1.0").replace("echo hi", "echo you"))
    cli("apply", profile, "t1", "--set", "who=bob")
    (cli.workspace() / "bin/hello").write_text("echo agent\n")
    steps = [
        cli("rollback", "t1"),
        cli("rollback", "t1", "--on-conflict", "overwrite"),
        cli("rollback", "t1", "1"),
        cli("history", "t1"),
        cli("show", "t1", "3"),
        cli("show", "t1", "9"),
        cli("recover", "t1", "bin/hello"),
        cli("recover", "t1", "bin/hello", "--on-conflict", "overwrite"),
    ]
    assert [(step.returncode, told(cli, step.stdout), told(cli, step.stderr)) for step in steps] == snapshot
    assert max(map(len, steps[3].stdout.splitlines())) <= 80
    found = cli("rollback", "t1", "2", "--on-conflict", "overwrite", "--format", "json")
    (thread,) = json.loads(found.stdout)["threads"]
    assert (thread["restored"], thread["generation"]) == (2, 5)


def test_a_plan_is_saved_reviewed_and_applied(cli: Cli, snapshot: SnapshotAssertion) -> None:
    """What a person reads: a plan for a new thread, one that fits no more, wrong words."""
    profile = cli.write("profile.yaml")
    steps = [
        cli("plan", profile, "t1", "--out", "t1.plan"),
        cli("apply", "--plan", "t1.plan", "--dry-run"),
        cli("apply", "--plan", "t1.plan", "t1"),
        cli("apply", "--plan", "t1.plan"),
        cli("apply", "--plan", "t1.plan", profile, "t1"),
        cli("apply", profile),
    ]
    assert [(step.returncode, told(cli, step.stdout), told(cli, step.stderr)) for step in steps] == snapshot
    assert json.loads(cli("plan", profile, "t1", "--format", "json").stdout)["command"] == "plan"


def told(cli: Cli, text: str) -> str:
    """What a step says, without what differs from run to run: the storage, times, the host."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?", "TIME", text.replace(str(cli.storage), "STORAGE"))
    text = re.sub(r"(?m)((?:apply|rollback to \d) +)\S+$", r"\1HOST", text)
    return re.sub(r"TIME on \S+, with", "TIME on HOST, with", text)
