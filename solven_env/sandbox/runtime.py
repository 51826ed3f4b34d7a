"""The runtime directory: the holders' sockets, for one user, and the lock that lets two launchers make one holder.

A socket is given its name only when the process that will serve it runs already: whoever is killed after that, the
other one removes it. What is killed together leaves a dead socket; the next that looks for the session buries it.
"""

from __future__ import annotations

import fcntl
import os
import stat

from solven_env.errors import SandboxError
from solven_env.sandbox import cgroups
from solven_env.system.blocks import READ_DIRECTORY, READ_DIRECTORY_ITSELF, holding, suppress
from solven_env.system.plain import Socket, socket
from solven_env.typed import NamedTuple

BACKLOG = 128
"""Number of launchers that may wait for a holder to accept them; the next ones wait in connect(2)."""


class SessionState(NamedTuple):
    """A session that is there. Without an answer of its holder nothing more is known."""

    answers: bool
    commands: int | None = None
    """The number of those that run now."""
    age: float | None = None
    """Seconds since it began."""
    keep_alive: float | None = None
    """Seconds that it stays if its commands leave now."""


def open_directory(path: str) -> int:
    """A descriptor of the runtime directory, made with mode 0700 where missing.

    Refused (SandboxError) when it is a link, another user's, or open to others: who can connect can start commands.
    """
    try:
        _make(path)
    except OSError as error:
        raise _closed(path, error) from error
    directory = find_directory(path)
    if directory is None:
        raise SandboxError("the runtime directory was removed", fix="Run it again.", location=path)
    return directory


def _make(path: str) -> None:
    """Make the directory and what is missing above it with mode 0700; os.makedirs would let the umask decide."""
    with suppress(FileExistsError):
        try:
            os.mkdir(path, 0o700)
        except FileNotFoundError:
            _make(os.path.dirname(path))
            os.mkdir(path, 0o700)


def find_directory(path: str) -> int | None:
    """A descriptor of the runtime directory where it is there already; None where it is not. Errors as above."""
    try:
        directory = os.open(path, READ_DIRECTORY_ITSELF)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _closed(path, error) from error
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
    """The file name of a session's socket: short, since a socket's whole path holds 107 bytes (unix(7)).

    The names of all sessions of one owner, which is what stands before a session's last `/`, begin alike.
    """
    owner, _, rest = session.rpartition("/")
    return f"{names_of(owner)}{_digest(rest)}"


def names_of(owner: str) -> str:
    """Beginning of the file names of the sockets of an owner's sessions."""
    return f"{_digest(owner)}-"


def _digest(text: str) -> str:
    import hashlib  # the holder, which is told its name, has no use for 5 ms of OpenSSL

    return hashlib.sha256(text.encode()).hexdigest()[:24]


def address(directory: int, name: str) -> str:
    """A path to bind or connect to, short whatever the directory's is, and always in that very directory."""
    return f"/proc/self/fd/{directory}/{name}"


def connect(directory: int, name: str, *, patience: float | None = None) -> Socket | None:
    """A connection to the holder that listens at `name`; None where none does.

    One that hangs and has too many waiting lets us wait too; with `patience`, in seconds, that is TimeoutError, and the
    connection gives up as soon when it is read.
    """
    connection = Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(patience)
    try:
        connection.connect(address(directory, name))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except BlockingIOError as error:  # unix(7) never waits for room in a queue when there is a timeout
        connection.close()
        raise TimeoutError from error
    except BaseException:
        connection.close()
        raise
    return connection


def bury(directory: int, name: str) -> bool:
    """Under the lock: remove the socket `name` and its cgroups if nobody listens at it; whether nobody does."""
    try:
        connection = connect(directory, name, patience=0)
    except TimeoutError:
        return False
    if connection is not None:
        connection.close()
        return False
    cgroups.clear(cgroups.find_parent(), name)
    remove(directory, name)
    return True


def inode(directory: int, name: str) -> int:
    """The socket's own number, as long as it has its name."""
    return os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino


def remove(directory: int, name: str, expected: int | None = None) -> None:
    """Under the lock: remove the socket `name`; if it is still the `expected` one, where a cleaner may have come by."""
    with suppress(FileNotFoundError):
        if expected in (None, inode(directory, name)):
            os.unlink(name, dir_fd=directory)


def locked(directory: int) -> holding:
    """Hold the runtime directory alone until the end of the block, against other processes and threads: milliseconds.

    The lock is on the directory itself: a lock file would be left behind by a SIGKILL.
    """
    own = os.open(f"/proc/self/fd/{directory}", READ_DIRECTORY)
    try:
        fcntl.flock(own, fcntl.LOCK_EX)
    except BaseException:
        os.close(own)
        raise
    return holding(own)


def _closed(path: str, error: OSError) -> SandboxError:
    fix = "Let XDG_RUNTIME_DIR name a directory of yours."
    return SandboxError(f"the runtime directory cannot be opened: {error.strerror}", location=path, fix=fix)
