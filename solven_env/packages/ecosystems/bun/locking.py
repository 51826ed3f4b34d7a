"""Resolving JavaScript packages into bun.lock, by Bun, on the host and away from any workspace.

Without the scripts of packages, and with addresses emptied: a frozen install asks whatever registry a host has.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from solven_env.errors import BuildError
from solven_env.packages import programs
from solven_env.packages.ecosystems import bun as row
from solven_env.packages.ecosystems.bun import bun_lock, program, tree
from solven_env.packages.resolving import directory_away, told_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from solven_env.packages.ecosystems.bun.bun_lock import BunLock, LockedPackage
    from solven_env.packages.toolchain import Toolchain

_NO_GIT = '"git" is not installed'
_FIX = "Change the profile's bun.packages, or let this host reach its npm registry."

# A package of bun.lock: "key": ["name@version", "address", …]. Bun writes one package a line.
_ADDRESS = re.compile(r'^(    "(?:[^"\\]|\\.)+": \["(?:[^"\\]|\\.)+", )"(?:[^"\\]|\\.)+"', re.MULTILINE)


def resolve(section: row.Bun, known: bytes, host: Toolchain) -> bytes:
    """bun.lock, its addresses emptied: a frozen install then asks whatever registry the host is configured for.

    `known` is empty or by the grammar, and its digests are those of the registry: Bun keeps them unasked.
    """
    with directory_away(host.cache) as scratch:
        text = _lock_by_bun(package_json(section), known, scratch, host)
        with told_of("Bun", _FIX):
            tree.check(bun_lock.parse(text, row.LOCK), section, row.LOCK)
        (scratch / row.LOCK).write_bytes(text)
        run_bun(scratch, host, "install", "--lockfile-only", "--frozen-lockfile")
    return text


def compare(section: row.Bun, lock: bytes, host: Toolchain, file: str, *, fix: str) -> None:
    """LockError at the first line of a lock that the registry says otherwise now."""
    found = bun_lock.parse(lock, file)
    tree.compare(found, bun_lock.parse(resolve(section, lock, host), file), file, fix=fix)
    tree.compare_registry(found, _in_registry(found, host), file, fix=fix)


def genuine(text: bytes, file: str, host: Toolchain) -> BunLock:
    """A lock that the registry agrees with: LockError for a digest or a need that it has otherwise."""
    lock = bun_lock.parse(text, file)
    tree.compare_registry(lock, _in_registry(lock, host), file)
    return lock


def _in_registry(lock: BunLock, host: Toolchain) -> Mapping[str, LockedPackage]:
    """The packages of a lock as the registry has them now, by name and version: `name@version`.

    Bun is asked for each under a name of our own, without a lock to keep digests from.
    """
    asked = {f"{package.name}@{package.version}" for package in lock.packages.values()}
    try:
        return ask_registry(asked, "dependencies", host)
    except BuildError:
        # As optional ones, what the registry has not is left out. Any version of each says whether it answers at all.
        found = ask_registry(
            {*asked, *(package.name for package in lock.packages.values())}, "optionalDependencies", host
        )
        if not found:
            raise
        return found


def ask_registry(asked: Collection[str], field: str, host: Toolchain) -> dict[str, LockedPackage]:
    """The packages that the registry has for `name@range` or `name@tag`, by these texts. BuildError."""
    named = {f"pinned-{number}": pin for number, pin in enumerate(sorted(asked))}
    manifest = {"name": "workspace", field: {name: f"npm:{pin}" for name, pin in named.items()}}
    with directory_away(host.cache) as scratch, told_of("Bun", _FIX):
        lock = bun_lock.parse(_lock_by_bun(json.dumps(manifest), b"", scratch, host), row.LOCK, field=field)
    return {pin: lock.packages[name] for name, pin in named.items() if name in lock.packages}


def _lock_by_bun(manifest: str, known: bytes, scratch: Path, host: Toolchain) -> bytes:
    (scratch / "package.json").write_text(manifest)
    if known:
        (scratch / row.LOCK).write_bytes(known)
    run_bun(scratch, host, "install", "--lockfile-only")
    return without_addresses((scratch / row.LOCK).read_text()).encode()


def package_json(section: row.Bun) -> str:
    """The manifest that a lock is made for; the shipped package.json.j2 renders the same name and dependencies."""
    return json.dumps({"name": "workspace", "dependencies": dict(section.packages)}, indent=2) + "\n"


def without_addresses(lock: str) -> str:
    """The text of a bun.lock with the second field of each package emptied."""
    return _ADDRESS.sub(r'\1""', lock)


def run_bun(directory: Path, host: Toolchain, command: str, *options: str) -> None:
    """Run `install` or `update` in a directory with a package.json. BuildError.

    No other program is on PATH: for what a package needs from a git repository, Bun would start git and ssh, with this
    user's keys and towards whatever host that package names.
    """
    home, nothing = directory / "home", directory / "no-programs"
    home.mkdir(exist_ok=True)
    (home / ".npmrc").write_bytes(host.registries.npmrc)
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "BUN_INSTALL": str(home), "DO_NOT_TRACK": "1"}
    try:
        programs.run(
            [program.find(host).path, command, "--ignore-scripts", "--no-progress", "--no-summary", *options],
            cwd=directory,
            environ={**host.environ, **own, "PATH": str(nothing), "BUN_INSTALL_CACHE_DIR": str(home / "cache")},
            purpose="the JavaScript packages cannot be locked",
            fix=_FIX,
        )
    except BuildError as error:
        error.message = error.message.replace(_NO_GIT, "a lock has nothing from a git repository")
        raise
