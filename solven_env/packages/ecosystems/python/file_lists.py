"""The files of releases, as uv lists them in a pylock.toml (PEP 751), and the machines that they are for. Pure."""

from __future__ import annotations

import functools
import posixpath
import re
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

OLDEST = "3.8"
"""The oldest Python that other Pythons than the profile's are looked for from."""
_PLATFORM = re.compile(r"(?P<libc>manylinux|musllinux|linux)(?:1|2010|2014|_[0-9]+_[0-9]+)?_(?P<machine>[a-z0-9_]+)")
# PEP 600 and 656; the bare linux_* of older wheels says nothing of the C library
_LIBCS = {"manylinux": ("glibc",), "musllinux": ("musl",), "linux": ("glibc", "musl")}


class Machine(NamedTuple):
    """A kind of Linux machine: its C library (glibc, musl), and its processor as `uname -m` tells it."""

    libc: str
    processor: str


MACHINES = tuple(Machine(libc, processor) for libc in ("glibc", "musl") for processor in ("x86_64", "aarch64"))
"""The machines that a lock should hold on."""


class Release(NamedTuple):
    """One version of a package, as a resolution has it: its marker (None for everywhere), wheels by name of the file.

    uv leaves wheels out that are for older Pythons than the resolution.
    """

    name: str
    version: str
    marker: str | None
    wheels: tuple[str, ...]
    has_sdist: bool


def parse(pylock: str) -> tuple[Release, ...]:
    """The releases in a pylock.toml that uv wrote."""
    return tuple(
        Release(
            each["name"],
            each["version"],
            each.get("marker"),
            tuple(map(_file_name, each.get("wheels", ()))),
            "sdist" in each,
        )
        for each in tomllib.loads(pylock).get("packages", ())
    )


def _file_name(file: Mapping[str, Any]) -> str:
    where = file.get("url") or file.get("path") or ""
    return str(file.get("name") or posixpath.basename(unquote(where.partition("#")[0])))


def machines(wheels: Iterable[str], python: str) -> frozenset[Machine]:
    """The Linux machines on which CPython `python` (3.12) can install one of these wheels.

    >>> sorted(machines(["a-1-cp312-cp312-musllinux_1_2_x86_64.whl", "a-1-cp312-cp312-win_amd64.whl"], "3.12"))
    [Machine(libc='musl', processor='x86_64')]
    """
    return frozenset(
        machine
        for interpreter, abi, platform in _tags(wheels)
        if (interpreter, abi) in _accepted(python)
        for machine in _machines(platform)
    )


def other_pythons(wheels: Iterable[str], newest: str) -> tuple[str, ...]:
    """The Pythons from OLDEST to `newest` for which there is one of these wheels on Linux."""
    return tuple(version for version in pythons(OLDEST, newest) if machines(wheels, version))


def systems(wheels: Iterable[str]) -> tuple[str, ...]:
    """The other systems that wheels are for: Windows, macOS."""
    platforms = {platform.partition("_")[0] for _, _, platform in _tags(wheels)}
    known = (("Windows", {"win", "win32"}), ("macOS", {"macosx"}))
    return tuple(name for name, prefixes in known if platforms & prefixes)


def pythons(first: str, last: str) -> tuple[str, ...]:
    """The versions from one to another.

    >>> pythons("3.9", "3.11")
    ('3.9', '3.10', '3.11')
    """
    return tuple(f"3.{number}" for number in range(minor(first), minor(last) + 1))


def minor(version: str) -> int:
    """The second number of a version of Python."""
    return int(version.split(".")[1])


def on_linux(releases: Sequence[Release], python: str) -> dict[str, Release]:
    """By name, the release that Linux machines with Python `python` (3.12) get."""
    found: dict[str, Release] = {}
    for environment in _environments(python):
        for release in releases:
            if release.name not in found and _applies(release.marker, environment):
                found[release.name] = release
    return found


def told_machines(lacking: Collection[Machine]) -> str:
    """Kinds of Linux machines in words.

    >>> told_machines([machine for machine in MACHINES if machine.libc == "musl"])
    'Linux with musl (Alpine)'
    """
    parts = []
    for libc, system in (("glibc", "Linux with glibc"), ("musl", "Linux with musl (Alpine)")):
        kinds = {machine for machine in MACHINES if machine.libc == libc}
        of_libc = [machine for machine in lacking if machine.libc == libc]
        processors = " and ".join(machine.processor for machine in sorted(of_libc, reverse=True))
        if processors:
            parts.append(system if kinds <= set(of_libc) else f"{system} on {processors}")
    return " and ".join(parts)


def _environments(python: str) -> Iterator[dict[str, str]]:
    """The variables of markers on Linux, with the first and with a late release of a Python."""
    for processor in ("x86_64", "aarch64"):
        for release in (f"{python}.0", f"{python}.99"):
            yield {
                **pep508.environment(release),
                "os_name": "posix",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "platform_machine": processor,
                "platform_release": "6.0",
                "platform_version": "",
            }


def _applies(marker: str | None, environment: Mapping[str, str]) -> bool:
    try:
        return pep508.applies(marker or "", environment)
    except ValueError:  # it compares what cannot be compared
        return True


def _tags(wheels: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for wheel in wheels:
        try:
            tags = parse_wheel_filename(wheel)[3]
        except InvalidWheelFilename:
            continue
        yield from ((tag.interpreter, tag.abi, tag.platform) for tag in tags)


@functools.cache
def _accepted(python: str) -> frozenset[tuple[str, str]]:
    """The tags of interpreters and ABIs whose wheels CPython `python` installs."""
    version = (3, minor(python))
    known = f"cp3{minor(python)}"
    abis = [known] if version >= (3, 8) else [known, f"{known}m"]  # PEP 3149's "m" went with 3.8
    tags = (*cpython_tags(version, abis, ["any"]), *compatible_tags(version, known, ["any"]))
    return frozenset((tag.interpreter, tag.abi) for tag in tags)


def _machines(platform: str) -> Iterator[Machine]:
    if platform == "any":
        yield from MACHINES
    elif found := _PLATFORM.fullmatch(platform):
        yield from (Machine(libc, found["machine"]) for libc in _LIBCS[found["libc"]])
