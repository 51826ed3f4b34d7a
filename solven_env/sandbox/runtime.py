"""The runtime directory: the holders' sockets, for one user, and the lock that lets two launchers make one holder."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_directory(path: str) -> int:
    """A descriptor of the runtime directory, made with mode 0700 where missing.

    Refused (SandboxError) when it is a link, another user's, or open to others: who can connect can start commands.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise SandboxError(f"the runtime directory cannot be opened: {error.strerror}", location=path) from error
    about = os.fstat(directory)
    if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
        os.close(directory)
        raise SandboxError(
            "the runtime directory is not yours alone",
            location=path,
            fix="Remove it, or give it to yourself: chmod 700.",
        )
    return directory


def socket_name(session: str) -> str:
    """The file name of a session's socket: short, since a socket's whole path holds 107 bytes (unix(7))."""
    import hashlib  # the holder, which is told its name, has no use for 5 ms of OpenSSL

    return hashlib.sha256(session.encode()).hexdigest()[:24]


def address(directory: int, name: str) -> str:
    """A path to bind or connect to, short whatever the directory's is, and always in that very directory."""
    return f"/proc/self/fd/{directory}/{name}"


@contextmanager
def locked(directory: int) -> Iterator[None]:
    """Hold the runtime directory alone, against other processes and threads, for a few milliseconds.

    The lock is on the directory itself: a lock file would be left behind by a SIGKILL.
    """
    own = os.open(f"/proc/self/fd/{directory}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(own, fcntl.LOCK_EX)
        yield
    finally:
        os.close(own)
