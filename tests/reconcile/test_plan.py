"""Facts in, changes out: what a profile asks, a workspace holds and a record says, as tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from solven_env.reconcile.desired import recorded_as_desired
from solven_env.reconcile.plan import addresses, plan
from solven_env.state.records import Recorded
from tests.reconcile.states import DIR, LINK, OTHER, record, seen, text, wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.reconcile.model import Desired, State
    from solven_env.state.records import Record

A, B, C = text("a"), text("b"), text("c")

PENDING = "pending replace settings:launch"
"""The change of what is recorded, where nothing else changes."""


@dataclass(frozen=True)
class Case:
    """Facts, and the changes that must follow: `cause action address`, with `keep` where it is kept first."""

    name: str
    desired: Mapping[str, State]
    held: Mapping[str, State]
    recorded: Mapping[str, State] | None
    changes: tuple[str, ...]
    intended: tuple[Mapping[str, State], ...] = ()
    generation: int = 1
    keys: tuple[str, ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)
    """For some addresses, the mode that will be recorded; `-` for an address that will not be."""


CASES = [
    Case("new thread", {"f": A}, {}, None, ("pending create file:f",)),
    Case(
        "new thread with directories",
        {"d/e/f": A, "g": B},
        {},
        None,
        (
            "pending create directory:d",
            "pending create directory:d/e",
            "pending create file:d/e/f",
            "pending create file:g",
        ),
    ),
    Case("in sync", {"f": A}, {"f": A}, {"f": A}, ()),
    Case("pending", {"f": B}, {"f": A}, {"f": A}, ("pending replace file:f",)),
    Case("pending mode", {"f": text("a", "0755")}, {"f": A}, {"f": A}, ("pending replace file:f",)),
    Case("drift", {"f": A}, {"f": B}, {"f": A}, ("drift replace file:f keep",)),
    Case("drift of the mode", {"f": A}, {"f": text("a", "0600")}, {"f": A}, ("drift replace file:f keep",)),
    Case("missing", {"f": A}, {}, {"f": A}, ("drift create file:f",)),
    Case("missing and changed", {"f": B}, {}, {"f": A}, ("drift create file:f",)),
    Case("conflict", {"f": C}, {"f": B}, {"f": A}, ("conflict replace file:f keep",)),
    Case("both changed alike", {"f": B}, {"f": B}, {"f": A}, (PENDING,)),
    # adoption
    Case("adopted, equal", {"f": A}, {"f": A}, None, (), entries={"file:f": "0644"}),
    Case("adopted, differing", {"f": A}, {"f": B}, None, ("conflict replace file:f keep",)),
    Case("adopted, mode only", {"f": A}, {"f": text("a", "0600")}, None, ("pending replace file:f keep",)),
    Case("adopted, a link", {"f": A}, {"f": LINK}, None, ("conflict replace file:f keep",)),
    Case("a new file of ours over the agent's", {"f": A}, {"f": B}, {}, ("conflict replace file:f keep",)),
    Case(
        "a directory of the agent's is used and not ours",
        {"d/f": A},
        {"d": DIR},
        None,
        ("pending create file:d/f",),
        entries={"directory:d": "-"},
    ),
    # dropped
    Case("dropped file, clean", {}, {"f": A}, {"f": A}, ("pending remove file:f",), entries={"file:f": "-"}),
    Case("dropped file, edited", {}, {"f": B}, {"f": A}, ("conflict remove file:f keep",)),
    Case("dropped file, other mode", {}, {"f": text("a", "0600")}, {"f": A}, ("pending remove file:f keep",)),
    Case("dropped file, missing", {}, {}, {"f": A}, (PENDING,)),
    Case("dropped file, now a link", {}, {"f": LINK}, {"f": A}, ("conflict remove file:f keep",)),
    Case("dropped file, now a directory", {}, {"f": DIR, "f/x": C}, {"f": A}, ("conflict remove file:f keep",)),
    Case(
        "dropped directories, ours and empty",
        {},
        {"d": DIR, "d/e": DIR, "d/e/f": A},
        {"d": DIR, "d/e": DIR, "d/e/f": A},
        ("pending remove file:d/e/f", "pending remove directory:d/e", "pending remove directory:d"),
    ),
    Case(
        "dropped directory with a file of the agent's",
        {},
        {"d": DIR, "d/f": A, "d/x": C},
        {"d": DIR, "d/f": A},
        ("pending remove file:d/f",),
        entries={"directory:d": "-"},
    ),
    Case(
        "dropped directories, the agent's file at the top",
        {},
        {"d": DIR, "d/x": C, "d/e": DIR, "d/e/f": A},
        {"d": DIR, "d/e": DIR, "d/e/f": A},
        ("pending remove file:d/e/f", "pending remove directory:d/e"),
    ),
    Case("dropped directory that we did not make", {}, {"d": DIR, "d/f": A}, {"d/f": A}, ("pending remove file:d/f",)),
    Case(
        "dropped directory, now a link",
        {},
        {"d": LINK},
        {"d": DIR, "d/f": A},
        (PENDING,),
    ),
    Case(
        "dropped directory, emptied by the agent",
        {},
        {"d": DIR},
        {"d": DIR, "d/f": A},
        ("pending remove directory:d",),
    ),
    Case(
        "one of two files in a directory dropped",
        {"d/g": B},
        {"d": DIR, "d/f": A, "d/g": B},
        {"d": DIR, "d/f": A, "d/g": B},
        ("pending remove file:d/f",),
        entries={"directory:d": ""},
    ),
    # a file becomes a directory, and back
    Case(
        "file to directory",
        {"p/f": B},
        {"p": A},
        {"p": A},
        ("pending remove file:p", "pending create directory:p", "pending create file:p/f"),
    ),
    Case(
        "file to directory, edited",
        {"p/f": B},
        {"p": C},
        {"p": A},
        ("conflict remove file:p keep", "pending create directory:p", "pending create file:p/f"),
    ),
    Case(
        "file to directory, where the agent made one already",
        {"p/f": B},
        {"p": DIR, "p/x": C},
        {"p": A},
        ("pending create file:p/f",),
        entries={"directory:p": "-"},
    ),
    Case(
        "directory to file",
        {"p": B},
        {"p": DIR, "p/f": A},
        {"p": DIR, "p/f": A},
        ("pending remove file:p/f", "pending remove directory:p", "pending create file:p"),
    ),
    Case(
        "directory to file, with a file of the agent's in it",
        {"p": B},
        {"p": DIR, "p/f": A, "p/x": C},
        {"p": DIR, "p/f": A},
        ("pending remove file:p/f", "conflict replace file:p keep"),
    ),
    Case(
        "directory to file, edited inside",
        {"p": B},
        {"p": DIR, "p/f": C},
        {"p": DIR, "p/f": A},
        ("conflict remove file:p/f keep", "pending remove directory:p", "pending create file:p"),
    ),
    Case("directory to file, as the agent has it", {"p": B}, {"p": B}, {"p": DIR, "p/f": A}, (PENDING,)),
    # something else in the place of a file or of a parent
    Case("a link for a file", {"f": A}, {"f": LINK}, {"f": A}, ("drift replace file:f keep",)),
    Case("a FIFO for a file", {"f": A}, {"f": OTHER}, {"f": A}, ("drift replace file:f keep",)),
    Case("a directory for a file", {"f": A}, {"f": DIR}, {"f": A}, ("drift replace file:f keep",)),
    Case(
        "a link for our directory",
        {"d/f": A},
        {"d": LINK},
        {"d": DIR, "d/f": A},
        ("drift replace directory:d keep", "drift create file:d/f"),
    ),
    Case(
        "a file for our directory",
        {"d/f": A},
        {"d": B},
        {"d": DIR, "d/f": A},
        ("drift replace directory:d keep", "drift create file:d/f"),
    ),
    Case(
        "a link for a directory that was not ours",
        {"d/f": A},
        {"d": LINK},
        {"d/f": A},
        ("conflict replace directory:d keep", "drift create file:d/f"),
    ),
    Case(
        "our directory is gone",
        {"d/f": A},
        {},
        {"d": DIR, "d/f": A},
        ("drift create directory:d", "drift create file:d/f"),
    ),
    # own: keys
    Case("keys, edited", {"k": A}, {"k": B}, {"k": A}, (), keys=("k",)),
    Case(
        "keys, edited, another mode",
        {"k": A},
        {"k": text("b", "0600")},
        {"k": A},
        ("drift replace file:k keep",),
        keys=("k",),
    ),
    Case("keys, edited, no modes kept", {"k": A}, {"k": text("b", "0777")}, {"k": text("a", "")}, (), keys=("k",)),
    Case("keys, pending", {"k": B}, {"k": A}, {"k": A}, ("pending replace file:k",), keys=("k",)),
    Case("keys, edited and pending", {"k": C}, {"k": B}, {"k": A}, ("conflict replace file:k keep",), keys=("k",)),
    Case("keys, edited as pending", {"k": B}, {"k": B}, {"k": A}, (PENDING,), keys=("k",)),
    Case("keys, missing", {"k": A}, {}, {"k": A}, ("drift create file:k",), keys=("k",)),
    Case("keys, now a link", {"k": A}, {"k": LINK}, {"k": A}, ("drift replace file:k keep",), keys=("k",)),
    Case("keys, adopted", {"k": A}, {"k": B}, None, ("conflict replace file:k keep",), keys=("k",)),
    Case("keys, dropped and edited", {}, {"k": B}, {"k": A}, ("conflict remove file:k keep",), keys=("k",)),
    # a storage that keeps no modes
    Case("no modes", {"f": A}, {"f": text("a", "0777")}, {"f": text("a", "")}, (), entries={"file:f": ""}),
    Case(
        "no modes, pending: ours is not kept",
        {"f": B},
        {"f": text("a", "0777")},
        {"f": text("a", "")},
        ("pending replace file:f",),
        entries={"file:f": ""},
    ),
    Case("no modes, dropped", {}, {"f": text("a", "0777")}, {"f": text("a", "")}, ("pending remove file:f",)),
    # interrupted
    Case("first apply interrupted, nothing written", {"f": A}, {}, {}, ("pending create file:f",), ({"f": A},), 0),
    Case("first apply interrupted, written", {"f": A}, {"f": A}, {}, (), ({"f": A},), 0),
    Case("first apply interrupted, other profile", {"f": B}, {"f": A}, {}, ("pending replace file:f",), ({"f": A},), 0),
    Case("first apply interrupted, dropped", {}, {"f": A}, {}, ("pending remove file:f",), ({"f": A},), 0),
    Case(
        "first apply interrupted, edited since",
        {"f": A},
        {"f": B},
        {},
        ("conflict replace file:f keep",),
        ({"f": A},),
        0,
    ),
    Case(
        "first apply interrupted, no modes kept",
        {"f": B},
        {"f": text("a", "0777")},
        {},
        ("pending replace file:f keep",),
        ({"f": A},),
        0,
    ),
    Case("interrupted before the write", {"f": B}, {"f": A}, {"f": A}, ("pending replace file:f",), ({"f": B},)),
    Case("interrupted after the write", {"f": B}, {"f": B}, {"f": A}, (PENDING,), ({"f": B},)),
    Case("interrupted, back to the old", {"f": A}, {"f": B}, {"f": A}, ("pending replace file:f",), ({"f": B},)),
    Case("interrupted, gone", {"f": B}, {}, {"f": A}, ("drift create file:f",), ({"f": B},)),
    Case(
        "interrupted, mode changed since",
        {"f": B},
        {"f": text("b", "0600")},
        {"f": A},
        ("pending replace file:f keep",),
        ({"f": B},),
    ),
    Case(
        "interrupted twice, two profiles, the first one's bytes",
        {"f": C},
        {"f": A},
        {},
        ("pending replace file:f",),
        ({"f": A}, {"f": B}),
        0,
    ),
    Case(
        "interrupted twice, files of both dropped",
        {"h": C},
        {"f": A, "d": DIR, "d/g": B},
        {},
        (
            "pending remove file:d/g",
            "pending remove file:f",
            "pending remove directory:d",
            "pending create file:h",
        ),
        ({"f": A}, {"d": DIR, "d/g": B}),
        0,
    ),
    Case(
        "interrupted while a file became a directory, back to the file",
        {"p": A},
        {"p": DIR, "p/f": B},
        {"p": A},
        ("pending remove file:p/f", "pending remove directory:p", "drift create file:p"),
        ({"p": DIR, "p/f": B},),
    ),
]


def said(case: Case) -> tuple[Desired, Record | None]:
    """The profile and the record of a case."""
    asked = wanted(case.desired, keys=case.keys)
    if case.recorded is None:
        return asked, None
    left = {path: state._replace(mode=state.mode or "0644") for path, state in case.recorded.items() if state != DIR}
    return asked, record(
        case.recorded,
        like=wanted(left, keys=case.keys),
        intended=case.intended,
        generation=case.generation,
        keys=case.keys,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_changes_that_follow(case: Case) -> None:
    asked, recorded = said(case)
    computed = plan("t", asked, seen(case.held, asked, recorded), recorded)
    found = [
        f"{change.cause} {change.action} {change.address}{' keep' if change.keep else ''}"
        for change in computed.changes
    ]
    if recorded is None or not recorded.generation:
        assert found.pop() == "pending create settings:launch"
    assert tuple(found) == case.changes
    for address, mode in case.entries.items():
        entry = computed.entries.get(address)
        assert (entry.mode if entry else "-") == mode
    assert computed.is_interrupted == bool(case.intended)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change_says_what_was_there_and_why(case: Case) -> None:
    asked, recorded = said(case)
    for change in plan("t", asked, seen(case.held, asked, recorded), recorded).changes:
        assert change.reason
        assert (change.before is None) == (change.action == "create")
        assert (change.after is None) == (change.action == "remove")
        assert not change.keep or change.before is not None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_plan_without_changes_has_nothing_to_record(case: Case) -> None:
    asked, recorded = said(case)
    computed = plan("t", asked, seen(case.held, asked, recorded), recorded)
    assert computed.changes or computed.is_recorded or computed.is_interrupted


def test_a_missing_workspace_is_made_first() -> None:
    asked = wanted({"d/f": A})
    recorded = record({"d": DIR, "d/f": A}, like=asked)
    computed = plan("t", asked, seen({}, asked, recorded, workspace=False), recorded)
    assert [(change.cause, change.address) for change in computed.changes] == [
        ("drift", "directory:/"),
        ("drift", "directory:d"),
        ("drift", "file:d/f"),
    ]


def test_another_ownership_is_recorded_and_said() -> None:
    recorded = record({"f": A}, like=wanted({"f": A}))
    asked = wanted({"f": A}, keys=("f",))
    computed = plan("t", asked, seen({"f": A}, asked, recorded), recorded)
    assert [change.address for change in computed.changes] == ["settings:launch"]
    assert computed.entries["file:f"].own == "keys"


def test_a_record_planned_as_a_profile_shows_drift_alone() -> None:
    recorded = record({"d": DIR, "d/f": A, "g": text("b", ""), "k": A}, keys=("k",))
    asked = recorded_as_desired(recorded)
    held = {"d": DIR, "d/f": C, "g": text("b", "0777"), "k": B}
    computed = plan("t", asked, seen(held, asked, recorded), recorded)
    assert [(change.cause, change.address) for change in computed.changes] == [("drift", "file:d/f")]
    assert plan("t", asked, seen({**held, "d/f": A}, asked, recorded), recorded).is_recorded


def test_what_has_to_be_observed() -> None:
    recorded = record({"f": A}, intended=({"d": DIR, "d/g": B},))
    assert addresses(wanted({"e/h": C}), recorded) == (
        "directory:/",
        "directory:d",
        "directory:e",
        "file:d/g",
        "file:e/h",
        "file:f",
    )
    assert addresses(wanted({}), None) == ("directory:/",)


def test_the_workspace_is_always_ours() -> None:
    asked = wanted({})
    assert plan("t", asked, seen({}, asked, None), None).entries == {"directory:/": Recorded("directory")}
