"""The random id of a storage. Files kept elsewhere for its threads lie under it, and never meet another storage's."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from solven_env.errors import StateError
from solven_env.system import names

if TYPE_CHECKING:
    from solven_env.state.contents import StateStore

KEY = "storage.json"
FORMAT = 1


def storage_id(state: StateStore, wanted: str | None = None) -> str:
    """The id of the storage whose state this is; where it has none `wanted`, or one that is drawn, is written now.

    StateError where it is damaged.
    """
    known = known_storage_id(state)
    if known is not None:
        return known
    given = wanted or os.urandom(16).hex()
    try:
        state.create(KEY, f"{written(given)}\n".encode())
    except StateError:
        known = known_storage_id(state)  # another one wrote it at the same time
        if known is None:
            raise
        return known
    return known_storage_id(state) or given  # a bucket's mount lets another host replace it


def written(storage: str) -> str:
    """The text of the file `KEY` for an id, one line."""
    return json.dumps({"format": FORMAT, "id": storage})


def known_storage_id(state: StateStore) -> str | None:
    """The id of the storage whose state this is; None where none was drawn yet. StateError where it is damaged."""
    stored = state.get(KEY)
    if stored is None:
        return None
    try:
        about = json.loads(stored.value)
        found, version = about["id"], about.get("format", FORMAT)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found, version = "", FORMAT
    if type(version) is int and version > FORMAT:
        raise StateError(
            f"the storage's id has format {version}, which is not {FORMAT}",
            fix="A newer solven-env wrote it: install that one.",
            location=state.location(KEY),
        )
    if not isinstance(found, str) or not names.ID.fullmatch(found):
        raise StateError(
            "the storage's id is damaged", fix="Restore it from a backup, or remove it.", location=state.location(KEY)
        )
    return found
