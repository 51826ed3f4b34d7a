"""The errors that solven-env raises on purpose, and the words that messages share.

Each error carries what happened, where, and its fix. `cli/errors.py` alone turns one into an exit code.
"""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.programs.result import Result
    from solven_env.reconcile.model import Change


class SolvenError(Exception):
    """An error with a `message` (what happened), a `fix` and a `location` (`file:line:column`, or a path).

    `message` is one phrase without a full stop, `fix` a whole sentence; `fix` and `location` may be empty:

    >>> str(SolvenError("there is no storage", fix="Name one.", location="config.yaml:1:1"))
    'config.yaml:1:1: there is no storage. Name one.'
    """

    page = ""
    """The name of the page that explains this kind of error; empty for none."""
    details: tuple[str, ...] = ()
    """Lines that say more, such as each place that was searched."""
    further: tuple[SolvenError, ...] = ()
    """Errors that the same call met too, each with its own fix: a caller who mends all of them is done."""

    def __init__(self, message: str, *, fix: str = "", location: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.location = location

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        parts = (f"{where}{self.message}.", self.fix, "; ".join(self.details), *map(str, self.further))
        return " ".join(filter(None, parts))


def raise_together(errors: Sequence[SolvenError]) -> None:
    """Raise the first of several errors of one call, which gets the others as its `further`; nothing without any."""
    if errors:
        first, *others = errors
        first.further = (*first.further, *others)
        try:
            raise first
        finally:
            # Its traceback refers to this frame: a frame that refers back keeps what its callers hold open.
            del first, errors


class UsageError(SolvenError):
    """The caller asked for something impossible: an invalid thread id, an unknown input, a missing file."""

    page = "cli"


class WorkingDirectoryError(UsageError):
    """The directory in which a command shall start is not there, is none, or lets the command not in."""

    page = "running"


class UnknownStorageError(UsageError):
    """This host's configuration has no storage of the name that was given."""

    page = "hosts"


class DocumentError(SolvenError):
    """A document is invalid. `diagnostics` holds every mistake in the document's order; `what` names the document."""

    what = "document"

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = diagnostics[0]
        super().__init__(first.message, fix=first.fix, location=str(first.location))
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return " ".join(map(str, (self.diagnostics[0], *self.further)))


class ProfileError(DocumentError):
    """The profile, or a document beside it, is invalid."""

    page = "profile"
    what = "profile"


class ConfigError(DocumentError):
    """The host configuration is invalid."""

    page = "hosts"
    what = "host configuration"


class ChangesError(SolvenError):
    """An apply ended otherwise than it should, and knows what it was about.

    `changes` are those of its plan, or those that were made; `generation` is the last one that was applied, 0 for none.
    """

    page = "reconciling"

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        location: str = "",
        changes: tuple[Change, ...] = (),
        generation: int = 0,
    ) -> None:
        super().__init__(message, fix=fix, location=location)
        self.changes = changes
        self.generation = generation


class ConflictError(ChangesError):
    """The workspace holds changes that would be lost. `changes` has the plan only if nothing was written."""


class HeldError(SolvenError):
    """Another apply holds the thread."""

    page = "reconciling"


class WorkspaceError(SolvenError):
    """The workspace or its storage cannot be read or written."""

    page = "reconciling"


class ExchangeUnsupportedError(WorkspaceError):
    """The workspace's file system cannot swap two files. Callers catch this and replace the file in two steps."""


class StorageError(SolvenError):
    """The storage is not mounted, or another storage stands where the configuration or this host expects it."""

    page = "hosts"


class StateError(SolvenError):
    """The state of a thread cannot be read or written, or another program changed it meanwhile."""

    page = "reconciling"


class PlanError(SolvenError):
    """A saved plan is none, or it does not fit any more: something is not as it was when the plan was made."""

    page = "reconciling"


class DamagedRecordError(StateError):
    """The record of a thread is damaged or gone. (A record of a newer version is a plain `StateError`.)"""


class LockError(SolvenError):
    """The lock of a profile's packages is missing, or does not belong to the packages that the profile names now."""

    page = "builds"


class BuildError(SolvenError):
    """Packages could not be resolved, fetched or installed. `message` ends with the last lines of uv or Bun."""

    page = "builds"


class StoreError(SolvenError):
    """The directory of builds or of layers cannot be read or written."""

    page = "builds"


class DiskBoundError(StoreError):
    """All threads of this host take as much of its disk as its configuration allows."""

    page = "hosts"


class PlatformError(SolvenError):
    """This machine lacks what the operation needs: a feature of the kernel, a program, an interpreter."""

    page = "sandbox"


class SandboxError(SolvenError):
    """The sandbox could not start as asked. A command's own failure is an exit status, and never this error."""

    page = "sandbox"


class CommandError(SolvenError):
    """A command ended with another status than 0, and its caller asked for an error then. `result` is its `Result`."""

    page = "programs"

    def __init__(self, result: Result) -> None:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()[-1:]
        super().__init__(f"the command ended with status {result.exit_code}{''.join(f': {line}' for line in said)}")
        self.result = result


class NoProcessError(SolvenError, ProcessLookupError):
    """The session has no process of this name: it never had, it forgot an old one, or it has ended with all of them."""

    page = "programs"


class InputClosedError(SolvenError, BrokenPipeError):
    """The standard input of a process is closed, or the process has ended."""

    page = "programs"


class WaitTimeoutError(SolvenError, TimeoutError):
    """A process goes on after the time for which its caller wanted to wait."""

    page = "programs"


class FileError(SolvenError, OSError):
    """A file inside cannot be read or written; `location` is its path.

    `errno`, `strerror` and `filename` are set, as of the built-in error that each of these is too.
    """

    page = "programs"

    def __init__(self, message: str, *, number: int, fix: str = "", location: str = "") -> None:
        super().__init__(message, fix=fix, location=location)
        self.errno = number
        self.strerror = message
        self.filename = location


class MissingFileError(FileError, FileNotFoundError):
    """There is nothing at the path."""


class ExistingFileError(FileError, FileExistsError):
    """There is something at the path already."""


class DirectoryFoundError(FileError, IsADirectoryError):
    """A directory is at the path, where a file is needed."""


class NoDirectoryError(FileError, NotADirectoryError):
    """A part of the path, or what is at it, is no directory."""


class DeniedError(FileError, PermissionError):
    """The sandbox's user may not do that."""


class FileTooLargeError(FileError):
    """A file has more bytes than were asked for at most."""


def to_read(page: str) -> str:
    """The command that prints a page of the documentation, wherever solven-env is installed.

    >>> to_read("profile")
    'solven-env docs profile'
    """
    return f"solven-env docs {page}"


class SetupError(ChangesError):
    """A command of `setup` failed. All else was applied: `changes` were made."""


class NeverAppliedError(SandboxError):
    """The thread was never applied, or its first apply was interrupted: nothing is known of it."""

    page = "reconciling"


def printable(text: str) -> str:
    """`text` on one line, safe for a terminal: control characters and lone surrogates become escapes.

    >>> print(printable("a\\nb\\033[2J"))
    a\\nb\\x1b[2J
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def brief(text: str, most: int) -> str:
    """`text` on one line of at most so many characters, safe as of `printable`.

    >>> print(brief("npm run build && npm test", 16))
    npm run build &…
    """
    told = printable(text.strip())
    return told if len(told) <= most else f"{told[: most - 1]}…"


def counted(count: int, noun: str) -> str:
    """A count with its noun in the singular or the plural.

    >>> counted(1, "change"), counted(2000, "change")
    ('1 change', '2,000 changes')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
