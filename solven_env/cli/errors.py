"""The one place where an error becomes an exit code and text for a person."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env import errors
from solven_env.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES: dict[type[errors.SolvenError], int] = {
    errors.UsageError: 2,
    errors.ConflictError: 4,
    errors.ProfileError: 5,
    errors.HeldError: 6,
    errors.LockError: 7,
}
"""Exit codes; every other error is 1."""

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
"""What `doctor` could explain."""

_OF_A_STORAGE = re.compile(r"\bsolven-env (?:apply|diff|doctor|run|shell|status|stop)\b")

PENDING = 3
INTERRUPTED = 130


def exit_code(error: errors.SolvenError, all_but_usage: int | None = None) -> int:
    """The exit code of an error; `all_but_usage` is one for all but wrong usage."""
    if all_but_usage is not None and not isinstance(error, errors.UsageError):
        return all_but_usage
    return next((code for kind, code in CODES.items() if isinstance(error, kind)), 1)


@contextmanager
def exit_codes(all_but_usage: int | None = None) -> Iterator[None]:
    """Print an error on standard error and leave with its code, or with one code for all but wrong usage."""
    try:
        yield
    except errors.SolvenError as error:
        print(error_text(error), file=sys.stderr)
        sys.exit(exit_code(error, all_but_usage))


def with_storage(text: str, storage: str | None) -> str:
    """`text`, whose commands of ours go to the storage that the caller named: what a fix says is there to be pasted."""
    if not storage:
        return text
    named = shlex.quote(storage)
    return _OF_A_STORAGE.sub(lambda command: f"{command[0]} --storage {named}", text)


def error_text(error: errors.SolvenError) -> str:
    """What standard error says of an error."""
    see = f"See {error.page}." if error.page else ""
    if isinstance(error, _EXPLAINED):
        is_named = error.profile not in (None, "-")  # standard input can be read once
        profile = f"--profile {shlex.quote(error.profile or '')}" if is_named else ""
        doctor = with_storage(" ".join(filter(None, ("solven-env doctor", error.thread, profile))), error.storage)
        see = f"See {error.page}, or run: {printable(doctor)}"
    if isinstance(error, errors.DocumentError):
        count = len(error.diagnostics)
        lines = [str(diagnostic) for diagnostic in error.diagnostics]
        return "\n".join(
            [*lines, f"error: {count} {'mistake' if count == 1 else 'mistakes'} in the {error.what}. {see}"]
        )
    where = f"{error.location}: " if error.location else ""
    return "\n  ".join(filter(None, (f"error: {printable(where + error.message)}.", printable(error.fix), see)))
