"""What it costs to carry what an agent installed to the build of another release, beside installing it again.

A thread with some 600 files of packages of its own moves between two releases, and so does one without any: what the
first takes longer is the carrying. Beside it `uv pip install` installs the same packages on the host from a warm cache,
as copies, into a virtual environment that is there already.

Goals: carrying takes at most 1 s, and no longer than `uv pip install`. It needs the network, for the packages.
Everything lies in a temporary directory (TMPDIR), caches of packages too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from benchmarks.measure import Times, machine, once, precompile, quietly, ratio, rounds_of, say, say_goal
from benchmarks.world import Bench
from solven_env.packages.tools import uv

if TYPE_CHECKING:
    from collections.abc import Callable

PROFILE = """\
version: 1
name: upgraded
release: {release}
env: {{HOME: /}}
sandbox: {{network: host}}
python: {{version: '3.12', packages: [{packages}]}}
"""
PACKAGES = ("rich==15.0.0", "humanize==4.17.0", "attrs==25.4.0", "click==8.3.1", "networkx==3.4.2")
SMALL = ("humanize==4.17.0",)
"""Without what they need, which they have not."""

WITH, WITHOUT, INSTALL = "apply, packages carried", "apply, nothing to carry", "uv pip install, warm cache"
CARRYING = "carrying alone"


def main() -> None:
    """Measure, and print medians, ratios and goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--small", action="store_true", help="one package of 200 files instead of five")
    options = parser.parse_args()
    packages = SMALL if options.small else PACKAGES
    print(f"{machine()}; {'root' if os.geteuid() == 0 else 'an ordinary user'}; {options.rounds} rounds, interleaved")
    print("median ms (range)")
    precompile()
    with tempfile.TemporaryDirectory(prefix="solven-bench-") as name:
        top = Path(name)
        profiles = [top / "one.yaml", top / "two.yaml"]
        for number, (profile, locked) in enumerate(zip(profiles, ("", "six"), strict=True)):
            profile.write_text(PROFILE.format(release=f"{number + 1}.0.0", packages=locked))
        bench = Bench(top, str(profiles[0]))
        for profile in profiles:
            solven_env.lock(profile)
            solven_env.apply(profile, "builds")
        for thread in ("with", "without"):
            solven_env.apply(profiles[0], thread)
            bench.command("run", thread, "--", "true")
        bench.command("run", "with", "--", "uv", "pip", "install", "--no-deps", *packages)
        print(f"{_files(top)} files of {len(packages)} packages")
        _measure(_Moving(profiles), top, packages, options.rounds)
        for thread in ("with", "without"):
            solven_env.stop(thread)


class _Moving:
    """Threads that move to and fro between two releases."""

    def __init__(self, profiles: list[Path]) -> None:
        self._profiles = profiles
        self._at = {"with": 0, "without": 0}

    def move(self, thread: str) -> None:
        """Apply the other release to a thread."""
        self._at[thread] = 1 - self._at[thread]
        solven_env.apply(self._profiles[self._at[thread]], thread)


def _measure(moving: _Moving, top: Path, packages: tuple[str, ...], rounds: int) -> None:
    environ = {**os.environ, "UV_CACHE_DIR": str(top / "uv")}

    def install() -> float:
        environment = tempfile.mkdtemp(dir=top)
        quietly([str(uv().path), "venv", "-q", environment], environ=environ)
        words = [str(uv().path), "pip", "install", "-q", "--no-deps", "--link-mode", "copy", "--python", environment]
        return once(lambda: quietly([*words, *packages], environ=environ))

    calls: dict[str, Callable[[], float | None]] = {
        WITH: lambda: moving.move("with"),
        WITHOUT: lambda: moving.move("without"),
        INSTALL: install,
    }
    times: Times = rounds_of(calls, rounds)
    times[CARRYING] = [a - b for a, b in zip(times[WITH], times[WITHOUT], strict=True)]
    say("Applies of another release, builds there", times)
    say_goal("carrying, seconds", statistics.median(times[CARRYING]), 1.0)
    say_goal("carrying beside uv pip install", ratio(times, CARRYING, INSTALL), 1.0)


def _files(top: Path) -> int:
    uppers = (top / "data/solven-env/layers").glob("*/with/*/python-*/upper")
    return sum(path.is_file() for upper in uppers for path in upper.rglob("*"))


if __name__ == "__main__":
    main()
