"""The verbs of packages as a program calls them; those that lock are tested where packages are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import UsageError
from tests.profiles import write_profile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")


def test_a_lock_is_upgraded_whole_or_in_part(profile: Path) -> None:
    with pytest.raises(UsageError, match="upgrade moves all packages, upgrade_packages some"):
        solven_env.lock(profile, upgrade=True, upgrade_packages=["six"])
    assert solven_env.outdated(write_profile(profile.with_name("none.yaml"), {})).packages == {}
