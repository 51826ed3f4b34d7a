"""Which builds a profile's packages are, and whether this host has them. Nothing is started, nothing is written."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from solven_env.builds import pip_pin, store
from solven_env.builds.interpreters import recall
from solven_env.builds.tools import bun_pin, uv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.builds.interpreters import Interpreter
    from solven_env.builds.locks import Lock
    from solven_env.profile import Bun, Python


@dataclass(frozen=True)
class Wanted:
    """A build by its key, and everything that determines its bytes."""

    key: str
    inputs: Mapping[str, object]


@dataclass(frozen=True)
class Builds:
    """The builds of a thread on this host; None where it wants none, or where there is none yet."""

    python: store.Build | None = None
    bun: store.Build | None = None


def find(python: Python | None, bun: Bun | None, lock: Lock, cache: Path, uid: int | None) -> Builds:
    """Those of the profile's builds that are there and whole, in a few milliseconds. `uid` as in `Builder`."""
    found_python = found_bun = None
    if python is not None and (interpreter := recall(python.version, cache)) is not None:
        found_python = store.find(cache, of_python(python, lock.python, interpreter, uid).key)
    if bun is not None:
        found_bun = store.find(cache, of_bun(bun, lock.bun, uid).key)
    return Builds(found_python, found_bun)


def of_python(python: Python, lock: bytes | None, interpreter: Interpreter, uid: int | None) -> Wanted:
    """The build of a `python` section as `lock` (python.txt) pins it; None stands for no packages."""
    return _wanted(
        "python",
        {
            "version": python.version,
            "packages": sorted(python.packages),
            "lock": hashlib.sha256(pip_pin.alone() if lock is None else lock).hexdigest(),
            "interpreter": asdict(interpreter),
            "uv": uv().version,
            "uid": uid,
        },
    )


def of_bun(bun: Bun, lock: bytes | None, uid: int | None) -> Wanted:
    """The build of a `bun` section as `lock` (bun.lock) pins it; None stands for no packages."""
    version, pin = bun_pin()
    return _wanted(
        "bun",
        {
            "packages": dict(bun.packages),
            "lock": hashlib.sha256(lock).hexdigest() if lock is not None else None,
            "bun": {"version": version, "sha256": pin["sha256"]},
            "uid": uid,
        },
    )


def _wanted(kind: store.Kind, inputs: Mapping[str, object]) -> Wanted:
    return Wanted(store.key(kind, inputs), inputs)
