"""Witnesses of a prepared launch: the facts that it was made from, each looked at again in microseconds.

Small files are compared by their bytes, links by their texts, directories by identity and owner, large files by what
stat(2) says of them: one that is written over in place counts as unchanged if it keeps its size and its time, which
takes two writes within one tick of the kernel's clock (4 ms).
"""

from __future__ import annotations

import os

from solven_env import config
from solven_env.packages import layers
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.sandbox.network import TUN
from solven_env.state.records import record_key
from solven_env.system import directories
from solven_env.threads import known
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from solven_env.packages.builds import Need
    from solven_env.packages.layers import Home
    from solven_env.threads.thread import Thread

_PIECE = 1 << 20


class Witness(NamedTuple):
    """One fact of this host: a path, and the function that looks at it."""

    look: Callable[[str], object]
    path: str


def see(thread: Thread, witnesses: Iterable[Witness]) -> tuple[object, ...]:
    """Everything as it is now, to be compared with what it was: the process, the storage and its record, the witnesses.

    `thread` is one of which nothing is open yet. StateError or OSError where the storage cannot be looked at.
    """
    values = (thread.state.get(key) for key in (known.ID_KEY, record_key(thread.name)))
    root = thread.root.look()
    return (dict(os.environ), os.geteuid(), root, *values, *[look(path) for look, path in witnesses])


def of_thread(thread: Thread) -> Iterator[Witness]:
    """The configuration of this host, and what it knows of the thread's storage."""
    yield from (Witness(content, str(path)) for path in config.places(os.environ))
    links = known.links(directories.data(), thread.root, thread.storage_id or "")
    yield from (Witness(link, str(path)) for path in links)


def of_program(program: str) -> Iterator[Witness]:
    """A program that was found on PATH: it is still there, and none of its name comes before it now."""
    directory, name = os.path.split(program)
    for place in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if place == directory:
            break
        yield Witness(is_program, os.path.join(place, name))
    yield Witness(is_program, program)


def of_slirp4netns(program: str) -> Iterator[Witness]:
    """The network helper, and the device that it needs."""
    yield from of_program(program)
    yield Witness(can_open, TUN)


def of_packages(needs: Sequence[Need], certificates: Iterable[Path]) -> Iterator[Witness]:
    """The interpreters and tools of this host, and the certificate authorities that it trusts."""
    sections = {need.kind: need.section for need in needs}
    for name, row in ECOSYSTEMS.items():
        yield from (Witness(state, str(path)) for path in row.host_files(sections.get(name), directories.cache()))
    yield from (Witness(state, str(path)) for path in certificates)


def of_layers(home: Home, own: Iterable[Path], directory: str) -> Iterator[Witness]:
    """The layers whose upper directories or copies are `own`, and the thread's other directories on this host."""
    for path in own:
        place = layers.place_of(path)
        assert place is not None
        yield Witness(link, str(layers.present_link(home, place.kind)))
        yield Witness(content, str(path.with_name("about.json")))
        yield Witness(identity, str(path))
    yield from (Witness(identity, str(path)) for path in (layers.where_local(home), directory) if str(path))


def content(path: str) -> bytes | None:
    """The bytes of a small file; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, _PIECE)
    finally:
        os.close(descriptor)


def link(path: str) -> str | None:
    """The text of a symbolic link; None where there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def identity(path: str) -> tuple[int, ...] | None:
    """Device, inode, owner and mode; None where nothing is."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_uid, about.st_mode


def state(path: str) -> tuple[int, ...] | None:
    """The same of a file with its size and its times; None where nothing is."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def is_program(path: str) -> bool:
    """True for a file that this process may execute."""
    return os.access(path, os.X_OK) and not os.path.isdir(path)


def can_open(path: str) -> bool:
    """True for what this process can open for reading and writing."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
