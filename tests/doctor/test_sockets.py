"""Sockets and FIFOs are looked for in a bounded time, whatever an agent made behind a link."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from solven_env.doctor import sockets
from solven_env.documents.answers import limited, ok
from solven_env.sandbox.launch_plan import Bind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_hostile_tree_behind_a_link_is_looked_at_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories in each other, more than there are descriptors, and names by the thousand in one directory."""
    tree = tmp_path / "tree"
    (tree / "many").mkdir(parents=True)
    os.mkfifo(tree / "many/fifo")
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    monkeypatch.setattr(sockets, "SECONDS", 60.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 200, hard))
    try:
        answer = sockets.answer([Bind("/x", str(tree))])
        assert answer is not None
        assert (answer.level, "/x/many/fifo" in answer.detail) == ("limited", True)
        (tree / "many/fifo").unlink()
        for number in range(2000):
            (tree / f"many/{number}").touch()
        assert sockets.answer([Bind("/x", str(tree))]) == limited("none found so far; there was more than is looked at")
        assert sockets.answer([Bind("/x", str(tree / "many"))]) == ok("none is shown")
        monkeypatch.setattr(sockets, "SECONDS", 0.0)
        late = sockets.answer([Bind("/x", str(tree / "many"))])
        assert late is not None
        assert late.level == "limited"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.system(f"rm -rf {tree}")
