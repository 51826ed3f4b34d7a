"""A host of a test's own, which shares nothing but the store of builds with other tests."""

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


@pytest.fixture
def world(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A host of the test's own, and this process on it."""
    with closing(new_world(caches)) as made:
        _settle(made, monkeypatch)
        yield made


@pytest.fixture
def lone_world(world: World, caches: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host whose store is its own too, and empty; tools and fetched packages are there."""
    world.apply("warm")  # so that the shared one has its tools
    world.environ["XDG_CACHE_HOME"] = str(own_cache(world, caches))
    _settle(world, monkeypatch)
    return world


@pytest.fixture
def copied_world(thread: World, caches: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host with the thread `t1` and copies of its builds in a store of its own, to be damaged."""
    thread.environ["XDG_CACHE_HOME"] = str(own_cache(thread, caches, thread.status().builds))
    _settle(thread, monkeypatch)
    return thread


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
