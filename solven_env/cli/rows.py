"""Rows about threads, printed as they come: as a table, as one JSON document, or as one JSON object a line."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from solven_env.cli.errors import INTERRUPTED, error_text, exit_code, gravest, print_error
from solven_env.cli.options import StreamFormat
from solven_env.cli.output import described_error, print_json_line, say, written
from solven_env.cli.tables import COLUMNS, NAME, cut
from solven_env.errors import SolvenError
from solven_env.report import FORMAT, line_document
from solven_env.system import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


class Row(Protocol):
    """Report of a verb about one thread."""

    @property
    def thread(self) -> str:
        """The thread's name."""

    @property
    def error(self) -> SolvenError | None:
        """The error that the verb met with it."""

    def to_json(self, describe: Callable[[SolvenError], Mapping[str, object]]) -> dict[str, object]:
        """The thread as plain data. `describe` gives its error as plain data."""


_Row = TypeVar("_Row", bound=Row)


class Table:
    """A table of threads in 80 columns. Its first column is as wide as their names need."""

    def __init__(self, names: Iterable[str], widths: Mapping[str, int]) -> None:
        """`widths` are those of the columns after the first, by their heads; negative ones are aligned to the right.

        If there are too few columns, the first of these gets what is left for it.
        """
        self._name = min(NAME, max(map(len, (*names, "THREAD"))))
        heads = list(widths)
        room = COLUMNS - self._name - sum(1 + abs(widths[head]) for head in heads[1:]) - 1
        first = widths[heads[0]]
        self._widths = [min(room, first) if first > 0 else first, *(widths[head] for head in heads[1:])]
        self._heads = heads
        self.is_headed = False
        """True if a row was printed."""

    def say(self, name: str, values: Sequence[str]) -> None:
        """Print a row, after the head of the table. A name that is too long has a line of its own."""
        if not self.is_headed:
            self.is_headed = True
            self.say("THREAD", self._heads)
        if len(name) > self._name:
            say(name)
            name = ""
        cells = [_cell(value, width) for value, width in zip(values, self._widths, strict=True)]
        say(" ".join([name.ljust(self._name), *cells]).rstrip())


def _cell(value: str, width: int) -> str:
    return cut(value, width).ljust(width) if width > 0 else value.rjust(-width)


class StreamedDocument:
    """One JSON document, written piece by piece: a storage may have more threads than should be in memory."""

    def __init__(self, command: str) -> None:
        self._head = {"format": FORMAT, "command": command}
        self._has_rows = False

    def say(self, row: Mapping[str, object]) -> None:
        """Print one of the threads."""
        with written():
            print(",\n" if self._has_rows else self._begin(), end="")
            print(textwrap.indent(json.dumps(row, indent=2), "    "), end="")
        self._has_rows = True

    def close(self, more: Mapping[str, object]) -> None:
        """Print the end, with what stands beside the threads."""
        after = json.dumps(more, indent=2)[1:] if more else "\n}"
        with written():
            print("\n  ]" if self._has_rows else f"{self._begin().rstrip()}]", end="")
            print(f"{',' if more else ''}{after}")

    def _begin(self) -> str:
        return json.dumps({**self._head, "threads": []}, indent=2).removesuffix("]\n}") + "\n"


class _Lines:
    """One JSON object a line."""

    def __init__(self, command: str) -> None:
        self._command = command

    def say(self, row: Mapping[str, object]) -> None:
        """Print one thread."""
        print_json_line(line_document(self._command, row))

    def close(self, more: Mapping[str, object]) -> None:
        """Print nothing: each line stands by itself."""


def show(
    command: str,
    rows: Iterable[_Row],
    form: StreamFormat,
    say_row: Callable[[_Row], None],
    *,
    storage: str | None,
    more: Callable[[], Mapping[str, object]] = dict,
) -> int:
    """Print each row as it comes, `more` beside the threads of the one document, and errors on standard error.

    Gives the exit code: the gravest of all rows. `say_row` prints one as text. After an interrupt the document is
    closed, and says so.
    """
    shown: StreamedDocument | _Lines | None = None
    if form is not StreamFormat.TEXT:
        shown = StreamedDocument(command) if form is StreamFormat.JSON else _Lines(command)
    code = 0

    def describe(error: SolvenError) -> Mapping[str, object]:
        return described_error(error, exit_code(error), storage)

    gc.enable()  # this command may live long
    try:
        with interrupts_asked_for():
            for row in rows:
                if shown is None:
                    say_row(row)
                else:
                    shown.say(row.to_json(describe))
                if row.error is not None:
                    sys.stdout.flush()
                    print_error(error_text(row.error, thread=row.thread, storage=storage))
                    code = gravest((code, exit_code(row.error)))
    except KeyboardInterrupt:
        if shown is not None:
            shown.close({"error": described_error(SolvenError("interrupted"), INTERRUPTED, storage)})
        raise
    if shown is not None:
        shown.close(more())
    return code


@contextmanager
def interrupts_asked_for() -> Iterator[None]:
    """Have the first interrupt told where somebody asks for it (`at_once`), so that nothing is printed by half."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # the caller ignores it
        yield
        return
    reading, writing = os.pipe()

    def note_interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(writing, b"!")

    signal.signal(signal.SIGINT, note_interrupt)
    try:
        with at_once.interrupted_by(reading):
            yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(reading)
        os.close(writing)
