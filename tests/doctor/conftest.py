"""One host with one thread for all tests of a module: each breaks one thing, and mends it again."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.run.conftest import bare as bare
from tests.run.conftest import world as world
from tests.run.world import World, new_world, own_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def shared(caches: Path) -> Iterator[World]:
    """A host with the thread `t1`, which has run a command."""
    with closing(new_world(caches)) as world:
        (world.storage / "skills/system").mkdir(parents=True)
        (world.storage / "skills/drafts").mkdir()
        for arguments in (("apply", str(world.profile), "t1"), ("run", "t1", "--", "true")):
            done = world.cli(*arguments)
            assert done.returncode == 0, done.stderr
        yield world


@pytest.fixture
def own_store(shared: World, caches: Path) -> Iterator[Path]:
    """What XDG_CACHE_HOME names for a test that damages it: copies of the thread's builds, and the tools."""
    record = json.loads((shared.storage / ".solven-env/threads/t1/state.json").read_bytes())
    own = own_cache(shared, caches, [build["key"] for build in record["builds"].values()])
    yield own
    shutil.rmtree(own)
