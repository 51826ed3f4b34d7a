"""Holes of files: one of terabytes costs no more than it holds."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def stretches(opened: int, size: int) -> Iterator[tuple[int, int]]:
    """The stretches (begin, end) of a file's first `size` bytes that are no holes (lseek(2)). Errors are OSErrors."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(opened, end, os.SEEK_DATA)
            end = min(os.lseek(opened, begin, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        if begin >= end:
            return
        yield begin, end
