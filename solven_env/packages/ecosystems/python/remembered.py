"""The Python interpreters that were found on this host, and whether one is still the same. Nothing is started."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

from solven_env.system import reread
from solven_env.typed import NamedTuple


class Interpreter(NamedTuple):
    """A CPython on this host, by real paths. `version` is whole (3.12.1), `build` what it says of its making.

    `size` (bytes) and `mtime_ns` of the executable tell a replaced one. `is_movable` says whether it works at another
    path than its own, as python-build-standalone does; others are linked with absolute paths.
    """

    executable: str
    prefix: str
    version: str
    build: str
    platform: str
    is_movable: bool
    size: int
    mtime_ns: int


def recall(version: str, cache: Path) -> Interpreter | None:
    """The interpreter that was found for a profile's `version`, if its executable is still that very file."""
    try:
        found = _parse(reread.read(_memory(version, cache)))
        status = os.stat(found.executable)
    except (OSError, ValueError, TypeError):
        return None
    return found if (status.st_size, status.st_mtime_ns) == (found.size, found.mtime_ns) else None


def files(version: str, cache: Path) -> tuple[Path, ...]:
    """The files that decide what `recall` gives."""
    memory, found = _memory(version, cache), recall(version, cache)
    return (memory, Path(found.executable)) if found else (memory,)


@functools.lru_cache(maxsize=16)
def _parse(text: bytes) -> Interpreter:
    return Interpreter(**json.loads(text))


def remember(version: str, cache: Path, interpreter: Interpreter) -> None:
    """Keep what was found for `recall`."""
    from solven_env.system.publishing import publish_file  # most processes find what was kept

    publish_file(_memory(version, cache), json.dumps(interpreter._asdict(), indent=1).encode(), mode=0o600)


@functools.lru_cache(maxsize=16)
def _memory(version: str, cache: Path) -> Path:
    return cache / "tools" / f"python-{version}.json"
