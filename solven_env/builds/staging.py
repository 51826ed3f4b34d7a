"""Our own directories on this host: what is made there appears whole or not at all, and two makers take turns."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.durable import make_directory
from solven_env.errors import StoreError
from solven_env.failures import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAGED = ".new-"


def make_private(path: Path) -> Path:
    """Make a directory that nobody else may enter, with its parents, and give it back. StoreError where it cannot be.

    What lies beneath keeps modes of its own: it is this one that keeps the sandbox's uid out.
    """
    with refusals_told(path):
        make_directory(path, 0o700)  # as the XDG specification says of parents
        about = path.stat()
        if about.st_uid != os.geteuid():
            raise StoreError("this directory belongs to another user", fix="Move it away.", location=str(path))
        if stat.S_IMODE(about.st_mode) != 0o700:
            path.chmod(0o700)
    return path


@contextmanager
def refusals_told(path: Path) -> Iterator[None]:
    """Raise what the system refuses as StoreError, at the path that it is about."""
    try:
        yield
    except OSError as error:
        raise failure(StoreError, str(error.filename or path), error) from error


@contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Wait for one's turn at `name` in one of our directories. The kernel lets go when the process ends, however."""
    with refusals_told(directory):
        make_private(directory)
        descriptor = os.open(directory / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile may hold it open
        os.close(descriptor)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new directory beside `target`, which is renamed to it when the block ends well, and removed when it does not.

    What a killed process left is removed first, so whoever calls this holds the lock of `target`.
    """
    import tempfile  # which brings `random`: 2 ms of every run that makes nothing

    with refusals_told(target):
        sweep(target)
        directory = Path(tempfile.mkdtemp(prefix=f"{_STAGED}{target.name}-", dir=make_private(target.parent)))
        directory.chmod(0o755)
    try:
        yield directory
        with refusals_told(target):
            os.rename(directory, target)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep(target: Path) -> None:
    """Remove what killed processes left of their attempts at `target`."""
    for left in target.parent.glob(f"{_STAGED}{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def publish_file(path: Path, content: bytes, *, mode: int) -> None:
    """Have `content` at `path`, complete at every moment; nothing is written when it is there already."""
    with refusals_told(path):
        if _holds(path, content):
            return
        import tempfile

        make_private(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=_STAGED, dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(descriptor, mode)
            os.rename(name, path)
        except BaseException:
            os.unlink(name)
            raise


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False
