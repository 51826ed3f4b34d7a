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
    [("run", ["--small"], "apply, nothing to do"), ("sandbox", ["--small"], "ours, live session")],
)
def test_a_small_run_leaves_nothing(tmp_path: Path, name: str, options: list[str], measured: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options, "--rounds", "1"],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert measured in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 90
    assert list(tmp_path.iterdir()) == []
