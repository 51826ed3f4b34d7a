"""Commands of `setup`: when one has to run, what is said of it, and what counts as a change of its inputs."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.reconcile.kinds import setup
from solven_env.reconcile.model import Desired, State
from solven_env.reconcile.plan import plan
from solven_env.state.storage_root import StorageRoot
from solven_env.workspace.storage import open_workspace
from tests.reconcile.states import record, seen, text, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from solven_env.reconcile.model import Plan
    from solven_env.state.records import Record

A = {"run": "make a", "inputs": ["in.txt", "src"]}
B = {"run": "make b", "inputs": []}
INPUTS = {"in.txt": "sha256:in", "src": "sha256:src"}
PYTHON = State("build", "sha256:python")


def asked(*commands: Mapping[str, Any], files: Mapping[str, State] | None = None, **about: Any) -> Desired:
    """What a profile with these commands asks of a thread with a Python build."""
    found = wanted(files or {}, **about)
    return found._replace(
        settings={**found.settings, "setup": list(commands)}, states={**found.states, "build:python": PYTHON}
    )


def planned(
    wish: Desired, base: Record | None, inputs: Mapping[str, str] = INPUTS, held: Mapping[str, State] | None = None
) -> Plan:
    """The plan where this is at the inputs, and the build is there."""
    observed = seen(held or {}, wish, base)
    states = {**observed.states, "build:python": PYTHON}
    return plan("t", wish, observed._replace(states=states, inputs=inputs), base)


def ran(*commands: Mapping[str, Any], status: int = 0, files: Mapping[str, State] | None = None) -> Record:
    """The record of an apply that ran these commands."""
    wish = asked(*commands, files=files)
    base = record(files or {}, like=wish)
    computed = planned(wish, base, held=files)
    for command in commands:
        base = base._replace(setup=setup.after_run(computed, base, command, status, INPUTS))
    return base


def told(computed: Plan) -> list[str]:
    return [f"{each.action} {each.name}: {each.reason}" for each in computed.changes if each.kind == "setup"]


@pytest.mark.parametrize(
    ("wish", "base", "inputs", "expected"),
    [
        (asked(A, B), None, {}, ["create make a: the profile asks for it", "create make b: the profile asks for it"]),
        (asked(A, B), ran(A, B), INPUTS, []),
        (asked(A, B), ran(A), INPUTS, ["create make b: the profile asks for it"]),
        (asked(B), ran(A, B), INPUTS, []),
        (asked(B, A), ran(A, B), INPUTS, []),
        (asked(A), ran(A)._replace(setup={}), INPUTS, ["create make a: it has not run to its end"]),
        (asked(A), ran(A, status=2), INPUTS, ["replace make a: it ended with status 2"]),
        (asked(A), ran(A), {**INPUTS, "src": "sha256:other"}, ["replace make a: src changed"]),
        (asked(A), ran(A), {}, ["replace make a: in.txt, src changed"]),
        (asked({**A, "inputs": ["src"]}), ran(A), INPUTS, ["replace make a: the profile changed its inputs"]),
        (
            asked(A, B)._replace(unbegun=frozenset({"build:python"})),
            ran(A, B),
            INPUTS,
            ["replace make a: a new layer begins", "replace make b: a new layer begins"],
        ),
        (
            asked(A)._replace(states={"build:python": PYTHON._replace(digest="sha256:new")}),
            ran(A),
            INPUTS,
            ["replace make a: a new layer begins"],
        ),
        (asked(A, files={"src/x": text("new")}), ran(A), INPUTS, ["replace make a: src changed"]),
        (asked(A, files={"srcs/x": text("new")}), ran(A), INPUTS, []),
    ],
)
def test_when_a_command_has_to_run(
    wish: Desired, base: Record | None, inputs: Mapping[str, str], expected: list[str]
) -> None:
    computed = planned(wish, base, inputs)
    assert told(computed) == expected
    assert [each["run"] for each in setup.to_run(computed)] == [
        line.split(":")[0].split(" ", 1)[1] for line in expected
    ]


def test_the_mode_of_an_input_is_no_content() -> None:
    base, files = ran(A, files={"in.txt": text("a")}), {"in.txt": text("a", "0755")}
    assert told(planned(asked(A, files=files), base, held={"in.txt": text("a")})) == []
    assert told(planned(asked(A, files={"in.txt": text("b")}), base, held={"in.txt": text("a")})) != []


def test_what_is_recorded_is_what_is_there_once_a_command_has_ended() -> None:
    """So a command that changes its own inputs, or those of one before it, has nothing run again."""
    base = ran(A)
    computed = planned(asked(A, B), base)
    assert setup.left(computed) == base.setup
    after = {**INPUTS, "src": "sha256:built"}
    base = base._replace(setup=setup.after_run(computed, base, B, 0, after))
    assert told(planned(asked(A, B), base, after)) == []
    assert setup.left(planned(asked(B), base, after)).keys() == {setup.name_of(B)}


def test_a_command_that_is_to_run_is_not_recorded_any_more() -> None:
    computed = planned(asked(A, B), ran(A, B), {})
    assert setup.left(computed).keys() == {setup.name_of(B)}


# What is at an input


def observed(storage: Path) -> str:
    root = open_workspace(StorageRoot(storage), "t", None)
    assert root is not None
    with root:
        return setup.observe_inputs(root, {"setup": [{"run": "x", "inputs": ["src"]}]})["src"]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """A directory of a workspace."""
    made = tmp_path / "threads/t/src"
    (made / "deep/er").mkdir(parents=True)
    (made / "a").write_text("a")
    (made / "deep/b").write_text("b")
    return made


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        (lambda src: (src / "a").write_text("c"), True),
        (lambda src: (src / "deep/b").rename(src / "deep/c"), True),
        (lambda src: (src / "new").touch(), True),
        (lambda src: (src / "link").symlink_to("a"), True),
        (lambda src: (src / "a").unlink(), True),
        (lambda src: os.mkfifo(src / "pipe"), True),
        (lambda src: (src / "empty").mkdir(), False),
        (lambda src: (src / "deep/er").rmdir(), False),
        (lambda src: (src / "a").chmod(0o755), False),
        (lambda src: os.utime(src / "a", (1, 1)), False),
        (lambda src: (src.parent / "beside").touch(), False),
    ],
)
def test_what_counts_as_a_change(tmp_path: Path, src: Path, change: Callable[[Path], object], is_another: bool) -> None:
    before = observed(tmp_path)
    change(src)
    assert (observed(tmp_path) != before) == is_another


def test_an_input_that_is_not_there_and_one_that_is_a_file(tmp_path: Path, src: Path) -> None:
    found = {observed(tmp_path)}
    src.rename(src.with_name("away"))
    found.add(observed(tmp_path))
    src.touch()
    found.add(observed(tmp_path))
    src.write_text("x")
    found.add(observed(tmp_path))
    assert len(found) == 4
    assert setup.TOO_MUCH not in found


def test_nothing_is_followed_out_of_the_workspace(tmp_path: Path, src: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (src / "out").symlink_to(outside)
    before = observed(tmp_path)
    (outside / "f").touch()
    assert observed(tmp_path) == before
    src.rename(src.with_name("away"))
    src.symlink_to(outside)
    before = observed(tmp_path)
    (outside / "f").write_text("other")
    assert observed(tmp_path) == before


@pytest.mark.parametrize("what", ["bytes", "files", "one file", "wide", "deep"])
def test_more_than_is_looked_at_counts_as_unchanged(tmp_path: Path, src: Path, what: str) -> None:
    if what == "bytes":
        for number in range(5):
            with (src / f"{number}").open("wb") as file:
                file.truncate(setup.MOST_BYTES // 4)
    elif what == "one file":
        with (src / "large").open("wb") as file:
            file.truncate((16 << 20) + 1)
    elif what == "deep":
        here = os.open(src, os.O_RDONLY)
        for _ in range(setup.MOST_FILES + 1):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
    else:
        for number in range(setup.MOST_FILES + 1):
            place = src / (f"{number % 70}" if what == "files" else "")
            place.mkdir(exist_ok=True)
            (place / f"f{number}").touch()
    found = observed(tmp_path)
    if what == "deep":  # no path leads there
        assert found != setup.TOO_MUCH
        subprocess.run(["rm", "-rf", src], check=True)  # which shutil cannot
        return
    assert found == setup.TOO_MUCH
    notes = planned(asked(A), ran(A), {**INPUTS, "src": found}).notes
    assert [each.path for each in notes] == ["src"]
