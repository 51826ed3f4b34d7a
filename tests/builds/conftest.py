"""Real uv, real Bun, real registries. Our own cache is one for the whole run, whatever process a test is in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from solven_env.builds import toolchain


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture(scope="session")
def host(cache: Path) -> toolchain.Host:
    """This machine, as it is configured."""
    return toolchain.host(cache, os.environ)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A host with nothing configured but what its network needs, and an empty home."""
    names = ("PATH", "SSL_CERT_FILE", "UV_CACHE_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    kept.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))
    home = tmp_path / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "PIP_CONFIG_FILE": os.devnull}
