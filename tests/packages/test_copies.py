"""A thread's own copy of a build: whole or not there, made once, and nothing of it the build's."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import carrying
from solven_env.packages.additions import NONE
from solven_env.packages.layers import Home
from solven_env.packages.store import Build
from solven_env.sandbox.backends import proot

if TYPE_CHECKING:
    from collections.abc import Callable

UID = 61000 if os.geteuid() == 0 else None


@pytest.fixture
def build(tmp_path: Path) -> Build:
    tree = tmp_path / "build/tree"
    (tree / "lib/deep").mkdir(parents=True)
    (tree / "lib/deep/six.py").write_text("X = 1\n" * 400_000)
    (tree / "lib/run").write_text("#!/bin/sh\n")
    (tree / "lib/run").chmod(0o755)
    (tree / "lib/link").symlink_to("/run/solven-env/python")
    for path in (tree / "lib/deep/six.py", tree / "lib/deep", tree / "lib"):
        os.utime(path, ns=(10**18 + 7, 10**18 + 7))
    return Build("python", "python-1", "aa", tmp_path / "build")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "data", "storage", "t1", "first")


def had(home: Home, build: Build, uid: int | None, progress: Callable[[str], None] = lambda _: None) -> Path:
    own = carrying.begin(home, build, proot, uid, NONE, progress).own
    assert isinstance(own, str)
    return Path(own)


def listing(tree: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in tree.rglob("*"):
        about = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(tree))] = (stat.filemode(about.st_mode), about.st_mtime_ns, content)
    return found


def test_a_copy_is_equal_and_shares_nothing(build: Build, home: Home) -> None:
    copy = had(home, build, UID)
    assert listing(copy) == listing(build.tree)
    for path in copy.rglob("*"):
        about = path.lstat()
        assert about.st_uid == (os.geteuid() if UID is None else UID)
        assert path.is_dir() or about.st_nlink == 1
    (copy / "lib/deep/six.py").write_text("changed")
    assert (build.tree / "lib/deep/six.py").read_text().startswith("X = 1")
    assert had(home, build, UID) == copy
    assert (copy / "lib/deep/six.py").read_text() == "changed"


def test_each_instance_and_each_thread_has_its_own(build: Build, home: Home) -> None:
    ones = {
        had(where, each, UID)
        for where in (home, home._replace(thread="t2"), home._replace(incarnation="second"))
        for each in (build, build._replace(instance="bb"))
    }
    assert len(ones) == 6


def test_what_was_interrupted_is_not_believed(build: Build, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(carrying, "sync_file_system", fails)
        had(home, build, UID)
    (left,) = (name for name in os.listdir(home.path) if not name.endswith(".lock"))
    assert left.startswith(".new-python-aa-")  # for the next one to sweep: an interrupt waits for nothing
    (home.path / ".new-python-aa-killed").mkdir()
    assert listing(had(home, build, UID)) == listing(build.tree)
    assert sorted(os.listdir(home.path)) == [".now-python.lock", ".python-aa.lock", "now-python", "python-aa"]


def test_two_that_ask_at_once_get_one(build: Build, home: Home) -> None:
    said: list[str] = []
    threads = [threading.Thread(target=had, args=(home, build, UID, said.append)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line.split()[0] for line in said] == ["copying", "copied"]
    assert listing(home.path / "python-aa/copy") == listing(build.tree)
