"""The files of a lock beside its profile: read, and written so that half a lock is never believed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from solven_env.errors import LockError, SolvenError
from solven_env.packages.locks import names
from solven_env.profile.rewriting import rewriting
from solven_env.system import reread
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.durable import write_over
from solven_env.system.failures import failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_BYTES = 16 << 20


def read(directory: Path) -> dict[str, bytes]:
    """The files of the lock in `directory`, by name; those that are missing are left out. LockError for no file.

    A link to a pipe or a terminal is not waited for: a lock may come with a stranger's profile.
    """
    found = {}
    for name in names():
        try:
            known = reread.recall(os.stat(f"{directory}/{name}"))
            found[name] = _read(directory / name) if known is None else known
        except FileNotFoundError:
            continue
        except OSError as error:
            raise failure(LockError, str(directory / name), error) from error
    return found


def write_with(
    directory: Path, files: Mapping[str, bytes], profile: Path, before: bytes, after: bytes
) -> tuple[str, ...]:
    """Write a lock and the text of its profile, both or none; the names of the lock's files that changed.

    LockError; UsageError as of `rewriting`.
    """
    present = None
    try:
        with rewriting(profile, before, after):
            present = read(directory)
            return write(directory, files)
    except BaseException:
        if present is not None:
            with suppress(SolvenError):  # the first error is the one that counts
                write(directory, present)
            with suppress(OSError):
                directory.rmdir()  # one that was made just now, and is empty
        raise


def _read(path: Path) -> bytes:
    with open(path, "rb", opener=_open) as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            fix = "Look at it and move it away."
            raise LockError("something else than a file stands here", fix=fix, location=str(path))
        data = file.read(MAX_BYTES)
        reread.remember(about, os.fstat(file.fileno()), data)
        return data


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def write(directory: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Make the lock in `directory` these files, and give the names of those that changed.

    Each is renamed into place, lock.json last: it holds the digests of the others, so that a lock that was written
    half-way is out of date and no more. Other files in the directory stay; a directory that is left empty goes. Nothing
    is written through a link, which anybody may have put into the repository: LockError for one.
    """
    before = read(directory)
    changed = tuple(name for name in names() if before.get(name) != files.get(name))
    if not changed:
        return ()
    try:
        if directory.is_symlink():  # one that comes later is refused by the flags of the open
            message = "this is a symbolic link, and no lock is written through one: it may lead anywhere"
            raise LockError(message, fix="Move it away.", location=str(directory))
        if files:
            directory.mkdir(parents=True, exist_ok=True)
        with holding(os.open(directory, READ_DIRECTORY_ITSELF)) as opened:
            for name in changed:
                if name in files:
                    write_over(opened, name, f".{name}-{os.urandom(4).hex()}", files[name], mode=0o644)
                else:
                    os.unlink(name, dir_fd=opened)
        if not files and not any(directory.iterdir()):
            directory.rmdir()
    except OSError as error:
        raise failure(LockError, str(error.filename or directory), error) from error
    return changed
