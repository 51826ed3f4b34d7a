"""Processes that end in the middle of an apply, at an effect that the test chooses."""

from __future__ import annotations

import os
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.system import durable
from solven_env.workspace import root

if TYPE_CHECKING:
    from collections.abc import Callable

DIED = 99
"""The status of a process that ended at the chosen effect."""

_FAILED = 98
# What changes a disk. A death at an fsync leaves what a death at the effect after it leaves.
_OF_OS = ("write", "mkdir", "rmdir", "unlink", "link", "symlink", "rename", "fchmod", "utime")
IMPORTED = ((durable, "renameat2"), (root, "renameat2"), (durable, "chown_opened"))


def dies_at(number: int, act: Callable[[], object]) -> bool:
    """Whether `act`, in a process of its own, came to its effect of this number (from 0), where the process ends.

    A write ends half-way. False when there was no such effect; then `act` was done.
    """

    def count_down_and_act() -> None:
        with pytest.MonkeyPatch.context() as patch:
            _count_down(patch, number)
            act()

    status = _status_of(count_down_and_act)
    assert status in (0, DIED)
    return status == DIED


def in_a_child(act: Callable[[], object]) -> None:
    """Do `act` in a process of its own; it fails where `act` does."""
    assert _status_of(act) == 0


def _status_of(act: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside pytest-xdist's thread
        child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(_FAILED)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _count_down(patch: pytest.MonkeyPatch, number: int) -> None:
    left = number

    def wrap(holder: Any, name: str) -> None:
        real = getattr(holder, name)

        def effect(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os._exit(DIED)
            left -= 1
            return real(*arguments, **named)

        patch.setattr(holder, name, effect)

    for name in _OF_OS:
        wrap(os, name)
    for module, name in IMPORTED:
        wrap(module, name)
    _wrap_creating(patch, wrap)


def _wrap_creating(patch: pytest.MonkeyPatch, wrap: Callable[[Any, str], None]) -> None:
    """Let an open(2) that makes a file count, and no other."""
    plain = os.open
    wrap(os, "open")
    counted = os.open

    def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        return (counted if flags & os.O_CREAT else plain)(path, flags, *arguments, **named)

    patch.setattr(os, "open", opened)
