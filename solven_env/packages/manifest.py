"""Contents of a build when it was made, entry by entry: they decide whether a touched build was changed.

    <build>/contents    one JSON list a line: path, mode with the type, size in bytes, modification time in nanoseconds,
                        and of a file its SHA-256, of a symbolic link where it leads

Bytecode is left out: Python makes it again. Nothing of the tree is followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from itertools import zip_longest

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = "contents"


class ManifestEntry(NamedTuple):
    """One file, directory or link of a tree. `holds` is a digest, where a link leads, or empty."""

    path: str
    mode: int
    size: int
    time: int
    holds: str


def write(build: Path) -> None:
    """Write down what the build's tree holds now."""
    with (build / _NAME).open("w") as file:
        for entry in _look(build / "tree"):
            file.write(json.dumps(entry) + "\n")


def first_changed(build: Path) -> str | None:
    """The first path in the tree that is not as it was written down, `.` for the tree; None where all are.

    Everything is read. Where times alone differ they are put right, so that this is asked once: of a source's time its
    bytecode is known, of a directory's the build (`store.first_changed`).
    """
    touched = []
    try:
        for was, found in zip_longest(_recorded(build), _look(build / "tree")):
            if was is None or found is None or was._replace(time=0) != found._replace(time=0):
                return min(each.path for each in (was, found) if each is not None)
            if was.time != found.time:
                touched.append(was)
    except (OSError, ValueError, TypeError):  # gone, closed, damaged, or a build of an earlier version, without any
        return "."
    for entry in touched:
        with suppress(OSError):  # a store that is read-only: then it is read each time
            os.utime(build / "tree" / entry.path, ns=(entry.time, entry.time), follow_symlinks=False)
    return None


def _recorded(build: Path) -> Iterator[ManifestEntry]:
    with (build / _NAME).open() as file:
        for line in file:
            yield ManifestEntry(*json.loads(line))


def _look(tree: Path) -> Iterator[ManifestEntry]:
    """All that a tree holds, in an order that is always the same."""
    for path, names, files, directory in os.fwalk(tree, onerror=_raise):
        names[:] = sorted(name for name in names if name != "__pycache__")
        here = os.path.relpath(path, tree)
        yield _entry(here, os.fstat(directory), "")
        for name in sorted((*files, *names)):
            about = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISDIR(about.st_mode):
                yield _entry(os.path.join(here, name), about, _holds(directory, name, about.st_mode))


def _entry(path: str, about: os.stat_result, holds: str) -> ManifestEntry:
    size = 0 if stat.S_ISDIR(about.st_mode) else about.st_size
    return ManifestEntry(path, about.st_mode, size, about.st_mtime_ns, holds)


def _holds(directory: int, name: str, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return os.readlink(name, dir_fd=directory)
    if not stat.S_ISREG(mode):
        return ""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(name, flags, dir_fd=directory), "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    raise error
