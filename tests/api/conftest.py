"""A small profile and a storage, for the verbs as a program calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = {"user_id": {"type": "string", "default": "user"}, "ticket": {"type": "string", "required": False}}
DOTFILES = {".bashrc": "hello {{ user_id }}\n", "scripts/tool": {"content": "#!/bin/sh\n", "mode": "0755"}}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A small profile with two files and two inputs."""
    return write_profile(tmp_path / "profile.yaml", DOTFILES, inputs=INPUTS)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage that is not there yet."""
    return tmp_path / "storage"
