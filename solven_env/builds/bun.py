"""The Bun build: node_modules as a lock pins it. No package's script runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from solven_env.builds import bun_lock, closures, inside, locks, shape, store
from solven_env.builds.resolving import package_json
from solven_env.builds.toolchain import find_bun
from solven_env.builds.wanted import of_bun
from solven_env.profile.sections import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from solven_env.builds.inside import Builder
    from solven_env.profile.sections import Bun
    from solven_env.workspace.root import Root


def build(bun: Bun, lock: bytes | None, builder: Builder) -> store.Build:
    """The build of a profile's `bun` section as `lock` (bun.lock) pins it; None stands for no packages.

    BuildError with Bun's last lines, LockError where the lock holds what is no lock's or what nobody asked for.
    """
    wanted = of_bun(bun, lock, builder.uid)

    def fill(stage: Path) -> None:
        _fill(stage, bun, lock, builder)

    return store.obtain(builder.host.cache, wanted.key, wanted.inputs, fill)


def _fill(stage: Path, bun: Bun, lock: bytes | None, builder: Builder) -> None:
    """Bun checks a digest only while it downloads, and believes what its cache holds: so the cache begins empty."""
    tree = stage / "tree"
    inside.give(builder, tree)
    if lock is None:
        return
    found = bun_lock.parse(lock, locks.BUN, fix=locks.AGAIN)
    tools = shape.Tools(bun=find_bun(builder.host).path, certificates=builder.host.certificates)
    with inside.make(builder, tools, stage, fetches=True, writable={TARGETS["bun"]: tree}) as place:
        place.write("package.json", package_json(bun).encode())
        place.write("bun.lock", lock)
        place.run(
            *(f"{shape.BIN}/bun", "install", "--frozen-lockfile", "--ignore-scripts", "--backend", "copyfile"),
            *("--no-progress", "--no-summary"),
            purpose="the JavaScript packages cannot be installed",
            fix="Let this host reach its npm registry, or lock again.",
        )
    with inside.open_root(builder, tree) as root:
        manifests = _manifests(root, found.packages)
    closures.refuse_unasked_bun(found, bun, manifests, locks.BUN, fix=locks.AGAIN)


def _manifests(root: Root, keys: Iterable[str]) -> dict[str, Mapping[str, object]]:
    """The package.json of every package that is installed, by its key: those of the lock, and what they bring along.

    A tarball may hold node_modules of its own, which are not where the lock says, or not in it at all.
    """
    found: dict[str, Mapping[str, object]] = {}
    pending = list(keys)
    while pending:
        key = pending.pop()
        manifest = None if key in found else _manifest(root, key)
        if manifest is not None:
            found[key] = manifest
            pending += _beneath(root, key)
    return found


def _beneath(root: Root, key: str) -> Iterator[str]:
    """The keys of the packages in a package's own node_modules."""
    place = f"{'/node_modules/'.join(bun_lock.split_key(key))}/node_modules"
    for name in _directories(root, place):
        if name.startswith("@"):
            yield from (f"{key}/{name}/{inner}" for inner in _directories(root, f"{place}/{name}"))
        else:
            yield f"{key}/{name}"


def _directories(root: Root, place: str) -> tuple[str, ...]:
    about = root.stat(place)
    is_there = about is not None and about.kind == "directory"
    return tuple(name for name in root.list(place) if not name.startswith(".")) if is_there else ()


def _manifest(root: Root, key: str) -> Mapping[str, object] | None:
    """The package.json of the package that a lock has under `key`; None where none was installed for this machine."""
    path = f"{'/node_modules/'.join(bun_lock.split_key(key))}/package.json"
    if root.stat(path) is None:
        return None
    try:
        manifest = json.loads(root.read(path))
    except (ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}
