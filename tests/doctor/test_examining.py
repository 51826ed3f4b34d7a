"""Which questions are asked: all, or those that were named and what they need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.doctor.examining import Examination
from solven_env.errors import UsageError
from tests.profiles import write_profile

if TYPE_CHECKING:
    from tests.run.world import World


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (("kernel",), ["kernel"]),
        (("bun",), ["uv", "bun"]),
        (("kernel", "uv", "kernel"), ["kernel", "uv"]),
        (("profile's lock",), ["profile", "profile's lock"]),
        (("held",), ["configuration", "storage", "profile", "held"]),
        (
            ("pending",),
            ["configuration", "storage", "profile", "profile's lock", "profile's mounts", "record"],
        ),  # which is broken
    ],
)
def test_no_others_are_asked_or_told(world: World, only: tuple[str, ...], expected: list[str]) -> None:
    profile = write_profile(world.base / "p.yaml", {})
    report = solven_env.doctor("t1", profile=profile, storage=world.storage, only=only)
    assert [finding.question for finding in report.findings] == expected
    assert report.threads == ()
    assert set(report.not_asked) <= {"workspace", *only}


def test_the_thread_is_told_of_where_it_was_looked_at(bare: World) -> None:
    report = solven_env.doctor("t1", storage=bare.storage, only=["drift"])
    assert [(each.thread, each.state) for each in report.threads] == [("t1", "in-sync")]
    (bare.workspace() / "hello").write_text("other\n")
    (told,) = json.loads(bare.cli("doctor", "t1", "--only", "drift", "--format", "json").stdout)["threads"]
    assert told["state"] == "drift"


@pytest.mark.parametrize(
    ("only", "message", "fix"),
    [
        ("bubblwrap", "unknown question 'bubblwrap'", "Did you mean 'bubblewrap'?"),
        ("path", "unknown question 'path'", "Did you mean 'PATH'?"),
        (
            "package",
            "unknown question 'package'",
            "Did you mean 'Node packages' or 'Python packages' or 'package index'?",
        ),
        ("lock", "unknown question 'lock'", "Did you mean 'locks' or \"profile's lock\"?"),
        ("zzz", "unknown question 'zzz'", "Questions: .bashrc, /dev/null, "),
        ("PATH", "the question 'PATH' is about a thread", "solven-env doctor THREAD"),
        ("profile's lock", 'the question "profile\'s lock" is about a profile', "--profile PROFILE"),
    ],
)
def test_a_name_that_cannot_be_asked_is_wrong_usage(only: str, message: str, fix: str) -> None:
    with pytest.raises(UsageError) as told:
        Examination(None, None, None, [only])
    assert told.value.message == message
    assert fix in told.value.fix


def test_on_the_command_line(world: World) -> None:
    done = world.cli("doctor", "--only", "kernel", "--only", "bun")
    assert [line.split(":")[0] for line in done.stdout.decode().splitlines()[1:-1]] == [
        "  ✓ kernel",
        "  ✓ uv",
        "  ✓ bun",
    ]
    assert world.cli("doctor", "--only", "no such one").returncode == 2
    assert world.cli("doctor", "t1", "--files", "--only", "uv").returncode == 2
