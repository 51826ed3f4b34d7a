"""The wheels that locks pin: each fetched once a host, held to the digests of the lock, and kept as a file of ours.

    <cache>/wheels/<key>/<name>-<version>-py3-none-any.whl

The key names everything that decides which bytes these are: name, version, the digests that the lock allows, and the
interpreter, for whose platform uv chooses among a release's files. uv checks a digest only while it downloads, and
believes what it once unpacked; so it downloads into an empty cache, and nothing of that cache is used again. What it
unpacked there is packed once more, without compression, into the store, which no sandbox can write, and a large wheel
with its `bytecode`. Such a wheel is chosen by its directory, never by its tags: its name says that it fits everywhere,
so that uv takes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import zipfile
from contextlib import contextmanager
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from solven_env.errors import BuildError
from solven_env.packages import host_tools, making
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import archives, bytecode, indexes
from solven_env.packages.ecosystems.python.file_lists import Machine
from solven_env.packages.ecosystems.python.requirements_txt import Pin, print_pins
from solven_env.packages.steps import watched
from solven_env.profile.pep508 import canonical
from solven_env.system.at_once import at_once, check
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.system.publishing import locked, refusals_told, staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.making import Builder
    from solven_env.packages.toolchain import Toolchain

INFO = re.compile(r"([A-Za-z0-9._]+)-([A-Za-z0-9.!+_]+)\.dist-info")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_LARGEST = 16 << 20  # bytes, as a file of a workspace that is read
_PURPOSE = "the Python packages cannot be fetched"
_HEAD = 4096
_MOST = 4
"""Wheels that are prepared at the same time: each is compiled on all cores."""
_PERIOD = 0.05
"""Seconds between two looks for wheels that uv has unpacked."""
_FIX = "Let this host reach its package index, or lock again."


def obtain(
    pins: Sequence[Pin], interpreter: Interpreter, tools: host_tools.Tools, builder: Builder, stage: Path
) -> dict[Pin, Path]:
    """The wheel of each pin in our store; those that are missing are fetched, in directories beneath `stage`.

    BuildError with uv's last lines: no network, a wheel that does not fit its digest, none for this machine.
    """
    places = {pin: _place(pin, interpreter, builder.host.cache) for pin in pins}
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


def _place(pin: Pin, interpreter: Interpreter, cache: Path) -> Path:
    chosen_by = {
        "name": pin.name,
        "version": pin.version,
        "digests": sorted(pin.digests),
        "python": interpreter.version,
        "build": interpreter.build,
        "platform": interpreter.platform,
    }
    key = hashlib.sha256(json.dumps(chosen_by, sort_keys=True).encode()).hexdigest()[:40]
    return cache / "wheels" / f"{pin.name}-{key}"


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

    Each wheel is prepared as soon as it is unpacked, and put into the store when uv has ended well: it holds a wheel to
    its digests after it has unpacked it.
    """
    progress, ready = builder.host.progress, dict[Pin, Path]()
    with making.make(builder, tools, stage, fetches=True) as place:
        directory = Path(tempfile.mkdtemp(prefix=".wheels-", dir=stage))
        place.write("python.txt", print_pins(missing).encode())
        unpacked = _Unpacked(place.cache / "uv", missing)

        def fetch() -> None:
            with unpacked.filled():
                place.run(
                    *(f"{host_tools.BIN}/uv", "pip", "install", *builder.host.registries.options),
                    *("--quiet", "--no-python-downloads", "--python", row.executable(interpreter.version)),
                    *("--target", "/unused", "--link-mode", "symlink", "--require-hashes", "--no-build", "--no-deps"),
                    *("--no-compile-bytecode", "-r", "/python.txt"),
                    purpose=_PURPOSE,
                    fix=_FIX,
                )

        def prepare() -> None:
            while (taken := unpacked.take()) is not None:
                pin, wheel = taken
                ready[pin] = _prepare(wheel, directory / f"{pin.name}-{pin.version}", interpreter, tools, builder)

        told = "fetching and compiling Python packages"
        with watched(progress, told, lambda: f"{len(ready)} of {len(missing)}"):
            at_once([fetch, *[prepare] * min(_MOST, len(os.sched_getaffinity(0)))])
        for pin in missing:
            if pin not in ready:
                raise BuildError(f"{_PURPOSE}: uv left {pin.name} out", fix=_FIX)
            _keep(ready[pin], places[pin])
        shutil.rmtree(directory)


class _Unpacked:
    """The wheels that uv has unpacked in a cache that was empty, for those who take them, each once."""

    def __init__(self, cache: Path, pins: Sequence[Pin]) -> None:
        self._cache = cache
        self._is_all = threading.Event()
        self._has_failed = False
        self._wanted = {(pin.name, Version(pin.version)): pin for pin in pins}
        self._taken: set[Path] = set()
        self._turn = threading.Lock()

    @contextmanager
    def filled(self) -> Iterator[None]:
        """The block fills the cache. Where it fails, nothing more is to be taken."""
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise
        finally:
            self._is_all.set()

    def take(self) -> tuple[Pin, Path] | None:
        """The directory of a wheel that nobody has taken yet, as soon as there is one; None when all are taken.

        BuildError for one that was not asked for. uv takes no wheel whose one `.dist-info` has another name or version
        than the file that it asked for.
        """
        while True:
            check()
            is_all = self._is_all.is_set()
            with self._turn:
                for directory in sorted(self._cache.glob("archive-v*/*")):
                    if directory not in self._taken and not self._has_failed:
                        self._taken.add(directory)
                        return self._pin(directory), directory
            if is_all or self._has_failed:
                return None
            self._is_all.wait(_PERIOD)

    def _pin(self, directory: Path) -> Pin:
        infos = [info for info in map(INFO.fullmatch, os.listdir(directory)) if info]
        pin = self._wanted.pop((canonical(infos[0][1]), Version(infos[0][2])), None) if len(infos) == 1 else None
        if pin is None:
            raise BuildError(f"{_PURPOSE}: uv unpacked something that was not asked for", fix=_FIX)
        return pin


def _prepare(
    unpacked: Path, directory: Path, interpreter: Interpreter, tools: host_tools.Tools, builder: Builder
) -> Path:
    """A wheel in a new directory: packed from a directory of uv's cache, with its bytecode."""
    wheel, sources = _pack(unpacked, directory, interpreter)
    archives.add(bytecode.compiled(sources, interpreter, tools, builder, directory), wheel)
    sources.file.unlink()
    return wheel


def _pack(unpacked: Path, directory: Path, interpreter: Interpreter) -> tuple[Path, bytecode.WheelSources]:
    with refusals_told(directory):
        directory.mkdir(mode=0o755)
    with refusals_told(unpacked):
        descriptor = os.open(unpacked, READ_DIRECTORY_ITSELF)
        (info,) = filter(INFO.fullmatch, os.listdir(descriptor))
    named = info.removesuffix(".dist-info")
    wheel, sources = directory / f"{named}-py3-none-any.whl", bytecode.WheelSources(directory / "sources", interpreter)
    with refusals_told(directory):
        archives.pack(sources.noted(archives.of_directory(descriptor, f"the wheel of {named}")), wheel)
    return wheel, sources


def _keep(wheel: Path, place: Path) -> None:
    """Put a wheel of ours into the store. Two that do so at once end with one."""
    with locked(place.parent, place.name):
        if kept(place) is None:
            shutil.rmtree(place, ignore_errors=True)
            with staged(place) as stage, refusals_told(wheel):
                wheel.rename(stage / wheel.name)
