"""The disk that all threads of this host take together, and the bound that the host configuration sets to that.

Counted are the layers of all threads, and the workspaces of storages that this host has met and that lie on its own
file systems. To look at all of them takes seconds where there are thousands of threads, so that the sum is noted in the
data directory and made anew by a process of its own, once it is old or so much less is free that it may have doubled
towards the bound. Nobody is refused by an old sum as soon as something was freed.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import DiskBoundError, SolvenError
from solven_env.system import byte_sizes, processes
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding, suppress
from solven_env.system.durable import write_over
from solven_env.system.publishing import locked, refusals_told
from solven_env.threads import known
from solven_env.workspace.sizes import measure
from solven_env.workspace.storage import mount_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from solven_env.config import HostDisk

_NOTE = "host-disk.json"
_LOCK = "host-disk"
_OLD = 600.0  # seconds after which the sum is made anew in any case
_YOUNG = 2.0  # seconds in which it is not
_SHARE = 20  # no more than this part of the time is spent on it
_OURS = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "tmpfs", "overlay"))
"""File systems by the names of proc(5) that one host alone mounts."""


class Taken(NamedTuple):
    """The bytes that all threads take, at least; exactly if `is_complete`.

    It was found at `moment` (seconds since 1970) in so many `seconds`, when `free` bytes were left there.
    """

    bytes: int
    is_complete: bool
    moment: float
    seconds: float
    free: int


def check(bound: HostDisk, data: Path, progress: Callable[[str], None]) -> None:
    """Raise DiskBoundError if all threads together take more than the host configuration allows.

    `data` is our own directory (`<data>/solven-env`). `progress` is told when this takes a while.
    """
    taken = noted(data)
    if taken is None:
        progress("disk: looking at what all threads of this host take, which is noted from now on")
        taken = look(data)
    elif taken.bytes < bound.max:
        if is_due(taken, bound, _free(data), time.time()):
            _look_aside(data)
    elif is_worth_looking(taken, bound, _free(data), time.time()):
        taken = look(data)
    if taken.bytes >= bound.max:
        raise DiskBoundError(
            f"all threads of this host take {byte_sizes.told(taken.bytes)} of its disk together, and its configuration "
            f"allows {byte_sizes.told(bound.max)}",
            fix="See what takes it with solven-env du, and free some with solven-env gc; or raise sandbox.disk.max.",
        )


def is_due(taken: Taken, bound: HostDisk, free: int, now: float) -> bool:
    """True if a sum below the bound is to be made anew: it is old, or half of what was left may have been taken."""
    age = now - taken.moment
    is_growing = 2 * (taken.free - free) >= bound.max - taken.bytes
    return age < 0 or (age >= _rest(taken) and (is_growing or age >= _OLD))


def is_worth_looking(taken: Taken, bound: HostDisk, free: int, now: float) -> bool:
    """True if a sum above the bound may be lower by now: it is old, or enough was freed."""
    age = now - taken.moment
    return age < 0 or age >= _rest(taken) or free - taken.free > taken.bytes - bound.max


def _rest(taken: Taken) -> float:
    return max(_YOUNG, _SHARE * taken.seconds)


def noted(data: Path) -> Taken | None:
    """The sum as it was found last; None where nobody has looked, or what was noted is damaged."""
    try:
        document = json.loads((data / _NOTE).read_bytes())
        return Taken(
            int(document["bytes"]),
            bool(document["is_complete"]),
            float(document["moment"]),
            float(document["seconds"]),
            int(document["free"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def look(data: Path) -> Taken:
    """Look at all threads, and note what they take. One process looks at a time, and the others take its result."""
    asked = time.time()
    with locked(data, _LOCK):
        found = noted(data)
        if found is not None and found.moment >= asked:
            return found
        taken = measured(data)
        _note(data, taken)
        return taken


def measured(data: Path) -> Taken:
    """Look at all threads. Nothing is noted."""
    moment, began, free = time.time(), time.monotonic(), _free(data)
    total, is_complete = 0, True
    for directory in _trees(data):
        try:
            with holding(os.open(directory, READ_DIRECTORY_ITSELF)) as opened:
                use = measure(opened, lambda place: place.name == "work")
        except FileNotFoundError:
            continue
        except (OSError, SolvenError):  # a layer is being removed, a directory keeps us out
            is_complete = False
            continue
        total += use.bytes
        is_complete = is_complete and use.is_complete
    return Taken(total, is_complete, moment, time.monotonic() - began, free)


def look_again(data: str) -> None:
    """In a process of its own: look, and note."""
    if os.fork() == 0:
        try:
            look(Path(data))
        finally:
            os._exit(0)


def _look_aside(data: Path) -> None:
    """Have it looked at by a process that nobody waits for."""
    quiet = (subprocess.DEVNULL,) * 3
    processes.begin("solven_env.threads.host_disk.look_again", (data.absolute(),), (), quiet).wait()


def _note(data: Path, taken: Taken) -> None:
    with refusals_told(data), holding(os.open(data, READ_DIRECTORY_ITSELF)) as directory:
        staged = f".new-{_NOTE}-{os.urandom(4).hex()}"
        write_over(directory, _NOTE, staged, json.dumps(taken._asdict()).encode(), mode=0o600)


def _places(data: Path) -> list[Path]:
    """The directories of this host's own file systems in which threads have something: a directory for each thread."""
    found = [data / "layers" / each for each in _names(data / "layers")]
    storages = {each.path for each in known.met(data).values() if each is not None}
    return found + [Path(path) / "threads" for path in sorted(storages) if _is_ours(path)]


def _trees(data: Path) -> Iterator[Path]:
    for place in _places(data):
        yield from (place / name for name in _names(place))


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 (names are wanted)
    except OSError:
        return []


def _free(data: Path) -> int:
    """The bytes that are free on all file systems in question together."""
    free = {}
    for place in {data, *_places(data)}:
        with suppress(OSError):
            about = os.statvfs(place)
            free[place.stat().st_dev] = about.f_bfree * about.f_frsize
    return sum(free.values())


def _is_ours(path: str) -> bool:
    """True where a path is on a file system of this host's own. It is not touched: what is mounted there may hang."""
    kinds = mount_points()
    above = [place for place in kinds if f"{path}/".startswith(f"{place.rstrip('/')}/")]
    return kinds.get(max(above, key=len, default=""), "") in _OURS
