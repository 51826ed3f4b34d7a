"""Resolving a profile's packages into a lock, by uv and Bun, on the host and away from any workspace.

Nothing of a package runs: Python's come as wheels only, JavaScript's without their scripts. Credentials of the host's
registries are used and not written.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.builds import locks, programs
from solven_env.builds.pip_pin import with_pip
from solven_env.builds.staging import make_private
from solven_env.builds.toolchain import find_bun, run_uv
from solven_env.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from solven_env.builds.toolchain import Host
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

    BuildError with uv's or Bun's last lines: an unknown package, one without a wheel, no network.
    """
    python_lock = bun_lock = None
    if python and python.packages:
        progress(f"locking {_count(python.packages, 'Python package')} for Python {python.version}")
        python_lock = resolve_python(python, known.get(locks.PYTHON, b""), host)
    if bun and bun.packages:
        progress(f"locking {_count(bun.packages, 'JavaScript package')}")
        bun_lock = resolve_bun(bun, known.get(locks.BUN, b""), host)
    return locks.Lock(python_lock, bun_lock)


def resolve_python(python: Python, known: bytes, host: Host) -> bytes:
    """python.txt, pip locked along. Any interpreter will do: what is resolved holds for every platform."""
    with _scratch(host.cache) as scratch:
        output = scratch / locks.PYTHON
        output.write_bytes(known)
        run_uv(
            host,
            *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-build"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--python", sys.executable, "--python-version", python.version, "--output-file", output, "-"),
            purpose=f"the Python packages cannot be locked for Python {python.version}",
            stdin="\n".join(with_pip(python.packages)) + "\n",
            fix=_FIX_PYTHON,
        )
        text = output.read_bytes()
    if b"://" in text:  # a requirement by address: its host, and credentials perhaps, would be written down
        raise BuildError("uv locked a package by its address", fix=_FIX_PYTHON)
    return _HEADER.format(version=python.version).encode() + text


def resolve_bun(bun: Bun, known: bytes, host: Host) -> bytes:
    """bun.lock, its addresses emptied: a frozen install then asks whatever registry the host is configured for."""
    tool = find_bun(host)
    with _scratch(host.cache) as scratch:
        (scratch / "package.json").write_text(package_json(bun))
        if known:
            (scratch / locks.BUN).write_bytes(known)
        _run_bun(tool.path, scratch, host, "--lockfile-only")
        lock = without_addresses((scratch / locks.BUN).read_text())
        (scratch / locks.BUN).write_text(lock)
        _run_bun(tool.path, scratch, host, "--lockfile-only", "--frozen-lockfile")
    return lock.encode()


def package_json(bun: Bun) -> str:
    """The manifest that a lock is made for; the shipped package.json.j2 renders the same name and dependencies."""
    return json.dumps({"name": "workspace", "dependencies": dict(bun.packages)}, indent=2) + "\n"


def without_addresses(lock: str) -> str:
    """The text of a bun.lock with the second field of each package emptied. BuildError where an address stays."""
    emptied = _ADDRESS.sub(r'\1""', lock)
    if "://" in emptied:
        raise BuildError("Bun locked a package by its address", fix=_FIX_BUN)
    return emptied


def _count(things: Collection[str], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _run_bun(bun: Path, directory: Path, host: Host, *options: str) -> None:
    home = directory / "home"
    home.mkdir(exist_ok=True)
    (home / ".npmrc").write_bytes(host.registries.npmrc)
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "BUN_INSTALL": str(home), "DO_NOT_TRACK": "1"}
    programs.run(
        [bun, "install", "--ignore-scripts", "--no-progress", "--no-summary", *options],
        cwd=directory,
        environ={**host.environ, **own, "BUN_INSTALL_CACHE_DIR": str(home / "cache")},
        purpose="the JavaScript packages cannot be locked",
        fix=_FIX_BUN,
    )


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A private directory, gone afterwards. Its empty uv.toml and bunfig.toml keep settings of parents out."""
    directory = Path(tempfile.mkdtemp(prefix="lock-", dir=make_private(cache / "scratch")))
    try:
        for name in ("uv.toml", "bunfig.toml"):
            (directory / name).touch()
        yield directory
    finally:
        shutil.rmtree(directory)
