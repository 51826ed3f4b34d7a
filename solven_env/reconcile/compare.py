"""The three states of a resource, held against each other. Pure.

What follows depends only on which of desired, observed and recorded are equal (absent is a state too):

| desired = observed | observed = recorded | desired = recorded | then |
|---|---|---|---|
| yes | | | in sync |
| no | yes | | pending: only the profile changed, or nothing was there and nothing recorded |
| no | no | yes | drift: only the workspace changed |
| no | no | no | conflict: both changed, differently; drift where nothing is there that could be lost |
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.reconcile.model import Cause, State


def judge(desired: State | None, observed: State | None, recorded: State | None) -> Cause | None:
    """Why the resource has to change; None when it is in sync."""
    if recorded is not None and recorded.type == "file" and not recorded.mode:
        # the storage kept no mode when we wrote the file: modes say nothing there
        desired, observed = _without_mode(desired), _without_mode(observed)
    if desired == observed:
        return None
    if observed == recorded:
        return "pending"
    if desired == recorded or observed is None:
        return "drift"
    if recorded is None and _without_mode(desired) == _without_mode(observed):
        return "pending"  # a file of the same bytes is taken over, and gets its mode
    return "conflict"


def _without_mode(state: State | None) -> State | None:
    return replace(state, mode="") if state is not None else None
