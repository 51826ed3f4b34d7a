"""The text of a profile replaced in one step. Light to import: what reads locks, at each run, needs it too."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from solven_env.errors import UsageError
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.durable import write_over
from solven_env.system.failures import every_failure_as
from solven_env.system.syscalls import O_PATH, openat2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def rewrite(path: Path, before: bytes, after: bytes) -> None:
    """Replace the text of a profile in one step; see `rewriting`."""
    with rewriting(path, before, after):
        pass


@contextmanager
def rewriting(path: Path, before: bytes, after: bytes) -> Iterator[None]:
    """Replace the text of a profile in one step, when the block has ended without an error. It keeps its mode and its
    owner, and a link to it stays one.

    UsageError if it cannot be written, if its text is not `before` any more, or if another solven-env writes here now:
    of two that know the same text, one alone replaces it. Others may write its directories: no link that comes there
    meanwhile is followed, and nobody's lock is waited for.
    """
    with ExitStack() as stack:
        with every_failure_as(UsageError, str(path)):
            real = path.resolve(strict=True)
            directory = stack.enter_context(holding(_open_real(real.parent)))
            if not _is_ours(directory):
                fix = "Run it again."
                raise UsageError("another solven-env writes in this directory now", fix=fix, location=str(path))
            descriptor = os.open(real.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=directory)
            with os.fdopen(descriptor, "rb") as file:
                about, text = os.fstat(descriptor), file.read(len(before) + 1)
            if text != before:
                raise UsageError("the profile changed meanwhile", fix="Run it again.", location=str(path))
        yield
        with every_failure_as(UsageError, str(path)):
            owner = (about.st_uid, about.st_gid) if os.geteuid() == 0 else None
            staged = f".{real.name}-{os.urandom(4).hex()}"
            write_over(directory, real.name, staged, after, mode=stat.S_IMODE(about.st_mode), owner=owner)


def _is_ours(directory: int) -> bool:
    """Lock an open directory until it is closed. False where somebody else has it; True where there are no locks."""
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # NFS locks no directory (flock(2))
        return True
    return True


def _open_real(directory: Path) -> int:
    """An open directory, by its absolute path, in which there is no link."""
    if sys.platform != "linux":
        return os.open(directory, READ_DIRECTORY | os.O_NOFOLLOW_ANY)
    with holding(os.open("/", O_PATH)) as top:
        return openat2(top, str(directory)[1:] or ".", READ_DIRECTORY)
