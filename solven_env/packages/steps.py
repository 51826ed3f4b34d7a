"""The lines that `progress` gets of steps that take seconds: what is done, how far it is, and that it has ended.

    making the python build (20 packages and what they need) …      Doing: a step begins
      fetching packages: 3 of 34 …                                  Doing, indented: more of the step that was told last
    made the python build in 31.4 s                                 Finished: that step has ended

Every other line is plain text about something else. All of them can be printed as they are.
"""

from __future__ import annotations

import time
from contextlib import contextmanager

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PERIOD = 0.5
"""Seconds between two looks at what is counted."""


class Doing(str):
    """A line about the step that goes on from now on.

    An indented one says more of the step that began last, up to twice a second.
    """

    __slots__ = ()


class Finished(str):
    """The end of the step that began last; empty where it failed."""

    __slots__ = ()


@contextmanager
def step(progress: Callable[[str], None], doing: str, done: str) -> Iterator[None]:
    """Tell `progress` of a step that the block does, and how many seconds it took.

    An interrupt is no end: whoever has the callback knows then what was interrupted.

    >>> with step(print, "counting to one", "counted to one"):
    ...     pass
    counting to one …
    counted to one in 0.0 s
    """
    begun = time.monotonic()
    progress(Doing(f"{doing} …"))
    try:
        yield
    except Exception:
        progress(Finished())
        raise
    progress(Finished(f"{done} in {time.monotonic() - begun:.1f} s"))


def within(progress: Callable[[str], None], doing: str) -> None:
    """Tell `progress` what the step that goes on is doing now.

    >>> within(print, "writing it to disk")
      writing it to disk …
    """
    progress(Doing(f"  {doing} …"))


@contextmanager
def watched(progress: Callable[[str], None], doing: str, count: Callable[[], str]) -> Iterator[None]:
    """Tell `progress` what the step that goes on is doing, with each new count, while the block does it.

    `count` runs in a thread of its own. It may look at what another program is just making: an OSError is no count.
    """
    import threading  # nothing that starts a command waits for it

    ended = threading.Event()

    def look() -> None:
        told = ""
        while not ended.wait(_PERIOD):
            try:
                counted = count()
            except OSError:
                continue
            if counted != told and not ended.is_set():
                told = counted
                within(progress, f"{doing}: {counted}")

    within(progress, doing)
    watcher = threading.Thread(target=look, name="solven-env progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
