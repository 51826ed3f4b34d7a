"""Where a thread's changes to a build lie, and when it gets a new place for them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import StateError
from solven_env.packages import carrying
from solven_env.packages.additions import NONE
from solven_env.packages.layers import Home, Layer, instances
from solven_env.packages.store import Build
from solven_env.sandbox.backends import bubblewrap
from solven_env.state.local import LocalState
from solven_env.threads.known import storage_id

if TYPE_CHECKING:
    from pathlib import Path

UID = 61000 if os.geteuid() == 0 else None


def layer(home: Home, build: Build, uid: int | None) -> Layer:
    build.tree.mkdir(exist_ok=True)
    own = carrying.begin(home, build, bubblewrap, uid, NONE).own
    assert isinstance(own, Layer)
    return own


def test_each_instance_has_its_own_and_the_old_one_stays(tmp_path: Path) -> None:
    home = Home(tmp_path / "data", "storage", "t1", "first")
    assert instances(home) == frozenset()
    build = Build("python", "python-1", "aa", tmp_path)
    one = layer(home, build, UID)
    (one.upper / "mine").touch()
    assert layer(home, build, UID) == one
    assert (one.upper / "mine").exists()
    two = layer(home, build._replace(key="python-2", instance="bb"), UID)
    assert two.instance == "bb"
    assert os.listdir(two.upper) == []
    assert (one.upper / "mine").exists()
    assert instances(home) == {("python", "aa"), ("python", "bb")}
    assert layer(home._replace(incarnation="second"), build, UID).upper != one.upper


def test_only_the_sandbox_gets_in(tmp_path: Path) -> None:
    home = Home(tmp_path / "data", "storage", "t1", "first")
    made = layer(home, Build("bun", "bun-1", "aa", tmp_path), UID)
    for directory in (made.upper, made.work):
        status = directory.stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o755, os.geteuid() if UID is None else UID)
    above = made.upper.parent
    while above != tmp_path / "data":
        assert (above.stat().st_mode & 0o777, above.stat().st_uid) == (0o700, os.geteuid())
        above = above.parent


def test_a_storage_has_one_id(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "storage")
    drawn = storage_id(state)
    assert storage_id(LocalState(tmp_path / "storage")) == drawn
    assert storage_id(LocalState(tmp_path / "other")) != drawn
    (tmp_path / "storage/.solven-env/storage.json").write_text('{"id": "../x"}')
    with pytest.raises(StateError, match="damaged"):
        storage_id(state)
