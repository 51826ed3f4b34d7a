"""Whether a lock has all that a profile asks for, and nothing that nobody asks for. Pure.

What a package asks for is not in python.txt: it stands in the package's own metadata, which is there when a build is
made. bun.lock repeats it, so that it is held against the packages' own then.
"""

from __future__ import annotations

import re

from solven_env.errors import LockError
from solven_env.packages.ecosystems.bun import bun_lock
from solven_env.packages.ecosystems.python.pip_pin import with_pip
from solven_env.profile import npm, pep508
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from solven_env.packages.ecosystems.bun.bun_lock import BunLock
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.profile.pep508 import Requirement
    from solven_env.profile.sections import Bun, Python


_MAX_REQUIREMENT = 8 << 10
_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]")


def check_python(pins: Sequence[Pin], python: Python, file: str, *, fix: str = "") -> None:
    """LockError at the file where a package that the profile asks for, or pip, has no pin, or one that does not fit."""
    found: dict[str, list[Pin]] = {}
    for pin in pins:
        found.setdefault(pin.name, []).append(pin)
    for text in with_pip(python.packages):
        asked = pep508.parse(text)
        if asked is None:
            raise LockError(f"'{text}' is no requirement", fix=fix, location=file)
        candidates = found.get(asked.name, [])
        unfit = [pin for pin in candidates if not pep508.satisfies(pin.version, asked.specifier)]
        if unfit and (not asked.marker or len(unfit) == len(candidates)):
            what = f"{asked.name} {unfit[0].version} is not what the profile asks for: {text}"
            raise LockError(what, fix=fix, location=f"{file}:{unfit[0].line}")
        if not candidates and _is_true(asked.marker, pep508.environment(python.version) if asked.marker else {}):
            raise LockError(f"the lock has no pin for {text}, which the profile asks for", fix=fix, location=file)


def applicable_python(
    pins: Sequence[Pin], environment: Mapping[str, str], file: str, *, fix: str = ""
) -> tuple[Pin, ...]:
    """The pins whose markers are true in `environment` (`pep508.environment`). LockError where two are of one name."""
    found: dict[str, Pin] = {}
    for pin in pins:
        try:
            is_applicable = pep508.applies(pin.marker or "", environment)
        except ValueError:
            what = f"the marker of {pin.name} compares what cannot be compared"
            raise LockError(what, fix=fix, location=f"{file}:{pin.line}") from None
        if is_applicable and pin.name in found:
            raise LockError(f"{pin.name} is pinned twice for this machine", fix=fix, location=f"{file}:{pin.line}")
        if is_applicable:
            found[pin.name] = pin
    return tuple(found.values())


