"""Comparison of a resource's three states: desired, observed, recorded. Pure.

What follows depends only on which of desired, observed and recorded are equal (absent is a state too):

| desired = observed | observed = recorded | desired = recorded | then |
|---|---|---|---|
| yes | | | in sync |
| no | yes | | pending: only the profile changed, or nothing was there and nothing recorded |
| no | no | yes | drift: only the workspace changed |
| no | no | no | conflict: both changed, differently; drift where nothing is there that could be lost |

A mode alone is never a conflict: where the bytes are those that the profile asks for, or those that we left, it is
pending. Where the storage keeps no modes, the record has none, and they say nothing.
"""

from __future__ import annotations

from typing import Any

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from solven_env.reconcile.model import Cause, Desired, OnConflict, State
    from solven_env.reconcile.ownership import Verdict
    from solven_env.state.records import Record


class Seen(NamedTuple):
    """The states of one address: desired, observed, as the last whole apply left it, and as interrupted ones may have.

    `desired` is what has to stand there; None for nothing. That is what the profile asks for, unless the kind's `look`
    made it another, by merging say.
    """

    address: str
    desired: State | None
    observed: State | None
    last: State | None
    intended: tuple[State, ...] = ()
    choice: OnConflict = "fail"
    rendered: Mapping[str, bytes] = {}
    """Bytes that earlier applies rendered or kept, by digest."""
    is_anew: bool = False
    """True where the thread has no workspace."""
    asked: State | None = None
    """State that the profile asks for, where a verdict says what has to stand there."""
    verdict: Verdict | None = None

    @property
    def recorded(self) -> State | None:
        """State that we left there: of all that we may have left, the one that the workspace shows."""
        for state in self._left:
            if same(state, self.observed, state):
                return state
        # Bytes of an interrupted apply, which never came to note whether the storage keeps modes.
        is_ours = any(same_bytes(state, self.observed) for state in self.intended)
        return self.observed if is_ours else self.last

    @property
    def is_ours(self) -> bool:
        """True if what stands there is as we left it, mode and all."""
        return any(same(state, self.observed, state) for state in self._left)

    @property
    def _left(self) -> tuple[State, ...]:
        return (*self.intended, *((self.last,) if self.last else ()))


def judge(desired: State | None, observed: State | None, recorded: State | None) -> Cause | None:
    """Cause of the change that a resource needs; None when it is in sync."""
    if same(desired, observed, recorded):
        return None
    if same(observed, recorded, recorded):
        return "pending"
    if same(desired, recorded, recorded) or observed is None:
        return "drift"
    return "pending" if same_bytes(observed, desired) or same_bytes(observed, recorded) else "conflict"


def same(one: State | None, other: State | None, recorded: State | None) -> bool:
    """True if two states are equal; modes do not count where the record of a file says that the storage keeps none."""
    if recorded is not None and recorded.type == "file" and not recorded.mode:
        return same_bytes(one, other)
    return one == other


def same_bytes(one: State | None, other: State | None) -> bool:
    """True if two states differ in the mode at most."""
    return _without_mode(one) == _without_mode(other)


def _without_mode(state: State | None) -> State | None:
    return state._replace(mode="") if state is not None else None


def changed_settings(record: Record | None, desired: Desired) -> tuple[str, ...]:
    """Dotted names of what a record and a profile say differently: `env.MPLBACKEND`, `limits.memory`."""
    if record is None or not record.generation:
        return ()
    about = ("name", "release")
    before = {**_fields(record.settings), **{key: record.profile.get(key) for key in about}, "inputs": record.inputs}
    after = {**_fields(desired.settings), **{key: desired.profile.get(key) for key in about}, "inputs": desired.inputs}
    return tuple(_differences(before, after, ""))


def _fields(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings with the variables of the caller's environment among those of `env`, where a profile has them."""
    if "environment" not in settings:
        return settings
    passed = {name: [about] for name, about in settings["environment"].items()}
    rest = {name: each for name, each in settings.items() if name != "environment"}
    return {**rest, "env": {**settings["env"], **passed}}


_READ_AS = {
    **{name: f"profile.{name}" for name in ("name", "release", "workdir")},
    **dict.fromkeys(("mounts", "links"), "profile.mounted"),
}
"""Names by which templates read settings, where they are others."""


def is_read(changed: str, names: Collection[str]) -> bool:
    """True if what reads these names reads a changed setting, or a part or the whole of it.

    >>> is_read("release", {"profile.release"}), is_read("path", {"path.prepend"}), is_read("env.A", {"env.B"})
    (True, True, False)
    """
    name = _READ_AS.get(changed, changed.removeprefix("inputs."))
    return any(f"{name}.".startswith(f"{read}.") or f"{read}.".startswith(f"{name}.") for read in names)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"
