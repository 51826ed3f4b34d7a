"""Real uv, real Bun, real registries. Our own cache is one for the whole run, whatever process a test is in."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import toolchain
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap
from tests.packages.layered import UID
from tests.run.world import remove
from tests.sandbox.running import BWRAP, POLL

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def host(caches: Path) -> toolchain.Toolchain:
    """This machine, as it is configured."""
    return toolchain.host(caches / "solven-env", os.environ)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A host with nothing configured but what its network needs, and an empty home."""
    names = ("PATH", "SSL_CERT_FILE", "UV_CACHE_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    kept.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))
    home = tmp_path / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def runtime() -> Iterator[str]:
    """A directory for sessions. What a test started ends with it: nothing is left in there."""
    directory = tempfile.mkdtemp(prefix="solven-")
    yield directory
    end = time.monotonic() + 20
    while os.listdir(directory):
        assert time.monotonic() < end, os.listdir(directory)
        time.sleep(POLL)
    os.rmdir(directory)


@pytest.fixture
def builder(host: toolchain.Toolchain, runtime: str) -> Builder:
    return Builder(host, UID, runtime, bubblewrap, BWRAP)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Under root beneath a directory that only root may enter."""
    path = Path(tempfile.mkdtemp(prefix="solven-"))
    yield path
    remove(path)
