"""Progress of what takes seconds: a live line with the time on a terminal, plain lines elsewhere.

Rich costs 60 ms to import: it is, when a step begins and standard error is a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env.cli.output import note
from solven_env.errors import printable
from solven_env.packages.steps import Doing, Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

_PERIOD = 5.0
"""Seconds between two plain lines at least that say how far one step is."""


@contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    """The callback for a verb's `progress`. After the block nothing is left of a live line.

    An interrupt is told with the step that it came in.
    """
    steps = _OnTerminal() if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" else _Plain()
    try:
        yield steps.tell
    except KeyboardInterrupt as interrupt:
        interrupt.args = (steps.current(),)
        raise
    finally:
        steps.close()


class _Plain:
    """Lines one after the other. `begun` are the steps that go on, the outermost first."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.within = ""
        self.said = time.monotonic()

    def tell(self, line: str) -> None:
        """Take a line of `packages.steps`, or another one."""
        if isinstance(line, Doing) and line.startswith(" "):
            self.within = line.strip()
            self.go_on()
            return
        if isinstance(line, Doing):
            self.begun.append(line)
            self.within = ""
            self.begin()
            return
        if isinstance(line, Finished):
            self.begun[-1:] = []
            self.within = ""
            self.end()
        if line:
            self.say(line)

    def current(self) -> str:
        """The step that goes on, in words that follow 'while'; empty without one."""
        detail = f" ({self.within.removesuffix(' …')})" if self.within else ""
        return f"{_brief(self.begun[-1])}{detail}" if self.begun else ""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.said = time.monotonic()
        note(line)

    def begin(self) -> None:
        """Show the step that has begun."""
        self.say(self.begun[-1])

    def go_on(self) -> None:
        """Show how far it is."""
        if time.monotonic() - self.said >= _PERIOD:
            self.say(f"  {self.within}")

    def end(self) -> None:
        """Show no more of the step that has ended."""

    def close(self) -> None:
        """Leave nothing behind."""


class _OnTerminal(_Plain):
    """One live line for the step that goes on, with the seconds since it began."""

    def __init__(self) -> None:
        super().__init__()
        self.live: Progress | None = None

    def begin(self) -> None:
        """Show the step in the place of the one around it."""
        if self.live is None:
            self.live = _live()
            self.live.start()
        for task in self.live.task_ids:
            self.live.update(task, visible=False)
        self.live.add_task(printable(self.begun[-1]))

    def go_on(self) -> None:
        """Add to its line how far it is."""
        if self.live and self.begun:
            description = f"{_brief(self.begun[-1])}: {self.within}"
            self.live.update(self.live.task_ids[-1], description=printable(description))

    def end(self) -> None:
        """Show the step around it again."""
        if self.live is None:
            return
        self.live.remove_task(self.live.task_ids[-1])
        if self.begun:
            self.live.update(self.live.task_ids[-1], visible=True)
        else:
            self.close()

    def close(self) -> None:
        """Take the line away."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def _brief(step: str) -> str:
    return step.partition(" (")[0].removesuffix(" …")


def _live() -> Progress:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    words = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    return Progress(SpinnerColumn(), words, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
