"""Resolving a profile's packages into a lock, by uv and Bun, on the host and away from any workspace.

Nothing of a package runs: Python's come as wheels only, JavaScript's without their scripts. Credentials of the host's
registries are used and not written.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solven_env.errors import BuildError, LockError
from solven_env.packages import comparing, locks, programs
from solven_env.packages.ecosystems.bun import bun_lock
from solven_env.packages.ecosystems.python import requirements_txt
from solven_env.packages.ecosystems.python.pip_pin import with_pip
from solven_env.packages.toolchain import find_bun, run_uv
from solven_env.system.publishing import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from solven_env.packages.ecosystems.bun.bun_lock import BunLock, Package
    from solven_env.packages.toolchain import Host
    from solven_env.profile.sections import Bun, Python

_HEADER = "# Made by `solven-env lock` for Python {version}: versions and digests, and no host. Do not edit.\n"
_FIX_PYTHON = "Change the profile's python.packages, or let this host reach its package index."
_FIX_BUN = "Change the profile's bun.packages, or let this host reach its npm registry."

# A package of bun.lock: "key": ["name@version", "address", …]. Bun writes one package a line.
_ADDRESS = re.compile(r'^(    "(?:[^"\\]|\\.)+": \["(?:[^"\\]|\\.)+", )"(?:[^"\\]|\\.)+"', re.MULTILINE)


def resolve(
    python: Python | None, bun: Bun | None, known: Mapping[str, bytes], host: Host, progress: Callable[[str], None]
) -> locks.Lock:
    """The lock for these sections. Versions of a lock that is `known` stay where they still fit.

    Of what is known nothing but versions is believed: digests are the index's, and a text that is no lock is left out,
    of which `progress` is told. BuildError with uv's or Bun's last lines: an unknown package, one without a wheel, no
    network.
    """
    python_lock = bun_lock = None
    if python and python.packages:
        progress(f"locking {_count(python.packages, 'Python package')} for Python {python.version}")
        python_lock = resolve_python(python, _preferred(known, locks.PYTHON, requirements_txt.parse, progress), host)
    if bun and bun.packages:
        progress(f"locking {_count(bun.packages, 'JavaScript package')}")
        preferred = _preferred(known, locks.BUN, lambda text, file: _parse_genuine(text, file, host), progress)
        bun_lock = resolve_bun(bun, preferred, host)
    return locks.Lock(python_lock, bun_lock)


def resolve_python(python: Python, known: bytes, host: Host) -> bytes:
    """python.txt, pip locked along. Any interpreter will do: what is resolved holds for every platform.

    `known` is empty or by the grammar. uv has its versions alone: it would keep the digests, too, unasked.
    """
    with _scratch(host.cache) as scratch:
        output = scratch / locks.PYTHON
        pins = requirements_txt.parse(known, locks.PYTHON) if known else ()
        output.write_text(requirements_txt.print_pins(pins, with_digests=False))
        run_uv(
            host,
            *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-build"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--python", sys.executable, "--python-version", python.version, "--output-file", output, "-"),
            purpose=f"the Python packages cannot be locked for Python {python.version}",
            stdin="\n".join(with_pip(python.packages)) + "\n",
            fix=_FIX_PYTHON,
        )
        text = _HEADER.format(version=python.version).encode() + output.read_bytes()
    # A requirement by address, say: its host, and credentials perhaps, would be written down.
    with _told_of("uv", _FIX_PYTHON):
        locks.believe_python(text, python, locks.PYTHON)
    return text


def resolve_bun(bun: Bun, known: bytes, host: Host) -> bytes:
    """bun.lock, its addresses emptied: a frozen install then asks whatever registry the host is configured for.

    `known` is empty or by the grammar, and its digests are those of the registry: Bun keeps them unasked.
    """
    with _scratch(host.cache) as scratch:
        text = _lock_by_bun(package_json(bun), known, scratch, host)
        with _told_of("Bun", _FIX_BUN):
            locks.believe_bun(text, bun, locks.BUN)
        (scratch / locks.BUN).write_bytes(text)
        _run_bun(scratch, host, "--lockfile-only", "--frozen-lockfile")
    return text


def check_resolved(
    lock: locks.Lock,
    python: Python | None,
    bun: Bun | None,
    host: Host,
    progress: Callable[[str], None],
    *,
    where: str,
    fix: str,
) -> None:
    """Hold a lock that is believed against what the indexes say now, its versions preferred, and write nothing.

    LockError at `where/FILE:LINE` of the first package that the resolution has not, has otherwise or has besides, or
    that has a digest which the index does not know. BuildError as for `resolve`.
    """
    if python is not None and lock.python is not None:
        progress(f"resolving {_count(python.packages, 'Python package')} for Python {python.version}")
        file = f"{where}/{locks.PYTHON}"
        resolved = requirements_txt.parse(resolve_python(python, lock.python, host), locks.PYTHON)
        comparing.compare_python(requirements_txt.parse(lock.python, file), resolved, file, fix=fix)
    if bun is not None and lock.bun is not None:
        progress(f"resolving {_count(bun.packages, 'JavaScript package')}")
        file = f"{where}/{locks.BUN}"
        found = bun_lock.parse(lock.bun, file)
        comparing.compare_bun(found, bun_lock.parse(resolve_bun(bun, lock.bun, host), file), file, fix=fix)
        comparing.compare_registry(found, _in_registry(found, host), file, fix=fix)


def _preferred(
    known: Mapping[str, bytes], name: str, parse: Callable[[bytes, str], object], progress: Callable[[str], None]
) -> bytes:
    """The known text of that name, where there is one and `parse` takes it."""
    text = known.get(name, b"")
    if text:
        try:
            parse(text, name)
        except LockError as error:
            progress(f"{error.location}: {error.message}: its versions are not kept")
            return b""
    return text


def _parse_genuine(text: bytes, file: str, host: Host) -> None:
    lock = bun_lock.parse(text, file)
    comparing.compare_registry(lock, _in_registry(lock, host), file)


def _in_registry(lock: BunLock, host: Host) -> Mapping[str, Package]:
    """The packages of a lock as the registry has them now, by name and version: `name@version`.

    Bun is asked for each under a name of our own, without a lock to keep digests from.
    """
    asked = {f"{package.name}@{package.version}" for package in lock.packages.values()}
    try:
        return _ask_registry(asked, "dependencies", host)
    except BuildError:
        # As optional ones, what the registry has not is left out. Any version of each says whether it answers at all.
        found = _ask_registry(
            {*asked, *(package.name for package in lock.packages.values())}, "optionalDependencies", host
        )
        if not found:
            raise
        return found


def _ask_registry(asked: Collection[str], field: str, host: Host) -> dict[str, Package]:
    named = {f"pinned-{number}": pin for number, pin in enumerate(sorted(asked))}
    manifest = {"name": "workspace", field: {name: f"npm:{pin}" for name, pin in named.items()}}
    with _scratch(host.cache) as scratch, _told_of("Bun", _FIX_BUN):
        lock = bun_lock.parse(_lock_by_bun(json.dumps(manifest), b"", scratch, host), locks.BUN, field=field)
    return {pin: lock.packages[name] for name, pin in named.items() if name in lock.packages}


def _lock_by_bun(manifest: str, known: bytes, scratch: Path, host: Host) -> bytes:
    (scratch / "package.json").write_text(manifest)
    if known:
        (scratch / locks.BUN).write_bytes(known)
    _run_bun(scratch, host, "--lockfile-only")
    return without_addresses((scratch / locks.BUN).read_text()).encode()


def package_json(bun: Bun) -> str:
    """The manifest that a lock is made for; the shipped package.json.j2 renders the same name and dependencies."""
    return json.dumps({"name": "workspace", "dependencies": dict(bun.packages)}, indent=2) + "\n"


def without_addresses(lock: str) -> str:
    """The text of a bun.lock with the second field of each package emptied."""
    return _ADDRESS.sub(r'\1""', lock)


@contextmanager
def _told_of(tool: str, fix: str) -> Iterator[None]:
    """Make a LockError about what uv or Bun just wrote a BuildError: there is nothing to restore or to lock anew."""
    try:
        yield
    except LockError as error:
        what = f"{tool} locked what a lock of ours cannot have: {error.location}: {error.message}"
        raise BuildError(what, fix=fix) from None


def _count(things: Collection[str], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _run_bun(directory: Path, host: Host, *options: str) -> None:
    home = directory / "home"
    home.mkdir(exist_ok=True)
    (home / ".npmrc").write_bytes(host.registries.npmrc)
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "BUN_INSTALL": str(home), "DO_NOT_TRACK": "1"}
    programs.run(
        [find_bun(host).path, "install", "--ignore-scripts", "--no-progress", "--no-summary", *options],
        cwd=directory,
        environ={**host.environ, **own, "BUN_INSTALL_CACHE_DIR": str(home / "cache")},
        purpose="the JavaScript packages cannot be locked",
        fix=_FIX_BUN,
    )


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A private directory, gone afterwards. Its empty uv.toml and bunfig.toml keep settings of parents out."""
    with scratch(cache / "scratch") as directory:
        for name in ("uv.toml", "bunfig.toml"):
            (directory / name).touch()
        yield directory
