"""A storage's random id: what lies elsewhere for its threads is kept under it, and never meets another storage's."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from solven_env.errors import StateError
from solven_env.system import names

if TYPE_CHECKING:
    from solven_env.state.protocol import State

KEY = "storage.json"
FORMAT = 1


def storage_id(state: State, wanted: str | None = None) -> str:
    """The id of the storage whose state this is; where it has none `wanted`, or one that is drawn, is written now.

    StateError where it is damaged.
    """
    known = known_storage_id(state)
    if known is not None:
        return known
    given = wanted or os.urandom(16).hex()
    try:
        state.create(KEY, (json.dumps({"format": FORMAT, "id": given}) + "\n").encode())
    except StateError:
        known = known_storage_id(state)  # another one wrote it at the same time
        if known is None:
            raise
        return known
    return known_storage_id(state) or given  # a bucket's mount lets another host replace it


def known_storage_id(state: State) -> str | None:
    """The same, and None where none was drawn yet."""
    stored = state.get(KEY)
    if stored is None:
        return None
    try:
        about = json.loads(stored.value)
        found, written = about["id"], about.get("format", FORMAT)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found, written = "", FORMAT
    if type(written) is int and written > FORMAT:
        raise StateError(
            f"the storage's id has format {written}, which is not {FORMAT}",
            fix="A newer solven-env wrote it: install that one.",
            location=state.location(KEY),
        )
    if not isinstance(found, str) or not names.ID.fullmatch(found):
        raise StateError(
            "the storage's id is damaged", fix="Restore it from a backup, or remove it.", location=state.location(KEY)
        )
    return found
