"""The wheels that locks pin: each fetched once a host, held to the digests of the lock, and kept as a file of ours.

    <cache>/wheels/<key>/<name>-<version>-py3-none-any.whl

The key names everything that decides which bytes these are: name, version, the digests that the lock allows, and the
interpreter, for whose platform uv chooses among a release's files. uv checks a digest only while it downloads, and
believes what it once unpacked; so it downloads into an empty cache, and nothing of that cache is used again. What it
unpacked there is packed once more, without compression, into the store, which no sandbox can write. Such a wheel is
chosen by its directory, never by its tags: its name says that it fits everywhere, so that uv takes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from email.parser import BytesParser
from typing import TYPE_CHECKING

from packaging.version import Version

from solven_env.errors import BuildError, counted
from solven_env.packages import host_tools, making
from solven_env.packages.ecosystems.python import archives, executable, indexes
from solven_env.packages.ecosystems.python.file_lists import Machine
from solven_env.packages.ecosystems.python.requirements_txt import print_pins
from solven_env.packages.steps import watched, within
from solven_env.profile.pep508 import canonical
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.system.publishing import locked, refusals_told, staged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.making import Builder
    from solven_env.packages.toolchain import Toolchain

INFO = re.compile(r"([A-Za-z0-9._]+)-([A-Za-z0-9.!+_]+)\.dist-info")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_LARGEST = 16 << 20  # bytes, as a file of a workspace that is read
_PURPOSE = "the Python packages cannot be fetched"
_HEAD = 4096
_DECIDING = {"python": "version", "build": "build", "platform": "platform"}
"""The fields of an interpreter that decide what is had for it, by their names in a key."""
_FIX = "Let this host reach its package index, or lock again."


def obtain(
    pins: Sequence[Pin], interpreter: Interpreter, tools: host_tools.Tools, builder: Builder, stage: Path
) -> dict[Pin, Path]:
    """The wheel of each pin in our store; those that are missing are fetched, in directories beneath `stage`.

    BuildError with uv's last lines: no network, a wheel that does not fit its digest, none for this machine.
    """
    places = {pin: builder.host.cache / "wheels" / key(pin, interpreter) for pin in pins}
    missing = [pin for pin, place in places.items() if kept(place) is None]
    if missing:
        for host, share in indexes.shares((pin.name for pin in missing), builder.host):
            asked = [pin for pin in missing if pin.name in share]
            try:
                _fetch(places, asked, interpreter, tools, builder._replace(host=host), stage)
            except BuildError as error:
                raise _explained(error, asked, interpreter, host) from None
    found = {pin: kept(place) for pin, place in places.items()}
    return {pin: wheel for pin, wheel in found.items() if wheel is not None}


def _explained(error: BuildError, pins: Sequence[Pin], interpreter: Interpreter, host: Toolchain) -> BuildError:
    """The error in the place of uv's where it found no wheel for this machine: it names all packages that have none."""
    if "wheels" not in error.message:
        return error
    from solven_env.packages.ecosystems.python import refusals, wheels_only

    python = ".".join(interpreter.version.split(".")[:2])
    machine = _machine(interpreter)
    lacking = wheels_only.lacking_on(machine, [f"{pin.name}=={pin.version}" for pin in pins], python, host)
    return refusals.not_here(lacking, machine, python) if lacking else error


def _machine(interpreter: Interpreter) -> Machine:
    """The kind of this machine. An ELF file names the loader of its C library at its beginning."""
    with open(interpreter.executable, "rb") as file:
        libc = "musl" if b"/ld-musl-" in file.read(_HEAD) else "glibc"
    return Machine(libc, os.uname().machine)


def requirements_of(wheel: Path) -> tuple[str, ...]:
    """The requirements of a wheel in the store: its `Requires-Dist`, as PEP 508 requirements."""
    metadata = BytesParser().parsebytes(metadata_of(wheel), headersonly=True)
    return tuple(str(line) for line in metadata.get_all("Requires-Dist", ()))


