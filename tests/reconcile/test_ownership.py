"""Whose a file is: the three states of each ownership, every change of an ownership, and what each choice does."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from solven_env.reconcile.merging import block
from solven_env.reconcile.model import State
from solven_env.reconcile.ownership import File, Left, judge
from tests.reconcile.states import DIR, LINK, OTHER, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solven_env.reconcile.model import Cause, OnConflict

OWNS = ("whole", "keys", "block", "seed")


def keys(**values: Any) -> State:
    """A JSON file with these keys."""
    return text(json.dumps(values, indent=2) + "\n")


def blocked(inside: str, *, around: str = "", mode: str = "0644") -> State:
    """A file with our block after lines of the agent's."""
    return text((block.put(around.encode(), inside.encode(), block.marks("f")) or b"").decode(), mode)


A, B, C = text("a\n"), text("b\n"), text("c\n")
ALIKE, GONE = "as it is", "removed"


class Case(NamedTuple):
    """Facts about a file, and what must follow: the cause, and the state that has to stand there."""

    own: str
    desired: State | None
    observed: State | None
    last: State | None
    cause: Cause | None
    state: State | str | None = ALIKE
    was: str = ""
    """The ownership by the record, where it is another."""
    choice: OnConflict = "fail"
    path: str = "f.json"


