"""What several tests of the reconciler start from."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.reconcile.users import GROUP, USER

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    """In memory: these tests make thousands of files, and ask what is in them."""
    return memory_path


@pytest.fixture
def users_place() -> Iterator[Path]:
    """A directory of an ordinary user's; pytest's own are closed to others."""
    place = Path(tempfile.mkdtemp())
    os.chown(place, USER, GROUP)
    yield place
    shutil.rmtree(place)
