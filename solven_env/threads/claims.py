"""Uids that threads have claimed on this host: one name a uid, so that no two threads of any storage have the same.

    <data>/uids/<uid>       a symbolic link whose text is `storage id/thread/incarnation`

A link has its text or is not there, whenever the machine stops, and takes no wait for the disk; one that is lost all
the same is found missing by the thread's next command. A claim stays as long as its thread. One of the same thread
under another incarnation, made anew, passes over to it: its workspace is the same directory.
"""

from __future__ import annotations

from solven_env.errors import SandboxError
from solven_env.system.publishing import locked, make_private, refusals_told
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class Claimant(NamedTuple):
    """A thread, as no other one on this host is called."""

    storage: str
    thread: str
    incarnation: str


def holder(data: Path, uid: int) -> Claimant | None:
    """The thread that has the uid on this host; None for nobody."""
    path = data / "uids" / str(uid)
    with refusals_told(path):
        try:
            storage, _, rest = str(path.readlink()).partition("/")
        except FileNotFoundError:
            return None
    thread, _, incarnation = rest.partition("/")
    return Claimant(storage, thread, incarnation)


def find(data: Path, preferred: Iterable[int], uids: range, claimant: Claimant) -> int:
    """The uid out of `uids` that `draw` would give the thread. SandboxError where none is left."""
    for uid in _candidates(preferred, uids, claimant):
        if _is_to_be_had(holder(data, uid), claimant):
            return uid
    raise SandboxError(
        f"all {len(uids)} uids of sandbox.uids ({uids[0]} to {uids[-1]}) are other threads'",
        location=str(data / "uids"),
        fix="Give sandbox.uids a larger count, or remove here the links of threads that are gone.",
    )


def draw(data: Path, preferred: Iterable[int], uids: range, claimant: Claimant) -> int:
    """Claim a uid for the thread, one of `preferred` if it can be had. SandboxError where none is left.

    A thread begins to look at the same place on every host, so that mostly it has the same uid on all.
    """
    directory = make_private(data) / "uids"
    with locked(directory, "claims"), refusals_told(directory):
        uid = find(data, preferred, uids, claimant)
        found = holder(data, uid)
        if found is not None and found != claimant:
            (directory / str(uid)).unlink()
        if found != claimant:
            (directory / str(uid)).symlink_to("/".join(claimant))
    return uid


def of_thread(data: Path, storage: str, thread: str) -> tuple[int, ...]:
    """The uids that a thread, whatever its incarnation, has claimed."""
    return tuple(uid for uid, claimant in claimed(data).items() if claimant[:2] == (storage, thread))


def release(data: Path, storage: str, thread: str, likely: int | None = None) -> None:
    """Let other threads have the uids that a thread, whatever its incarnation, has claimed.

    Where it has the `likely` one, no other is looked for: that takes a look at those of all threads.
    """

    def is_its(uid: int) -> bool:
        return (holder(data, uid) or ())[:2] == (storage, thread)

    directory = data / "uids"
    found = (likely,) if likely is not None and is_its(likely) else of_thread(data, storage, thread)
    if found:
        with locked(directory, "claims"), refusals_told(directory):
            for uid in filter(is_its, found):
                (directory / str(uid)).unlink(missing_ok=True)


def claimed(data: Path) -> dict[int, Claimant]:
    """All uids that threads have on this host."""
    found = ((int(path.name), holder(data, int(path.name))) for path in (data / "uids").glob("[0-9]*"))
    return {uid: claimant for uid, claimant in found if claimant is not None}


def count(data: Path, uids: range) -> int:
    """Number of `uids` that are claimed."""
    return sum(int(path.name) in uids for path in (data / "uids").glob("[0-9]*"))


def _is_to_be_had(found: Claimant | None, claimant: Claimant) -> bool:
    return found is None or found[:2] == claimant[:2]


def _candidates(preferred: Iterable[int], uids: range, claimant: Claimant) -> Iterator[int]:
    import zlib  # which a command of a thread that has its uid has no use for

    yield from (uid for uid in preferred if uid in uids)
    start = zlib.crc32(f"{claimant.storage}/{claimant.thread}".encode()) % len(uids)
    yield from uids[start:]
    yield from uids[:start]
