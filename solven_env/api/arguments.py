"""Arguments that verbs of several modules take: find what they name, and refuse what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from solven_env.errors import UsageError
from solven_env.reconcile.model import OnConflict
from solven_env.system.names import thread_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from solven_env.profile.source import ProfileSource
    from solven_env.threads.thread import Thread

EXAMPLE_THREAD = "example"
"""The thread where none is named: a profile is rendered for it, and a storage is found by it."""


def find_thread(thread: str, storage: str | Path | None) -> Thread:
    """The thread; see `Thread.find`. Imported here: what is about profiles alone does without."""
    from solven_env.threads.thread import Thread

    return Thread.find(thread, storage)


def find_threads(threads: Iterable[str], storage: str | Path | None) -> tuple[Thread, tuple[str, ...]]:
    """The storage's thread of which those of these names are siblings, and the names, each once.

    UsageError for what is no name of a thread, before anything is done.
    """
    if isinstance(threads, str):
        raise UsageError("the threads are one text", fix=f"Give a list: [{threads!r}].")
    names = tuple(dict.fromkeys(map(thread_id, threads)))
    return find_thread(names[0] if names else EXAMPLE_THREAD, storage), names


def check_on_conflict(on_conflict: str, words: Sequence[str] = get_args(OnConflict)) -> None:
    """UsageError for an `on_conflict` that is none of these words."""
    if on_conflict not in words:
        listed = ", ".join(map(repr, words))
        raise UsageError(f"on_conflict cannot be {on_conflict!r}", fix=f"Pass one of {listed}.")


def check_editable(profile: str | Path, source: ProfileSource) -> None:
    """UsageError for a shipped profile, named or by its path where it is installed."""
    from pathlib import Path

    from solven_env.profile.source import is_path
    from solven_env.system import shipped

    if not is_path(profile) or source.directory.resolve() == shipped.installed("profiles"):
        message = "a shipped profile is not edited: it comes with solven-env, and each version brings its own"
        fix = f"Write a profile that extends it ('extends: [{Path(source.name).stem}]'), or copy it, and name yours."
        raise UsageError(message, fix=fix, location=source.name)