K, KB = keys(a=1), keys(a=2)
TABLE = {
    "keys: new": Case("keys", K, None, None, "pending", K),
    "keys: as we left it": Case("keys", K, K, K, None),
    "keys: the agent added one": Case("keys", K, keys(a=1, x=9), K, None),
    "keys: the agent changed one": Case("keys", K, keys(a=7), K, None),
    "keys: the agent removed one": Case("keys", keys(a=1, b=2), K, keys(a=1, b=2), None),
    "keys: missing": Case("keys", K, None, K, "drift", K),
    "keys: a release": Case("keys", KB, K, K, "pending", KB),
    "keys: a release meets an addition": Case("keys", KB, keys(a=1, x=9), K, "pending", keys(a=2, x=9)),
    "keys: a release meets the same change": Case("keys", KB, KB, K, None),
    "keys: a release meets another change": Case("keys", KB, keys(a=7, x=9), K, "conflict"),
    "keys: a release drops one": Case("keys", K, keys(a=1, b=2, x=9), keys(a=1, b=2), "pending", keys(a=1, x=9)),
    "keys: a release drops a changed one": Case("keys", K, keys(a=1, b=7), keys(a=1, b=2), None),
    "keys: adopted, equal": Case("keys", K, K, None, None),
    "keys: adopted, with more": Case("keys", K, keys(a=1, x=9), None, None),
    "keys: adopted, with others": Case("keys", K, keys(x=9), None, "pending", keys(x=9, a=1)),
    "keys: adopted, differing": Case("keys", K, keys(a=7), None, "conflict"),
    "keys: dropped": Case("keys", None, K, K, "pending", GONE),
    "keys: dropped, with an addition": Case("keys", None, keys(a=1, x=9), K, "pending", keys(x=9)),
    "keys: dropped, changed": Case("keys", None, keys(a=7), K, None),
    "keys: dropped, missing": Case("keys", None, None, K, None),
    "keys: a mode": Case("keys", K, text("{}", "0600"), K, "drift", text("{}")),
    "keys: a release changes the mode": Case("keys", K._replace(mode="0600"), K, K, "pending", K._replace(mode="0600")),
    "keys: a release and a mode": Case("keys", KB, K._replace(mode="0600"), K, "pending", KB),
    "keys: broken": Case("keys", K, text("{"), K, None),
    "keys: a release meets a broken one": Case("keys", KB, text("{"), K, "conflict"),
    "keys: a link": Case("keys", K, LINK, K, None),
    "keys: a release meets a link": Case("keys", KB, LINK, K, "conflict"),
    "keys: dropped, a link": Case("keys", None, LINK, K, None),
    "keys: adopted, a link": Case("keys", K, LINK, None, "conflict"),
    "keys: no modes are kept": Case("keys", K, keys(a=7)._replace(mode="0777"), K._replace(mode=""), None),
    "keys: a release where no modes are kept": Case(
        "keys", KB, keys(a=1)._replace(mode="0777"), K._replace(mode=""), "pending", KB._replace(mode="0777")
    ),
    "whole: a mode where none are kept": Case("whole", A, text("a\n", "0777"), text("a\n", ""), None),
    "keys: too large": Case("keys", K, State("file", "size:17000000", "0644", 17_000_000), K, None),
    "keys: a release meets one too large": Case("keys", KB, text("{}" + " " * (1 << 20)), K, "conflict"),
    "block: a release meets one too large": Case(
        "block", B, State("file", "size:17000000", "0644", 17_000_000), A, "conflict"
    ),
    "keys: no UTF-8": Case("keys", KB, State("file", "sha256:x", "0644", 1, b"\xff"), K, "conflict"),
    "keys: a directory": Case("keys", K, DIR, K, "drift", K),
    "keys: a release meets a FIFO": Case("keys", KB, OTHER, K, "conflict"),
    "keys: no text, the agent's": Case("keys", A, B, A, None, path="f.lock"),
    "keys: no text, a release": Case("keys", C, B, A, "conflict", path="f.lock"),
    "keys: no text, a mode": Case("keys", A, text("b\n", "0600"), A, "drift", B, path="f.lock"),
    "block: new": Case("block", A, None, None, "pending", blocked("a\n")),
    "block: as we left it": Case("block", A, blocked("a\n"), A, None),
    "block: lines around": Case("block", A, blocked("a\n", around="x\n"), A, None),
    "block: a mode": Case("block", A, blocked("a\n", mode="0600"), A, None),
    "block: changed": Case("block", A, blocked("b\n", around="x\n"), A, "drift", blocked("a\n", around="x\n")),
    "block: taken out": Case("block", A, text("x\n"), A, "drift", blocked("a\n", around="x\n")),
    "block: missing": Case("block", A, None, A, "drift", blocked("a\n")),
    "block: a release": Case(
        "block", B, blocked("a\n", around="x\n", mode="0600"), A, "pending", blocked("b\n", around="x\n", mode="0600")
    ),
    "block: a release meets the same change": Case("block", B, blocked("b\n"), A, None),
    "block: a release meets another change": Case("block", B, blocked("c\n"), A, "conflict"),
    "block: adopted": Case("block", A, text("x\n", "0600"), None, "pending", blocked("a\n", around="x\n", mode="0600")),
    "block: dropped": Case("block", None, blocked("a\n"), A, "pending", GONE),
    "block: dropped, lines around": Case("block", None, blocked("a\n", around="x\n"), A, "pending", text("x\n")),
    "block: dropped, taken out": Case("block", None, text("x\n"), A, None),
    "block: dropped, changed": Case("block", None, blocked("b\n"), A, "conflict"),
    "block: a link": Case("block", A, LINK, A, None),
    "block: a release meets a link": Case("block", B, LINK, A, "conflict"),
    "block: a directory": Case("block", A, DIR, A, "drift", blocked("a\n")),
    "block: marks are damaged": Case("block", A, text("# >>> solven-env >>>\nx\n"), A, None),
    "block: a release meets damaged marks": Case("block", B, text("# >>> solven-env >>>\nx\n"), A, "conflict"),
    "block: adopted, a directory": Case("block", A, DIR, None, "conflict"),
    "seed: new": Case("seed", A, None, None, "pending", A),
    "seed: as we left it": Case("seed", A, A, A, None),
    "seed: the agent's": Case("seed", A, B, A, None),
    "seed: a release": Case("seed", B, A, A, None),
    "seed: removed": Case("seed", A, None, A, None, None),
    "seed: adopted": Case("seed", A, B, None, None),
    "seed: adopted, a link": Case("seed", A, LINK, None, None),
    "seed: dropped": Case("seed", None, A, A, None),
    "seed: a directory": Case("seed", A, DIR, A, None),
    "whole: an edit": Case("whole", A, B, A, "drift", A),
    "whole: a release meets an edit": Case("whole", C, B, A, "conflict"),
    "whole: a release meets a mode": Case("whole", B, text("a\n", "0600"), A, "pending", B),
    # Changes of the ownership
    "whole to keys": Case("keys", K, K, K, None, was="whole"),
    "whole to keys, edited": Case("keys", KB, keys(a=1, x=9), K, "pending", keys(a=2, x=9), was="whole"),
    "whole to block": Case("block", B, A, A, "pending", blocked("b\n"), was="whole"),
    "whole to block, edited": Case("block", B, text("a\nx\n"), A, "conflict", was="whole"),
    "whole to seed": Case("seed", B, A, A, None, was="whole"),
    "whole to seed, missing": Case("seed", B, None, A, "drift", B, was="whole"),
    "keys to whole": Case("whole", KB, K, K, "pending", KB, was="keys"),
    "keys to whole, edited": Case("whole", K, keys(a=1, x=9), K, "conflict", was="keys"),
    "keys to block": Case("block", B, K, K, "pending", blocked("b\n"), was="keys"),
    "keys to block, edited": Case(
        "block", B, keys(a=1, x=9), K, "pending", blocked("b\n", around='{\n  "x": 9\n}\n'), was="keys"
    ),
    "keys of no text to block": Case("block", B, A, A, "pending", blocked("b\n"), was="keys", path=".ignore"),
    "keys of no text to block, edited": Case(
        "block", B, text("a\nx\n"), A, "pending", blocked("b\n", around="x\n"), was="keys", path=".ignore"
    ),
    "keys of no text to block, ours edited": Case(
        "block", B, text("x\n"), A, "pending", blocked("b\n", around="x\n"), was="keys", path=".ignore"
    ),
    "keys to seed, edited": Case("seed", KB, keys(a=7), K, None, was="keys"),
    "block to whole": Case("whole", B, blocked("a\n"), A, "pending", B, was="block"),
    "block to whole, lines around": Case("whole", A, blocked("a\n", around="x\n"), A, "conflict", was="block"),
    "block to keys": Case("keys", K, blocked("a\n"), A, "pending", K, was="block"),
    "block to seed": Case("seed", B, blocked("a\n", around="x\n"), A, None, was="block"),
    "seed to whole": Case("whole", B, A, A, "pending", B, was="seed"),
    "seed to whole, edited": Case("whole", A, B, A, "conflict", was="seed"),
    "seed to keys, edited": Case("keys", KB, keys(a=1, x=9), K, "pending", keys(a=2, x=9), was="seed"),
    "seed to block": Case("block", B, A, A, "pending", blocked("b\n", around="a\n"), was="seed"),
    "seed to block, removed": Case("block", B, None, A, "drift", blocked("b\n"), was="seed"),
    # Choices
    "keys: keep": Case("keys", keys(a=2, b=1), keys(a=7), K, "pending", keys(a=7, b=1), choice="keep"),
    "keys: overwrite": Case("keys", KB, keys(a=7, x=9), K, "conflict", keys(a=2, x=9), choice="overwrite"),
    "keys: merge leaves clashes": Case("keys", KB, keys(a=7), K, "conflict", choice="merge"),
    "keys: keep what is broken": Case("keys", KB, text("{"), K, None, choice="keep"),
    "keys: overwrite what is broken": Case("keys", KB, text("{"), K, "conflict", KB, choice="overwrite"),
    "keys: keep a link": Case("keys", KB, LINK, K, None, choice="keep"),
    "block: keep": Case("block", B, blocked("c\n"), A, None, choice="keep"),
    "block: merge leaves it": Case("block", B, blocked("c\n"), A, "conflict", choice="merge"),
    "block: overwrite": Case(
        "block", B, blocked("c\n", around="x\n"), A, "conflict", blocked("b\n", around="x\n"), choice="overwrite"
    ),
    "block: dropped, keep": Case("block", None, blocked("c\n"), A, None, choice="keep"),
    "whole: keep": Case("whole", C, B, A, None, choice="keep"),
    "whole: keep a link": Case("whole", C, LINK, A, None, choice="keep"),
    "whole: a directory cannot be kept": Case("whole", C, DIR, A, "conflict", choice="keep"),
    "whole: adopted, keep": Case("whole", C, B, None, None, choice="keep"),
    "whole: dropped, keep": Case("whole", None, B, A, None, choice="keep"),
    "whole: overwrite": Case("whole", C, B, A, "conflict", C, choice="overwrite"),
    "whole: merge, other lines": Case(
        "whole",
        text("1\n2\n3\n4\n5!\n"),
        text("1!\n2\n3\n4\n5\n"),
        text("1\n2\n3\n4\n5\n"),
        "pending",
        text("1!\n2\n3\n4\n5!\n"),
        choice="merge",
    ),
    "whole: merge, the same lines": Case("whole", C, B, A, "conflict", choice="merge"),
    "whole: merge, adopted": Case("whole", C, B, None, "conflict", choice="merge"),
    "whole: dropped, merge": Case("whole", None, text("1\n2\n3\n"), text("1\n2\n3\n4\n"), "conflict", choice="merge"),
    "whole to block, merge": Case("block", B, text("a\nx\n"), A, "conflict", was="whole", choice="merge"),
    "whole to block, overwrite": Case(
        "block", B, text("a\nx\n"), A, "conflict", blocked("b\n"), was="whole", choice="overwrite"
    ),
}


