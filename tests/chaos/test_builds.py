"""`kill -9` at every mutating call of a build that is made again: the old one or the new one is there, never half."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from solven_env.packages import store
from solven_env.system.publishing import scratch, sweep, sweep_scratch

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

INPUTS = {"packages": ["six"]}
KEY = store.key("python", INPUTS)
MUTATING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.utime", "fcntl.flock", "shutil.rmtree"}


def fill(stage: Path) -> None:
    (stage / "tree/bin").mkdir(parents=True)
    (stage / "tree/bin/pip").write_text("pip")


def is_mutating(event: str, arguments: tuple[object, ...]) -> bool:
    return event in MUTATING or (event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & os.O_CREAT))


def make_again_killed_at(call: int, cache: Path) -> bool:
    """Make the build again in a process of its own, killed before this call; whether it came so far."""
    pid = os.fork()
    if pid == 0:
        left = call

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if is_mutating(event, arguments):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            with scratch(cache / "scratch"):
                store.obtain(cache, KEY, INPUTS, fill)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_build_that_is_made_again_is_killed_at_every_mutating_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "sync_file_system", lambda _: None)
    call, is_killed = 0, True
    while is_killed:
        call += 1
        cache = tmp_path / str(call)
        old = store.obtain(cache, KEY, INPUTS, fill)
        used = store.use(old)
        assert used is not None
        directory = os.open(old.tree, os.O_PATH)
        (old.tree / "more").touch()
        is_killed = make_again_killed_at(call, cache)
        assert store.read(cache, KEY) is not None, call
        assert sorted(os.listdir(f"/proc/self/fd/{directory}")) == ["bin", "more"], call  # for who uses it
        os.close(directory)
        with used:
            now = store.obtain(cache, KEY, INPUTS, fill)
            assert (store.find(cache, KEY), now.instance != old.instance) == (now, True), call
        sweep(cache / "builds")
        sweep_scratch(cache / "scratch")
        assert sorted(path.name for path in (cache / "builds").iterdir()) == [f".{KEY}.lock", KEY], call
        assert [path.name for path in (cache / "scratch").glob("lock-*")] == [], call
    assert call > 15
