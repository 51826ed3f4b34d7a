"""The store: builds of this host, each under a key that names everything that determined its bytes.

    <cache>/builds/<key>/tree/        what sandboxes show, below a layer; never written once it has its name
    <cache>/builds/<key>/build.json   its key, its inputs, and its instance: a random id, so that a build that was made
                                      again is known as another one
    <cache>/builds/<key>/directories  every directory of the tree with its modification time
    <cache>/builds/<key>/contents     everything in the tree (`manifest`), for when one of these times is another
    <cache>/builds/<key>/use-<instance>.lock    locked by whoever uses this very instance, shared with others

A build that is used is neither removed nor changed. One that is made again is made beside it and takes its name in one
step; the old one is removed when nobody uses it any more.

`builds/` is closed to everybody but its owner, the sandbox's uid above all. Beneath it, the tree belongs to that uid
and is writable by it: a lower directory that it could not write would be one whose copy it cannot write either.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import re

from solven_env.packages import manifest
from solven_env.state.leases import is_needed
from solven_env.system import at_once, reread
from solven_env.system.blocks import READ_DIRECTORY, holding
from solven_env.system.inotify import DirectoryWatch
from solven_env.system.lately import lately
from solven_env.system.publishing import locked, refusals_told, staged, sweep_scratch
from solven_env.system.syscalls import HOLD_DIRECTORY, sync_file_system
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FORMAT = 1
"""The layout of a build. It is part of every key."""
_KEY = re.compile("[a-z]+-[0-9a-f]{40}")


class Build(NamedTuple):
    """A finished build. `path` is its directory in the store."""

    kind: str
    """The name of its ecosystem."""
    key: str
    instance: str
    path: Path

    @property
    def tree(self) -> Path:
        """The directory that sandboxes show."""
        return self.path / "tree"

    @property
    def lock(self) -> Path:
        """The file that users of the build hold a shared lock on. Its name is that of this very instance."""
        return self.path / f"use-{self.instance}.lock"


@lately(16)
def key(kind: str, inputs: Mapping[str, object]) -> str:
    """The key of a build that these inputs, plain data, determine."""
    text = json.dumps({"format": FORMAT, "kind": kind, **inputs}, sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def find(cache: Path, key: str) -> Build | None:
    """The build under a key, if it is there and whole. One that lost a file or a directory is none."""
    found = read(cache, key)
    return found if found is not None and is_whole(found) else None


def keys(cache: Path) -> tuple[str, ...]:
    """The keys of all builds, whole or not. StoreError where the store cannot be read."""
    with refusals_told(_directory(cache)):
        try:
            names = os.listdir(_directory(cache))
        except FileNotFoundError:
            return ()
    return tuple(sorted(name for name in names if _KEY.fullmatch(name)))


def read(cache: Path, key: str) -> Build | None:
    """The build under a key as it says it is, whole or not."""
    path, about = _place(cache, key)
    try:
        return _said(reread.read(about), path)
    except (OSError, ValueError, TypeError, KeyError):
        return None


@functools.lru_cache(maxsize=64)
def _place(cache: Path, key: str) -> tuple[Path, str]:
    """A build's directory, and its build.json."""
    path = _directory(cache) / key
    return path, str(path / "build.json")


@functools.lru_cache(maxsize=64)
def _said(text: bytes, path: Path) -> Build | None:
    about = json.loads(text)
    if about["format"] != FORMAT or about["key"] != path.name:
        return None
    return Build(about["kind"], path.name, about["instance"], path)


def obtain(cache: Path, key: str, inputs: Mapping[str, object], fill: Callable[[Path], None]) -> Build:
    """The build under a key; made by `fill`, which is given its new directory, where it is missing or not whole.

    Two that ask for one key wait for each other, and the second gets what the first made. The build gets its name when
    it is complete and on disk, so that what a killed process left is never taken for one. One that is there and not
    whole stays where it is until then, and for good where `fill` fails.
    """
    found = find(cache, key)
    if found is not None:
        return found
    target = _directory(cache) / key
    with locked(target.parent, key):
        found = find(cache, key)
        if found is not None:
            return found
        sweep_scratch(cache / "scratch")
        with staged(target) as stage:
            fill(stage)
            with refusals_told(stage):
                instance = _seal(stage, key, inputs)
    return Build(key.partition("-")[0], key, instance, target)  # as it was made: it may be collected by now


