"""Reports of many threads as they end: text, one document, or a line of JSON for each; progress, and a summary."""

from __future__ import annotations

import gc
import re
import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from solven_env.cli import progress
from solven_env.cli.errors import INTERRUPTED, error_text, exit_code, gravest, print_error
from solven_env.cli.options import StreamFormat
from solven_env.cli.output import (
    AGAIN,
    described_error,
    note,
    print_json_line,
    tell,
)
from solven_env.cli.rows import StreamedDocument, interrupts_asked_for
from solven_env.errors import SolvenError, counted
from solven_env.packages.steps import step, within
from solven_env.report import line_document, thread_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from solven_env.report import ThreadReport

_NAMED = 8
"""Threads that the summary names at most of those that failed."""

_SLOW = 2.0
"""Seconds after which the progress names the thread that is waited for."""

_PERIOD = 5.0
"""Seconds between two plain lines that say how far it is."""

_ORDER = ("applied", "deleted", "new", "pending", "with drift", "in sync", "in conflict", "failed")
STATES = {"in-sync": "in sync", "drift": "with drift", "conflict": "in conflict"}
"""Words of a summary for the states of threads; the others are such words."""


class Words(NamedTuple):
    """The words of one command for many threads."""

    command: str
    doing: str
    """The step in progress: 'applying to'."""
    done: str
    """The step when it has ended: 'applied to'."""
    outcome: Callable[[ThreadReport], str] = lambda report: STATES.get(report.state, report.state)
    """The word under which the summary counts a thread without an error."""
    say: Callable[[ThreadReport], None] = lambda _: None
    """Prints such a thread as text, beside its part in the summary."""
    code: Callable[[ThreadReport], int] = lambda _: 0
    """The exit code of such a thread."""
    left: str = AGAIN
    """The fix after an interrupt."""
    verb: str = ""
    """The verb whose reports these are, if it is another one than the command."""


def tell_each(
    words: Words,
    names: Sequence[str],
    chosen: StreamFormat,
    begin: Callable[[Callable[[str], None]], Generator[ThreadReport, None, None]],
    *,
    storage: str | None = None,
    profile: str | None = None,
    nobody: str = "no thread is named",
) -> int:
    """Tell the reports of these threads as they end, and then all of them together; the gravest exit code of any.

    `begin` is given the callback for progress, and gives the reports. After an interrupt all that has ended is told,
    whole, and nothing else. Without any thread `nobody` is told, which says why.
    """
    gc.enable()  # this command may live long
    told, is_begun = _Told(words, tuple(names), chosen, storage, profile), False
    try:
        with progress.shown() as shown, closing(begin(shown)) as reports:
            is_begun = True
            with interrupts_asked_for(), told.going_on(shown) as how_far:
                for report in reports:
                    told.tell(report)
                    how_far()
    except KeyboardInterrupt:
        if not is_begun:
            raise
        told.is_interrupted = True
    if not names:
        note(f"{nobody}: nothing was done.")
    told.end()
    return told.code()


