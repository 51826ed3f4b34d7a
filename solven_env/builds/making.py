"""Making the builds of a profile on this host, those that are missing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from solven_env.builds import bun as bun_builds
from solven_env.builds import places, toolchain
from solven_env.builds import python as python_builds
from solven_env.builds.inside import Builder
from solven_env.builds.wanted import Builds, find
from solven_env.sandbox import program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from solven_env import config
    from solven_env.builds.locks import Lock
    from solven_env.profile import Bun, Python


def builder(cache: Path, environ: Mapping[str, str], sandbox: config.Sandbox) -> Builder:
    """How this host builds. PlatformError without bubblewrap."""
    configured = environ.get("SOLVEN_ENV_BWRAP") or sandbox.bwrap
    return Builder(
        host=toolchain.host(cache, environ),
        uid=sandbox.uid if os.geteuid() == 0 else None,
        bwrap=program.locate(configured, search=environ.get("PATH")),
        runtime=str(places.runtime()),
    )


def obtain(
    python: Python | None, bun: Bun | None, lock: Lock, builder: Builder, progress: Callable[[str], None]
) -> Builds:
    """The builds of a profile, made where they are missing or not whole; `progress` is told a line for each.

    PlatformError without an interpreter, BuildError with uv's or Bun's last lines.
    """
    found = find(python, bun, lock, builder.host.cache, builder.uid)
    made_python, made_bun = found.python, found.bun
    if python is not None and made_python is None:
        began = time.monotonic()
        progress(f"building Python {python.version} with its packages, once for this host")
        made_python = python_builds.build(python, lock.python, builder)
        progress(f"built in {time.monotonic() - began:.1f} s")
    if bun is not None and made_bun is None:
        began = time.monotonic()
        progress("building the JavaScript packages, once for this host")
        made_bun = bun_builds.build(bun, lock.bun, builder)
        progress(f"built in {time.monotonic() - began:.1f} s")
    return Builds(made_python, made_bun)
