"""Whole trees of the workspace: walked and removed through its root, however the agent shaped them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def remove_tree(root: Root, path: str) -> None:
    """Remove `path`, whatever it is."""
    for here, entry in reversed(list(walk(root, path))):
        if entry.kind == "directory":
            root.remove_directory(here)
        else:
            root.remove(here)
