"""Programs that a profile's packages need of the host, and that the thread's commands would not find.

They are looked for from outside, on the PATH that commands have, through the mounts as they are: in what the host's own
paths show, in builds, and among the tools that solven-env gives every sandbox. What stands in the workspace, in a
layer, in memory or behind a link to another thread does not count, because an agent writes there.
"""

from __future__ import annotations

import os
import posixpath
import stat

from solven_env.packages import host_tools
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.run import launch
from solven_env.sandbox import host_programs
from solven_env.system import directories
from solven_env.system.lately import lately
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from solven_env.packages.store import Build

_LINKS = 40
"""Symbolic links in one path that the kernel follows (path_resolution(7))."""


class ShownPaths(NamedTuple):
    """The host paths that stand inside, by their targets, None for what an agent writes or what is empty; and these
    targets with all directories above them.
    """

    sources: Mapping[str, str | None]
    mounted: Collection[str]


class MissingProgram(NamedTuple):
    """A program that is missing: its name, what needs it, and the distribution's package, if the profile names one."""

    program: str
    why: str
    package: str = ""


def find(
    settings: Mapping[str, Any], storage: Path | None, builds: Iterable[Build | None]
) -> tuple[MissingProgram, ...]:
    """The missing ones of the programs that the settings of a launch name; `builds` are the thread's, None for one
    that is not there. Without a `storage` no link counts.

    A program costs a look at each directory of PATH until it is found; without programs nothing is looked at.
    """
    programs = settings.get("programs")
    if not programs:
        return ()
    given = _given(_tools(settings))
    shown = _shown(settings, storage, tuple(filter(None, builds)))
    places = [(part, _directory(part, shown)) for part in launch.path(settings)]
    return tuple(
        MissingProgram(name, each["why"], each["package"])
        for name, each in sorted(programs.items())
        if not any(f"{part}/{name}" in given or _is_found(part, place, name, shown) for part, place in places)
    )


def told(missing: Sequence[MissingProgram]) -> str:
    """The missing programs in words, on one line.

    >>> told([MissingProgram("tesseract", "pytesseract", "tesseract-ocr")])
    'tesseract is not on this host (pytesseract needs it)'
    """
    return "; ".join(f"{each.program} is not on this host ({each.why} needs it)" for each in missing)


def fix(missing: Sequence[MissingProgram]) -> str:
    """A command that installs the packages of the missing programs, and the names of those without one."""
    packages = tuple(dict.fromkeys(each.package for each in missing if each.package))
    names = ", ".join(each.program for each in missing if not each.package)
    parts = (host_programs.installing(*packages) if packages else "", f"Install {names}." if names else "")
    return " ".join(filter(None, parts))


def _tools(settings: Mapping[str, Any]) -> host_tools.Tools:
    """The tools that every sandbox has beside its mounts."""
    cache = directories.cache()
    sections = {name: row.section(settings[name]) for name, row in ECOSYSTEMS.items() if settings.get(name)}
    return host_tools.joined(row.known_tools(sections.get(name), cache) for name, row in ECOSYSTEMS.items())


@lately(16)
def _given(tools: host_tools.Tools) -> Collection[str]:
    """The paths at which the tools stand."""
    placed = (*(each.path for each in tools.files), *(each.path for each in tools.links))
    return frozenset((*(each.target for each in tools.mounts), *placed))


@lately(16)
def _shown(settings: Mapping[str, Any], storage: Path | None, builds: Iterable[Build]) -> ShownPaths:
    shown: dict[str, str | None] = {each["target"]: each["source"] or None for each in settings["mounts"]}
    for link in settings["links"]:
        is_shared = link["access"] == "read-only" and link["to"].split("/")[0] == "skills"
        shown[f"/{link['path']}"] = str(storage / link["to"]) if is_shared and storage else None
    shown |= {ECOSYSTEMS[build.kind].TARGET: str(build.tree) for build in builds}
    return ShownPaths(shown, frozenset(above for target in shown for above in _ancestors(target)))


def _directory(path: str, shown: ShownPaths) -> str | None:
    """The host path of a directory that commands see at `path`; None where there is none."""
    try:
        return _followed(path, shown)
    except OSError:
        return None


def _is_found(part: str, place: str | None, name: str, shown: ShownPaths) -> bool:
    """True if a command finds a program in the directory `part`, whose host path is `place`."""
    path = f"{part}/{name}"
    if path not in shown.mounted and (place is None or not os.path.lexists(f"{place}/{name}")):
        return False
    return _is_program(path, shown)


def _is_program(path: str, shown: ShownPaths) -> bool:
    """True if a command finds a file at `path` that it may execute."""
    try:
        found = _followed(path, shown)
        about = os.stat(found) if found else None  # noqa: PTH116 - a path of the host's, with links no more
    except OSError:
        return False
    if found is None or about is None or not stat.S_ISREG(about.st_mode):
        return False
    # Commands of root's threads run as another uid, whom the last bits are for.
    return bool(about.st_mode & 0o001) if os.geteuid() == 0 else os.access(found, os.X_OK)


def _followed(path: str, shown: ShownPaths) -> str | None:
    """The host path of what a command finds at `path`, its links followed as they lead inside; None for nothing.

    OSError where it is not there.
    """
    done, left, links = "", path.split("/"), 0
    while left:
        part = left.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            done = posixpath.dirname(done).rstrip("/")
            continue
        done = f"{done}/{part}"
        if done in shown.mounted:
            continue  # a mount point, or a directory above one: never a link
        source = _source(done, shown)
        if source is None:
            return None
        if stat.S_ISLNK(os.lstat(source).st_mode):
            links += 1
            if links > _LINKS:
                return None
            to = os.readlink(source)  # noqa: PTH115 - text, of which no part is dropped
            done = "" if to.startswith("/") else posixpath.dirname(done).rstrip("/")
            left = [*to.split("/"), *left]
    return _source(done, shown)


def _source(path: str, shown: ShownPaths) -> str | None:
    """The host path that the nearest mount above shows at `path`."""
    for above in _ancestors(path):
        if above in shown.sources:
            source = shown.sources[above]
            return None if source is None else source + path[len(above) :]
    return None


def _ancestors(path: str) -> Iterator[str]:
    """The path itself, then the directories above it, the nearest first."""
    while path:
        yield path
        path = path.rpartition("/")[0]
