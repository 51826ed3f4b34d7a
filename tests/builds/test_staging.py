"""What is made beside its place, waits its turn, and leaves nothing half-made that counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from solven_env.builds.staging import locked, make_private, publish_file, staged
from solven_env.errors import StoreError


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


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    program = """
import os, sys, pathlib
from solven_env.builds.staging import locked, staged
target = pathlib.Path(sys.argv[1])
with locked(target.parent, "it"), staged(target) as stage:
    (stage / "half").touch()
    print("ready", flush=True)
    sys.stdin.read()
"""
    target = tmp_path / "store" / "it"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(target.parent.glob(".new-*"))) == 1
    with locked(target.parent, "it"), staged(target):
        pass
    assert sorted(path.name for path in target.parent.iterdir()) == [".it.lock", "it"]


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
    with pytest.raises(StoreError, match="another user"):
        make_private(tmp_path / "theirs")


def test_a_file_is_published_once(tmp_path: Path) -> None:
    path = tmp_path / "d" / "file"
    publish_file(path, b"1", mode=0o600)
    before = path.stat()
    publish_file(path, b"1", mode=0o600)
    assert path.stat().st_ino == before.st_ino
    publish_file(path, b"2", mode=0o644)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"2", 0o644)
    assert [each.name for each in path.parent.iterdir()] == ["file"]
