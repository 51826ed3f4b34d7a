"""Interleaved timing of commands: medians, and ratios taken pair by pair, so that a drifting machine cancels out."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def interleaved(
    commands: Mapping[str, Sequence[str]], rounds: int, environ: Mapping[str, str] | None = None
) -> dict[str, list[float]]:
    """The wall time in seconds of each command in each round, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            if round_:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: Mapping[str, Sequence[float]], name: str, beside: str) -> float:
    """The median of the ratios of two commands, round by round."""
    return statistics.median(a / b for a, b in zip(times[name], times[beside], strict=True))


def milliseconds(times: Sequence[float]) -> str:
    """Median, and the range around it."""
    return f"{statistics.median(times) * 1000:7.1f}  ({min(times) * 1000:.1f}–{max(times) * 1000:.1f})"


def machine() -> str:
    """The machine that the figures are from, on one line."""
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, CPython {platform.python_version()}"