def facts(case: Case) -> File:
    """The facts as the planner hands them over."""
    last = Left(case.was or case.own, case.last) if case.last else None
    return File(case.path, case.own, case.desired, case.observed, last, choice=case.choice)


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name: str) -> None:
    case = TABLE[name]
    found = judge(facts(case))
    assert found.cause == case.cause
    if case.cause != "conflict" or case.choice == "overwrite":
        expected = case.observed if case.state == ALIKE else case.state
        assert found.state == (None if expected == GONE else expected)
        assert found.state is None or isinstance(expected, str) or found.state.data == expected.data  # type: ignore[union-attr]
    assert (found.cause == "conflict") == bool(found.choices)


@pytest.mark.parametrize("name", [name for name, case in TABLE.items() if case.cause is None])
def test_what_is_in_sync_stays_so_whatever_is_chosen(name: str) -> None:
    for choice in ("fail", "merge", "keep", "overwrite"):
        if TABLE[name].choice == "fail":
            assert judge(facts(TABLE[name])._replace(choice=choice)).cause is None


def test_every_pair_of_ownerships_is_in_the_table() -> None:
    pairs = {(case.was, case.own) for case in TABLE.values() if case.was}
    assert pairs == {(was, own) for was, own in itertools.product(OWNS, OWNS) if was != own}


