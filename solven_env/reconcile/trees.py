"""Whole trees of the workspace: walked and removed through its root, however the agent shaped them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from solven_env.workspace.root import Entry, Root


def walk(root: Root, path: str) -> Iterator[tuple[str, Entry]]:
    """`path` and all beneath it, a directory before what it holds. Links are named, never followed."""
    waiting = [path]
    while waiting:
        here = waiting.pop()
        entry = root.stat(here)
        if entry is None:
            continue
        yield here, entry
        if entry.kind == "directory":
            waiting.extend(f"{here}/{name}" for name in reversed(root.list(here)))


def remove(root: Root, walked: Iterable[tuple[str, Entry]]) -> None:
    """Remove what was walked and nothing else: a directory that holds more by now is OSError with ENOTEMPTY."""
    for here, entry in reversed(list(walked)):
        with suppress(FileNotFoundError):  # the agent removed it first
            if entry.kind == "directory":
                root.remove_directory(here)
            else:
                root.remove(here)
