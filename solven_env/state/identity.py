"""A storage's random id: what lies elsewhere for its threads is kept under it, and never meets another storage's."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from solven_env.errors import StateError

if TYPE_CHECKING:
    from solven_env.state.protocol import State

KEY = "storage.json"


def storage_id(state: State) -> str:
    """The id of the storage whose state this is; drawn now where it has none. StateError where it is damaged."""
    known = known_storage_id(state)
    if known is None:
        drawn = os.urandom(16).hex()
        try:
            state.create(KEY, (json.dumps({"format": 1, "id": drawn}) + "\n").encode())
        except StateError:
            known = known_storage_id(state)  # another one drew at the same time
            if known is None:
                raise
        else:
            return drawn
    return known


def known_storage_id(state: State) -> str | None:
    """The same, and None where none was drawn yet."""
    stored = state.get(KEY)
    if stored is None:
        return None
    try:
        found = json.loads(stored.value)["id"]
    except (ValueError, TypeError, KeyError):
        found = ""
    if not isinstance(found, str) or not found.isalnum():
        raise StateError(
            "the storage's id is damaged", fix="Restore it from a backup, or remove it.", location=f".solven-env/{KEY}"
        )
    return found
