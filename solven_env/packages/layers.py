"""Layers: a thread's own changes to a build, in directories on this host that an overlay is mounted with.

    <data>/layers/<storage id>/<thread>/<incarnation>/
        <kind>-<instance of the build>[.<number>]/{upper,work}
                                                 /copy          instead of both, for a backend without mounts
                                                 /about.json    what we know of it; see `carrying`
        now-<kind>     a link whose text is the name of the present layer
        local/files    what it installed beside its packages; see `local`

A layer belongs to one *instance* of a build: above another one the kernel's overlay is undefined. So a build that was
made again, or another build, begins a new layer (`carrying.begin`), and the old one stays until it is collected. So it
does when a fresh one is begun above the same build: that has the next number. The incarnation keeps a thread that was
made anew from meeting the layers of its namesake.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

from solven_env.system.blocks import suppress
from solven_env.system.durable import make_directory
from solven_env.system.publishing import make_private, refusals_told
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend


_LOCAL = "local"
_NOW = "now-"
_NAME = re.compile(r"([a-z]+)-([0-9a-f]+)(?:\.([1-9][0-9]*))?")


class Home(NamedTuple):
    """Place of one thread's layers. `data` is our own directory (`<data>/solven-env`)."""

    data: Path
    storage: str
    thread: str
    incarnation: str

    @property
    def path(self) -> Path:
        """The directory that holds them, which may not be there yet."""
        return _path(*self)


@functools.lru_cache(maxsize=64)  # asked for twenty times by each apply
def _path(data: Path, storage: str, thread: str, incarnation: str) -> Path:
    return data / f"layers/{storage}/{thread}/{incarnation}"


class Layer(NamedTuple):
    """The two directories of an overlay, on one file system. `instance` is that of the build below."""

    upper: Path
    work: Path
    instance: str


class Place(NamedTuple):
    """The name of a layer's directory, in parts."""

    kind: str
    instance: str
    number: int = 0

    @property
    def name(self) -> str:
        """The name itself."""
        return f"{self.kind}-{self.instance}{f'.{self.number}' if self.number else ''}"


def local(home: Home, uid: int | None) -> Path:
    """The thread's directory that its commands see at `host_tools.LOCAL`, made where it is missing."""
    make(home)
    made = where_local(home)
    make_private(made.parent)
    give(made, uid)
    return made


def where_local(home: Home) -> Path:
    """Path of `local`, which may not exist."""
    return home.path / _LOCAL / "files"


def give(directory: Path, uid: int | None) -> None:
    """Have a directory of the thread's, made where it is missing; under root it belongs to `uid`, the thread's."""
    with refusals_told(directory):
        make_directory(directory)
        if uid is not None and directory.stat().st_uid != uid:
            os.chown(directory, uid, uid)


def where(home: Home, build: Build) -> Layer:
    """The thread's layer above a build, or the one that its next command begins. Nothing is made."""
    return at(home, _above(home, build))


def at(home: Home, place: Place) -> Layer:
    """The layer that has this name."""
    directory = home.path / place.name
    return Layer(directory / "upper", directory / "work", place.instance)


def own(home: Home, build: Build, backend: Backend) -> Path:
    """Path of the thread's private files: the overlay's upper, or the copy under a backend without mounts.

    It may not exist.
    """
    return own_at(home, _above(home, build), backend)


def own_at(home: Home, place: Place, backend: Backend) -> Path:
    """The same of the layer that has this name."""
    return Path(f"{home.path}/{place.name}/{'upper' if backend.HAS_MOUNTS else 'copy'}")


def present(home: Home, kind: str) -> Place | None:
    """The layer that the thread's commands have had last; None where there is none.

    Where no link names it (earlier versions made none) it is the one that was used last: a mount changes `work`.
    """
    with suppress(OSError):
        named = _parse(os.readlink(f"{home.path}/{_NOW}{kind}"))
        if named is not None and named.kind == kind and os.path.isdir(f"{home.path}/{named.name}"):
            return named
    return max((each for each in places(home) if each.kind == kind), key=lambda each: used(home, each), default=None)


def present_link(home: Home, kind: str) -> Path:
    """Path of the link that names the present layer of a kind."""
    return home.path / f"{_NOW}{kind}"


def place_of(own: Path) -> Place | None:
    """The layer that an upper directory or a copy belongs to."""
    return _parse(own.parent.name)


def set_present(home: Home, place: Place) -> None:
    """Have `present` give this layer from now on."""
    link = present_link(home, place.kind)
    staged = link.with_name(f".{link.name}-{os.urandom(4).hex()}")
    os.symlink(place.name, staged)
    os.replace(staged, link)


def places(home: Home) -> tuple[Place, ...]:
    """All layers that the thread has on this host, old ones too, in the order of their names."""
    with refusals_told(home.path), suppress(NotADirectoryError):  # which is told by who makes one
        return listed(home)
    return ()


def listed(home: Home) -> tuple[Place, ...]:
    """The same; NotADirectoryError where something else stands in the way."""
    try:
        names = os.listdir(home.path)
    except FileNotFoundError:
        return ()
    return tuple(sorted(filter(None, map(_parse, names))))


def following(home: Home, build: Build) -> Place:
    """The name of the next layer above a build."""
    numbers = [each.number for each in places(home) if each[:2] == (build.kind, build.instance)]
    return Place(build.kind, build.instance, max(numbers, default=-1) + 1)


def _above(home: Home, build: Build) -> Place:
    now = present(home, build.kind)
    if now is None:
        return Place(build.kind, build.instance)
    return now if now.instance == build.instance else following(home, build)


def _parse(name: str) -> Place | None:
    found = _NAME.fullmatch(name)
    return Place(found[1], found[2], int(found[3] or 0)) if found else None


def used(home: Home, place: Place) -> tuple[int, int]:
    """When a layer was used last, to be compared with that of another: a mount changes `work`."""
    times = [0]
    for name in ("upper", "work", "copy", ""):
        with suppress(OSError):
            times.append(os.lstat(home.path / place.name / name).st_mtime_ns)
    return max(times), place.number


def kept_by(home: Home, backend: Backend) -> Path:
    """The directory for what a backend keeps of the thread, made where it is missing."""
    return make_private(make(home) / backend.NAME)


def make(home: Home) -> Path:
    """The directory that holds all of the thread's, made where it is missing, closed to others."""
    for directory in (home.path.parents[2], home.path.parents[1], home.path.parent, home.path):
        make_private(directory)
    return home.path


def owned(home: Home) -> tuple[Path, ...]:
    """The directories here whose contents belong to the thread's uid."""
    layered = tuple(home.path / place.name for place in places(home))
    local = where_local(home).parent
    return (*layered, local) if local.exists() else layered


def instances(home: Home) -> frozenset[tuple[str, str]]:
    """The kind and build instance of each layer that the thread has on this host, old ones too."""
    return frozenset((place.kind, place.instance) for place in places(home))
