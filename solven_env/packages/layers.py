"""Layers: a thread's own changes to a build, in directories on this host that an overlay is mounted with.

    <data>/layers/<storage id>/<thread>/<incarnation>/<kind>-<instance of the build>[.<number>]/{upper,work}
    <data>/layers/<storage id>/<thread>/<incarnation>/local/files     what it installed beside its packages; see `local`

A layer belongs to one *instance* of a build: above another one the kernel's overlay is undefined. So a build that was
made again, or another build, begins a new layer, and the old one stays until it is collected. So it does when a fresh
one is begun above the same build: that has the next number. The incarnation keeps a thread that was made anew from
meeting the layers of its namesake.
"""

from __future__ import annotations

import os

from solven_env.system.durable import make_directory
from solven_env.system.publishing import make_private, refusals_told
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend


_LOCAL = "local"


class Home(NamedTuple):
    """Place of one thread's layers. `data` is our own directory (`<data>/solven-env`)."""

    data: Path
    storage: str
    thread: str
    incarnation: str

    @property
    def path(self) -> Path:
        """The directory that holds them, which may not be there yet."""
        return self.data / f"layers/{self.storage}/{self.thread}/{self.incarnation}"  # asked for twelve times a status


class Layer(NamedTuple):
    """The two directories of an overlay, on one file system. `instance` is that of the build below."""

    upper: Path
    work: Path
    instance: str


def layer(home: Home, build: Build, uid: int | None) -> Layer:
    """The thread's layer above a build, made where it is missing; under root it belongs to `uid`, the thread's."""
    place(home, build)
    made = where(home, build)
    for directory in (made.upper, made.work):
        _give(directory, uid)
    return made


def local(home: Home, uid: int | None) -> Path:
    """The thread's directory that its commands see at `host_tools.LOCAL`, made where it is missing; as `layer`."""
    make(home)
    made = where_local(home)
    make_private(made.parent)
    _give(made, uid)
    return made


def where_local(home: Home) -> Path:
    """Path of `local`, which may not exist."""
    return home.path / _LOCAL / "files"


def _give(directory: Path, uid: int | None) -> None:
    with refusals_told(directory):
        make_directory(directory)
        if uid is not None and directory.stat().st_uid != uid:
            os.chown(directory, uid, uid)


def where(home: Home, build: Build) -> Layer:
    """The thread's layer above a build. It may not exist; nothing is made."""
    directory = home.path / _name(build, _number(home, build))
    return Layer(directory / "upper", directory / "work", build.instance)


def begin_anew(home: Home, build: Build) -> Path:
    """Have the thread's next command begin with a fresh layer above a build; the directory of the old one, which stays.

    Commands that are live keep what they have.
    """
    old = where(home, build).upper.parent
    make_private(home.path / _name(build, _number(home, build) + 1))
    return old


def own(home: Home, build: Build, backend: Backend) -> Path:
    """Path of the thread's private files: the overlay's upper, or the copy under a backend without mounts.

    It may not exist.
    """
    upper = where(home, build).upper
    return upper if backend.HAS_MOUNTS else upper.with_name("copy")


def place(home: Home, build: Build) -> Path:
    """The directory for what the thread has of its own of this build, made where it is missing, closed to others."""
    make(home)
    return make_private(where(home, build).upper.parent)


def kept_by(home: Home, backend: Backend) -> Path:
    """The directory for what a backend keeps of the thread, made where it is missing."""
    return make_private(make(home) / backend.NAME)


def make(home: Home) -> Path:
    """The directory that holds all of the thread's, made where it is missing, closed to others."""
    for directory in (home.path.parents[2], home.path.parents[1], home.path.parent, home.path):
        make_private(directory)
    return home.path


def _name(build: Build, number: int) -> str:
    return f"{build.kind}-{build.instance}{f'.{number}' if number else ''}"


def _number(home: Home, build: Build) -> int:
    """The number of the newest layer above a build; 0 for the first."""
    with refusals_told(home.path):
        try:
            names = os.listdir(home.path)
        except (FileNotFoundError, NotADirectoryError):  # the second is told by who makes one
            return 0
    numbers = (name.removeprefix(f"{_name(build, 0)}.") for name in names)
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def owned(home: Home) -> tuple[Path, ...]:
    """The directories here whose contents belong to the thread's uid."""
    layered = (home.path / f"{kind}-{instance}" for kind, instance in instances(home))
    local = where_local(home).parent
    return (*layered, local) if local.exists() else tuple(layered)


def instances(home: Home) -> frozenset[tuple[str, str]]:
    """The kind and build instance of each layer that the thread has on this host, old ones too."""
    try:
        names = os.listdir(home.path)
    except FileNotFoundError:
        return frozenset()
    pairs = (name.partition("-") for name in names)
    return frozenset((kind, instance) for kind, dash, instance in pairs if dash)