def metadata_of(wheel: Path) -> bytes:
    """The METADATA of a wheel in the store."""
    with refusals_told(wheel), zipfile.ZipFile(wheel) as archive:
        found = [entry for entry in archive.infolist() if _METADATA.fullmatch(entry.filename)]
        if len(found) != 1 or found[0].file_size > _LARGEST:
            raise BuildError(f"{wheel.name} does not say what it needs: it has no METADATA that can be read", fix=_FIX)
        return archive.read(found[0])


def key(pin: Pin, interpreter: Interpreter | None = None, **more: object) -> str:
    """The name that what is had of a pin is kept under, by everything that decides its bytes."""
    decided_by = {"name": pin.name, "version": pin.version, "digests": sorted(pin.digests), **more}
    if interpreter is not None:
        decided_by |= {name: getattr(interpreter, field) for name, field in _DECIDING.items()}
    return f"{pin.name}-{hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()[:40]}"


def kept(place: Path) -> Path | None:
    """The wheel at a place of the store; None where there is none, or one that a power cut left without its end."""
    return next(filter(zipfile.is_zipfile, place.glob("*.whl")), None)


def _fetch(
    places: Mapping[Pin, Path],
    missing: Sequence[Pin],
    interpreter: Interpreter,
    tools: host_tools.Tools,
    builder: Builder,
    stage: Path,
) -> None:
    """Have uv download and unpack wheels, and put what is then in its cache into the store.

    uv has no command that only fetches: it links them into a directory, too, that nobody looks at.
    """
    progress = builder.host.progress
    with making.make(builder, tools, stage, fetches=True) as place:
        place.write("python.txt", print_pins(missing).encode())
        cache = place.cache / "uv"
        with watched(progress, "fetching Python packages", lambda: f"{len(_archives(cache))} of {len(missing)}"):
            place.run(
                *(f"{host_tools.BIN}/uv", "pip", "install", *builder.host.registries.options),
                *("--quiet", "--no-python-downloads", "--python", executable(interpreter.version)),
                *("--target", "/unused", "--link-mode", "symlink", "--require-hashes", "--no-build", "--no-deps"),
                *("--no-compile-bytecode", "-r", "/python.txt"),
                purpose=_PURPOSE,
                fix=_FIX,
            )
        within(progress, f"keeping {counted(len(missing), 'Python package')}")
        for pin, directory in _unpacked(cache, missing).items():
            _keep(directory, places[pin])


def _archives(cache: Path) -> list[Path]:
    """The directories of the wheels that uv has unpacked in a cache."""
    return sorted(cache.glob("archive-v*/*"))


def _unpacked(cache: Path, pins: Sequence[Pin]) -> Mapping[Pin, Path]:
    """The directory of each pin's wheel in a cache of uv's that was empty. BuildError where they are not these.

    uv takes no wheel whose one `.dist-info` has another name or version than the file that it asked for.
    """
    wanted = {(pin.name, Version(pin.version)): pin for pin in pins}
    found: dict[Pin, Path] = {}
    for directory in _archives(cache):
        infos = [info for info in map(INFO.fullmatch, os.listdir(directory)) if info]
        pin = wanted.pop((canonical(infos[0][1]), Version(infos[0][2])), None) if len(infos) == 1 else None
        if pin is None:
            raise BuildError(f"{_PURPOSE}: uv unpacked something that was not asked for", fix=_FIX)
        found[pin] = directory
    if wanted:
        raise BuildError(f"{_PURPOSE}: uv left {next(iter(wanted.values())).name} out", fix=_FIX)
    return found


def _keep(unpacked: Path, place: Path) -> None:
    """Pack a directory of uv's cache into a wheel of the store. Two that do so at once end with one."""
    with locked(place.parent, place.name):
        if kept(place) is not None:
            return
        shutil.rmtree(place, ignore_errors=True)
        with staged(place) as stage, refusals_told(unpacked):
            descriptor = os.open(unpacked, READ_DIRECTORY_ITSELF)
            (info,) = filter(INFO.fullmatch, os.listdir(descriptor))
            named = info.removesuffix(".dist-info")
            archives.pack(
                archives.of_directory(descriptor, f"the wheel of {named}"), stage / f"{named}-py3-none-any.whl"
            )