class _Told:
    """The threads that were told, and how they ended."""

    def __init__(
        self, words: Words, names: Sequence[str], chosen: StreamFormat, storage: str | None, profile: str | None
    ) -> None:
        self.words, self.names, self.chosen, self.storage, self.profile = words, names, chosen, storage, profile
        self.is_interrupted = False
        self._left = dict.fromkeys(names, 0)
        """The threads that have not ended, in the order in which they begin."""
        self._first = ("", 0.0)
        """The first of these, and since when it is the first."""
        self._noted = time.monotonic()
        self._counts = Counter[str]()
        self._codes = set[int]()
        self._failed = list[str]()
        self._document = StreamedDocument(words.command)
        self._waiting: dict[str, Mapping[str, object]] = {}
        """The threads that ended before those that stand before them in the one document."""
        self._next = 0
        self._errors = set[str]()

    def tell(self, report: ThreadReport) -> None:
        """Tell one thread, whole."""
        self._left.pop(report.thread, None)
        if report.error is None:
            self._counts[self.words.outcome(report)] += 1
            self._codes.add(self.words.code(report))
        else:
            self._counts["in conflict" if report.state == "conflict" else "failed"] += 1
            self._codes.add(exit_code(report.error))
            self._failed.append(report.thread)
            self._print_error(report.thread, report.error)
        if self.chosen is StreamFormat.JSON:
            self._waiting[report.thread] = self._plain(report)
            while self._next < len(self.names) and self.names[self._next] in self._waiting:
                self._document.say(self._waiting.pop(self.names[self._next]))
                self._next += 1
        elif self.chosen is StreamFormat.JSONL:
            print_json_line(line_document(self.words.command, self._plain(report)))
        elif report.error is None:
            self.words.say(report)

    @contextmanager
    def going_on(self, shown: Callable[[str], None]) -> Iterator[Callable[[], None]]:
        """Show how far all of it is, whenever what the block gets is called: in a live line, or every few seconds."""
        if progress.is_live():
            with step(shown, f"{self.words.doing} {self._all()}", f"{self.words.done} {self._all()}") as further:
                yield lambda: within(further, self._how_far())
        else:
            yield self._note_how_far

    def _note_how_far(self) -> None:
        if time.monotonic() - self._noted >= _PERIOD:
            self._noted = time.monotonic()
            note(f"{self.words.doing} {self._all()}: {self._how_far()}")

    def _how_far(self) -> str:
        """Words that say how many threads have ended, and which one takes long."""
        first = next(iter(self._left), "")
        if first != self._first[0]:
            self._first = (first, time.monotonic())
        failed = f", {len(self._failed):,} not done" if self._failed else ""
        seconds = time.monotonic() - self._first[1]
        slow = f", {first} takes {seconds:.0f} s" if first and seconds >= _SLOW else ""
        return f"{len(self.names) - len(self._left):,} of {len(self.names):,}{failed}{slow}"

    def _all(self) -> str:
        return counted(len(self.names), "thread")

    def end(self) -> None:
        """Tell all of them together."""
        left = tuple(self._left)
        stopped = self._stopped(len(left))
        if self.chosen is StreamFormat.JSON:
            self._close_document(left, stopped)
        elif self.chosen is StreamFormat.TEXT and self.names:
            tell(self._summary())
        if stopped is not None:
            print_error(error_text(stopped).removeprefix("error: "))
        if self.chosen is StreamFormat.JSONL and self.is_interrupted and stopped is not None:
            described = described_error(stopped, INTERRUPTED, self.storage)
            print_json_line(line_document(self.words.command, {"thread": None, "error": described}))

    def code(self) -> int:
        """The gravest exit code of any."""
        return gravest({*self._codes, *((INTERRUPTED,) if self.is_interrupted else ())})

    def _plain(self, report: ThreadReport) -> dict[str, object]:
        verb = self.words.verb or self.words.command
        return thread_json(verb, report, lambda error: described_error(error, exit_code(error), self.storage))

    def _print_error(self, thread: str, error: SolvenError) -> None:
        """Print a thread's error; what to do about it, only if no other thread had the same."""
        text = error_text(error, thread=thread, storage=self.storage, profile=self.profile)
        known = text.replace(thread, "")
        if known in self._errors:
            text = text.partition("\n")[0]
        self._errors.add(known)
        if error.location != thread:  # else the text begins with it
            text = re.sub("^(error: )?", lambda found: f"{found[0]}{thread}: ", text)
        print_error(text)

    def _stopped(self, left: int) -> SolvenError | None:
        """The error of the command itself, which did not come to all threads."""
        if self.is_interrupted:
            doing = f"{self.words.doing} {self._all()} ({self._how_far()})"
            return SolvenError(f"interrupted while {doing}", fix=self.words.left)
        if left:
            what = counted(left, "thread")
            return SolvenError(f"{what} left as before, since a canary was not done: {self._named()}")
        return None

    def _summary(self) -> str:
        """One line that says how many threads ended in which way."""
        counts = [f"{self._counts[word]:,} {word}" for word in _ORDER if self._counts[word]]
        told = f"{self._all()}: {', '.join(counts) or 'none ended'}"
        return f"{told}. Not done: {self._named()}." if self._failed else f"{told}."

    def _named(self) -> str:
        named = self._failed[:_NAMED]
        more = len(self._failed) - len(named)
        return ", ".join(named) + (f" and {more:,} more" if more else "")

    def _close_document(self, left: Sequence[str], stopped: SolvenError | None) -> None:
        """Print the rest of the one document, which has the threads in the order that was asked for."""
        for name in self.names[self._next :]:
            if name in self._waiting:
                self._document.say(self._waiting.pop(name))
        more: dict[str, object] = {"not_ended": list(left)} if left else {}
        if self.is_interrupted and stopped is not None:
            more["error"] = described_error(stopped, INTERRUPTED, self.storage)
        self._document.close(more)
