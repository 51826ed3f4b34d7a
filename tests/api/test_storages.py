"""The verbs of a storage as a program calls them; lists, sizes and collections are tested where these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")


def test_the_threads_of_a_storage_and_of_a_profile(profile: Path, storage: Path, tmp_path: Path) -> None:
    assert solven_env.threads(storage) == ()
    other = write_profile(tmp_path / "other.yaml", {}, name="other")
    list(solven_env.apply_many(profile, ["b", "a"], storage=storage))
    list(solven_env.apply_many(other, ["c", "d", "e"], storage=storage))
    (storage / ".solven-env/threads/d/state.json").write_text("{")  # the newest generation says whose it is
    (storage / ".solven-env/threads/e/state.json").write_text("{")
    (storage / ".solven-env/threads/e/generations/1/record.json").unlink()
    assert solven_env.threads(storage) == ("a", "b", "c", "d", "e")
    assert solven_env.threads(storage, profile="test") == ("a", "b", "e")
    assert solven_env.threads(storage, profile="other") == ("c", "d", "e")
    assert solven_env.threads(storage, profile="none") == ("e",)
