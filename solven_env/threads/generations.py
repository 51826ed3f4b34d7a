"""The generations of a thread: what each left, why, and which of them a rollback goes back to. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import StateError, UsageError
from solven_env.reconcile import keep
from solven_env.reconcile.compare import changed_settings
from solven_env.reconcile.desired import recorded_as_desired
from solven_env.state import recovering
from solven_env.state.records import Record
from solven_env.system.failures import shown
from solven_env.threads.thread import vocabulary

if TYPE_CHECKING:
    from solven_env.reconcile.keep import Kept
    from solven_env.threads.thread import Thread


class Generation(NamedTuple):
    """One generation: its record, or why that cannot be read, and what of the workspace it kept.

    `kept_at` has, for each of `kept`, the path of its bytes or of what was moved; empty for a link.
    """

    number: int
    record: Record | None
    error: str = ""
    kept: tuple[Kept, ...] = ()
    kept_at: tuple[str, ...] = ()
    is_present: bool = False
    """True for the one that the thread has now."""

    def about(self, name: str) -> str:
        """The `time`, `host`, `version` or `cause` of its apply; empty where an earlier version did not note it."""
        return str(self.record.about.get(name, "")) if self.record else ""


def history(thread: Thread) -> tuple[Generation, ...]:
    """Every generation of a thread that was applied, the newest first. A damaged one is there with its `error`."""
    present = thread.applied().generation
    found = recovering.generations(thread.state, thread.name, vocabulary())
    return tuple(_generation(thread, number, record, present) for number, record in found)


def show(thread: Thread, number: int) -> tuple[Generation, int, tuple[str, ...]]:
    """One generation, the number of the whole one before it (0 for none), and the dotted names of settings that differ.

    UsageError where there is none of that number; StateError where it is damaged.
    """
    present, found = thread.applied().generation, _all(thread)
    record = _whole(thread, number, found)
    before = next((each for each in found.values() if isinstance(each, Record) and each.generation < number), None)
    changed = changed_settings(before, recorded_as_desired(record))
    return _generation(thread, number, record, present), before.generation if before else 0, changed


def former(thread: Thread, record: Record, number: int | None) -> Record:
    """The generation that a rollback goes back to: that of the number, or the one before the present.

    Of a thread whose last apply was interrupted, the one before is the last whole one. One that gave back what was kept
    left everything else as it was, so that what is before it is meant. Errors as of `show`.
    """
    found = _all(thread)
    if number is None:
        newest = record.generation
        if record.intended is None:
            while _only_recovered(found.get(newest)):
                newest -= 1
            newest -= 1
        number = max((each for each in found if each <= newest), default=None)
        if number is None:
            raise StateError(
                f"thread {thread.name} has no generation before {record.generation}",
                fix=f"See what it has: solven-env history {thread.name}",
            )
    return _whole(thread, number, found)


def kept_at_path(thread: Thread, path: str, number: int | None) -> tuple[Kept, int]:
    """The last that a generation kept of a path, and its number: the newest that kept some, or that of the number.

    UsageError where none did; StateError where a list that may have it is damaged.
    """
    found = _all(thread)
    if number is not None and number not in found:
        _whole(thread, number, found)
    above = ""
    for each in [number] if number is not None else found:
        for kept in reversed(keep.read_list(thread.state, thread.name, each)):
            if kept.path == path:
                return kept, each
            if kept.type == "directory" and path.startswith(f"{kept.path}/"):
                above = above or f"Generation {each} moved {shown(kept.path)} aside whole: recover that. "
    where = f"generation {number}" if number is not None else "no generation"
    raise UsageError(
        f"{where} of {thread.name} kept {'' if number is None else 'nothing of '}{shown(path)}",
        fix=f"{above}See what was kept: solven-env history {thread.name}",
    )


def _all(thread: Thread) -> dict[int, Record | StateError]:
    return dict(recovering.generations(thread.state, thread.name, vocabulary()))


def _only_recovered(record: Record | StateError | None) -> bool:
    """True for a generation that gave back what another one had kept."""
    return isinstance(record, Record) and str(record.about.get("cause", "")).startswith("recover ")


def _whole(thread: Thread, number: int, found: dict[int, Record | StateError]) -> Record:
    if number not in found:
        raise UsageError(
            f"thread {thread.name} has no generation {number}",
            fix=f"See what it has: solven-env history {thread.name}",
        )
    record = found[number]
    if isinstance(record, StateError):
        raise type(record)(
            f"generation {number} cannot be used: {record.message}",
            fix=f"Take another one: solven-env history {thread.name}",
            location=record.location,
        )
    return record


def _generation(thread: Thread, number: int, record: Record | StateError, present: int) -> Generation:
    error = record.message if isinstance(record, StateError) else ""
    try:
        kept = keep.read_list(thread.state, thread.name, number)
    except StateError as failed:
        kept, error = (), error or failed.message
    return Generation(
        number,
        record if isinstance(record, Record) else None,
        error,
        kept,
        tuple(each.kept and thread.state.location(each.kept) for each in kept),
        number == present,
    )
