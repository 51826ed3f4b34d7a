"""Merges by lines, with git as the oracle."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.reconcile.merging import Clash
from solven_env.reconcile.merging.lines import hunks, merge

if TYPE_CHECKING:
    from pathlib import Path

BASE = [f"line {number}\n" for number in range(12)]
EDITS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("+-="), st.sampled_from("xyz")), max_size=4)
SMALL = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n", b"a"]), max_size=8).map(b"".join)


def edited(edits: list[tuple[int, str, str]]) -> bytes:
    """`BASE` with lines added, removed and replaced at these places."""
    lines: list[str] = list(BASE)
    for place, what, word in sorted(edits, reverse=True):
        new = [] if what == "-" else [f"{word} at {place}\n"]
        lines[place : place + (what != "+")] = new
    return "".join(lines).encode()


def by_git(place: Path, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """What git merges; None for a conflict."""
    for name, data in (("base", base), ("ours", ours), ("theirs", theirs)):
        (place / name).write_bytes(data)
    done = subprocess.run(["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=place, capture_output=True)
    return done.stdout if done.returncode == 0 else None


@settings(max_examples=150)
@given(ours=EDITS, theirs=EDITS)
def test_it_merges_what_git_merges(
    tmp_path_factory: pytest.TempPathFactory, ours: list[tuple[int, str, str]], theirs: list[tuple[int, str, str]]
) -> None:
    base, desired, observed = "".join(BASE).encode(), edited(ours), edited(theirs)
    found = merge(base, desired, observed)
    assert (None if found.clashes else found.data) == by_git(
        tmp_path_factory.mktemp("git", numbered=True), base, desired, observed
    )


@settings(max_examples=300)
@given(base=SMALL, desired=SMALL, observed=SMALL)
def test_what_holds_of_every_merge(base: bytes, desired: bytes, observed: bytes) -> None:
    assert merge(base, base, observed) == (observed, ())
    assert merge(base, desired, base) == (desired, ())
    assert merge(base, observed, observed) == (observed, ())
    found = merge(base, desired, observed)
    assert bool(found.clashes) == bool(merge(base, observed, desired).clashes)
    if not found.clashes:
        assert found.data is not None
        assert merge(desired, desired, found.data) == (found.data, ())
        assert b"<<<<" not in found.data


@given(before=SMALL, after=SMALL)
def test_hunks_make_the_one_text_of_the_other(before: bytes, after: bytes) -> None:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    made, done = [], 0
    for hunk in hunks(old, new):
        assert old[hunk.begin : hunk.end] != new[hunk.at : hunk.until]
        made += [*old[done : hunk.begin], *new[hunk.at : hunk.until]]
        done = hunk.end
    assert made + old[done:] == new


@pytest.mark.parametrize(
    ("base", "desired", "observed", "where", "sides"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n", b"a\n2\n3\nc\n", "lines 2-3", ("B", "2 (and 1 more)")),
        (b"a\nb\n", b"a\n", b"a\nmine\n", "line 2", ("nothing", "mine")),
        (b"a\n", b"a\nb\n", b"a\nc\n", "line 2", ("b", "c")),
        (b"a\r\nb\r\n", b"A\r\nb\r\n", b"a\nb\n", "lines 1-2", ("A (and 1 more)", "a (and 1 more)")),
        (b"a\n", None, b"b\n", "the file", ("drops it", "2 bytes")),
        (None, b"a\n", b"b\n", "the file", ("2 bytes", "2 bytes")),
        (b"\0", b"\0\n", b"a", "the file", ("2 bytes", "1 bytes: it is no text")),
    ],
)
def test_a_clash_says_where_and_what(
    base: bytes | None, desired: bytes | None, observed: bytes, where: str, sides: tuple[str, str]
) -> None:
    found = merge(base, desired, observed)
    assert found.clashes == (Clash(where, *sides),)
    assert merge(base, desired, observed, "observed").data == observed
    assert merge(base, desired, observed, "desired").data == desired


def test_a_preferred_side_decides_clashes_alone() -> None:
    base, desired, observed = b"1\n2\n3\n4\n5\n", b"one\n2\n3\n4\nfive\n", b"1\n2\n3\n4\nV\n"
    assert merge(base, desired, observed, "desired").data == desired
    assert merge(base, desired, observed, "observed").data == b"one\n2\n3\n4\nV\n"


@pytest.mark.parametrize(
    ("base", "theirs"),
    [
        (b"a\n" * 300_000, b"x\n" + b"a\n" * 299_000 + b"y\n"),
        (b"a\nb\n" * 50_000, b"b\na\n\n" * 50_000),
        (
            b"".join(b"%d\n" % number for number in range(60_000)),
            b"".join(b"%d\n" % (7 * number) for number in range(60_000)),
        ),
    ],
    ids=["equal lines", "alternating lines", "other lines"],
)
def test_a_file_that_is_hard_to_compare_ends_in_a_merge_or_a_clash(base: bytes, theirs: bytes) -> None:
    desired = b"ours\n" + base + b"ours\n"
    found = merge(base, desired, theirs)
    assert found.clashes or found.data == b"ours\n" + theirs + b"ours\n"


def test_many_small_changes_are_merged() -> None:
    chance = random.Random(7)
    lines = [b"%d\n" % number for number in range(4_000)]
    ours, theirs, both = list(lines), list(lines), list(lines)
    for number in range(0, 4_000, 10):
        side, at = (ours, theirs)[number % 20 == 0], number + chance.randrange(8)
        side[at] = both[at] = b"changed %d\n" % number
    assert merge(b"".join(lines), b"".join(ours), b"".join(theirs)) == (b"".join(both), ())
