"""What is made beside its place, waits its turn, and leaves nothing half-made that counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from solven_env.errors import StoreError
from solven_env.system.publishing import locked, make_private, publish_file, scratch, staged


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "store" / "it"
    with pytest.raises(ZeroDivisionError), staged(target) as stage:
        (stage / "half").touch()
        raise ZeroDivisionError
    assert list(target.parent.iterdir()) == []
    with staged(target) as stage:
        (stage / "whole").touch()
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["it"]
    assert target.stat().st_mode & 0o777 == 0o755
    assert target.parent.stat().st_mode & 0o777 == 0o700


MAKE = """
import sys, pathlib
from solven_env.system.publishing import locked, scratch, staged
cache = pathlib.Path(sys.argv[1])
with locked(cache / "store", "it"), staged(cache / "store" / "it") as stage, scratch(cache / "scratch") as other:
    (stage / "half").touch()
    (other / "half").touch()
    print("ready", flush=True)
    sys.stdin.read()
"""


def make(cache: Path) -> list[str]:
    """Make something else beside it, which is an occasion to sweep; what is left of `it`."""
    with locked(cache / "store", "other"), staged(cache / "store" / "other"), scratch(cache / "scratch"):
        pass
    return [path.name for place in ("store", "scratch") for path in (cache / place).iterdir() if path.is_dir()]


def test_what_a_killed_process_left_is_swept_and_never_what_a_live_one_has(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", MAKE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for path in tmp_path.rglob("*"):
            os.utime(path, (0, 0))  # whatever its age
        assert len(make(tmp_path)) == 3
        process.send_signal(signal.SIGKILL)
    assert make(tmp_path) == ["other"]


def test_two_makers_take_turns(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path, "it"):
            order.append("second")

    with locked(tmp_path, "it"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_our_directories_are_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert make_private(tmp_path / "open").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        make_private(tmp_path / "file" / "beneath")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 61000, 61000)
    with pytest.raises(StoreError, match="belongs to uid 61000, not to you") as caught:
        make_private(tmp_path / "theirs")
    assert caught.value.fix == f"Move it away: sudo mv {tmp_path}/theirs {tmp_path}/theirs.aside"


def test_a_file_is_published_once(tmp_path: Path) -> None:
    path = tmp_path / "d" / "file"
    publish_file(path, b"1", mode=0o600)
    before = path.stat()
    publish_file(path, b"1", mode=0o600)
    assert path.stat().st_ino == before.st_ino
    publish_file(path, b"2", mode=0o644)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"2", 0o644)
    assert sorted(each.name for each in path.parent.iterdir()) == [".file.lock", "file"]
