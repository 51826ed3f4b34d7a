"""Our own directories on this host: what is made there appears whole or not at all, and two makers take turns.

A maker holds the lock of the name that it makes, `.NAME.lock`; its attempts are called `.new-NAME-…`. Who uses a
finished directory holds a lock in it, `use-….lock`, shared with others. So what a killed process left is told from what
a live one has by locks alone, never by its age.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import shutil
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from solven_env.errors import SolvenError, StoreError
from solven_env.system import at_once, directories
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.durable import make_directory, rename_over, write_over
from solven_env.system.failures import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_Kind = TypeVar("_Kind", bound=SolvenError)

_STAGED = ".new-"
_SCRATCH = "use-scratch.lock"


def make_private(path: Path) -> Path:
    """Make a directory that nobody else may enter, with its parents, and give it back. StoreError where it cannot be.

    What lies beneath keeps modes of its own: it is this one that keeps the sandbox's uid out.
    """
    with refusals_told(path):
        make_directory(path, 0o700)  # as the XDG specification says of parents
        about = path.stat()
        if about.st_uid != os.geteuid():
            fix = f"Move it away: sudo mv {shlex.quote(str(path))} {shlex.quote(f'{path}.aside')}"
            raise StoreError(f"this directory belongs to uid {about.st_uid}, not to you", fix=fix, location=str(path))
        if stat.S_IMODE(about.st_mode) != 0o700:
            path.chmod(0o700)
    return path


class refusals_told:  # noqa: N801 (read as a verb)
    """Raise what the system refuses as StoreError, at the path that it is about."""

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise failure_of_ours(StoreError, str(error.filename or self._path), error) from error


def failure_of_ours(kind: type[_Kind], location: str, error: OSError) -> _Kind:
    """As `failure`; where a directory of ours cannot be made at all, the fix is to have it somewhere else."""
    made = failure(kind, location, error)
    if error.errno in (errno.EACCES, errno.EROFS):
        made.fix = directories.elsewhere(location) or made.fix
    return made


@contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Wait for one's turn at `name` in one of our directories. The kernel lets go when the process ends, however."""
    with refusals_told(directory):
        descriptor = _open_lock(make_private(directory), name)
    try:
        at_once.lock(descriptor)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile may hold it open
        os.close(descriptor)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new directory beside `target`, which gets its name when the block ends well, and is removed when it fails.

    After an interrupt it is left as after a kill, for the next sweep: to remove a build takes seconds.

    What had the name until then keeps it until that moment, and is removed once nobody uses it. Leftovers are swept
    first, so whoever calls this holds the lock of `target`.
    """
    import tempfile  # which brings `random`: 2 ms of every run that makes nothing

    with refusals_told(target):
        sweep(make_private(target.parent), mine=target.name)
        directory = Path(tempfile.mkdtemp(prefix=f"{_STAGED}{target.name}-", dir=target.parent))
        directory.chmod(0o755)
    try:
        yield directory
        with refusals_told(target), holding(os.open(target.parent, READ_DIRECTORY)) as parent:
            rename_over(parent, directory.name, target.name)
    except Exception:
        remove_unless_used(directory)
        raise
    remove_unless_used(directory)


@contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """A new private directory in one of ours, gone afterwards; what killed processes left there goes first."""
    import tempfile

    # Under one lock, so that nobody sees a new one before it is used.
    with refusals_told(directory), locked(directory, "scratch"):
        _clear_scratch(directory)
        made = Path(tempfile.mkdtemp(prefix="lock-", dir=directory))
        descriptor = os.open(made / _SCRATCH, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    with holding(descriptor):
        try:
            yield made
        finally:
            with locked(directory, "scratch"):  # half removed, it would look like what a killed process left
                remove_tree(made)


def sweep_scratch(directory: Path) -> None:
    """Remove what killed processes left of `scratch` in a directory, which may not be there."""
    if directory.exists():
        with locked(directory, "scratch"):
            _clear_scratch(directory)


def _clear_scratch(directory: Path) -> None:
    for left in directory.iterdir():
        if left.is_dir():
            remove_unless_used(left)


def sweep(directory: Path, mine: str = "") -> None:
    """Remove what killed makers left in one of our directories, and what was replaced there and is used no more.

    `mine` is the name whose lock the caller holds. What another maker may be making is left to it.
    """
    for left in directory.glob(f"{_STAGED}*"):
        name = left.name.removeprefix(_STAGED).rpartition("-")[0]
        if name == mine:
            remove_unless_used(left)
        if not name or name == mine:
            continue
        with holding(_open_lock(directory, name)) as turn, suppress(BlockingIOError):
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_unless_used(left)


def remove_unless_used(path: Path) -> bool:
    """Remove what we have made at `path`, unless somebody uses it; whether it is gone.

    Who would begin to use it meanwhile finds nothing under its name. StoreError where what used it cannot be asked.
    """
    with refusals_told(path), ExitStack() as stack:
        for lock in path.glob("use-*.lock"):
            descriptor = stack.enter_context(holding(os.open(lock, os.O_RDWR | os.O_NOFOLLOW)))
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        if not path.name.startswith(_STAGED):
            aside = path.with_name(f"{_STAGED}{path.name}-{os.urandom(4).hex()}")
            path = path.rename(aside)
        if path.is_dir():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
        return not os.path.lexists(path)


def remove_tree(path: Path) -> None:
    """Remove a directory as far as it can be removed, whoever filled it.

    Code of packages may have left trees that are deeper than Python's stack and its open files, and as an ordinary user
    directories that keep their owner out: rm(1) and chmod(1) of the system take these, and follow no link.
    """
    with suppress(OSError, RecursionError):
        shutil.rmtree(path)
        return
    if os.geteuid():
        _run_quietly("chmod", "-R", "u+rwX", "--", str(path))
    _run_quietly("rm", "-rf", "--", str(path))


def _run_quietly(*argv: str) -> None:
    import subprocess

    with suppress(OSError):
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603


def publish_file(path: Path, content: bytes, *, mode: int) -> None:
    """Have `content` at `path`, complete at every moment; nothing is written when it is there already."""
    with refusals_told(path):
        if _holds(path, content):
            return
        with locked(path.parent, path.name):
            sweep(path.parent, mine=path.name)
            staged = f"{_STAGED}{path.name}-{os.urandom(4).hex()}"
            with holding(os.open(path.parent, READ_DIRECTORY)) as directory:
                write_over(directory, path.name, staged, content, mode=mode)


def _open_lock(directory: Path, name: str) -> int:
    return os.open(directory / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False
