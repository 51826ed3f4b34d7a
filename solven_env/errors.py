"""Every error that solven-env raises on purpose.

Each carries what happened, where, and what to do. `cli/errors.py` alone turns one into an exit code.
"""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.reconcile.model import Change


class SolvenError(Exception):
    """What happened (`message`), how to mend it (`fix`), and where (`location`: `file:line:column` or a path)."""

    page = ""
    """The page of the documentation that explains this kind of error."""
    thread = ""
    """The thread that the failed verb was about, where the command line knows it: what `doctor` is to look at."""

    storage: str | None = None
    """The storage that the command line named, for the commands that a fix names."""
    profile: str | None = None
    """The profile that the command line named, for `doctor` too."""

    def __init__(self, message: str, *, fix: str = "", location: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.location = location

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        return " ".join(part for part in (f"{where}{self.message}.", self.fix) if part)


class UsageError(SolvenError):
    """The caller asked for something that cannot be: an invalid thread id, an unknown input, a missing file."""

    page = "docs/cli.md"


class UnknownStorageError(UsageError):
    """This host's configuration has no storage of the name that was given."""

    page = "docs/hosts.md"


class DocumentError(SolvenError):
    """A document is invalid. `diagnostics` holds every mistake, in the document's order; `what` names its kind."""

    what = "document"

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = diagnostics[0]
        super().__init__(first.message, fix=first.fix, location=str(first.location))
        self.diagnostics = diagnostics


class ProfileError(DocumentError):
    """The profile, or a document beside it, is invalid."""

    page = "docs/profile.md"
    what = "profile"


class ConfigError(DocumentError):
    """The host configuration is invalid."""

    page = "docs/hosts.md"
    what = "host configuration"


class ConflictError(SolvenError):
    """The workspace holds changes that would be lost.

    `changes` is the plan where nothing at all was written, `generation` the last one that was applied, 0 for none.
    """

    page = "docs/reconciling.md"

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


class HeldError(SolvenError):
    """Another apply holds the thread."""

    page = "docs/reconciling.md"


class WorkspaceError(SolvenError):
    """The workspace or its storage cannot be read or written."""

    page = "docs/reconciling.md"


class ExchangeUnsupportedError(WorkspaceError):
    """The workspace's file system cannot let two files trade places. Callers catch it and replace in two steps."""


class StorageError(SolvenError):
    """The storage is not mounted, or is another one than the host's configuration or this host knows at its place."""

    page = "docs/hosts.md"


class StateError(SolvenError):
    """What we keep about a thread cannot be read or written, or changed under us."""

    page = "docs/reconciling.md"


class DamagedRecordError(StateError):
    """The record of a thread is damaged or gone, and was not written by a newer version."""


class LockError(SolvenError):
    """The lock of a profile's packages is missing or does not belong to what the profile asks for now."""

    page = "docs/builds.md"


class BuildError(SolvenError):
    """Packages could not be resolved, fetched or installed. `message` ends with what uv or Bun said last."""

    page = "docs/builds.md"


class StoreError(SolvenError):
    """Where builds and layers are kept cannot be read or written."""

    page = "docs/builds.md"


class PlatformError(SolvenError):
    """This machine lacks something that the operation needs: the kernel, a program, an interpreter."""

    page = "docs/sandbox.md"


class SandboxError(SolvenError):
    """The sandbox could not start, or not as asked. A command's own failure is its exit status, never this."""

    page = "docs/sandbox.md"


def printable(text: str) -> str:
    """`text` on one line, safe for a terminal: control characters and lone surrogates are shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
