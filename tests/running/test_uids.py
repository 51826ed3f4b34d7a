"""Under root each thread has a host uid of its own, where the host's configuration has a range of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.running.world import UID, World
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not ROOT, reason="only root has several uids")

FIRST, COUNT = 70000, 100
RANGE = range(FIRST, FIRST + COUNT)


def configure(world: World, text: str = f"sandbox: {{uids: {{first: {FIRST}, count: {COUNT}}}}}\n") -> None:
    (world.base / "config.yaml").write_text(text)


def uid(world: World, thread: str = "t1") -> int:
    """Whom the thread's workspace belongs to."""
    return world.workspace(thread).stat().st_uid


def owners(directory: Path) -> set[int]:
    paths = (directory, *directory.rglob("*"))
    return {path.lstat().st_uid for path in paths}


def test_each_thread_has_one_with_its_workspace_and_layers(thread: World) -> None:
    assert uid(thread) == UID
    configure(thread)
    thread.out("echo mine >/.venv/mine; mkdir -p /a/b; echo a >/a/b/c")
    thread.apply("t1", "t2")
    one, two = uid(thread, "t1"), uid(thread, "t2")
    assert one != two
    assert {one, two} <= {*RANGE}
    assert owners(thread.workspace("t1")) == {one}
    assert thread.out("cat /.venv/mine; id -u; stat -c %u /a/b/c /.venv/bin/python") == "mine\n1000\n1000\n1000\n"
    thread.out("echo more >>/.venv/mine; rm -r /.venv/lib/python3.12/site-packages/pip; echo b >>/a/b/c")
    assert "No module named pip" in thread.sh("python -m pip").err
    assert thread.sh("python -m pip --version", thread="t2").status == 0