def use(build: Build) -> holding | None:
    """Keep a build from being removed until what is returned is closed; None where it is there no more.

    Whoever looks whether it can be removed is waited for. The time of this use is that of the lock's file.
    """
    lock = str(build.lock)
    with refusals_told(lock):
        try:
            descriptor = os.open(lock, os.O_RDONLY)
        except FileNotFoundError:
            if read(build.path.parents[1], build.key) != build:
                return None
            descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o600)  # one of an earlier version
        held = holding(descriptor)
        at_once.lock(descriptor, fcntl.LOCK_SH)
        if not os.path.exists(lock):  # removed
            return None
        os.utime(descriptor)
        return held


def is_whole(build: Build) -> bool:
    """Tell whether the tree still holds what it held when it was made, as `first_changed` sees it."""
    return first_changed(build) is None


def first_changed(build: Build) -> str | None:
    """The first path in the tree that is not as it was made, `.` for the tree; None where all is.

    One look at each directory, a few milliseconds for a thousand: what was added, removed or renamed has changed its
    time. Where one has another time, all is compared and read. Bytes that were changed in place are not seen before.
    A process that looks for the second time has the kernel tell of changes in these directories from then on, and
    looks once more when it does.
    """
    try:
        paths, times = _parse_directories(reread.read(f"{build.path}/directories"))
    except (OSError, ValueError):
        return "."
    before = _looked_at.get(build, ...)
    if isinstance(before, DirectoryWatch) and before.is_quiet():
        return None
    watch = _watch(build.tree, paths) if before is not ... else None  # begun first: no change comes in between
    changed = None if _are_untouched(build.tree, paths, times) else manifest.first_changed(build.path)
    if changed is None:
        _remember(build, watch)
    else:
        _looked_at.pop(build, None)
    return changed


_looked_at: dict[Build, DirectoryWatch | None] = {}
"""The builds that this process has found whole, the one that was remembered last at the end; None for one look."""
_MOST_WATCHED = 8


def _remember(build: Build, watch: DirectoryWatch | None) -> None:
    _looked_at[build] = watch
    for old in tuple(_looked_at)[:-_MOST_WATCHED]:
        _looked_at.pop(old, None)


def _watch(tree: Path, paths: list[bytes]) -> DirectoryWatch | None:
    """A watch over the directories of a tree; None where it could not be trusted, or is not to be had."""
    try:
        with holding(os.open(tree, HOLD_DIRECTORY)) as opened:
            if is_needed(opened):  # the same file systems, on which other hosts change what no watch here sees
                return None
        return DirectoryWatch(tree, paths)
    except OSError:
        return None


def _are_untouched(tree: Path, paths: list[bytes], times: list[int]) -> bool:
    try:
        with holding(os.open(tree, HOLD_DIRECTORY)) as top:
            return all(os.stat(path, dir_fd=top).st_mtime_ns == time for path, time in zip(paths, times, strict=True))
    except OSError:  # one is gone
        return False


def file_beside(build: Build, name: str) -> bytes | None:
    """The file `name` that an ecosystem left beside the tree, a lock for workspaces say; None where it left none."""
    try:
        return reread.read(f"{build.path}/{name}")
    except FileNotFoundError:
        return None


def _directory(cache: Path) -> Path:
    return cache / "builds"


def _seal(stage: Path, key: str, inputs: Mapping[str, object]) -> str:
    """Write what makes a filled directory a build, and have all of it on disk; the new instance."""
    instance = os.urandom(16).hex()
    about = {
        "format": FORMAT,
        "key": key,
        "kind": key.partition("-")[0],
        "instance": instance,
        "inputs": inputs,
    }
    (stage / "directories").write_bytes(b"\0".join(_directories(stage / "tree")))
    manifest.write(stage)
    (stage / "build.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    for path in stage.iterdir():
        if path.is_file():
            path.chmod(0o644)  # whatever the umask
    (stage / f"use-{instance}.lock").touch(mode=0o600)
    with holding(os.open(stage, READ_DIRECTORY)) as descriptor:
        # One call for 13,000 files; after a power cut, a name without its bytes would be believed.
        sync_file_system(descriptor)
    return instance


def _directories(tree: Path) -> Iterator[bytes]:
    """Path and modification time (nanoseconds) of each directory, but for bytecode, which Python makes again."""
    top = os.fsencode(tree)
    for path, names, _, directory in os.fwalk(top):
        names[:] = sorted(name for name in names if name != b"__pycache__")
        yield os.path.relpath(path, top)
        yield str(os.fstat(directory).st_mtime_ns).encode()


@functools.lru_cache(maxsize=16)
def _parse_directories(text: bytes) -> tuple[list[bytes], list[int]]:
    """Paths and times that `_directories` wrote. ValueError if the text is damaged."""
    parts = text.split(b"\0")
    if len(parts) % 2:
        raise ValueError("a path without its time")
    return parts[::2], [int(time) for time in parts[1::2]]
