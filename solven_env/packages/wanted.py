"""Which builds a profile's packages are, and whether this host has them. Nothing is started, nothing is written."""

from __future__ import annotations

import hashlib

from solven_env.packages import store
from solven_env.packages.ecosystems.python import pip_pin
from solven_env.packages.ecosystems.python.remembered import recall
from solven_env.packages.tools import bun_pin, uv
from solven_env.profile.sections import Bun
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.profile.sections import Python


class Wanted(NamedTuple):
    """A build by its key, and everything that determines its bytes."""

    key: str
    inputs: Mapping[str, object]


def find(section: Python | Bun, lock: bytes | None, cache: Path, uid: int | None) -> store.Build | None:
    """The build of a section, if this host has it whole, in a few milliseconds. `uid` as in `Builder`."""
    key = known_key(section, lock, cache, uid)
    return store.find(cache, key) if key else None


def known_key(section: Python | Bun, lock: bytes | None, cache: Path, uid: int | None) -> str | None:
    """The key of the build of a section on this host; None where no interpreter was found yet that it could be for."""
    if isinstance(section, Bun):
        return of_bun(section, lock, uid).key
    interpreter = recall(section.version, cache)
    return of_python(section, lock, interpreter, uid).key if interpreter else None


def of_python(python: Python, lock: bytes | None, interpreter: Interpreter, uid: int | None) -> Wanted:
    """The build of a `python` section as `lock` (python.txt) pins it; None stands for no packages."""
    return _wanted(
        "python",
        {
            "version": python.version,
            "packages": sorted(python.packages),
            "lock": hashlib.sha256(pip_pin.alone() if lock is None else lock).hexdigest(),
            "interpreter": interpreter._asdict(),
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
