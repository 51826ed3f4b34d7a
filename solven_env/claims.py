"""Which thread has which uid on this host: one file a uid, so that no two threads of any storage ever have the same.

    <data>/uids/<uid>       the storage's id, the thread and its incarnation, as JSON

A claim stays as long as its thread. One of the same thread under another incarnation, made anew, passes over to it: its
workspace is the same directory. What a range has no room for, `sandbox.uids` of the host's configuration says.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from solven_env.builds.staging import locked, make_private, refusals_told
from solven_env.durable import rename_new, sync_directory, write_new
from solven_env.errors import SandboxError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NEW = ".new"


class Claimant(NamedTuple):
    """A thread, as no other one on this host is called."""

    storage: str
    thread: str
    incarnation: str


def holder(data: Path, uid: int) -> Claimant | None:
    """Who has the uid on this host; None for nobody. A damaged claim is nobody's that we know, and never free."""
    path = data / "uids" / str(uid)
    with refusals_told(path):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
    with suppress(ValueError, TypeError):
        return Claimant(**json.loads(text))
    return Claimant("", "", "")


def find(data: Path, preferred: Iterable[int], uids: range, claimant: Claimant) -> int:
    """The uid out of `uids` that `draw` would give the thread."""
    for uid in _candidates(preferred, uids, claimant):
        if _is_to_be_had(holder(data, uid), claimant):
            return uid
    raise SandboxError(
        f"all {len(uids)} uids of sandbox.uids ({uids[0]} to {uids[-1]}) are other threads'",
        location=str(data / "uids"),
        fix="Give sandbox.uids a larger count, or remove here the files of threads that are gone.",
    )


def draw(data: Path, preferred: Iterable[int], uids: range, claimant: Claimant) -> int:
    """Claim a uid for the thread, one of `preferred` if it can be had. SandboxError where none is left.

    A thread begins to look at the same place on every host, so that mostly it has the same uid on all.
    """
    directory = make_private(data) / "uids"
    with locked(directory, "claims"), refusals_told(directory):
        uid = find(data, preferred, uids, claimant)
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(FileNotFoundError):
                os.unlink(_NEW, dir_fd=opened)  # of one that was killed
            write_new(opened, _NEW, json.dumps(claimant._asdict()).encode(), mode=0o600)
            if holder(data, uid) is None:
                rename_new(opened, _NEW, opened, str(uid))
            else:
                os.rename(_NEW, str(uid), src_dir_fd=opened, dst_dir_fd=opened)
            sync_directory(opened)
        finally:
            os.close(opened)
    return uid


def count(data: Path, uids: range) -> int:
    """How many of `uids` are claimed."""
    return sum(path.name.isdigit() and int(path.name) in uids for path in (data / "uids").glob("[0-9]*"))


def _is_to_be_had(found: Claimant | None, claimant: Claimant) -> bool:
    return found is None or found[:2] == claimant[:2]


def _candidates(preferred: Iterable[int], uids: range, claimant: Claimant) -> Iterator[int]:
    import zlib  # which a command of a thread that has its uid has no use for

    yield from (uid for uid in preferred if uid in uids)
    start = zlib.crc32(f"{claimant.storage}/{claimant.thread}".encode()) % len(uids)
    yield from uids[start:]
    yield from uids[:start]
