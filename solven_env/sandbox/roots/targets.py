"""The places in a root that are mounted upon, found or made without following a link anywhere."""

from __future__ import annotations

import errno
import os

from solven_env.errors import SandboxError
from solven_env.system import syscalls
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

DIRECTORY = syscalls.HOLD_DIRECTORY


def open_target(
    root: int,
    target: str,
    *,
    directory: bool,
    memory: Set[int] = frozenset(),
    owner: tuple[int, int] | None = None,
) -> holding:
    """A descriptor of `target` beneath `root`; what is missing is made, a directory with mode 0755 for `owner`.

    Files are made only in `memory` (device numbers of the sandbox's own tmpfs): the workspace gets no file of ours.
    SandboxError names the first component that is a link or no directory.
    """
    parts = target.strip("/").split("/")
    current = os.dup(root)
    try:
        for depth, name in enumerate(parts, start=1):
            wanted = DIRECTORY if directory or depth < len(parts) else os.O_PATH
            try:
                found = _step(current, name, wanted, memory, owner)
            except OSError as error:
                raise blocked("/" + "/".join(parts[:depth]), error) from error
            os.close(current)
            current = found
    except BaseException:
        os.close(current)
        raise
    return holding(current)


def open_parent(root: int, path: str, sealed: Set[int]) -> holding:
    """The directory of `path` beneath `root`, only in what no command can write (`sealed`)."""
    opened = open_target(root, path.rpartition("/")[0], directory=True, memory=sealed)
    with opened as directory:
        if os.fstat(directory).st_dev not in sealed:
            raise SandboxError("a staged file lies beneath no Etc and no read-only Tmpfs of the plan", location=path)
        return holding(os.dup(directory))


def write_file(directory: int, name: str, content: bytes, mode: int) -> None:
    """Make a file that is not there yet."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(syscalls.openat2(directory, name, flags, mode=mode), "wb") as opened:
        opened.write(content)


def holds_something(root: int, target: str) -> bool:
    """True where a directory that is not empty stands at `target` beneath `root`, reached through no link."""
    try:
        with (
            holding(syscalls.openat2(root, target.strip("/"), READ_DIRECTORY)) as directory,
            os.scandir(directory) as entries,
        ):
            return next(entries, None) is not None
    except OSError:  # nothing is there; what cannot be mounted upon is told when that is tried
        return False


def hidden(targets: Iterable[str]) -> str:
    """The line that tells of the targets at which directories of the thread's own are mounted upon."""
    return f"solven-env: hidden by what the profile mounts there: the thread's own {', '.join(targets)}"


def blocked(path: str, error: OSError) -> SandboxError:
    """The error for a place that cannot be opened, with the agent's own link told from the rest."""
    if error.errno == errno.ELOOP:
        what = "a link stands where the sandbox mounts something"
    elif error.errno == errno.ENOTDIR:
        what = "not a directory, where the sandbox mounts something"
    else:
        return SandboxError(f"cannot be mounted upon: {error.strerror}", location=path)
    return SandboxError(what, location=path, fix="Remove it, or apply the profile again.")


def _step(parent: int, name: str, flags: int, memory: Set[int], owner: tuple[int, int] | None) -> int:
    try:
        return syscalls.openat2(parent, name, flags)
    except FileNotFoundError:
        ours = os.fstat(parent).st_dev in memory
    if flags & os.O_DIRECTORY:
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:  # another command of the session made it, or the agent: what it is, is seen below
            owner = None
        if owner is not None and not ours:
            # By descriptor: the name may stand for something else by now. A directory has no second name.
            with holding(syscalls.openat2(parent, name, READ_DIRECTORY)) as made:
                os.fchown(made, *owner)
    elif ours:
        write_file(parent, name, b"", 0o644)
    else:
        raise FileNotFoundError(errno.ENOENT, "there is no file to mount upon", name)
    return syscalls.openat2(parent, name, flags)
