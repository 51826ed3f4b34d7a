"""The two programs that lock and install, as this host has them: which file, which version. Nothing is started."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from solven_env.errors import PlatformError
from solven_env.typed import NamedTuple


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


def _version(package: Path) -> str:
    """The version of an installed wheel, from the name of its metadata: importlib.metadata costs 16 ms."""
    for path in package.parent.glob(f"{package.name}-*.dist-info"):
        return path.name.removesuffix(".dist-info").partition("-")[2]
    from importlib.metadata import version

    return version(package.name)
