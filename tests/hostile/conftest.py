from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.attacks import PROPERTY
from tests.run.conftest import bare, world  # noqa: F401 (fixtures)
from tests.sandbox.running import box, nothing_survives  # noqa: F401 (fixtures)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.attacks import Attack


@pytest.fixture
def attacks(request: pytest.FixtureRequest) -> Callable[[list[Attack]], None]:
    """Count the tries of a test that makes many."""
    return lambda made: request.node.user_properties.extend((PROPERTY, tuple(each)) for each in made)
