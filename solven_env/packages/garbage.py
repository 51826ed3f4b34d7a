"""Garbage of this host: layers of threads that are gone. Removing it harms nobody.

    <data>/layers/<storage id>/.new-<thread>-…     layers that are being removed; what a killed process left of them

Everything is renamed before it is removed, so that nobody meets half of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from solven_env.errors import HeldError, StoreError
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.failures import failure
from solven_env.system.publishing import refusals_told
from solven_env.system.removal import remove_entry

if TYPE_CHECKING:
    from pathlib import Path

_ASIDE = ".new-"
_PATIENCE = 5.0
_PAUSE = 0.02
"""Seconds that commands which were ended have to let their layers go, and between two looks."""


def has_layers(data: Path, storage: str, thread: str) -> bool:
    """True where a thread has layers on this host, or some that are being removed."""
    above = data / "layers" / storage
    with refusals_told(above):
        try:
            return any(name == thread or _is_aside_of(name, thread) for name in os.listdir(above))
        except FileNotFoundError:
            return False


def remove_layers(data: Path, storage: str, thread: str) -> int:
    """Remove all layers that a thread has on this host, of all its incarnations; the bytes that were freed.

    HeldError while a command has them, StoreError for what cannot be removed.
    """
    above = data / "layers" / storage
    with ExitStack() as stack:
        with refusals_told(above):
            try:
                directory = stack.enter_context(holding(os.open(above, READ_DIRECTORY_ITSELF)))
            except FileNotFoundError:
                return 0
            _await_commands(stack, above / thread)
            with suppress(FileNotFoundError):
                aside = f"{_ASIDE}{thread}-{os.urandom(4).hex()}"
                os.rename(thread, aside, src_dir_fd=directory, dst_dir_fd=directory)
            left = [name for name in os.listdir(directory) if _is_aside_of(name, thread)]
        return sum(remove(above, directory, name) for name in left)


def remove(above: Path, directory: int, name: str) -> int:
    """Remove what has a name in `above`, a directory of ours that is open; the bytes that were freed.

    StoreError for what cannot be removed, once all else is.
    """
    removal = remove_entry(directory, name)
    for path, error in removal.failures:
        raise failure(StoreError, str(above / path), error) from error
    return removal.freed


def _is_aside_of(name: str, thread: str) -> bool:
    return name.startswith(_ASIDE) and name.removeprefix(_ASIDE).rpartition("-")[0] == thread


def _await_commands(stack: ExitStack, layers: Path) -> None:
    """Hold all incarnations of a thread's layers against commands. HeldError where one goes on."""
    end = time.monotonic() + _PATIENCE
    try:
        homes = [entry.path for entry in os.scandir(layers) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    while not all(is_free(stack, home) for home in homes):
        if time.monotonic() > end:
            fix = "Wait for its end, or end it; solven-env stop ends those of a session."
            raise HeldError(f"a command of thread {layers.name} is running", fix=fix)
        time.sleep(_PAUSE)


def is_free(stack: ExitStack, home: str) -> bool:
    """True if no command has the layers in a home, the directory of one incarnation; then the block keeps it so."""
    paths = [home, *(f"{home}/{name}/use" for name in os.listdir(home))]
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with ExitStack() as own:
                own.enter_context(holding(descriptor))
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                stack.push(own.pop_all())
    return True
