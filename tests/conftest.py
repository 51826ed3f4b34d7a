"""What tests of several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, where a host notes the storages that it meets; it may not be there yet."""
    place = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    return place / "solven-env"
