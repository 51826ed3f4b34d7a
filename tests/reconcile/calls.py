"""How many system calls the reconciler makes of workspace and state: what an agent makes in bulk must not multiply them.

Counted are the calls that take a path or a descriptor's rest: of `os`, and those that go through ctypes.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.system import durable, syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_OS = (
    *("open", "close", "stat", "lstat", "fstat", "read", "write", "mkdir", "rmdir", "unlink", "rename", "readlink"),
    *("chmod", "fchmod", "scandir", "listdir", "fsync"),
)


class Calls:
    """How many there were, by their names."""

    def __init__(self) -> None:
        self.by: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many there were of all."""
        return self.by.total()


@contextmanager
def counting() -> Iterator[Calls]:
    """Count what this process calls from here on. (`os.read` of a large file is one call for each MiB.)"""
    calls = Calls()

    def wrap(patch: pytest.MonkeyPatch, holder: Any, name: str) -> None:
        real = getattr(holder, name)

        def call(*arguments: Any, **named: Any) -> Any:
            calls.by[name] += 1
            return real(*arguments, **named)

        patch.setattr(holder, name, call)

    with pytest.MonkeyPatch.context() as patch:
        for name in _OF_OS:
            wrap(patch, os, name)
        wrap(patch, syscalls._libc, "syscall")
        wrap(patch, syscalls, "_openat2")
        wrap(patch, durable, "chown_opened")
        yield calls
