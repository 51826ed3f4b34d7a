"""A lock beside its manifest: whose it is, what it begins as, and when it is behind. The ecosystem is invented."""

from __future__ import annotations

import pytest

from solven_env.reconcile.model import Desired, Observed, Pair, State
from solven_env.reconcile.plan import plan
from solven_env.state.records import Record
from tests.reconcile.states import text, wanted

MANIFEST, LOCK = "file:toys.toml", "file:toys.lock"


def is_behind(manifest: bytes, lock: bytes | None) -> bool:
    """A lock is a version, a colon and what the manifest asks for; further lines are versions of single toys."""
    asked = manifest.partition(b"\n")[0]
    return lock is not None and lock.partition(b"\n")[0].partition(b":")[2] != asked if asked else False


PAIR = Pair(
    "toy",
    MANIFEST,
    LOCK,
    lambda lock: b":" in lock,
    lambda manifest, lock: (bool(manifest.strip()) and lock is None) or is_behind(manifest, lock),
    lambda lock, agents: lock + b"".join(each for each in agents.splitlines(keepends=True)[1:] if each not in lock),
)


def asks(manifest: str, lock: str, own: str = "seed") -> Desired:
    """A profile that renders this manifest, whose build brings this lock."""
    found = wanted({"toys.toml": text(manifest), "toys.lock": text(lock)}, keys=("toys.lock",))
    return found._replace(own={**found.own, MANIFEST: own}, brought={LOCK: "build:toy"}, pairs=(PAIR,))


def told(asked: Desired, last: Desired | None, manifest: str | None, lock: State | str | None) -> tuple[object, ...]:
    """Cause and bytes of the lock's change, and whether it is behind then; `last` is what was applied."""
    there = {MANIFEST: manifest, LOCK: lock}
    states = {name: text(each) if isinstance(each, str) else each for name, each in there.items() if each is not None}
    base = None
    if last is not None:
        base = Record("i", 1, resources=plan("t1", last, Observed({}), None).entries)
    found = plan("t1", asked, Observed({**states, "directory:/": State("directory")}), base)
    change = next((each for each in found.changes if each.address == LOCK), None)
    data = change.after.data.decode() if change and change.after and change.after.data else None
    return (change.cause if change else None, data, [each.is_certain for each in found.behind])


R1, R2 = asks("a", "1:a\n"), asks("a", "2:a\n")
EDITED, OWN = "a b", "1:a b\nb=1\n"


@pytest.mark.parametrize(
    ("asked", "last", "manifest", "lock", "expected"),
    [
        (R1, None, None, None, ("pending", "1:a\n", [])),
        (R1, R1, "a", "1:a\n", (None, None, [])),
        (R1, R1, "a", None, ("drift", "1:a\n", [])),
        (R2, R1, "a", "1:a\n", ("pending", "2:a\n", [])),
        # the manifest is the agent's
        (R1, R1, EDITED, "1:a\n", (None, None, [True])),
        (R1, R1, EDITED, OWN, (None, None, [])),
        (R1, R1, EDITED, None, ("drift", "1:a\n", [True])),
        (R1, R1, EDITED, "<<<", ("drift", "1:a\n", [True])),
        (R2, R1, EDITED, OWN, ("pending", "2:a\nb=1\n", [True])),
        (R2, R1, EDITED, "2:a\nb=1\n", (None, None, [True])),  # an apply began it, and was killed
        (R1, R1, "\n", None, (None, None, [])),  # of nothing its program keeps no lock
        # the lock alone is
        (R1, R1, "a", "9:a\n", (None, None, [])),
        (R2, R1, "a", "9:a\nb=1\n", ("pending", "2:a\n", [])),
        (R1, R1, "a", OWN, (None, None, [True])),
        # something else than a file
        (R1, R1, "a", State("directory"), ("drift", "1:a\n", [])),
        (R2, R1, EDITED, State("symlink", "sha256:x"), ("drift", "2:a\n", [True])),
        # taken over
        (R1, None, "a", "9:a\nb=1\n", ("pending", "1:a\n", [])),
    ],
)
def test_the_lock_is_the_builds_or_the_agents(
    asked: Desired, last: Desired | None, manifest: str | None, lock: State | str | None, expected: tuple[object, ...]
) -> None:
    assert told(asked, last, manifest, lock) == expected
