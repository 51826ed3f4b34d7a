"""Other users, for tests that root runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.reconcile.crashes import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable

USER, GROUP = (61000, 61000) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
"""Whom tests of an ordinary user are done as: ids that nobody has, where root runs the tests."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_user(act: Callable[[], object]) -> None:
    """Do `act` as an ordinary user, in a process of its own; it fails where `act` does."""

    def become_and_act() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(USER, USER, USER)
        act()

    in_a_child(become_and_act)
