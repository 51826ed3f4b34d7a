"""What tests of several rooms share."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# No test depends on time: on a loaded machine any example may take longer than Hypothesis allows unless told.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Pytest rewrites the assertions of each module, which takes two thirds of a collection. It is done once, and not by every
# worker and every run as another user, where the environment keeps Python from writing bytecode (as in many images).
sys.dont_write_bytecode = False

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A directory in memory, for tests that make and remove thousands of files; None where there is none."""
FIRST = (
    "tests/test_demo.py",
    "tests/sandbox/test_unprivileged.py",
    "tests/run/test_shipped.py",
    "tests/test_transcripts.py",
)
"""Files of single tests that take long: begun last, one of them would be what the whole run waits for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin what takes long first where several processes share the work."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A directory of the test's own, in memory where there is one.

    Making and removing a directory on ext4 costs twenty times as much, and more while another worker does so too. Rooms
    whose tests do little else take it for their `tmp_path`; those that run commands stay on a disk, as threads do.
    """
    path = Path(tempfile.mkdtemp(prefix="solven-", dir=MEMORY))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What XDG_CACHE_HOME names for the whole run, whatever process a test is in: one store of builds, one Bun.

    Builders of one build wait for each other, so no lock of ours is needed. A test that damages builds has copies.
    """
    given = os.environ.get("SOLVEN_ENV_TEST_CACHE")
    base = tmp_path_factory.getbasetemp()
    path = Path(given) if given else (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "caches"
    (path / "solven-env").mkdir(exist_ok=True, parents=True, mode=0o700)
    return path


@pytest.fixture
def own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, where a host notes the storages that it meets; it may not be there yet."""
    place = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    return place / "solven-env"
