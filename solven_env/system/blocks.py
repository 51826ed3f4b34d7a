"""Blocks that close a descriptor or swallow an error, and the flags that open a directory.

Not by contextlib, whose import takes a session's first command 2.5 ms (measured).
"""

from __future__ import annotations

import os

READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK
"""Flags to read a directory at a path of the operator's or of ours, which may be a link."""
READ_DIRECTORY_ITSELF = READ_DIRECTORY | os.O_NOFOLLOW
"""The same where a link at the last name is refused (ELOOP or ENOTDIR)."""


class holding:  # noqa: N801 (read as a verb)
    """The descriptor, closed at the end of the block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_open = True

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it now, if nobody has."""
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)

    __del__ = close  # an interrupt came before the block began


class suppress:  # noqa: N801 (as in contextlib)
    """The block ends where one of these errors is raised, and nothing comes of it."""

    def __init__(self, *kinds: type[BaseException]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._kinds)
