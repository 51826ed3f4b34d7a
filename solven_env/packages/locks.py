"""The lock of a profile's packages: `<profile>.lock/{python.txt,bun.lock,lock.json}`, as data. Pure.

python.txt is a universal requirements file with hashes, bun.lock is Bun's own; both name versions and digests and no
host, so that every mirror can serve them. lock.json ties them to the sections that they were resolved from. It stands
beside them, so that it says who is out of date, and nothing about who wrote them: each text is held to its grammar and
to what the sections ask for, whatever lock.json says.
"""

from __future__ import annotations

import hashlib
import json

from solven_env.errors import LockError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.packages.ecosystems.bun.bun_lock import BunLock
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.profile.sections import Bun, Python

FORMAT = 1
PYTHON, BUN, ABOUT = "python.txt", "bun.lock", "lock.json"
NAMES = (PYTHON, BUN, ABOUT)
AGAIN = "Lock the profile's packages again: solven-env lock PROFILE."
"""What mends a lock that is found wrong where its profile is not known: a build, a record."""


class Lock(NamedTuple):
    """The texts of a lock. None where the profile has no packages of that kind."""

    python: bytes | None = None
    bun: bytes | None = None

    def texts(self) -> dict[str, bytes]:
        """The files that there are, by name, without lock.json."""
        return {name: text for name, text in ((PYTHON, self.python), (BUN, self.bun)) if text is not None}


def digest(python: Python | None, bun: Bun | None) -> str:
    """What a profile asks for, as one digest: of its `python` and `bun` sections only, resolved, order aside."""
    asked = {
        "python": python and {"version": python.version, "packages": sorted(python.packages)},
        "bun": bun and {"packages": dict(bun.packages)},
    }
    return _digest(json.dumps(asked, sort_keys=True).encode())


def mend(profile: str) -> str:
    """What mends the lock of the profile that was named so."""
    return f"Run: solven-env lock {profile}"


def is_needed(python: Python | None, bun: Bun | None) -> bool:
    """Whether there is anything to lock."""
    return bool((python and python.packages) or (bun and bun.packages))


def files(lock: Lock, python: Python | None, bun: Bun | None) -> dict[str, bytes]:
    """The files of a lock that was just resolved for these sections; lock.json last, so that writers end with it."""
    about = {
        "format": FORMAT,
        "asked": digest(python, bun),
        "files": {name: _digest(text) for name, text in lock.texts().items()},
    }
    return {**lock.texts(), ABOUT: (json.dumps(about, indent=2) + "\n").encode()}


def check(found: Mapping[str, bytes], python: Python | None, bun: Bun | None, *, profile: str, where: str) -> Lock:
    """The lock in the files that were found at `where`, if it is the one of these sections; else LockError."""
    if not is_needed(python, bun):
        return Lock()
    fix = mend(profile)
    if ABOUT not in found:
        raise LockError("the lock of the profile's packages is missing", fix=fix, location=where)
    try:
        about = json.loads(found[ABOUT])
        stated, asked, written = about["format"], about["asked"], dict(about["files"])
    except (ValueError, TypeError, KeyError):
        raise LockError(f"{ABOUT} is damaged", fix=fix, location=where) from None
    if stated != FORMAT:
        raise LockError(f"the lock has format {stated}, this solven-env reads {FORMAT}", fix=fix, location=where)
    if asked != digest(python, bun):
        raise LockError("the lock is out of date: the profile's packages changed", fix=fix, location=where)
    wanted = {
        name for name, packages in ((PYTHON, python and python.packages), (BUN, bun and bun.packages)) if packages
    }
    for name in sorted(wanted):
        if name not in found:
            raise LockError(f"the lock has no {name}", fix=fix, location=where)
        if written.get(name) != _digest(found[name]):
            raise LockError(f"{name} was changed since it was locked: restore it or lock anew", fix=fix, location=where)
    lock = Lock(*(found[name] if name in wanted else None for name in (PYTHON, BUN)))
    if python is not None and lock.python is not None:
        believe_python(lock.python, python, f"{where}/{PYTHON}", fix=fix)
    if bun is not None and lock.bun is not None:
        believe_bun(lock.bun, bun, f"{where}/{BUN}", fix=fix)
    return lock


def believe_python(text: bytes, python: Python, file: str, *, fix: str = "") -> tuple[Pin, ...]:
    """The pins of a python.txt. LockError at `file:line` for what its grammar has not, or where it lacks a package."""
    from solven_env.packages import closures
    from solven_env.packages.ecosystems.python import (
        requirements_txt,  # 3 ms: a run believes no lock, its build is there
    )

    pins = requirements_txt.parse(text, file, fix=fix)
    closures.check_python(pins, python, file, fix=fix)
    return pins


def believe_bun(text: bytes, bun: Bun, file: str, *, fix: str = "") -> BunLock:
    """What a bun.lock says. LockError at `file:line` for what its grammar has not, or a package too few or too many."""
    from solven_env.packages import closures
    from solven_env.packages.ecosystems.bun import bun_lock

    lock = bun_lock.parse(text, file, fix=fix)
    closures.check_bun(lock, bun, file, fix=fix)
    return lock


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
