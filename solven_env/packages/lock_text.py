"""One text for the lock of an ecosystem, which records keep and keys are made from, and its files beside a profile.

Most locks are one file, whose bytes are the text. Where there are more, each further one follows under a heading, `#`
and its name, which no file before it can have behind its first package.
"""

from __future__ import annotations

import functools
import hashlib

from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@functools.lru_cache(maxsize=32)
def digest(text: bytes) -> str:
    """The SHA-256 of a lock's text, in hexadecimal: its name in records and in the state."""
    return hashlib.sha256(text).hexdigest()


def join(names: Sequence[str], files: Mapping[str, bytes]) -> bytes:
    r"""The text of a lock whose files, of `names`, are these; empty without the first one.

    >>> join(("python.txt", "builds.txt"), {"python.txt": b"six==1\n", "builds.txt": b"wheel==1\n"})
    b'six==1\n# builds.txt\nwheel==1\n'
    """
    first, *others = names
    text = files.get(first, b"")
    if not text:
        return b""
    return text + b"".join(_heading(name) + files[name] for name in others if name in files)


def split(names: Sequence[str], text: bytes) -> dict[str, bytes]:
    r"""The files of a lock, by name; the reverse of `join`.

    >>> split(("python.txt", "builds.txt"), b"six==1\n# builds.txt\nwheel==1\n")
    {'python.txt': b'six==1\n', 'builds.txt': b'wheel==1\n'}
    """
    found = {}
    for name in reversed(names[1:]):
        before, heading, after = text.rpartition(b"\n" + _heading(name))
        if heading:
            text, found[name] = before + b"\n", after
    return {names[0]: text, **dict(reversed(found.items()))}


def _heading(name: str) -> bytes:
    return f"# {name}\n".encode()
