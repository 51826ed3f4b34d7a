"""Disk that builds and layers of this host take."""

from __future__ import annotations

import os

from solven_env.packages import store
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.publishing import refusals_told
from solven_env.typed import TYPE_CHECKING
from solven_env.workspace.sizes import DiskUse, measure

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.workspace.walking import Within


def of_layers(data: Path, storage: str, thread: str) -> DiskUse:
    """The size of all layers and copies that a thread has on this host, those of its former incarnations too.

    `data` is our own directory (`<data>/solven-env`), `storage` the id under which this host knows the storage.
    """
    return _of(data / "layers" / storage / thread)


def of_build(cache: Path, key: str) -> DiskUse:
    """The size of a build with what is noted beside it; nothing where this host has none under that key."""
    found = store.read(cache, key)
    return _of(found.path) if found is not None else DiskUse()


def _of(path: Path) -> DiskUse:
    with refusals_told(path):
        try:
            directory = os.open(path, READ_DIRECTORY_ITSELF)
        except (FileNotFoundError, NotADirectoryError):
            return DiskUse()
    with holding(directory):
        return measure(directory, _is_of_the_kernel)


def _is_of_the_kernel(place: Within) -> bool:
    """True for the directory of an overlay that the kernel works in: closed to an ordinary user, and empty."""
    return place.name == "work" and place.above is not None and place.above.name == "work"
