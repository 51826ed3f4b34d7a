"""The sdists of the packages that a profile allows to be built: fetched once a host, and kept as files of ours.

    <cache>/sdists/<key>/<name>-<version>.zip

The key names the version and the digests that the lock allows. uv fetches each in a place that has the host's network
and credentials and no interpreter, into an empty cache, and holds it to these digests. What it unpacked there is read
through no link, and packed once more into the store, which no sandbox can write.
"""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

from solven_env.errors import BuildError
from solven_env.packages import host_tools, making, programs
from solven_env.packages.ecosystems.python import archives, indexes, stand_in, wheels
from solven_env.packages.ecosystems.python.requirements_txt import print_pins
from solven_env.packages.steps import within
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.request import Request
from solven_env.system.blocks import holding
from solven_env.system.publishing import locked, refusals_told, staged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.making import Builder

_FIX = "Let this host reach its package index, or lock again."
_LARGEST = 4 << 30
"""Bytes of one file of an sdist."""


def obtain(pins: Sequence[Pin], interpreter: Interpreter, builder: Builder, stage: Path) -> dict[Pin, Path]:
    """The sdist of each pin in our store; those that are missing are fetched, in directories beneath `stage`.

    BuildError with uv's last lines: no network, an sdist that does not fit its digests, one that holds links.
    """
    kept = builder.host.cache / "sdists"
    places = {pin: kept / wheels.key(pin) / f"{pin.name}-{pin.version}.zip" for pin in pins}
    missing = [pin for pin, place in places.items() if not _is_kept(place)]
    if missing:
        without_interpreter = stand_in.tools(interpreter, builder, stage)
        for pin in missing:
            within(builder.host.progress, f"fetching the source of {pin.name} {pin.version}")
            asking = builder._replace(host=indexes.asked_for(pin.name, builder.host))
            _fetch(pin, places[pin], without_interpreter, asking, stage)
    return places


def read(sdist: Path, name: str, largest: int = 1 << 20) -> bytes | None:
    """A file at the top of an sdist in the store; None where it has none. BuildError for one larger than `largest`."""
    with refusals_told(sdist), zipfile.ZipFile(sdist) as archive:
        try:
            entry = archive.getinfo(name)
        except KeyError:
            return None
        if entry.file_size > largest:
            raise BuildError(f"{name} of {sdist.stem} has more than {largest >> 20} MiB")
        return archive.read(entry)


def _is_kept(place: Path) -> bool:
    """Tell whether a whole archive is there: a power cut may leave one without its end."""
    return zipfile.is_zipfile(place)


def _fetch(pin: Pin, place: Path, tools: host_tools.Tools, builder: Builder, stage: Path) -> None:
    """Have uv download and unpack one sdist, in a cache of its own, and put it into the store."""
    what = f"the source of {pin.name} {pin.version}"
    argv = (
        *(f"{host_tools.BIN}/uv", "pip", "install", *builder.host.registries.options),
        *("--quiet", "--no-python-downloads", "--python", stand_in.PYTHON, "--target", "/unused"),
        *("--require-hashes", "--no-deps", "--no-build-isolation"),
        *("--only-binary", ":all:", "--no-binary", pin.name, "-r", "/python.txt"),
    )
    with making.make(builder, tools, stage, fetches=True) as sandbox:
        sandbox.write("python.txt", print_pins([pin]).encode())
        ended, said = sandbox.start(Request(argv, limits=Limits(file_size=_LARGEST)))
        unpacked = _unpacked(sandbox.cache, pin) if ended.status == 0 or _has_begun(sandbox) else None
        if unpacked is None:
            raise programs.failure(f"{what} cannot be fetched", said, _FIX)
        _keep(unpacked, place, what)


def _has_begun(sandbox: making.BuildSandbox) -> bool:
    """Tell whether uv came as far as to build: it has held the sdist to its digests then."""
    with making.open_root(sandbox.builder, sandbox.workspace) as root:
        return root.stat(stand_in.BEGUN) is not None


def _unpacked(cache: Path, pin: Pin) -> int | None:
    """The open directory of the one sdist that uv has unpacked in a cache; None for no such."""
    index = ("*", "*/*")  # the default index; another one by a digest of its address, or a page of links
    patterns = (f"uv/sdists-v*/{each}/{pin.name}/{pin.version}/*/src" for each in index)
    found = [path for pattern in patterns for path in cache.glob(pattern)]
    if len(found) != 1:
        return None
    return archives.open_beneath(cache, found[0].relative_to(cache).parts)


def _keep(unpacked: int, place: Path, what: str) -> None:
    """Pack an open directory, which is closed, into the store. Two that do so at once end with one."""
    with holding(unpacked), locked(place.parent.parent, place.parent.name):
        if not _is_kept(place):
            with staged(place.parent) as stage, refusals_told(place):
                archives.pack(archives.of_directory(os.dup(unpacked), what), stage / place.name)
