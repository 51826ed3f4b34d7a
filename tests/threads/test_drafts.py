"""A profile by what a workspace states: the workspace is an agent's, and nothing of it is run or followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import UsageError
from solven_env.threads.drafts import of_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARY = "export CANARY=leaked\n"


def link_out(place: Path, outside: Path) -> None:
    place.symlink_to(outside)


def fifo(place: Path, outside: Path) -> None:
    os.mkfifo(place)


def directory(place: Path, outside: Path) -> None:
    place.mkdir()


def huge(place: Path, outside: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)


def binary(place: Path, outside: Path) -> None:
    place.write_bytes(bytes(range(256)) * 99)


def deep(place: Path, outside: Path) -> None:
    place.write_text("[" * 500_000)


@pytest.mark.parametrize("name", [".bashrc", "pyproject.toml", "package.json", ".gitignore"])
@pytest.mark.parametrize("plant", [link_out, fifo, directory, huge, binary, deep])
def test_what_an_agent_plants_is_told_and_the_profile_is_valid(
    tmp_path: Path, name: str, plant: Callable[[Path, Path], None]
) -> None:
    (outside := tmp_path / "outside").write_text(CANARY)
    (workspace := tmp_path / "workspace").mkdir()
    plant(workspace / name, outside)
    profile = tmp_path / "team.yaml"
    remarks = solven_env.init(profile, workspace=workspace)
    assert any(each.where.startswith(name) for each in remarks)
    assert all(each.what for each in remarks)
    assert "CANARY" not in profile.read_text()
    assert solven_env.validate(profile) == ()


def test_a_workspace_behind_a_link_of_its_owner_is_read(tmp_path: Path) -> None:
    (workspace := tmp_path / "workspace").mkdir()
    (workspace / ".bashrc").write_text("export A=b\nid\n")
    (tmp_path / "link").symlink_to(workspace)
    text, remarks = of_workspace("x.yaml", tmp_path / "link")
    assert "\n  A: b\n" in text
    assert [each.where for each in remarks] == [".bashrc:2"]


def test_nothing_is_overwritten_nor_followed(tmp_path: Path) -> None:
    (there := tmp_path / "there.yaml").write_text("ours")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "new.yaml")
    for name in ("there.yaml", "link.yaml"):
        with pytest.raises(UsageError, match="there is something already"):
            solven_env.init(tmp_path / name)
    assert there.read_text() == "ours"
    assert not (tmp_path / "new.yaml").exists()
