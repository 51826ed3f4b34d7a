"""Which builds a profile's packages are, and whether this host has them. Nothing is started, nothing is written."""

from __future__ import annotations

import hashlib

from solven_env.builds import pip_pin, store
from solven_env.builds.remembered import recall
from solven_env.builds.tools import bun_pin, uv
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.builds.remembered import Interpreter
    from solven_env.profile.sections import Bun, Python


class Wanted(NamedTuple):
    """A build by its key, and everything that determines its bytes."""

    key: str
    inputs: Mapping[str, object]


def find_python_build(python: Python, lock: bytes | None, cache: Path, uid: int | None) -> store.Build | None:
    """The build of a `python` section, if this host has it whole, in a few milliseconds. `uid` as in `Builder`.

    No interpreter is looked for: without one that was found earlier there is no build either.
    """
    interpreter = recall(python.version, cache)
    return None if interpreter is None else store.find(cache, of_python(python, lock, interpreter, uid).key)


def find_bun_build(bun: Bun, lock: bytes | None, cache: Path, uid: int | None) -> store.Build | None:
    """The build of a `bun` section, if this host has it whole. `uid` as in `Builder`."""
    return store.find(cache, of_bun(bun, lock, uid).key)


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
