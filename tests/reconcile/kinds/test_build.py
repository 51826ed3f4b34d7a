"""Builds: which are desired, what is there of them on this host, and how a difference is told."""

from __future__ import annotations

import pytest

from solven_env.reconcile.kinds import build
from solven_env.reconcile.model import HostFacts, NeededBuild, State
from solven_env.reconcile.plan import plan
from solven_env.state.records import Recorded
from tests.reconcile.states import record, seen, wanted


@pytest.mark.parametrize(("recorded", "cause"), [("old", "pending"), ("new", "drift"), (None, "pending")])
def test_a_build_that_this_host_lacks_is_drift_only_where_it_is_the_recorded_one(
    recorded: str | None, cause: str
) -> None:
    address = "build:python"
    asked = wanted({})._replace(states={address: State("build", "new")})
    entries = {address: Recorded("build", digest=recorded)} if recorded else {}
    before = record({})._replace(resources={**record({}).resources, **entries})
    (change,) = [
        change for change in plan("t", asked, seen({}, asked, before), before).changes if change.kind == "build"
    ]
    assert (change.action, change.cause) == ("create", cause)


NEED = NeededBuild("python", "sha256:new", {"key": "python-1"}, is_lost=False, files={})
IDENTITY, LOST = State("build", "sha256:new"), State("build")


@pytest.mark.parametrize(
    ("need", "states"),
    [
        (NEED, {"build:python": IDENTITY}),
        (NEED._replace(is_lost=True), {"build:python": LOST}),
        (NEED._replace(recorded=None), {}),
    ],
)
def test_what_this_host_has(need: NeededBuild, states: dict[str, State]) -> None:
    host = HostFacts(lambda source: None, {}, [need])
    assert build.observe_host(host) == states
    found = build.desired_here(wanted({}), None, host)
    assert found.states["build:python"] == IDENTITY
    assert found.builds == ({"python": need.recorded} if need.recorded else {})


@pytest.mark.parametrize(
    ("found", "recorded", "told"),
    [
        (None, None, "pending create: the profile asks for it"),
        (None, "sha256:old", "pending create: it is another build than that of the last apply"),
        (None, "sha256:new", "drift create: this host does not have it"),
        (LOST, None, "pending replace: the profile asks for it"),
        (
            LOST,
            "sha256:old",
            "pending replace: the profile asks for it, and commands removed what it cannot do without",
        ),
        (LOST, "sha256:new", "drift replace: commands removed what it cannot do without"),
        (IDENTITY, "sha256:new", None),
        (IDENTITY, None, None),
    ],
)
def test_a_difference_is_told(found: State | None, recorded: str | None, told: str | None) -> None:
    asked = wanted({}, release="2.0.0")._replace(states={"build:python": IDENTITY})
    entries = {"build:python": Recorded("build", digest=recorded)} if recorded else {}
    before = record({})._replace(resources=entries)
    there = {"build:python": found} if found else {}
    observed = seen({}, asked, before)._replace(states=there)
    changes = [each for each in plan("t", asked, observed, before).changes if each.kind == "build"]
    assert [f"{each.cause} {each.action}: {each.reason}" for each in changes] == ([told] if told else [])
    assert not any(each.keep for each in changes)
