"""Callers that are killed at random moments while they copy, read, write, search or publish."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.hostile.test_outliving import KILLS
from tests.sandbox.running import DEADLINE, survivors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.run.world import World

JOURNEYS = {
    "upload": "box.files.upload(tree, '/in')",
    "download": "box.files.download('/out', tree + '.copy')",
    "write": "box.files.write('/large', b'x' * 30_000_000)",
    "read": "box.files.read('/out/large', max_bytes=1 << 30)",
    "search": "box.files.grep('nothing', '/out'); box.files.glob('**/nothing*')",
    "publish": "box.publish(8000 + number % 100)",
}


@pytest.fixture
def sandbox(bare: World, tmp_path: Path) -> Iterator[solven_env.Sandbox]:
    tree = tmp_path / "tree/sub"
    tree.mkdir(parents=True)
    for number in range(200):
        (tree / f"f{number}").write_bytes(os.urandom(2_000))
    (tmp_path / "tree/large").write_bytes(os.urandom(10_000_000))
    with solven_env.Sandbox.connect("t1", storage=bare.storage) as made:
        made.files.upload(tmp_path / "tree", "/out")
        yield made
    assert survivors(bare.base.name) == []


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_killed_caller_leaves_a_session_that_works_and_no_unfinished_file(
    sandbox: solven_env.Sandbox, bare: World, tmp_path: Path, journey: str
) -> None:
    text = (
        "import itertools, solven_env\n"
        f"box = solven_env.Sandbox.connect('t1', storage={str(bare.storage)!r})\n"
        f"tree = {str(tmp_path / 'tree')!r}\n"
        "box.files.stat('/out')\n"
        "print('ready', flush=True)\n"
        "for number in itertools.count():\n"
        f"    {JOURNEYS[journey]}\n"
    )
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, env=bare.environ) as caller:
            assert caller.stdout is not None
            assert caller.stdout.readline() == b"ready\n"
            time.sleep(random.random() * 0.2)
            caller.kill()
        deadline = time.monotonic() + DEADLINE
        while _serving(sandbox) > 1 or _unfinished(bare.workspace()):
            assert time.monotonic() < deadline, (_serving(sandbox), _unfinished(bare.workspace()))
        assert sandbox.run("cat /out/large | wc -c").stdout == "10000000\n"


def _serving(sandbox: solven_env.Sandbox) -> int:
    """The callers of the session's files, beside the server itself."""
    return sum(each.name.isdigit() for each in sandbox.files.list("/proc")) - 1


def _unfinished(workspace: Path) -> list[str]:
    """Names that only a file which is being written has."""
    found = [name for _, directories, names in os.walk(workspace) for name in (*directories, *names)]
    return [name for name in found if re.fullmatch(r"\..*\.[0-9a-f]{12}", name)]
