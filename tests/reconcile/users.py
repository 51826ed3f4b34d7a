"""Other users, for tests that root runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.reconcile.crashes import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable

USER = 61000
"""A uid and gid that nobody has."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_user(act: Callable[[], object]) -> None:
    """Do `act` as `USER`, in a process of its own; it fails where `act` does."""

    def become_and_act() -> None:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        act()

    in_a_child(become_and_act)
