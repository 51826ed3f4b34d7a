"""The state as the rest of the house knows it, and its values: those written whatever stands there, and those whose key
names their digest.

What a key names by its digest (a lock's text, the bytes of a kept file) is held against that digest whenever it is
read: a storage that lost its bytes gives them back empty, cut off or not at all.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from solven_env.errors import HeldError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from solven_env.system.unsynced import Unsynced


class Stored(NamedTuple):
    """A value and its version: the SHA-256 of the bytes, in hexadecimal."""

    value: bytes
    version: str


ANY = "*"
"""For a value that takes the place of whatever is there: of a thread whose lock the caller holds, or of equal bytes."""


class Write(NamedTuple):
    """A value for a key. `expected` is the version that it replaces; None for none, `ANY` for whichever."""

    key: str
    value: bytes
    expected: str | None


class OnlyLookedError(HeldError):
    """Something of a thread is to be written by whom holds it to look at only: whoever catches this holds it anew, and
    looks at all again.
    """


class StateStore(Protocol):
    """All that the rest of the house knows of the state: values under keys, which are relative POSIX names.

    `threads/t1/state.json` is one. Whoever writes beneath `threads/<thread>/` holds that thread's lock. Every
    function raises StateError for what the system refuses and for a key that is none.
    """

    def location(self, key: str) -> str:
        """Path or address of a key, for a person."""

    def get(self, key: str) -> Stored | None:
        """The value of a key; None when it has none. Changes nothing."""

    def create(self, key: str, value: bytes) -> str:
        """Give a key its first value and return its version; StateError when it has one already."""

    def compare_and_swap(self, key: str, value: bytes, expected_version: str) -> str:
        """Replace the value that has the expected version, return the new version; StateError when it is another."""

    def write(self, *groups: Sequence[Write], unsynced: Unsynced | None = None) -> None:
        """Give keys these values in this order; those of a group are there before any of the next one is.

        All is there for good when this returns; but with `unsynced`, what that has is waited for before any of them is
        there, and it has the names of the last group then, for the caller to wait for. Errors as of `create` and
        `compare_and_swap`; what was written before one stays.
        """

    def sizes(self, keys: Iterable[str], *, renew: bool = ...) -> dict[str, int]:
        """Sizes of the keys' values in bytes, without those that have none.

        With `renew` a record is about to name them: where other hosts share the storage, an old value looks young
        afterwards, so that they do not collect it.
        """

    def holds(self, key: str, data: bytes, *, renew: bool = ...) -> bool:
        """True where the value of a key is this. `renew` as of `sizes`."""

    def list(self, prefix: str) -> tuple[str, ...]:
        """The keys that begin with this text, sorted."""

    def names(self, key: str) -> tuple[str, ...]:
        """The names directly beneath a key, sorted: of `threads`, those of all threads that left anything. One look."""

    def place(self, key: str) -> AbstractContextManager[int]:
        """An open directory, private and made where it is missing, on the storage: for what is moved there whole."""

    def has(self, key: str) -> bool:
        """True where anything stands under a key: a value, or what was moved there."""

    def stamp(self, key: str) -> tuple[int, ...] | None:
        """Numbers that are others once the value of a key was written anew, the times of its modification and change
        (nanoseconds since 1970) first; None where it has none.
        """

    def disk_size(self, key: str) -> int:
        """The bytes on disk of a value, or of all values beneath a key."""

    def is_shared(self) -> bool:
        """True where other hosts may write the state too, whom only leases hold off."""

    def sharing(self, *, alone: bool = ...) -> AbstractContextManager[None]:
        """Hold what threads share (`rendered/`, `locks/`) against its removal, until a record names it.

        Many may do that at once; `alone`, which is waited for, is for whoever removes what no record names.
        """

    def discard_shared(self, keys: Iterable[str]) -> int:
        """Remove values that threads share, sorted, under `sharing(alone=True)`; the bytes that were freed."""

    def sweep(self, thread: str) -> int:
        """Remove what a killed process left that was removing something of a thread, which the caller holds."""

    def discard(self, key: str) -> int:
        """Remove a value, or a directory with all that is beneath it, in one step; the bytes that were freed.

        Nothing under the key is no error. The caller holds the thread that it belongs to. StateError for what cannot be
        removed: it is out of the key's way, and the next removal tries again.
        """

    def forget(self, thread: str) -> int:
        """Remove all that there is of a thread that the caller holds, the hold itself last; the bytes that were freed.

        It is not one step: what others read is discarded before.
        """

    def lock(
        self, thread: str, progress: Callable[[str], None] = ..., *, to_look: bool = ...
    ) -> AbstractContextManager[None]:
        """Hold a thread; HeldError at once when anybody, this process included, holds it.

        `progress` is told where it is taken over from another host, whose hold ran out. `to_look` costs less on a
        storage that hosts share: another host may come to hold the thread meanwhile, so nothing may be written.
        """

    def check_held(self, thread: str) -> None:
        """HeldError where a hold of this thread, of this process, was lost to another host. Costs no look at a file.

        OnlyLookedError where it is held to look at only, and other hosts may share the storage. `write`, `create` and
        `compare_and_swap` raise both too, and look.
        """


def put(state: StateStore, key: str, value: bytes) -> None:
    """Give a key this value, its first or another. The caller holds the thread's lock."""
    state.write([Write(key, value, ANY)])


def read(state: StateStore, key: str, digest: str) -> bytes | None:
    """The bytes under a key, whose SHA-256 in hexadecimal is `digest`; None where they are gone or are others."""
    stored = state.get(key)
    return stored.value if stored is not None and hashlib.sha256(stored.value).hexdigest() == digest else None


def keep(state: StateStore, key: str, data: bytes) -> bool:
    """Have these bytes under a key that names their digest, which threads may share; whether they had to be written."""
    if state.holds(key, data):
        return False
    put(state, key, data)
    return True


def lacking(state: StateStore, values: Mapping[str, bytes], *, renew: bool) -> list[Write]:
    """The writes for those keys, which name the digests of their bytes, that have nothing of that size.

    A storage that lost the bytes of a file gives it back empty or cut off. Other damage is found when they are read.
    `renew` as of `StateStore.sizes`.
    """
    sizes = state.sizes(values, renew=renew)
    return [Write(key, data, ANY) for key, data in values.items() if sizes.get(key) != len(data)]
