"""The table of the three states: every combination, by what it must come to."""

from __future__ import annotations

import itertools

import pytest

from solven_env.reconcile.compare import judge
from solven_env.reconcile.model import Cause, State
from tests.reconcile.states import DIR, LINK, OTHER, text

ONE, TWO, THREE = text("one"), text("two"), text("three")
RUN = text("one", "0755")
UNKEPT = text("one", "")

TABLE: list[tuple[State | None, State | None, State | None, Cause | None]] = [
    # desired, observed, recorded
    # in sync, whatever is recorded
    (None, None, None, None),
    (ONE, ONE, None, None),
    (ONE, ONE, ONE, None),
    (ONE, ONE, TWO, None),
    (None, None, ONE, None),
    (DIR, DIR, None, None),
    # pending: the workspace is as we left it
    (ONE, None, None, "pending"),
    (TWO, ONE, ONE, "pending"),
    (RUN, ONE, ONE, "pending"),
    (None, ONE, ONE, "pending"),
    (None, DIR, DIR, "pending"),
    # drift: the profile is as it was
    (ONE, None, ONE, "drift"),
    (ONE, TWO, ONE, "drift"),
    (ONE, RUN, ONE, "drift"),
    (ONE, DIR, ONE, "drift"),
    (ONE, LINK, ONE, "drift"),
    (ONE, OTHER, ONE, "drift"),
    (DIR, ONE, DIR, "drift"),
    # both changed, but nothing is there that could be lost
    (TWO, None, ONE, "drift"),
    # conflict: both changed, differently
    (TWO, THREE, ONE, "conflict"),
    (RUN, TWO, ONE, "conflict"),
    (TWO, LINK, ONE, "conflict"),
    (None, TWO, ONE, "conflict"),
    (None, DIR, ONE, "conflict"),
    (ONE, TWO, None, "conflict"),
    (ONE, DIR, None, "conflict"),
    (ONE, LINK, None, "conflict"),
    (DIR, ONE, None, "conflict"),
    # only the mode differs from what is asked, or from what we left
    (ONE, RUN, None, "pending"),
    (None, RUN, ONE, "pending"),
    (TWO, RUN, ONE, "pending"),
    (ONE, RUN, text("one", "0600"), "pending"),
    (ONE, RUN, TWO, "pending"),
    # a storage that keeps no modes
    (ONE, RUN, UNKEPT, None),
    (RUN, ONE, UNKEPT, None),
    (None, RUN, UNKEPT, "pending"),
    (TWO, RUN, UNKEPT, "pending"),
    (ONE, text("two", "0777"), UNKEPT, "drift"),
    (TWO, text("three", "0777"), UNKEPT, "conflict"),
    (None, text("two", "0777"), UNKEPT, "conflict"),
    (ONE, LINK, UNKEPT, "drift"),
    (ONE, None, UNKEPT, "drift"),
]


@pytest.mark.parametrize(("desired", "observed", "recorded", "cause"), TABLE)
def test_the_table(desired: State | None, observed: State | None, recorded: State | None, cause: Cause | None) -> None:
    assert judge(desired, observed, recorded) == cause


STATES = (None, ONE, TWO, THREE, RUN, text("two", "0600"), DIR, LINK, OTHER)
RECORDED = (None, ONE, TWO, RUN, UNKEPT, DIR)


def by_the_rule(desired: State | None, observed: State | None, recorded: State | None) -> Cause | None:
    """The table of `compare`'s docstring, said once more with plain comparisons."""
    if recorded is not None and recorded.type == "file" and not recorded.mode:
        desired, observed = (State(s.type, s.digest) if s else None for s in (desired, observed))
    if desired == observed:
        return None
    if observed == recorded:
        return "pending"
    if desired == recorded or observed is None:
        return "drift"
    known = {(state.type, state.digest) for state in (desired, recorded) if state}
    return "pending" if (observed.type, observed.digest) in known else "conflict"


@pytest.mark.parametrize("recorded", RECORDED)
def test_every_combination_follows_the_rule(recorded: State | None) -> None:
    for desired, observed in itertools.product(STATES, STATES):
        assert judge(desired, observed, recorded) == by_the_rule(desired, observed, recorded), (desired, observed)


@pytest.mark.parametrize("recorded", RECORDED)
def test_what_we_did_not_write_is_lost_to_a_conflict_or_a_drift_only(recorded: State | None) -> None:
    """A cause that overwrites silently needs bytes that are ours, or equal to what the profile asks."""
    for desired, observed in itertools.product(STATES, STATES):
        if judge(desired, observed, recorded) == "pending" and observed is not None:
            known = {state.digest for state in (desired, recorded) if state}
            assert observed.digest in known
