"""What the rest of the house knows of the state: four functions, a lock, and a place for what is moved and no value."""

from __future__ import annotations

from typing import Protocol

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Stored(NamedTuple):
    """A value and its version: the SHA-256 of the bytes, in hexadecimal."""

    value: bytes
    version: str


class State(Protocol):
    """Values under keys, `threads/t1/state.json` say: relative POSIX names.

    Whoever writes beneath `threads/<thread>/` holds that thread's lock. Every function raises StateError for what the
    system refuses and for a key that is none.
    """

    def location(self, key: str) -> str:
        """Where a person finds a key."""

    def get(self, key: str) -> Stored | None:
        """The value of a key; None when it has none. Changes nothing."""

    def create(self, key: str, value: bytes) -> str:
        """Give a key its first value and return its version; StateError when it has one already."""

    def compare_and_swap(self, key: str, value: bytes, expected_version: str) -> str:
        """Replace the value that has the expected version, return the new version; StateError when it is another."""

    def list(self, prefix: str) -> tuple[str, ...]:
        """The keys that begin with this text, sorted."""

    def place(self, key: str) -> AbstractContextManager[int]:
        """An open directory, private and made where it is missing, on the storage: for what is moved there whole."""

    def has(self, key: str) -> bool:
        """Whether anything is there under a key: a value, or what was moved."""

    def lock(self, thread: str, progress: Callable[[str], None] = ...) -> AbstractContextManager[None]:
        """Hold a thread; HeldError at once when anybody, this process included, holds it.

        `progress` is told where it is taken over from another host, whose hold ran out.
        """

    def check_held(self, thread: str) -> None:
        """HeldError where a hold of this thread, of this process, was lost to another host. Costs no look at a file.

        `create` and `compare_and_swap` of what is the thread's raise it too, and look.
        """
