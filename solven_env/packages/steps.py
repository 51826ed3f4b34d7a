"""The lines that `progress` gets of steps that take seconds: what is done, how far it is, and that it has ended.

    making the python build (20 packages and what they need) …      Doing: a step begins
      fetching Python packages: 3 of 34 …                           Doing, indented: more of a step that goes on
    made the python build in 31.4 s                                 Finished: a step has ended

Every other line is plain text about something else. All of them can be printed as they are: several steps may go on at
the same time, and no line leaves open which one it is about. `steps` of a line says it to programs.
"""

from __future__ import annotations

import time
from contextlib import contextmanager

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

_PERIOD = 0.5
"""Seconds between two looks at what is counted, at least."""
_SHARE = 50
"""A look takes at most one of so many parts of the time: a walk through a whole build costs what makes it."""


class _Line(str):
    """A line about a step: `steps` are the first lines of the steps around it, the outermost first, and its own."""

    steps: tuple[str, ...]

    def __new__(cls, text: str, steps: tuple[str, ...] = ()) -> Self:
        line = super().__new__(cls, text)
        line.steps = steps
        return line


class Doing(_Line):
    """A line about a step that goes on from now on. An indented one says more of it, up to twice a second."""


class Finished(_Line):
    """The end of a step; empty where it failed."""


def about(name: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    """The callback of one of several threads: `progress` gets its lines with the thread's name.

    >>> about("thread-42", print)("uid: 61003 is free")
    thread-42: uid: 61003 is free
    """

    def tell(line: str) -> None:
        told = f"{name}: {line}" if line and not line.startswith(" ") else line
        progress(type(line)(told, tuple(f"{name}: {each}" for each in line.steps)) if isinstance(line, _Line) else told)

    return tell


@contextmanager
def step(progress: Callable[[str], None], doing: str, done: str) -> Iterator[Callable[[str], None]]:
    """Tell `progress` of a step that the block does, and how many seconds it took.

    The block gets the callback for lines about parts of the step. An interrupt is no end: whoever has the callback
    knows then what was interrupted.

    >>> with step(print, "counting to two", "counted to two") as tell:
    ...     within(tell, "one")
    counting to two …
      one …
    counted to two in 0.0 s
    """
    begun = time.monotonic()
    first = f"{doing} …"

    def tell(line: str) -> None:
        progress(type(line)(line, (first, *line.steps)) if isinstance(line, _Line) else line)

    progress(Doing(first, (first,)))
    try:
        yield tell
    except Exception:
        progress(Finished("", (first,)))
        raise
    progress(Finished(f"{done} in {time.monotonic() - begun:.1f} s", (first,)))


def within(progress: Callable[[str], None], doing: str) -> None:
    """Tell `progress`, which a step gave, what it is doing now.

    >>> within(print, "writing it to disk")
      writing it to disk …
    """
    progress(Doing(f"  {doing} …"))


@contextmanager
def watched(progress: Callable[[str], None], doing: str, count: Callable[[], str]) -> Iterator[None]:
    """Tell `progress`, which a step gave, what it is doing, with each new count, while the block does it.

    `count` runs in a thread of its own. It may look at what another program is just making: an OSError is no count.
    """
    import threading  # nothing that starts a command waits for it

    ended = threading.Event()

    def look() -> None:
        told, pause = "", _PERIOD
        while not ended.wait(pause):
            begun = time.thread_time()
            try:
                counted = count()
            except OSError:
                continue
            pause = max(_PERIOD, _SHARE * (time.thread_time() - begun))
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