@pytest.mark.parametrize(
    ("own", "desired", "words"),
    [
        ("whole", C, "the profile's is written, the former is kept"),
        ("whole", None, "it is removed, the former is kept"),
        ("block", B, "the block becomes the profile's"),
        ("block", None, "the block is removed, the former file is kept"),
    ],
)
def test_a_choice_says_whether_a_file_goes(own: str, desired: State | None, words: str) -> None:
    found = B if own == "whole" else blocked("c\n")
    assert judge(facts(Case(own, desired, found, A, "conflict"))).choices["overwrite"] == words


def settled(case: Case, choices: Iterable[OnConflict]) -> set[str]:
    """The choices that leave no conflict but for what `overwrite` takes the place of."""
    found = set[str]()
    for choice in choices:
        verdict = judge(facts(case)._replace(choice=choice))
        if verdict.cause != "conflict" or choice == "overwrite":
            found.add(choice)
    return found


@pytest.mark.parametrize(
    "name", [name for name, case in TABLE.items() if case.cause == "conflict" and case.choice == "fail"]
)
def test_a_conflict_names_the_choices_that_settle_it_and_no_others(name: str) -> None:
    assert set(judge(facts(TABLE[name])).choices) == settled(TABLE[name], ("merge", "keep", "overwrite"))


@pytest.mark.parametrize("own", OWNS)
@pytest.mark.parametrize("choice", ["fail", "merge", "keep"])
def test_nothing_of_the_agents_goes_without_a_choice(own: str, choice: OnConflict) -> None:
    """What the agent wrote is in the file afterwards, unless it is drift of what is ours or a conflict."""
    for desired, last in itertools.product((None, K, KB, keys(b=1)), (None, K, KB)):
        for observed in (keys(a=1, mine=9), keys(a=7, mine=9), text("mine")):
            found = judge(File("f.json", own, desired, observed, Left(own, last) if last else None, choice=choice))
            is_ours = found.cause in ("conflict", "drift")
            assert is_ours or b"mine" in (found.state.data if found.state and found.state.data else b"")


@pytest.mark.parametrize("own", OWNS)
def test_a_second_look_finds_nothing_to_do(own: str) -> None:
    """What is left is in sync with the record that says what was rendered."""
    for desired, last in itertools.product((K, KB, keys(b=1)), (None, K, KB)):
        for observed in (None, keys(a=1, mine=9), K, KB, text("mine", "0600")):
            for choice in ("merge", "keep"):
                first = File("f.json", own, desired, observed, Left(own, last) if last else None, choice=choice)
                found = judge(first)
                if found.cause == "conflict":
                    continue
                base = desired if found.base is None else desired._replace(digest=found.base)
                mode = found.kept.mode if found.kept and own == "whole" else base.mode
                left = Left(own, base._replace(mode=mode), found.kept)
                assert judge(File("f.json", own, desired, found.state, left)).cause is None


def test_a_file_that_was_kept_before_it_became_a_block_stays() -> None:
    first = facts(TABLE["whole to block, edited"])._replace(choice="keep")
    found = judge(first)
    assert (found.cause, found.state) == (None, first.observed)
    later = judge(first._replace(last=Left("block", B, found.kept), choice="fail"))
    assert (later.cause, bool(later.note)) == (None, True)


# A base that is lost, and interrupted applies


