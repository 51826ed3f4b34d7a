"""A thread's record, those of its generations, and the newest whole one that takes its place if it is damaged or gone.

Every apply writes its record twice: as `state.json` and beside the generation's kept files. No verb believes the second
of the present while the first is whole; the history and a rollback read former ones. Every function is handed what a
record may hold (`words`): rooms above know that.
"""

from __future__ import annotations

import hashlib
import re
import time

from solven_env.errors import DamagedRecordError, StateError
from solven_env.state import contents
from solven_env.state.records import Record, load, record_key
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.state.contents import StateStore, Stored
    from solven_env.state.grammar import Vocabulary

_LOOKS = 5
"""Number of times that a record is read while it is another one, and damaged, each time."""
_PAUSE = 0.05
"""Seconds between two looks."""

_TIME = re.compile(rb'\{"about": \{.*?"time": "(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"')
"""The beginning of a generation's record, whose keys are sorted: a list of threads parses none of these records."""
_GENERATION = re.compile(r"threads/[^/]+/generations/([1-9][0-9]*)/record\.json")


class Restored(NamedTuple):
    """A generation that took a record's place, and where the state keeps the damaged bytes, empty for none."""

    generation: int
    damaged: str


def read(state: StateStore, thread: str, words: Vocabulary) -> Record | None:
    """The thread's record; None where it was never applied. `DamagedRecordError` says which generation is whole."""
    try:
        return _read(state, thread, words)
    except DamagedRecordError as error:
        newest = _newest(state, thread, words)
        if newest is not None:
            fix = f"Its generation {newest[0]} is whole. Take it: solven-env apply PROFILE {thread} --restore-record"
        else:
            fix = (
                f"None of its generations is whole. Restore it from a backup, or move {state.location(_home(thread))}"
                " away: apply then adopts the workspace, with new layers and without the recorded inputs."
            )
        raise DamagedRecordError(error.message, fix=fix, location=error.location) from error


def recover(state: StateStore, thread: str, words: Vocabulary) -> Record | None:
    """The thread's record, or where that is damaged or gone the one that `restore` puts into its place.

    `DamagedRecordError` where no generation is whole; `StateError` where a newer version wrote one of those looked at.
    """
    try:
        return _read(state, thread, words)
    except DamagedRecordError:
        newest = _newest(state, thread, words)
        return newest[1] if newest is not None else read(state, thread, words)  # which says that there is none


def restore(state: StateStore, thread: str, words: Vocabulary) -> Restored | None:
    """Put the newest whole generation into the place of a record that is damaged or gone; None for a whole record.

    The damaged bytes are kept. The caller holds the thread's lock. Errors as of `recover`, and nothing written then.
    """
    try:
        _read(state, thread, words)
    except DamagedRecordError:
        newest = _newest(state, thread, words)
        if newest is None:
            raise
        key = record_key(thread)
        stored, damaged = state.get(key), ""
        if stored is not None:
            damaged = f"{_home(thread)}/damaged/{hashlib.sha256(stored.value).hexdigest()}"
            contents.keep(state, damaged, stored.value)
        contents.put(state, key, newest[1].dump())
        return Restored(newest[0], damaged and state.location(damaged))
    return None


def generations(state: StateStore, thread: str, words: Vocabulary) -> Iterator[tuple[int, Record | StateError]]:
    """The generations of a thread, the newest first: the number of each, and its record or why that cannot be read."""
    for number, key in _generations(state, thread):
        try:
            yield number, _generation(state, number, key, words)
        except StateError as error:
            yield number, error


def applied_at(state: StateStore, thread: str, generation: int) -> str:
    """The time (UTC) at which a generation was applied; empty where that was not noted, or cannot be read any more."""
    stored = state.get(f"{_home(thread)}/generations/{generation}/record.json")
    found = _TIME.match(stored.value) if stored is not None else None
    return found[1].decode() if found else ""


def _generation(state: StateStore, number: int, key: str, words: Vocabulary) -> Record:
    """The record of one generation. StateError where it is damaged, or a newer version wrote it."""
    stored = state.get(key)
    if stored is None:
        raise DamagedRecordError("this record is gone", location=state.location(key))
    record = load(stored.value, state.location(key), words)
    if record.generation != number or record.intended is not None:
        raise DamagedRecordError("this record is that of another generation", location=state.location(key))
    return record


def _read(state: StateStore, thread: str, words: Vocabulary) -> Record | None:
    before: object = ...
    for left in reversed(range(_LOOKS)):
        stored = state.get(record_key(thread))
        try:
            return _loaded(state, thread, stored, words)
        except DamagedRecordError:
            if stored == before or not left:
                raise
            before = stored
            time.sleep(_PAUSE)  # another host may have been writing it
    return None


def _loaded(state: StateStore, thread: str, stored: Stored | None, words: Vocabulary) -> Record | None:
    location = state.location(record_key(thread))
    if stored is not None:
        return load(stored.value, location, words)
    if _generations(state, thread):
        raise DamagedRecordError("the record of the thread is gone", location=location)
    return None


def _newest(state: StateStore, thread: str, words: Vocabulary) -> tuple[int, Record] | None:
    """The newest generation that is whole, and its record as the next apply begins with it; None where none is.

    No number is given twice, though newer ones are damaged. What an apply was about to write is not known, so the next
    one clears up as after one that was interrupted.
    """
    found = _generations(state, thread)
    for number, key in found:
        try:
            record = _generation(state, number, key, words)
        except DamagedRecordError:
            continue
        return number, record._replace(generation=found[0][0], intended={}, about={})
    return None


def _generations(state: StateStore, thread: str) -> list[tuple[int, str]]:
    """The number of each generation and the key of its record, the newest first."""
    keys = state.list(f"{_home(thread)}/generations/")
    found = [(int(match[1]), key) for key in keys if (match := _GENERATION.fullmatch(key))]
    return sorted(found, reverse=True)


def _home(thread: str) -> str:
    return f"threads/{thread}"
