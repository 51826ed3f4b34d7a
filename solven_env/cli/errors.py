"""Exit codes of errors, and errors as text for people: the only place where an error becomes either."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env import errors
from solven_env.cli.wrapping import columns, wrapped
from solven_env.errors import counted, printable, to_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from solven_env.documents.diagnostics import Diagnostic

CODES: dict[type[errors.SolvenError], int] = {
    errors.UsageError: 2,
    errors.ConflictError: 4,
    errors.ProfileError: 5,
    errors.HeldError: 6,
    errors.LockError: 7,
}
"""Exit codes of errors; every other error has 1."""

_EXPLAINED = (
    errors.BuildError,
    errors.ConfigError,
    errors.LockError,
    errors.PlatformError,
    errors.SandboxError,
    errors.StateError,
    errors.StorageError,
    errors.StoreError,
    errors.UnknownStorageError,
    errors.WorkspaceError,
)
"""Errors whose cause `doctor` can find."""

_OF_A_STORAGE = re.compile(
    r"\bsolven-env (?:apply|diff|doctor|du|history|list|plan|recover|rollback|run|shell|show|status|stop)\b"
)

_OF_AN_EXCERPT = re.compile(r"  (?:\d+| *) \| ")
"""The beginning of a line of an excerpt, which fits its terminal already."""

PENDING = 3
INTERRUPTED = 130
_GRAVEST = (INTERRUPTED, 1, 2, 125, 5, 7, 4, 6, PENDING, 0)
"""Exit codes in the order in which one of many threads decides."""


def exit_code(error: errors.SolvenError, all_but_usage: int | None = None) -> int:
    """The exit code of an error. `all_but_usage`, if given, is the code of every error but a `UsageError`.

    >>> exit_code(errors.HeldError("")), exit_code(errors.HeldError(""), 125), exit_code(errors.UsageError(""), 125)
    (6, 125, 2)
    """
    if all_but_usage is not None and not isinstance(error, errors.UsageError):
        return all_but_usage
    return next((code for kind, code in CODES.items() if isinstance(error, kind)), 1)


def gravest(codes: Iterable[int]) -> int:
    """The exit code of a command that ended in several ways: the gravest of them; 0 for none.

    >>> gravest([0, 6, 3]), gravest([4, 1]), gravest([])
    (6, 1, 0)
    """
    return min(codes, key=_GRAVEST.index, default=0)


@contextmanager
def exit_codes(all_but_usage: int | None = None) -> Iterator[None]:
    """Print an error on standard error and exit with its code (see `exit_code`)."""
    try:
        yield
    except errors.SolvenError as error:
        print_error(error_text(error))
        sys.exit(exit_code(error, all_but_usage))


def print_error(text: str) -> None:
    """Print the text of an error on standard error, each of its lines wrapped as `wrapping.wrapped` says."""
    for line in text.splitlines():
        shown = line.lstrip(" ")
        lines = wrapped(shown, sys.stderr, indent=len(line) - len(shown))
        print(*([line] if _OF_AN_EXCERPT.match(line) else lines), sep="\n", file=sys.stderr)


def excerpt_lines(mistake: Diagnostic, stream: TextIO | None) -> list[str]:
    """The lines that show a mistake's place on a terminal; none on another stream."""
    if mistake.excerpt is None or stream is None or not stream.isatty():
        return []
    from solven_env.documents import excerpts

    return excerpts.shown(mistake.excerpt, columns(stream))


def with_storage(text: str, storage: str | None) -> str:
    """`text` with `--storage` added to our commands in it, so that a fix can be pasted.

    >>> with_storage("Run: solven-env apply PROFILE thread-1.", "prod")
    'Run: solven-env apply --storage prod PROFILE thread-1.'
    """
    if not storage:
        return text
    named = shlex.quote(storage)
    return _OF_A_STORAGE.sub(lambda command: f"{command[0]} --storage {named}", text)


def error_text(
    error: errors.SolvenError, *, thread: str | None = None, storage: str | None = None, profile: str | None = None
) -> str:
    """The text of an error for people, and of its further errors.

    The thread, the storage and the profile are those that the caller named.
    """
    each = (error, *error.further)
    return "\n".join(_text(one, thread=thread, storage=storage, profile=profile) for one in each)


def seen(mistakes: Sequence[Diagnostic], page: str) -> str:
    """The pages about these mistakes, in words: that of their code, or of all such documents and one of the codes."""
    of_the_first = to_read(mistakes[0].code)
    if len({mistake.code for mistake in mistakes}) == 1:
        return f"See: {of_the_first}"
    return f"See: {to_read(page)}, or for the first one run: {of_the_first}"


def _text(error: errors.SolvenError, *, thread: str | None, storage: str | None, profile: str | None) -> str:
    if isinstance(error, errors.DocumentError):
        see = seen(error.diagnostics, error.page)
    else:
        see = f"See: {to_read(error.page)}" if error.page else ""
    if isinstance(error, _EXPLAINED):
        named = f"--profile {shlex.quote(profile)}" if profile not in (None, "-") else ""  # "-" cannot be read again
        doctor = with_storage(" ".join(filter(None, ("solven-env doctor", thread, named))), storage)
        see = f"{see}, or run: {printable(doctor)}"
    if isinstance(error, errors.DocumentError):
        lines = [line for each in error.diagnostics for line in (str(each), *excerpt_lines(each, sys.stderr))]
        return "\n".join([*lines, f"error: {counted(len(error.diagnostics), 'mistake')} in the {error.what}. {see}"])
    where = f"{error.location}: " if error.location else ""
    what, fix = f"error: {printable(where + error.message)}.", printable(with_storage(error.fix, storage))
    if error.details:  # the first line says all that a reader has to know
        return "\n  ".join(filter(None, (f"{what} {fix}", *map(printable, error.details), see)))
    return "\n  ".join(filter(None, (what, fix, see)))
