"""Progress of what takes seconds: live lines with the time on a terminal, plain lines elsewhere.

Rich costs 60 ms to import: it is, when a step begins and standard error is a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from solven_env.cli.output import note
from solven_env.errors import printable
from solven_env.packages.steps import Doing, Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, TaskID

_PERIOD = 5.0
"""Seconds between two plain lines at least that say how far a step is."""


@contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    """The callback for a verb's `progress`. After the block nothing is left of live lines.

    An interrupt is told with the steps that it came in.
    """
    steps = _OnTerminal() if is_live() else _Plain()
    try:
        yield steps.tell
    except KeyboardInterrupt as interrupt:
        interrupt.args = (steps.current(),)
        raise
    finally:
        steps.close()


def is_live() -> bool:
    """True if standard error is a terminal on which lines can change."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class _Plain:
    """Lines one after the other. Lines come from several threads where several steps go on."""

    def __init__(self) -> None:
        self.begun: dict[tuple[str, ...], str] = {}
        """The steps that go on, by `Doing.steps`, and what each is doing now."""
        self.said = time.monotonic()
        self._turn = Lock()

    def tell(self, line: str) -> None:
        """Take a line of `packages.steps`, or another one."""
        with self._turn:
            if isinstance(line, Doing) and line.startswith(" "):
                if line.steps in self.begun:
                    self.begun[line.steps] = line.strip()
                    self.go_on(line.steps)
                return
            if isinstance(line, Doing):
                self.begun[line.steps] = ""
                self.begin(line.steps)
                return
            if isinstance(line, Finished):
                self.begun.pop(line.steps, None)
                self.end(line.steps)
            if line:
                self.say(line)

    def current(self) -> str:
        """The steps that go on, in words that follow 'while'; empty without one."""
        return " and ".join(self.words(steps, "{} ({})") for steps in self.innermost())

    def innermost(self) -> list[tuple[str, ...]]:
        """The steps that go on without another one inside of them."""
        around = {steps[:-1] for steps in self.begun}
        return [steps for steps in self.begun if steps not in around]

    def words(self, steps: tuple[str, ...], form: str) -> str:
        """One step, with what it is doing now in the given form."""
        step, detail = _brief(steps[-1]), self.begun[steps].removesuffix(" …")
        return form.format(step, detail) if detail else step

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.said = time.monotonic()
        note(line)

    def begin(self, steps: tuple[str, ...]) -> None:
        """Show the step that has begun."""
        self.say(steps[-1])

    def go_on(self, steps: tuple[str, ...]) -> None:
        """Show how far it is."""
        if time.monotonic() - self.said >= _PERIOD:
            self.say(f"  {self.begun[steps]}")

    def end(self, steps: tuple[str, ...]) -> None:
        """Show no more of the step that has ended."""

    def close(self) -> None:
        """Leave nothing behind."""


class _OnTerminal(_Plain):
    """A live line for each step that goes on, with the seconds since it began."""

    def __init__(self) -> None:
        super().__init__()
        self.live: Progress | None = None
        self.lines: dict[tuple[str, ...], TaskID] = {}

    def begin(self, steps: tuple[str, ...]) -> None:
        """Show the step in the place of the one around it."""
        if self.live is None:
            self.live = _live()
            self.live.start()
        self.lines[steps] = self.live.add_task(printable(steps[-1]), visible=False)
        self.show()

    def go_on(self, steps: tuple[str, ...]) -> None:
        """Add to its line how far it is."""
        if self.live and steps in self.lines:
            description = f"{self.words(steps, '{}: {}')} …"
            self.live.update(self.lines[steps], description=printable(description))

    def end(self, steps: tuple[str, ...]) -> None:
        """Show the step around it again."""
        if self.live and steps in self.lines:
            self.live.remove_task(self.lines.pop(steps))
            self.show()
            if not self.begun:
                self.close()

    def show(self) -> None:
        """Show the lines of the innermost steps alone."""
        if self.live:
            innermost = self.innermost()
            for steps, task in self.lines.items():
                self.live.update(task, visible=steps in innermost)

    def close(self) -> None:
        """Take the lines away."""
        if self.live is not None:
            self.live.stop()
            self.live = None
            self.lines.clear()


def _brief(step: str) -> str:
    return step.partition(" (")[0].removesuffix(" …")


def _live() -> Progress:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    words = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    return Progress(
        *(SpinnerColumn(), words, TimeElapsedColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # what is printed meanwhile, and goes elsewhere, is not the console's
    )
