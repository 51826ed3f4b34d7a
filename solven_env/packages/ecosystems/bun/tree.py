"""The packages of a bun.lock, held against what the profile asks for, what is installed, and the registry. Pure.

bun.lock repeats what packages ask for, so that it is held against the packages' own when a build is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from solven_env.errors import LockError
from solven_env.packages.ecosystems.bun import bun_lock
from solven_env.profile import npm

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from solven_env.packages.ecosystems.bun import Bun
    from solven_env.packages.ecosystems.bun.bun_lock import BunLock, LockedPackage


_NAMED = re.compile(r' +"([^"]+)": ["\[]')
"""A line of a lock that begins with a name: a package that is asked for, or one that is locked."""
_ASKED = re.compile(r' +"dependencies": \{$')


def check(lock: BunLock, bun: Bun, file: str, *, fix: str = "") -> None:
    """LockError at the file, or its line, where a package that is needed is missing or does not fit, or is not needed.

    What packages need is what the lock says of them: `refuse_unasked` has it from themselves.
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
            if place_of(lock.packages, package.key, name) is None:
                what = f"the lock has no {name}, which {package.key} needs"
                raise LockError(what, fix=fix, location=f"{file}:{package.line}")
    needs = {key: {**package.may_need, **package.needs} for key, package in lock.packages.items()}
    _refuse_unasked(lock, _asked(lock, bun, needs, file, fix), lock.packages, file, fix)


def refuse_unasked(
    lock: BunLock, bun: Bun, manifests: Mapping[str, Mapping[str, object]], file: str, *, fix: str = ""
) -> None:
    """LockError at the first package that neither the profile nor anything that is installed asks for.

    `manifests` has the package.json of every package that is installed, by its key: that of the lock, or where it
    stands, `a/b` for node_modules/a/node_modules/b, of one that another's tarball brings along. What is not installed,
    since it is for another system, asks for nothing.
    """
    needs = {key: {**_optional(told), **_ranges(told, "dependencies")} for key, told in manifests.items()}
    _refuse_unasked(lock, _asked(lock, bun, needs, file, fix), manifests, file, fix)


def part(text: bytes, bun: Bun) -> bytes:
    """The text of a lock without the packages that `bun`, which may ask for less, does not need.

    Bun writes one package a line; of another text something is left, which `check` finds. What remains stays where it
    is: Bun would put some of it higher, where others stood (`node_modules` lets it). A peer that is optional is not
    kept for its own sake, as Bun installs none.
    """
    lock = bun_lock.parse(text, "bun.lock")
    needs = {key: _needed(package) for key, package in lock.packages.items()}
    kept = _asked(lock, bun, needs, "bun.lock", "")
    lines, is_asked = list[str](), False
    for line in text.decode("ascii").split("\n"):
        named = _NAMED.match(line)
        if _ASKED.match(line):
            is_asked = True
        elif is_asked and line.strip().startswith("}"):
            is_asked = False
        if is_asked and named and named[1] not in bun.packages:
            continue
        if not is_asked and named and named[1] in lock.packages and named[1] not in kept:
            if lines and not lines[-1]:
                lines.pop()
            continue
        lines.append(line)
    return "\n".join(lines).encode()


def _needed(package: LockedPackage) -> dict[str, str]:
    optional = package.about.get("optionalPeers")
    peers = set(optional) if isinstance(optional, list) else set()
    return {name: text for name, text in {**package.may_need, **package.needs}.items() if name not in peers}


def compare(found: BunLock, resolved: BunLock, file: str, *, fix: str = "") -> None:
    """LockError at the first package that `resolved` has not, or has otherwise, or where it has one more."""
    for key, package in found.packages.items():
        same = resolved.packages.get(key)
        if same is None or (same.name, same.version) != (package.name, package.version):
            what = f"the registry's resolution has no {package.name} {package.version} at {key}"
            raise LockError(what, fix=fix, location=f"{file}:{package.line}")
    for key, package in resolved.packages.items():
        if key not in found.packages:
            what = f"the lock lacks {package.name} {package.version} at {key}, which the registry's resolution has"
            raise LockError(what, fix=fix, location=f"{file}:{package.line}")


def compare_registry(found: BunLock, registry: Mapping[str, LockedPackage], file: str, *, fix: str = "") -> None:
    """LockError at the first package of which the registry, by `name@version`, has another digest or says otherwise."""
    for package in found.packages.values():
        location, name = f"{file}:{package.line}", f"{package.name} {package.version}"
        theirs = registry.get(f"{package.name}@{package.version}")
        if theirs is None:
            raise LockError(f"the registry has no {name}", fix=fix, location=location)
        if theirs.digest != package.digest:
            raise LockError(f"the registry has another digest for {name}", fix=fix, location=location)
        if _told(theirs) != _told(package):
            raise LockError(f"the registry says otherwise what {name} needs", fix=fix, location=location)


def place_of(places: Container[str], key: str, name: str) -> str | None:
    """The place of what `name` is for the package at `key`: the nearest one upwards, as Node looks for it."""
    above = bun_lock.split_key(key)
    nearest = ("/".join((*above[:depth], name)) for depth in range(len(above), -1, -1))
    return next((place for place in nearest if place in places), None)


def _refuse_unasked(lock: BunLock, asked: Container[str], installed: Container[str], file: str, fix: str) -> None:
    for key, package in lock.packages.items():
        if key in installed and key not in asked:
            what = f"nothing asks for {package.name} {package.version} at {key}"
            raise LockError(what, fix=fix, location=f"{file}:{package.line}")


def _asked(lock: BunLock, bun: Bun, needs: Mapping[str, Mapping[str, str]], file: str, fix: str) -> set[str]:
    """The keys of the packages that the profile's ask for, and what those ask for.

    `needs` has, by key, the ranges by name of every package that is there. LockError where the lock has a package of
    another name at a place. What the profile has under another name of its own is that name for others too.
    """
    chosen = {name: (npm.alias(text) or (name,))[0] for name, text in bun.packages.items()}
    asked: set[str] = set()
    pending: list[tuple[str, Mapping[str, str]]] = [("", bun.packages)]
    while pending:
        above, ranges = pending.pop()
        for name, text in ranges.items():
            key = place_of(needs, above, name)
            if key is None:
                continue
            package = lock.packages.get(key)
            names = ((npm.alias(text) or (name,))[0], chosen.get(key))
            if package is not None and package.name not in names:
                what = f"{key} is {package.name}, and {above or 'the profile'} asks for another package"
                raise LockError(what, fix=fix, location=f"{file}:{package.line}")
            if key not in asked:
                asked.add(key)
                pending.append((key, needs[key]))
    return asked


def _optional(manifest: Mapping[str, object]) -> dict[str, str]:
    return {**_ranges(manifest, "peerDependencies"), **_ranges(manifest, "optionalDependencies")}


def _ranges(manifest: Mapping[str, object], field: str) -> dict[str, str]:
    """The ranges of a package.json, by name. A package wrote it: what is no range asks for nothing."""
    found = manifest.get(field)
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(name, str) and isinstance(text, str)}


def _told(package: LockedPackage) -> dict[str, object]:
    """The fields of a package that come from the registry: `bundled` does not, it tells of another package."""
    return {name: said for name, said in package.about.items() if name != "bundled"}
