"""Files: those of the profile, and those that a build brings."""

from __future__ import annotations

import pytest

from solven_env.reconcile.kinds import file
from solven_env.reconcile.model import State
from solven_env.reconcile.plan import plan
from solven_env.state.records import Recorded
from tests.reconcile.states import DIR, LINK, record, seen, text, wanted


def test_a_file_asks_for_its_parents() -> None:
    asked = wanted({"a/b/f": text("x", "0755"), "g": text("y")}, keys=("g",))
    assert asked.states == {
        "directory:/": DIR,
        "directory:a": DIR,
        "directory:a/b": DIR,
        "file:a/b/f": text("x", "0755"),
        "file:g": text("y"),
    }
    assert asked.states["file:g"].data == b"y"
    assert asked.own == {"file:a/b/f": "whole", "file:g": "keys"}


OLD, NEW, EDITED = text("old lock"), text("new lock"), text("edited")
ASKED = wanted({})._replace(states={**wanted({}).states, "build:python": State("build", "sha256:build")})


def test_a_file_that_a_build_brings_is_the_agents_to_change() -> None:
    asked = file.bring(ASKED, "uv.lock", b"new lock", by="build:python")
    assert (asked.states["file:uv.lock"], asked.own["file:uv.lock"]) == (NEW, "keys")
    assert asked.states["file:uv.lock"].data == b"new lock"


def test_a_file_that_is_still_to_be_made_is_named_by_what_brings_it() -> None:
    asked = file.bring(ASKED, "uv.lock", None, by="build:python")
    assert asked.states["file:uv.lock"].digest == "made with build:python"


def test_the_profiles_own_file_comes_before_one_that_a_build_brings() -> None:
    asked = wanted({"uv.lock": EDITED})
    assert file.bring(asked, "uv.lock", b"new lock", by="build:python") == asked


@pytest.mark.parametrize(
    ("held", "of_build", "changes"),
    [
        (OLD, "sha256:build", []),
        (EDITED, "sha256:build", []),
        (None, "sha256:build", ["drift create file:uv.lock"]),
        (LINK, "sha256:build", ["conflict replace file:uv.lock"]),
        (OLD, "sha256:other", ["pending replace file:uv.lock"]),
        (EDITED, "sha256:other", ["conflict replace file:uv.lock"]),
    ],
)
def test_a_workspace_keeps_the_file_that_it_has_of_the_same_build(
    held: State | None, of_build: str, changes: list[str]
) -> None:
    """A build that was made again may bring other bytes that say the same."""
    asked = file.bring(ASKED, "uv.lock", b"new lock", by="build:python")
    recorded = record({"uv.lock": OLD}, like=asked, keys=("uv.lock",))
    recorded = recorded._replace(resources={**recorded.resources, "build:python": Recorded("build", digest=of_build)})
    there = seen({"uv.lock": held} if held else {}, asked, recorded)
    states = {**there.states, "build:python": State("build", "sha256:build")}
    there = there._replace(states=states, rendered={OLD.digest: OLD.data or b""})
    found = plan("t", asked, there, recorded).changes
    assert [f"{each.cause} {each.action} {each.address}" for each in found if each.kind == "file"] == changes
