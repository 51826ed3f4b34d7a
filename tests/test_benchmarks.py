"""The benchmarks run and leave nothing; what they measure is never asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "options", "measured"),
    [
        ("run", ["--small", "--rounds", "1"], "apply, nothing to do"),
        ("sandbox", ["--small", "--rounds", "1"], "ours, live session"),
        ("many", ["--small", "--rounds", "1", "--threads", "5"], "5 threads upgraded"),
        (
            "programs",
            "--rounds 1 --at-once 4 --in-a-row 8 --mebibytes 16 --megabytes 2".split(),
            "speed of read, beside cp",
        ),
        ("thousands", ["--threads", "8"], "list, seconds for 10,000"),
    ],
)
def test_a_small_run_leaves_nothing(
    tmp_path: Path, memory_path: Path, name: str, options: list[str], measured: str
) -> None:
    place = memory_path if "--threads" in options else tmp_path  # what runs commands needs a disk for its layers
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(place)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert measured in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 90
    assert list(place.iterdir()) == []
