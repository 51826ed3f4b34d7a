"""Install scripts of npm packages: which there are, whose run, in which order, and what is said of the others. Pure.

A package has scripts as npm sees them (its documentation, "scripts", "Life Cycle Operation Order"): `preinstall`,
`install`, `postinstall`; without the first two, a `binding.gyp` stands for `node-gyp rebuild`, unless its package.json
says `gypfile: false`. `prepare` is none of a package's that comes from a registry.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from solven_env.documents.diagnostics import closest
from solven_env.errors import LockError, printable
from solven_env.packages.ecosystems.bun import bun_lock
from solven_env.packages.ecosystems.bun.tree import place_of
from solven_env.packages.locks import SCRIPTS, TRUSTED, Remark
from solven_env.typed import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Mapping

    from solven_env.packages.ecosystems.bun import Bun
    from solven_env.packages.ecosystems.bun.bun_lock import BunLock, LockedPackage

EVENTS = ("preinstall", "install", "postinstall")
_REBUILD = "node-gyp rebuild"
_LONGEST = 160
"""Characters of a package's scripts that a remark shows."""


class Scripted(NamedTuple):
    """An installed package with its install scripts, in the order of EVENTS; `key` is its place (`LockedPackage`)."""

    key: str
    name: str
    version: str
    scripts: Mapping[str, str]
    is_optional: bool
    """True if nothing needs it but optional dependencies: npm goes on without it if its script fails."""
    manifest: Mapping[str, object]


def of(manifest: Mapping[str, object], *, has_gyp: bool) -> dict[str, str]:
    """The install scripts of a package.json; `has_gyp` tells that a `binding.gyp` stands beside it.

    >>> of({"scripts": {"postinstall": "node x.js", "test": "true"}}, has_gyp=False)
    {'postinstall': 'node x.js'}
    """
    written = manifest.get("scripts")
    given = written if isinstance(written, dict) else {}
    scripts = {event: given[event] for event in EVENTS if isinstance(given.get(event), str) and given[event].strip()}
    if has_gyp and manifest.get("gypfile") is not False and not {"preinstall", "install"} & scripts.keys():
        scripts = {"install": _REBUILD, **scripts}
    return scripts


def check_trusted(lock: BunLock, bun: Bun, file: str) -> None:
    """LockError for a name in `bun.trusted` that the lock does not have."""
    names = {package.name for package in lock.packages.values()}
    for name in bun.trusted:
        if name not in names:
            what = f"bun.trusted names {name}, and the profile's packages bring no package of this name"
            known = lock.packages[name].name if name in lock.packages else closest(name, names)
            fix = f"Did you mean '{known}'?" if known else f"Take {name} out of bun.trusted."
            raise LockError(what, fix=fix, location=file)


def is_trusted(package: LockedPackage, lock: BunLock, bun: Bun) -> bool:
    """True if the profile trusts the very bytes at this place.

    Those of a package that another one brings in its tarball are that one's, whatever their name: both must be named.
    """
    if package.name not in bun.trusted:
        return False
    if not package.about.get("bundled"):
        return True
    above = lock.packages.get("/".join(bun_lock.split_key(package.key)[:-1]))
    return above is not None and is_trusted(above, lock, bun)


def trusted_below(lock: BunLock, bun: Bun) -> list[str]:
    """The places of trusted packages that lie in another package, whose tarball may have left files there before."""
    return [
        key
        for key, package in lock.packages.items()
        if len(bun_lock.split_key(key)) > 1 and not package.about.get("bundled") and is_trusted(package, lock, bun)
    ]


def scripted(
    lock: BunLock, bun: Bun, manifests: Mapping[str, Mapping[str, object]], gyps: Collection[str]
) -> tuple[Scripted, ...]:
    """The installed packages of a lock that have scripts, each behind those that it needs.

    `manifests` has the package.json of what is installed, by key; `gyps` the keys of those with a `binding.gyp`.
    """
    required = _required(lock, bun)
    found = []
    for key in _dependencies_first(lock):
        if key in manifests:
            package, scripts = lock.packages[key], of(manifests[key], has_gyp=key in gyps)
            if scripts:
                is_optional = key not in required
                found.append(Scripted(key, package.name, package.version, scripts, is_optional, manifests[key]))
    return tuple(found)


def _dependencies_first(lock: BunLock) -> Iterator[str]:
    """The keys of a lock, each behind those of what it needs; among circles, in the order of the lock."""
    seen: set[str] = set()
    for first in lock.packages:
        pending = [(first, False)]
        while pending:
            key, is_left = pending.pop()
            if is_left:
                yield key
            elif key not in seen:
                seen.add(key)
                package = lock.packages[key]
                below = (place_of(lock.packages, key, name) for name in {**package.may_need, **package.needs})
                pending += [(key, True), *((each, False) for each in below if each is not None)]


def _required(lock: BunLock, bun: Bun) -> set[str]:
    """The keys of the packages that are needed other than as optional ones."""
    found: set[str] = set()
    pending = [key for key in bun.packages if key in lock.packages]
    while pending:
        key = pending.pop()
        if key not in found:
            found.add(key)
            package = lock.packages[key]
            peers = _names(package, "peerDependencies") - _names(package, "optionalPeers")
            needs = (package.needs.keys() | peers) - _names(package, "optionalDependencies")
            pending += filter(None, (place_of(lock.packages, key, name) for name in needs))
    return found


def _names(package: LockedPackage, field: str) -> set[str]:
    noted = package.about.get(field, ())
    return set(noted) if isinstance(noted, dict | list) else set()


def remarks_of_lock(lock: BunLock, bun: Bun) -> tuple[Remark, ...]:
    """Remarks about packages that the registry says have scripts; which ones, the packages themselves say."""
    remarks = {}
    for package in lock.packages.values():
        has_scripts = bool(package.about.get("hasInstallScript"))
        if has_scripts != is_trusted(package, lock, bun) and (has_scripts or package.name in bun.trusted):
            remarks[package.name, package.version] = _remark(package.name, package.version, {}, has_scripts=has_scripts)
    return tuple(remarks.values())


def written(found: Collection[Scripted], lock: BunLock, bun: Bun, installed: Container[str]) -> bytes:
    """The file of a build that says whose scripts did not run, and which trusted packages have none."""
    names = {each.name for each in found}
    unrun = [each for each in found if not is_trusted(lock.packages[each.key], lock, bun)]
    lines = [[each.name, each.version, dict(each.scripts)] for each in unrun]
    lines += [
        [package.name, package.version, {}]
        for key, package in lock.packages.items()
        if key in installed and package.name in bun.trusted and package.name not in names
    ]
    return (json.dumps(lines) + "\n").encode()


def remarks_of_build(text: bytes) -> tuple[Remark, ...]:
    """The remarks that the file of a build stands for; none for a damaged one."""
    try:
        lines = json.loads(text)
        told = {(name, version): _remark(name, version, each, has_scripts=bool(each)) for name, version, each in lines}
    except (ValueError, TypeError, AttributeError):
        return ()
    return tuple(told.values())


def _remark(name: str, version: str, scripts: Mapping[str, str], *, has_scripts: bool) -> Remark:
    if not has_scripts:
        return Remark(TRUSTED, name, version, f"{name} {version} is named in bun.trusted and has no install script")
    text = printable("; ".join(f"{event}: {script}" for event, script in scripts.items()))
    shown = f" ({text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…'})" if text else ""
    what = f"{name} {version} has an install script that did not run{shown}: see bun.trusted"
    return Remark(SCRIPTS, name, version, what)
