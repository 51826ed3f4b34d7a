"""From a profile's sections and lock to builds: what is there is found cheaply, what is missing is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env import config
from solven_env.builds import making, resolving, store
from solven_env.builds.locks import Lock
from solven_env.builds.wanted import Builds, find
from solven_env.errors import PlatformError
from solven_env.profile import Bun, Python

if TYPE_CHECKING:
    from solven_env.builds.inside import Builder

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON, BUN = Python(VERSION, ("six",)), Bun({"is-number": "^7.0.0"})


@pytest.fixture
def builder(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir(mode=0o700)
    return making.builder(tmp_path / "cache", environ, config.Sandbox())


def test_what_is_missing_is_made_and_then_found(builder: Builder) -> None:
    cache = builder.host.cache
    assert find(PYTHON, BUN, Lock(b"", b""), cache, builder.uid) == Builds()
    lock = resolving.resolve(PYTHON, BUN, {}, builder.host, lambda _: None)
    said: list[str] = []
    made = making.obtain(PYTHON, BUN, lock, builder, said.append)
    assert [line.split()[0] for line in said] == ["building", "built"] * 2
    assert making.obtain(PYTHON, BUN, lock, builder, pytest.fail) == made == find(PYTHON, BUN, lock, cache, builder.uid)
    assert made.python is not None
    assert made.bun is not None

    (made.bun.tree / "is-number" / "index.js").unlink()
    assert find(PYTHON, BUN, lock, cache, builder.uid) == Builds(made.python)
    mended = making.obtain(PYTHON, BUN, lock, builder, said.append)
    assert mended.python == made.python
    assert mended.bun is not None
    assert mended.bun.instance != made.bun.instance
    assert store.is_whole(mended.bun)

    shutil.rmtree(cache / "builds")
    assert find(PYTHON, BUN, lock, cache, builder.uid) == Builds()
    assert making.obtain(None, BUN, lock, builder, said.append).python is None


def test_the_host_says_who_builds_with_what(environ: dict[str, str], tmp_path: Path) -> None:
    named = making.builder(
        tmp_path, {**environ, "SOLVEN_ENV_BWRAP": shutil.which("bwrap") or ""}, config.Sandbox(12345)
    )
    assert named.uid == (12345 if os.geteuid() == 0 else None)
    with pytest.raises(PlatformError, match="/nowhere/bwrap"):
        making.builder(tmp_path, environ, config.Sandbox(bwrap="/nowhere/bwrap"))


def test_looking_for_builds_loads_nothing_heavy() -> None:
    text = "import sys; import solven_env.builds.wanted, solven_env.builds.lock_files; print(*sys.modules)"
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", text], env=environ, capture_output=True, text=True, check=True)
    heavy = {"subprocess", "importlib.metadata", "packaging", "platformdirs", "ruamel", "uv", "socket", "asyncio"}
    assert heavy & set(done.stdout.split()) == set()
