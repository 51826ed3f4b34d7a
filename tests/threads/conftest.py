"""What tests of threads start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    """In memory: these tests make thousands of files, and ask what is in them."""
    return memory_path