def test_without_a_base_what_differs_is_a_clash() -> None:
    last = Left("keys", K._replace(data=None))
    assert judge(File("f.json", "keys", KB, keys(a=7, x=9), last)).cause == "conflict"
    assert judge(File("f.json", "keys", K, keys(a=7, x=9), last)).cause is None
    merged = judge(File("f.json", "keys", keys(a=7, b=2), keys(a=7, x=9), last)).state
    assert merged is not None
    assert json.loads(merged.data or b"") == {"a": 7, "b": 2, "x": 9}
    assert judge(File("f.json", "keys", None, keys(a=1, x=9), last)).state == keys(a=1, x=9)


def test_what_an_interrupted_apply_merged_is_merged_on() -> None:
    """The profile of the interrupted apply is given up: what it wrote goes, and what the agent has stays."""
    last, begun = Left("keys", K), Left("keys", keys(a=2, b=1), keys(a=2, b=1, x=9))
    there = keys(a=2, b=1, x=9)
    for observed in (there, keys(a=2, x=8, b=1), keys(a=1, x=9)):
        found = judge(File("f.json", "keys", K, observed, last, (begun,)))
        assert found.state is not None
        data = json.loads(found.state.data or b"")
        assert (data["a"], "b" in data, "x" in data) == (1, False, True)
    assert judge(File("f.json", "keys", keys(a=2, b=1), there, last, (begun,))).cause is None


def test_the_first_apply_was_interrupted() -> None:
    begun = Left("keys", K)
    assert judge(File("f.json", "keys", KB, K, None, (begun,))).state == KB
    assert judge(File("f.json", "keys", KB, keys(a=1, x=9), None, (begun,))).state == keys(x=9, a=2)
    assert judge(File("f.json", "seed", KB, None, None, (begun._replace(own="seed"),))).state == KB


# Kept versions


KEPT = Left("whole", C, B)


@pytest.mark.parametrize(
    ("desired", "observed", "cause", "state"),
    [
        (C, B, None, B),
        (C, text("b\n", "0600"), "drift", B),
        (C, text("edited\n"), "drift", B),
        (C, None, "drift", B),
        (C, C, "drift", B),
        (A, B, "conflict", A),
        (A, C, "pending", A),
        (None, B, "conflict", None),
    ],
)
def test_a_kept_version_is_what_a_whole_file_should_be(
    desired: State | None, observed: State | None, cause: Cause | None, state: State | None
) -> None:
    found = judge(File("f", "whole", desired, observed, KEPT))
    assert (found.cause, found.state) == (cause, state)
    assert (found.kept is not None) == (desired == C)
    assert bool(found.note) == (desired == C and observed is not None and observed.digest == B.digest)


def test_a_kept_version_that_is_lost_is_never_replaced_in_silence() -> None:
    lost = KEPT._replace(kept=B._replace(data=None))
    assert judge(File("f", "whole", C, B, lost)).cause is None
    assert judge(File("f", "whole", C, A, lost)).cause == "conflict"
    assert judge(File("f", "whole", C, None, lost)).state == C


def test_a_removed_seed_is_made_with_a_new_workspace_alone() -> None:
    gone = File("f", "seed", A, None, Left("seed", A))
    assert (judge(gone).cause, judge(gone._replace(is_anew=True)).state) == (None, A)


def test_a_seed_notes_what_it_began_with() -> None:
    assert judge(File("f", "seed", B, A, Left("seed", A))).base == A.digest
    assert judge(File("f", "seed", A, B, Left("keys", A))).base == A.digest
    for observed, kept in ((B, B.digest), (A, None), (None, None), (LINK, LINK.digest), (DIR, text("").digest)):
        found = judge(File("f", "seed", A, observed, None))
        assert (found.base, found.kept and found.kept.digest) == (None, kept)


def test_what_a_seed_met_is_no_base() -> None:
    """The agent had the file before: a key that it lacks is new, not removed."""
    met = Left("seed", K, text("agent's"))
    assert judge(File("f.json", "seed", KB, keys(x=1), met)).kept == met.kept
    assert judge(File("f.json", "keys", K, keys(x=9), met)).state == keys(x=9, a=1)
    assert judge(File("f.json", "whole", K, keys(x=9), met)).cause == "conflict"


def test_a_former_kept_version_can_be_asked_for() -> None:
    """As of a generation to roll back to."""
    found = judge(File("f", "whole", C, A, Left("whole", A), asked=B))
    assert (found.cause, found.state, found.kept) == ("pending", B, B)
    assert judge(File("f", "whole", C, text("x"), Left("whole", A), asked=B)).cause == "conflict"
