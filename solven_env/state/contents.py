"""Values of the state that are written whatever stands there, and those whose key names their digest.

What a key names by its digest (a lock's text, the bytes of a kept file) is held against that digest whenever it is
read: a storage that lost its bytes gives them back empty, cut off or not at all.
"""

from __future__ import annotations

import hashlib

from solven_env.errors import StateError
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.state.protocol import State


def put(state: State, key: str, value: bytes) -> None:
    """Give a key this value, its first or another. The caller holds the thread's lock."""
    stored = state.get(key)
    if stored is None:
        state.create(key, value)
    else:
        state.compare_and_swap(key, value, stored.version)


def read(state: State, key: str, digest: str) -> bytes | None:
    """The bytes under a key, whose SHA-256 in hexadecimal is `digest`; None where they are gone or are others."""
    stored = state.get(key)
    return stored.value if stored is not None and hashlib.sha256(stored.value).hexdigest() == digest else None


def keep(state: State, key: str, data: bytes) -> bool:
    """Have these bytes under a key that names their digest, which threads may share; whether they had to be written."""
    digest = hashlib.sha256(data).hexdigest()
    if read(state, key, digest) is not None:
        return False
    try:
        put(state, key, data)
    except StateError:  # another thread wrote it first
        if read(state, key, digest) is None:
            raise
    return True