def refuse_unasked_python(
    pins: Sequence[Pin],
    packages: Sequence[str],
    metadata: Mapping[tuple[str, str], Sequence[str]],
    environment: Mapping[str, str],
    file: str,
    *,
    fix: str = "",
) -> None:
    """LockError at the first pin that neither the profile's `packages` nor anything that they need asks for.

    `metadata` has the `Requires-Dist` lines of every pin that applies in `environment`, by its name and version as
    they are pinned.
    """
    applicable = {pin.name: pin for pin in applicable_python(pins, environment, file, fix=fix)}
    asked: set[tuple[str, str]] = set()
    pending = [(package, "") for package in with_pip(packages)]
    while pending:
        text, extra = pending.pop()
        requirement = _lenient(text)
        pin = applicable.get(requirement.name)
        if pin is None or not _is_true(requirement.marker, {**environment, "extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            if (pin.name, wanted) not in asked:
                asked.add((pin.name, wanted))
                pending += ((line, wanted) for line in metadata[pin.name, pin.version])
    for pin in applicable.values():
        if (pin.name, "") not in asked:
            raise LockError(f"nothing asks for {pin.name} {pin.version}", fix=fix, location=f"{file}:{pin.line}")


def check_bun(lock: BunLock, bun: Bun, file: str, *, fix: str = "") -> None:
    """LockError at the file, or its line, where a package that is needed is missing or does not fit, or is not needed.

    What packages need is what the lock says of them: `refuse_unasked_bun` has it from themselves.
    """
    if dict(lock.asked) != dict(bun.packages):
        raise LockError("bun.lock is for other packages than the profile's", fix=fix, location=file)
    for name, text in bun.packages.items():
        found = lock.packages.get(name)
        if found is None:
            raise LockError(f"the lock has no package for {name}, which the profile asks for", fix=fix, location=file)
        if not npm.satisfies(found.version, text):
            what = f"{name} {found.version} is not what the profile asks for: {text}"
            raise LockError(what, fix=fix, location=f"{file}:{found.line}")
    for package in lock.packages.values():
        for name in package.needs.keys() - package.may_need.keys():
            if _find(lock.packages, package.key, name) is None:
                what = f"the lock has no {name}, which {package.key} needs"
                raise LockError(what, fix=fix, location=f"{file}:{package.line}")
    needs = {key: {**package.may_need, **package.needs} for key, package in lock.packages.items()}
    _refuse_unasked(lock, _asked_bun(lock, bun, needs, file, fix), lock.packages, file, fix)


def refuse_unasked_bun(
    lock: BunLock, bun: Bun, manifests: Mapping[str, Mapping[str, object]], file: str, *, fix: str = ""
) -> None:
    """LockError at the first package that neither the profile nor anything that is installed asks for.

    `manifests` has the package.json of every package that is installed, by its key: that of the lock, or where it
    stands, `a/b` for node_modules/a/node_modules/b, of one that another's tarball brings along. What is not installed,
    since it is for another system, asks for nothing.
    """
    needs = {key: {**_optional(told), **_ranges(told, "dependencies")} for key, told in manifests.items()}
    _refuse_unasked(lock, _asked_bun(lock, bun, needs, file, fix), manifests, file, fix)


def _refuse_unasked(lock: BunLock, asked: Container[str], installed: Container[str], file: str, fix: str) -> None:
    for key, package in lock.packages.items():
        if key in installed and key not in asked:
            what = f"nothing asks for {package.name} {package.version} at {key}"
            raise LockError(what, fix=fix, location=f"{file}:{package.line}")


def _asked_bun(lock: BunLock, bun: Bun, needs: Mapping[str, Mapping[str, str]], file: str, fix: str) -> set[str]:
    """The keys of the packages that the profile's ask for, and what those ask for.

    `needs` has, by key, the ranges by name of every package that is there. LockError where the lock has a package of
    another name at a place.
    """
    asked: set[str] = set()
    pending: list[tuple[str, Mapping[str, str]]] = [("", bun.packages)]
    while pending:
        above, ranges = pending.pop()
        for name, text in ranges.items():
            key = _find(needs, above, name)
            if key is None:
                continue
            package = lock.packages.get(key)
            if package is not None and package.name != (bun_lock.alias(text) or (name,))[0]:
                what = f"{key} is {package.name}, and {above or 'the profile'} asks for another package"
                raise LockError(what, fix=fix, location=f"{file}:{package.line}")
            if key not in asked:
                asked.add(key)
                pending.append((key, needs[key]))
    return asked


def _find(places: Container[str], key: str, name: str) -> str | None:
    """The place of what `name` is for the package at `key`: the nearest one upwards, as Node looks for it."""
    above = bun_lock.split_key(key)
    nearest = ("/".join((*above[:depth], name)) for depth in range(len(above), -1, -1))
    return next((place for place in nearest if place in places), None)


def _optional(manifest: Mapping[str, object]) -> dict[str, str]:
    return {**_ranges(manifest, "peerDependencies"), **_ranges(manifest, "optionalDependencies")}


def _ranges(manifest: Mapping[str, object], field: str) -> dict[str, str]:
    """The ranges of a package.json, by name. A package wrote it: what is no range asks for nothing."""
    found = manifest.get(field)
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(name, str) and isinstance(text, str)}


def _lenient(text: str) -> Requirement:
    """A requirement of a package's metadata. Of one that PEP 508 does not know, its name is enough: uv mends it."""
    found = pep508.parse(text) if len(text) <= _MAX_REQUIREMENT else None
    return found or pep508.Requirement(pep508.canonical(_NOT_NAME.split(text.strip(), maxsplit=1)[0]))


def _is_true(marker: str, environment: Mapping[str, str]) -> bool:
    """Whether a marker of a package's metadata is true; one that makes no sense holds nothing back."""
    try:
        return pep508.applies(marker, environment)
    except ValueError:
        return True
