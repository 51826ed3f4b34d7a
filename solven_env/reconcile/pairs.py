"""A manifest and its lock are one resource: pyproject.toml with uv.lock, package.json with bun.lock. Pure.

The lock that a build brings fits the manifest that the profile renders. As long as that manifest stands in the
workspace byte for byte, and the lock as we left it, the lock is the build's. Otherwise it is the agent's:

| the workspace's lock | the build's lock is | then |
|---|---|---|
| as we left it, or missing; the manifest is the profile's rendering | | it is the build's |
| something else | the same | it stays |
| something else | another | the build's, with the versions of the agent's further packages |
| missing, or nothing that its program can read | | the build's |

What then does not say what its manifest asks for is `behind`: apply has it locked anew, inside. A lock is never a
conflict. One that nobody brings any more stays if it is the agent's.
"""

from __future__ import annotations

import posixpath
from functools import lru_cache

from solven_env.reconcile import compare
from solven_env.reconcile.model import Behind, name_in
from solven_env.reconcile.ownership import Verdict
from solven_env.reconcile.replacing import digest
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from solven_env.reconcile.compare import Seen
    from solven_env.reconcile.model import Desired, Pair, State
    from solven_env.state.records import Record

_MISSING = "it is missing from the workspace"
_DAMAGED = "it is damaged: its program cannot read it"
_NO_FILE = "something else than a file stands in its place"
_CHANGED = "the profile's packages changed, and what the workspace added stays"


def alone(seen: Seen, desired: Desired, own: str) -> Verdict | None:
    """Verdict about a lock that a build brings, or brought, before its manifest is known; None for any other file."""
    if own != "keys" or all(seen.address != pair.lock for pair in desired.pairs):
        return None
    cause = compare.judge(seen.desired, seen.observed, seen.recorded)
    return Verdict(seen.desired if cause else seen.observed, cause)


def settle(seen: Mapping[str, Seen], desired: Desired, record: Record | None) -> dict[str, Seen]:
    """The states of all addresses, those of the locks with verdicts that follow from their manifests."""
    settled = dict(seen)
    for pair, manifest, lock in _found(seen, desired, record):
        verdict = _judge(pair, lock, manifest, desired.states.get(lock.address))
        settled[lock.address] = lock._replace(desired=verdict.state, verdict=verdict)
    return settled


def behind(seen: Mapping[str, Seen], desired: Desired, record: Record | None) -> tuple[Behind, ...]:
    """The locks that will not say what their manifests ask for once the plan is applied, as far as that is known, and
    those whose manifests change: they may say it no more.
    """
    found = []
    for pair, manifest, lock in _found(seen, desired, record):
        says, locked = manifest.desired if manifest else None, lock.desired
        if manifest is None or lock.asked is None or says is None or says.data is None:
            continue
        is_ours = _is_rendering(manifest) and locked is not None and locked.digest == lock.asked.digest
        if is_ours or (locked is not None and locked.data is None):
            continue
        is_certain = _is_behind(pair, says, locked)
        if is_certain or (locked is not None and manifest.verdict is not None and manifest.verdict.cause):
            found.append(Behind(pair, _directory(manifest, lock), is_certain))
    return tuple(found)


def _found(
    seen: Mapping[str, Seen], desired: Desired, record: Record | None
) -> Iterator[tuple[Pair, Seen | None, Seen]]:
    """Each pair with the states of its manifest (None: the profile has none) and of a lock that a build brings, or
    brought. A profile may have such a file itself: it is never one of keys.
    """
    for pair in desired.pairs:
        lock = seen.get(pair.lock)
        last = record.resources.get(lock.address) if lock and record else None
        if lock is not None and desired.own.get(lock.address, last.own if last else "") == "keys":
            yield pair, seen.get(pair.manifest), lock


def _judge(pair: Pair, lock: Seen, manifest: Seen | None, brought: State | None) -> Verdict:
    """Verdict about a lock. `brought` is that of the build; None where none is needed any more."""
    assert lock.verdict is not None
    asked, found = lock.asked, lock.observed
    if asked is None or brought is None:
        is_edited = found is not None and found.type == "file" and not compare.same_bytes(found, lock.recorded)
        return Verdict(found) if is_edited else lock.verdict
    if found is not None and found.type != "file":
        return Verdict(brought, "drift", _NO_FILE)
    is_left = found is None or compare.same_bytes(found, lock.recorded) or compare.same_bytes(found, asked)
    if is_left and (manifest is None or _is_rendering(manifest)):
        return lock.verdict
    says = manifest.desired if manifest is not None else None
    if found is None:
        if says is not None and says.data is not None and not pair.is_behind(says.data, None):
            return Verdict(None)  # of nothing its program keeps no lock
        return Verdict(brought, "drift" if lock.last else "pending", _MISSING if lock.last else "")
    if found.data is None or says is None or says.data is None:
        return _agents(pair, lock, says)
    if _is_behind(pair, says, found) and not pair.is_readable(found.data):
        return Verdict(brought, "drift", _DAMAGED)
    return _agents(pair, lock, says)


def _agents(pair: Pair, lock: Seen, manifest: State | None) -> Verdict:
    """Verdict about a lock of the agent's that is there and can be read."""
    asked, found = lock.asked, lock.observed
    assert asked is not None
    assert found is not None
    keeps_modes = lock.last is None or bool(lock.last.mode)
    kept = found._replace(mode=asked.mode) if keeps_modes else found
    is_same = lock.last is not None and lock.last.digest == asked.digest
    if is_same or manifest is None or manifest.data is None or found.data is None:
        return Verdict(kept, "drift" if kept != found else None)
    if asked.data is None:  # nobody has made it yet
        return Verdict(asked, "pending", _CHANGED)
    needs_more = _is_behind(pair, manifest, asked)
    data = pair.beginning(asked.data, found.data) if needs_more else asked.data
    begun = kept._replace(digest=digest(data), size=len(data), data=data)
    return Verdict(begun, "pending" if begun != found else None, _CHANGED)


def _is_rendering(manifest: Seen) -> bool:
    """True if what has to stand there is what the profile renders."""
    return manifest.desired is not None and compare.same_bytes(manifest.desired, manifest.asked)


@lru_cache(maxsize=16)
def _is_behind(pair: Pair, manifest: State, lock: State | None) -> bool:
    assert manifest.data is not None
    return pair.is_behind(manifest.data, lock.data if lock else None)


def _directory(manifest: Seen, lock: Seen) -> str:
    """The directory in which both lie, where links lead to them; else that of the links, the workspace itself."""
    places = {
        posixpath.dirname((each.observed.at if each.observed else "") or name_in(each.address))
        for each in (manifest, lock)
    }
    return places.pop() if len(places) == 1 else ""
