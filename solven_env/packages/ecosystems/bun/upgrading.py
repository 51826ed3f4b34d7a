"""Newer versions of single packages of a bun.lock while the others stay, and versions that ranges keep out.

`bun update NAME` moves a direct dependency and what its new version forces, and leaves the rest as it is. It moves no
package that only others depend on, and a lock from which an entry was taken is ignored as a whole (both measured with
Bun 1.4.4). So each range that anything asks for is a direct dependency for the time of one update.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from solven_env.packages.ecosystems.bun import LOCK, bun_lock, locking
from solven_env.packages.locks import NewestVersion
from solven_env.packages.resolving import directory_away
from solven_env.profile import npm

if TYPE_CHECKING:
    from collections.abc import Collection

    from solven_env.packages.ecosystems.bun import Bun
    from solven_env.packages.ecosystems.bun.bun_lock import BunLock
    from solven_env.packages.toolchain import Toolchain


def released(section: Bun, known: bytes, names: Collection[str], host: Toolchain) -> bytes:
    """The lock with the newest versions of these packages that their ranges allow. BuildError.

    It still asks for the range that was updated last: resolving it once more for the profile puts that right.
    """
    lock = bun_lock.parse(known, LOCK)
    with directory_away(host.cache) as scratch:
        (scratch / LOCK).write_bytes(known)
        for name in sorted(names):
            for wanted in _ranges(name, section, lock):
                manifest = {"name": "workspace", "dependencies": {**section.packages, name: wanted}}
                (scratch / "package.json").write_text(json.dumps(manifest))
                locking.run_bun(scratch, host, "update", "--lockfile-only", name)
        return locking.without_addresses((scratch / LOCK).read_text()).encode()


def held(section: Bun, lock: bytes, host: Toolchain) -> list[NewestVersion]:
    """The packages of which the profile's range excludes the version that the registry calls the latest. BuildError."""
    locked = bun_lock.parse(lock, LOCK).packages
    asked = {name: npm.alias(text) or (name, text) for name, text in section.packages.items()}
    latest = locking.ask_registry({f"{real}@latest" for real, _ in asked.values()}, "dependencies", host)
    found = []
    for name, (real, wanted) in asked.items():
        version = latest[f"{real}@latest"].version
        if not npm.satisfies(version, wanted) and npm.is_newer(version, locked[name].version):
            found.append(NewestVersion(name, version, section.packages[name]))
    return found


def _ranges(name: str, section: Bun, lock: BunLock) -> list[str]:
    """The ranges that the profile and the packages of a lock ask for; those of peers where there are no others."""
    own = {section.packages[name]} if name in section.packages else set()
    fields: dict[str, set[str]] = {}
    for package in lock.packages.values():
        for field in ("dependencies", "optionalDependencies", "peerDependencies"):
            needs = package.about.get(field)
            if isinstance(needs, dict) and name in needs:
                fields.setdefault(field, set()).add(needs[name])
    peers = fields.pop("peerDependencies", set())
    return sorted(own.union(*fields.values()) or peers)
