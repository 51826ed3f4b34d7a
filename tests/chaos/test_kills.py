"""`kill -9` at random moments of a real apply: the next one converges, and loses nothing.

`SOLVEN_ENV_TEST_APPLY_KILLS` says how many; 12 unless it does.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import solven_env
from tests.profiles import write_profile

if TYPE_CHECKING:
    import pytest

CHECKOUT = Path(__file__).parents[2]
KILLS = int(os.environ.get("SOLVEN_ENV_TEST_APPLY_KILLS", "12"))


def apply(profile: Path, storage: Path) -> subprocess.Popen[bytes]:
    """A real apply, begun."""
    command = [sys.executable, "-m", "solven_env", "apply", "--on-conflict", "overwrite", "--storage", f"{storage}/"]
    return subprocess.Popen([*command, profile, "t1"], cwd=CHECKOUT, stdout=subprocess.DEVNULL)


def profiles(place: Path) -> list[Path]:
    """Three profiles that share some files, differ in others, and want a file where another wants a directory."""
    return [
        write_profile(
            place / f"{variant}.yaml",
            {
                **{f"same/{number}": f"same {number}" for number in range(4)},
                **{f"own-{variant}/{number}": f"{variant}" for number in range(4)},
                **{f"shared/{number}": f"{variant} {number}" for number in range(10)},
                ("swap" if variant == 1 else "swap/inner"): "swap",
            },
            env={"VARIANT": f"{variant}"},
        )
        for variant in range(3)
    ]


def test_kills_at_random_moments(memory_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # here, not in the processes that are killed
    chance = random.Random()
    storage, choices = memory_path / "storage", profiles(memory_path)
    began = time.monotonic()
    assert apply(choices[0], storage).wait() == 0
    whole = time.monotonic() - began
    killed = 0
    for number in range(KILLS):
        profile = chance.choice(choices)
        edit = storage / "threads/t1" / f"shared/{chance.randrange(10)}"
        edit.write_text(f"the agent's {number}")
        process = apply(profile, storage)
        try:
            # Starting Python is the first part of it; most kills should come after that.
            process.wait(timeout=whole * chance.choice((chance.uniform(0, 1), chance.uniform(0.5, 1.2))))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += process.wait() == -9
        after = chance.choice(choices)
        solven_env.apply(after, "t1", storage=storage, on_conflict="overwrite")
        (thread,) = solven_env.diff(after, "t1", storage=storage).threads
        assert (thread.state, thread.changes, thread.is_interrupted) == ("in-sync", (), False)
        assert [*storage.rglob(".solven-env-*.tmp"), *storage.rglob(".tmp-*")] == []
        assert f"the agent's {number}" in kept(storage)
    assert killed > 0


def kept(storage: Path) -> set[str]:
    """The text of every kept file."""
    return {path.read_text() for path in storage.glob(".solven-env/threads/t1/generations/*/kept/*")}
