"""Located messages about a document, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from solven_env.errors import printable
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solven_env.documents.excerpts import Excerpt

_EXCERPT = 60


class Location(NamedTuple):
    """A place in a document. `line` and `column` count characters from 1; line 0 is the document as a whole.

    >>> str(Location("team.yaml", 3, 9)), str(Location("team.yaml"))
    ('team.yaml:3:9', 'team.yaml')
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        file = printable(self.file)
        return f"{file}:{self.line}:{self.column}" if self.line else file


def place_told(location: Location, file: str) -> str:
    """The file and line of a place; the directory of the applied file is left out.

    >>> place_told(Location("p/base.yaml", 4, 1), "p/team.yaml"), place_told(Location("q/x.yaml", 4, 1), "p/team.yaml")
    ('base.yaml:4', 'q/x.yaml:4')
    """
    beside = file.rpartition("/")[0]
    return printable(f"{location.file.removeprefix(f'{beside}/' if beside else '')}:{location.line}")


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: the code of its kind, its place, what is wrong, and its fix.

    `docs/errors/` has a page for each code. `message` ends without a full stop, `fix` with one. Each is made one line.

    >>> str(Diagnostic("SE101", Location("team.yaml", 3, 9), "unknown key 'bum'", "Did you mean 'bun'?"))
    "team.yaml:3:9: SE101 unknown key 'bum'. Did you mean 'bun'?"
    """

    code: str
    location: Location
    message: str
    fix: str
    excerpt: Excerpt | None = field(default=None, compare=False, repr=False)
    """The line at the place, for a terminal; None if it cannot or must not be shown."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))
        object.__setattr__(self, "fix", printable(self.fix))

    def __str__(self) -> str:
        return f"{self.location}: {self.code} {self.message}. {self.fix}"

    def to_json(self) -> dict[str, object]:
        """The diagnostic as plain data, for `--format json`."""
        return {
            "code": self.code,
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
            "message": self.message,
            "fix": self.fix,
        }


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The diagnostics in the order of the document, without duplicates."""
    return tuple(sorted(set(diagnostics), key=lambda each: (each.location, each.message, each.fix, each.code)))


def closest(word: str, known: Iterable[str]) -> str:
    """The word of `known` that is most like `word`; empty if none is similar.

    >>> closest("bum", ["bun", "python"])
    'bun'
    """
    import difflib  # here: a valid profile does not need it

    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the closest word of `known`, or lists all of them.

    >>> did_you_mean("x", ["bun", "python"])
    'Known here: bun, python.'
    """
    names = sorted(known)
    close = closest(word, names)
    if close:
        return f"Did you mean '{close}'?"
    return f"Known here: {', '.join(names)}." if names else "Nothing is known here; remove it."


def quoted(text: str) -> str:
    """`text` in quotes for a message, on one line and cut after 60 characters.

    >>> print(quoted("a\\nb"))
    'a\\nb'
    """
    shown = printable(text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
    return f"'{shown}'"
