"""The three states of a resource, held against each other. Pure.

What follows depends only on which of desired, observed and recorded are equal (absent is a state too):

| desired = observed | observed = recorded | desired = recorded | then |
|---|---|---|---|
| yes | | | in sync |
| no | yes | | pending: only the profile changed, or nothing was there and nothing recorded |
| no | no | yes | drift: only the workspace changed |
| no | no | no | conflict: both changed, differently; drift where nothing is there that could be lost |

Where only the mode differs from what the profile asks (a file that we never wrote) or from what we left (a file that
the profile drops), the bytes decide: pending. Where the storage keeps no modes, the record has none, and they say
nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.reconcile.model import Cause, State


def judge(desired: State | None, observed: State | None, recorded: State | None) -> Cause | None:
    """Why the resource has to change; None when it is in sync."""
    if same(desired, observed, recorded):
        return None
    if same(observed, recorded, recorded):
        return "pending"
    if same(desired, recorded, recorded) or observed is None:
        return "drift"
    known = desired if recorded is None else recorded if desired is None else None
    return "pending" if known is not None and same_bytes(observed, known) else "conflict"


def same(one: State | None, other: State | None, recorded: State | None) -> bool:
    """Whether two states are equal, but for modes where the record of a file says that the storage keeps none."""
    if recorded is not None and recorded.type == "file" and not recorded.mode:
        return same_bytes(one, other)
    return one == other


def same_bytes(one: State | None, other: State | None) -> bool:
    """Whether two states differ in the mode at most."""
    return _without_mode(one) == _without_mode(other)


def _without_mode(state: State | None) -> State | None:
    return replace(state, mode="") if state is not None else None
