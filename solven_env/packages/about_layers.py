"""Layers that are there: what is noted beside one, and whether it is still as it was noted. Every command asks.

    <layer>/about.json    what we know of it; the thread's commands cannot reach it:
        format, key       the key of the build below
        brings            the packages of that build: name and version, by their paths
        fates             what became of each addition when the layer was begun (`Fate`)
        wanted            packages that it should have and has not: still to be installed, or not to be had
        noted             the additions of the thread's record that this host knew last, and the stamp of that moment
        aside             whether the thread was reset since: nothing of it comes along any more

So little is imported and read here: what begins a layer, or compares one with its build, is in `carrying`.
"""

from __future__ import annotations

import functools
import json
import os

from solven_env.errors import WorkspaceError
from solven_env.packages import additions, layers
from solven_env.packages.additions import NONE, Additions
from solven_env.system import reread
from solven_env.system.blocks import READ_DIRECTORY, READ_DIRECTORY_ITSELF, holding
from solven_env.system.durable import write_over
from solven_env.system.publishing import refusals_told
from solven_env.typed import TYPE_CHECKING, NamedTuple
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from solven_env.packages.layers import Home, Layer, Place
    from solven_env.packages.store import Build
    from solven_env.sandbox.backends.protocol import Backend

FORMAT = 1
_ABOUT = "about.json"


class Fate(NamedTuple):
    """The end of one addition. `kind` is the ecosystem, `command` adds what is left, where one can.

    `fate` is one of `carried` (its files came along), `installed` (by name and version, inside), `brought` (the build
    brings it now), `removed` (it stays removed) and `left` (not carried; `name` may be the path of a file).
    """

    kind: str
    name: str
    version: str
    fate: str
    why: str = ""
    command: str = ""


class Begun(NamedTuple):
    """A layer that is there. `own` is what `launch.Stacked` takes, and `path` its upper directory or the copy.

    `to_install` has versions by name.

    `noted` are the additions that were noted last, and `noted_stamp` is the stamp of then. `is_new` is true for one
    that was begun just now; `old` is the directory of the layer in whose place it was, which stays.
    """

    own: Layer | str
    path: Path
    fates: tuple[Fate, ...]
    to_install: Mapping[str, str]
    noted: Additions = NONE
    noted_stamp: str = ""
    is_new: bool = False
    old: Path | None = None


class LayerAbout(NamedTuple):
    """The contents of about.json. `brings` is None for a layer of an earlier version, of which nobody knows."""

    key: str = ""
    brings: Mapping[str, tuple[str, str]] | None = None
    fates: tuple[Fate, ...] = ()
    wanted: Mapping[str, str] = {}
    stamp: str = ""
    noted: Additions | None = None
    is_aside: bool = False

    @property
    def to_install(self) -> dict[str, str]:
        """The packages that are still to be installed: until that is settled, their fates have the command."""
        return {each.name: each.version for each in self.fates if each.fate == "installed" and each.command}

    @property
    def known(self) -> Additions:
        """The additions of the record that this host knew last."""
        return self.noted or NONE

    def meant(self, found: Additions) -> Additions:
        """The additions that the layer is meant to have, where these were found in it."""
        return found._replace(packages={**self.wanted, **found.packages})


def find(home: Home, build: Build, backend: Backend, uid: int | None) -> Begun | None:
    """The thread's layer above a build, as it was begun and noted; None where there is none.

    Under root it belongs to `uid`, the thread's.
    """
    now = place(home, build, backend)
    if now is None:
        return None
    layer, own = layers.at(home, now), layers.own_at(home, now, backend)
    if backend.HAS_MOUNTS and uid is not None and own.stat().st_uid != uid:
        for directory in (layer.upper, layer.work):
            layers.give(directory, uid)
    about = read(home, now, build)
    stacked = layer if backend.HAS_MOUNTS else str(own)
    return Begun(stacked, own, about.fates, about.to_install, about.known, about.stamp)


def place(home: Home, build: Build, backend: Backend) -> Place | None:
    """The present layer, if it is above this build and complete."""
    now = layers.present(home, build.kind)
    is_begun = now is not None and now.instance == build.instance and layers.own_at(home, now, backend).is_dir()
    return now if is_begun else None


def stamp(root: Root, watched: Iterable[str]) -> str:
    """The times of a layer's directories to which packages add entries, and of those above them.

    One that is missing counts too: when the kernel brings a directory of the build into the layer, it leaves the time
    of the one above it as it was (`ovl_copy_up_one`). OSError and WorkspaceError where one cannot be looked at.
    """
    paths = {""}
    for path in watched:
        names = path.split("/")
        paths |= {"/".join(names[: number + 1]) for number in range(len(names))}
    return "\0".join(f"{path}:{_time(root, path)}" for path in sorted(paths))


def _time(root: Root, path: str) -> str:
    try:
        return str(root.about(path)[2])
    except (FileNotFoundError, NotADirectoryError):
        return "missing"


def is_as_noted(own: Path, noted: str) -> bool:
    """True if no package was added to a layer, or removed from it, since it had this stamp.

    `own` is its upper directory, or the copy.
    """
    try:
        descriptor = os.open(own, READ_DIRECTORY_ITSELF)
    except OSError:
        return not noted
    with Root(descriptor, None) as root:
        try:
            pairs = (each.rpartition(":") for each in noted.split("\0"))
            return bool(noted) and all(_time(root, path) == time for path, _, time in pairs)
        except (OSError, WorkspaceError):
            return False


def read(home: Home, place: Place | None, build: Build | None) -> LayerAbout:
    """The contents of a layer's about.json; nothing of one that is not above `build`.

    Of a layer of an earlier version, which wrote nothing, it is what `build` brings.
    """
    if place is None or (build is not None and place.instance != build.instance):
        return LayerAbout()
    try:
        about = _parse(reread.read(f"{home.path}/{place.name}/{_ABOUT}"))
        if about is not None:
            return about
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    if build is None:
        return LayerAbout()
    from solven_env.packages import added

    return LayerAbout(build.key, {each.path: (each.name, each.version) for each in added.brought(build)})


@functools.lru_cache(maxsize=64)
def _parse(text: bytes) -> LayerAbout | None:
    """The contents of an about.json; None for those of another format."""
    found = json.loads(text)
    if found["format"] != FORMAT:
        return None
    return LayerAbout(
        found["key"],
        {path: (name, version) for path, (name, version) in found["brings"].items()},
        tuple(Fate(*each) for each in found["fates"]),
        found["wanted"],
        found["noted"]["stamp"],
        additions.from_json(found["noted"]["added"]),
        found.get("aside") is True,
    )


def write(directory: Path, about: LayerAbout) -> None:
    value: dict[str, Any] = {
        "format": FORMAT,
        "key": about.key,
        "brings": about.brings,
        "fates": about.fates,
        "wanted": about.wanted,
        "noted": {"stamp": about.stamp, "added": about.known.as_json()},
        "aside": about.is_aside,
    }
    data = json.dumps(value).encode()
    with refusals_told(directory), holding(os.open(directory, READ_DIRECTORY)) as descriptor:
        write_over(descriptor, _ABOUT, f".{_ABOUT}-{os.urandom(4).hex()}", data, mode=0o600)
