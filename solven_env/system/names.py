"""The grammar of the names that become part of a path: ids, digests, and paths themselves. Pure.

A record lies on the storage, where others may write and disks fail: each name is held to this before it is used.
"""

from __future__ import annotations

import re

from solven_env.errors import UsageError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A thread's id, and a storage's."""

DRAWN = re.compile(r"[0-9a-f]{32}")
"""Random name, as `os.urandom(16).hex()` draws it: an incarnation, the instance of a build."""

DIGEST = re.compile(r"[0-9a-f]{64}")
"""A SHA-256."""

KEYED = (".toml", ".json")
"""Endings of the names of files that can be merged by keys."""


def thread_id(text: str) -> str:
    """Return `text` if it can name a thread; else UsageError with the rule.

    >>> thread_id("thread-42")
    'thread-42'
    """
    if not isinstance(text, str) or not ID.fullmatch(text):
        raise UsageError(
            f"{text!r} is no thread id",
            fix="Use 1 to 128 of the letters A-Z a-z, digits, `.`, `_` and `-`, a letter or digit first.",
        )
    return text


def is_relative(path: str) -> bool:
    """True for a path beneath a directory, in its shortest form."""
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def is_absolute(path: str) -> bool:
    """True for `/`, and for an absolute path in its shortest form."""
    return path == "/" or (path.startswith("/") and is_relative(path[1:]))
