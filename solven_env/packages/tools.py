"""The two programs that lock and install, as this host has them: which file, which version. Nothing is started."""

from __future__ import annotations

import functools
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from solven_env.errors import PlatformError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_PINS = Path(__file__).with_name("bun.json")


class Tool(NamedTuple):
    """A program of ours on this host."""

    path: Path
    version: str


@functools.cache
def uv() -> Tool:
    """The uv that came with us. PlatformError where that wheel has none for this machine or was damaged."""
    try:
        import uv as wheel

        # In a virtual environment it is here, and asking the wheel costs 3 ms.
        beside = Path(sys.prefix) / "bin" / "uv"
        is_there = sys.prefix != sys.base_prefix and os.access(beside, os.X_OK)
        path = beside if is_there else Path(wheel.find_uv_bin())
        return Tool(path, _version(Path(wheel.__file__).parent))
    except (ImportError, FileNotFoundError) as error:
        said = " ".join(str(error).split())  # uv's wheel tells on many lines where it looked
        raise PlatformError(f"our uv is not there: {said}", fix="Install solven-env again.") from None


def bun(cache: Path) -> Tool:
    """Where the pinned Bun is, or will be, in our own directory. PlatformError where Bun knows no such machine."""
    version, pin = bun_pin()
    return Tool(cache / "tools" / f"bun-{version}-{pin['sha256'][:16]}" / "bun", version)


def is_bun_there(tool: Tool) -> bool:
    """Whether the executable that was held to its digest when it came is still of its size."""
    try:
        about = tool.path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return about.st_size == bun_pin()[1]["size"] and bool(about.st_mode & 0o100)


@functools.cache
def bun_pin() -> tuple[str, Mapping[str, Any]]:
    """The version of Bun that we use, and for this machine `size` in bytes and `sha256` of its executable."""
    pins = json.loads(_PINS.read_text())
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    name = f"{machine}-{_libc()}"
    if sys.platform != "linux" or name not in pins["platforms"]:
        raise PlatformError(f"there is no Bun for {sys.platform} {name}", fix="Use Linux on x86_64 or aarch64.")
    return pins["version"], pins["platforms"][name]


def _version(package: Path) -> str:
    """The version of an installed wheel, from the name of its metadata: importlib.metadata costs 16 ms."""
    for path in package.parent.glob(f"{package.name}-*.dist-info"):
        return path.name.removesuffix(".dist-info").partition("-")[2]
    from importlib.metadata import version

    return version(package.name)


def _libc() -> str:
    try:
        return "glibc" if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc") else "musl"
    except ValueError:  # musl knows no such name
        return "musl"
