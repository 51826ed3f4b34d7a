"""One store of builds for the whole run of tests, whatever process a test is in; everything else is a test's own."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.profiles import write_profile
from tests.run.world import World, new_world, own_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What XDG_CACHE_HOME names. Builders of one build wait for each other, so no lock of ours is needed."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "caches"
    path.mkdir(exist_ok=True, mode=0o700)
    return path


@pytest.fixture
def world(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A host of the test's own, and this process on it."""
    with closing(new_world(cache)) as made:
        _settle(made, monkeypatch)
        yield made


@pytest.fixture
def lone_world(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A host whose store is its own too, to be damaged; tools and fetched packages are there."""
    with closing(new_world(cache)) as made:
        _settle(made, monkeypatch)
        made.apply("warm")  # so that the shared one has its tools
        made.environ["XDG_CACHE_HOME"] = str(own_cache(made, cache))
        _settle(made, monkeypatch)
        yield made


@pytest.fixture
def thread(world: World) -> World:
    """The same host with the thread `t1` on it."""
    world.apply()
    return world


@pytest.fixture(params=["bubblewrap", "proot"])
def either(bare: World, request: pytest.FixtureRequest) -> World:
    """A thread without packages, whose commands run on one backend and on the other."""
    bare.backend = request.param
    return bare


@pytest.fixture
def bare(world: World) -> World:
    """A thread without packages: it starts at once, whatever happens to the store."""
    world.profile = write_profile(world.base / "bare.yaml", {"hello": "hello\n"}, env={"HOME": "/"})
    world.apply()
    return world


def _settle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SOLVEN_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in world.environ.items():
        if name.startswith(("SOLVEN_", "XDG_", "UV_CACHE")):
            monkeypatch.setenv(name, value)
