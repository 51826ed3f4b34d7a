"""Collections against applies, commands, rollbacks and deletions in a loop: nothing goes that is used.

`SOLVEN_ENV_TEST_COLLECTIONS` says how many; 12 unless it does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import solven_env
from solven_env.packages import store
from solven_env.system import directories
from tests.chaos.collections import begun, collect, invent, live

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ROUNDS = int(os.environ.get("SOLVEN_ENV_TEST_COLLECTIONS", "12"))
THREADS = ("t1", "t2")


def test_nothing_is_taken_that_is_used(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    invent(monkeypatch, memory_path)
    storage, ended = memory_path / "storage", memory_path / "ended"
    lives = [begun(lambda thread=thread: live(storage, thread, ended.exists)) for thread in THREADS]  # type: ignore[misc]
    try:
        other = begun(lambda: collect(ROUNDS // 2))  # two at once
        collected = collect(ROUNDS - ROUNDS // 2)
        for _ in range(1000):  # the others may only be beginning
            collected = collected or collect(1)
    finally:
        ended.touch()
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (*lives, other)]
    assert statuses == [0] * 3
    assert collected > 0
    for thread in THREADS:
        if (storage / "threads" / thread).exists():
            solven_env.delete(thread, storage=storage)
    solven_env.gc()
    assert store.keys(directories.cache()) == ()
    for left in ("rendered", "locks", "threads"):
        assert list((storage / ".solven-env" / left).iterdir()) == []
    assert {path.name for path in (directories.data() / "layers").glob("*/*")} <= {".gone"}
