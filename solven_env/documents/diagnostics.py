"""Located messages about a document, and their text and JSON forms."""

from __future__ import annotations

from dataclasses import dataclass

from solven_env.errors import printable
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXCERPT = 60


class Location(NamedTuple):
    """A place in a document: `line` and `column` count from 1, in characters; 0 is the document as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        file = printable(self.file)
        return f"{file}:{self.line}:{self.column}" if self.line else file


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One mistake: where, what, and how to mend it. `message` ends without a full stop, `fix` with one.

    Both are one line each, whatever is put into them.
    """

    location: Location
    message: str
    fix: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))
        object.__setattr__(self, "fix", printable(self.fix))

    def __str__(self) -> str:
        return f"{self.location}: {self.message}. {self.fix}"

    def to_json(self) -> dict[str, object]:
        """The diagnostic as plain data, for `--format json`."""
        return {
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
            "message": self.message,
            "fix": self.fix,
        }


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The diagnostics in the document's order, each once."""
    return tuple(sorted(set(diagnostics)))


def closest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that `word` is most likely a slip of; empty where none is near."""
    import difflib  # here: a valid profile has no use for it

    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the closest of `known`, or lists what may stand here."""
    names = sorted(known)
    close = closest(word, names)
    if close:
        return f"Did you mean '{close}'?"
    return f"Known here: {', '.join(names)}." if names else "Nothing is known here; remove it."


def quoted(text: str) -> str:
    """`text` in quotes for a message: one line, and short enough to read."""
    shown = printable(text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
    return f"'{shown}'"
