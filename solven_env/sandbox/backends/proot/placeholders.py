"""The empty directories that proot needs in the workspace at mount points: made before a command, removed after it.

    <record>/turn   locked by whoever makes or removes them
    <record>/use    locked, shared, by each command that counts on them
    <record>/made   what was made, written before it is; the last command to end removes it

Everything happens beneath the workspace's descriptor and through no link. Only what is a directory and empty goes, so
that nothing of the agent's is lost whatever it put there. While a bubblewrap session of the thread is up nothing is
removed: an rmdir(2) takes away what another mount namespace has mounted there.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from solven_env.sandbox import runtime
from solven_env.sandbox.roots.targets import DIRECTORY, blocked, open_target
from solven_env.system import syscalls
from solven_env.system.blocks import holding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MADE = "made"


@contextmanager
def present(
    workspace: int, targets: Sequence[str], record: int, session: tuple[int, str], owner: tuple[int, int] | None
) -> Iterator[None]:
    """Have a directory of `owner` at each target; SandboxError for a link, or anything else, that stands there.

    `record` is a directory of the thread's own on this host, `session` the runtime directory and the name of the
    socket that a bubblewrap session of the thread has there.
    """
    with holding(_open_lock(record, "use")) as use:
        with turn(record):
            fcntl.flock(use, fcntl.LOCK_SH)
            _make(workspace, targets, record, owner)
        try:
            yield
        finally:
            fcntl.flock(use, fcntl.LOCK_UN)
            with turn(record), suppress(BlockingIOError):
                fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(workspace, record, session)


def _make(workspace: int, targets: Sequence[str], record: int, owner: tuple[int, int] | None) -> None:
    new = dict.fromkeys(path for target in targets for path in _missing(workspace, target))
    _write(record, list(dict.fromkeys((*_read(record), *new))))
    for target in targets:
        with open_target(workspace, target, directory=True, owner=owner):
            pass


def _missing(workspace: int, target: str) -> Iterator[str]:
    """The paths, relative to the workspace, that are to be made for a target."""
    parts = target.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        try:
            os.close(syscalls.openat2(workspace, path, DIRECTORY))
        except FileNotFoundError:
            yield path
        except OSError as error:
            raise blocked(f"/{path}", error) from error


def _remove(workspace: int, record: int, session: tuple[int, str]) -> None:
    directory, name = session
    with runtime.locked(directory):
        if os.path.exists(runtime.address(directory, name)):
            return
        for path in sorted(_read(record), key=lambda path: path.count("/"), reverse=True):
            above, _, last = path.rpartition("/")
            with (
                suppress(OSError),  # gone, not empty, or something else by now: it is no longer ours
                holding(syscalls.openat2(workspace, above or ".", DIRECTORY)) as parent,
            ):
                os.rmdir(last, dir_fd=parent)
    with suppress(FileNotFoundError):
        os.unlink(_MADE, dir_fd=record)


def _read(record: int) -> list[str]:
    try:
        with open(os.open(_MADE, os.O_RDONLY | os.O_CLOEXEC, dir_fd=record)) as file:
            return [str(path) for path in json.loads(file.read())]
    except (FileNotFoundError, ValueError):  # none, or cut short by a crash: what it named stays, empty
        return []


def _write(record: int, paths: list[str]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with open(os.open(_MADE, flags, 0o600, dir_fd=record), "w") as file:
        file.write(json.dumps(paths))


@contextmanager
def turn(record: int) -> Iterator[None]:
    """Wait for one's turn at what is in the thread's `record`."""
    with holding(_open_lock(record, "turn")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open_lock(record: int, name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=record)
