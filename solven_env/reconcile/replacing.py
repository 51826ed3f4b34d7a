"""Looking at what stands at a path of a workspace, writing a file there, and taking away what stands there.

Nothing is lost that changed since the plan was made: it is put back, or kept. The workspace is reached through the
root that is handed in, and by nothing else.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from solven_env.errors import ConflictError, ExchangeUnsupportedError, SolvenError, WorkspaceError
from solven_env.reconcile.model import State
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.reconcile.keep import Keeper
    from solven_env.reconcile.model import Change
    from solven_env.workspace.root import Entry, Root

LARGEST = 16 << 20
"""The bytes of a file that are read. A larger file is not ours."""
_TRIES = 10


def digest(data: bytes) -> str:
    """`sha256:` and the hexadecimal digest, as records and reports write it."""
    return _known(data)[1]


def _known(data: bytes) -> tuple[bytes, str]:
    """The bytes and their digest; for bytes that were asked for lately the same objects, without digesting them again.

    Threads of one profile have the same files: it takes ten times as long to digest them as to compare them.
    """
    last = (len(data), data[-_TAIL:])
    known = _digests.get(last)
    if known is None or known[0] != data:
        known = data, f"sha256:{hashlib.sha256(data).hexdigest()}"
        if len(data) <= _COMPARED:
            if len(_digests) >= _MOST:
                _digests.clear()
            _digests[last] = known
    return known


_digests: dict[tuple[int, bytes], tuple[bytes, str]] = {}
"""Bytes of files and their digests, by length and last bytes."""
_TAIL = 32
_MOST = 64
_COMPARED = 1 << 20
"""The bytes of a file that are kept for this."""


def look(root: Root, name: str) -> State | None:
    """State of what stands at `name`, with the bytes of a file that is not too large; None for nothing."""
    for _ in range(_TRIES):
        found = root.look(name, LARGEST)
        if found is None:
            return None
        entry, data = found
        if data is not None and len(data) <= LARGEST:
            data, told = _known(data)
            return State("file", told, f"{entry.mode:04o}", len(data), data)
        try:
            return _state(root, name, entry)
        except FileNotFoundError:
            return None  # gone between two looks
        except WorkspaceError:
            if root.stat(name) == entry:
                raise
            # The agent has put something else there meanwhile.
    raise changed_meanwhile(name)


def _state(root: Root, name: str, entry: Entry) -> State:
    mode = f"{entry.mode:04o}"
    if entry.kind == "file" and entry.size > LARGEST:
        return State("file", f"size:{entry.size}", mode, entry.size)
    if entry.kind == "file":
        data = root.read(name, LARGEST)
        return State("file", digest(data), mode, len(data), data)
    if entry.kind == "symlink":
        return State("symlink", digest(root.read_link(name).encode(errors="surrogateescape")))
    return State(entry.kind)


def write(root: Root, change: Change, keeper: Keeper) -> State:
    """Write the file of `change.after`, in the place of what `change.before` says; its state now."""
    assert change.after is not None
    assert change.after.data is not None
    if change.place != change.name and root.follow(change.name, to_nothing=True) != change.place:
        raise changed_meanwhile(change.name)  # the link leads elsewhere by now
    staged = root.stage(change.place, change.after.data, int(change.after.mode, 8))
    try:
        _put(root, change, staged, keeper)
    except BaseException:
        with suppress(SolvenError, OSError):  # the first error is the one that counts; the next apply removes the file
            discard(root, change, staged, change.after.data, keeper)
        raise
    return change.after._replace(mode=f"{root.mode_of(staged):04o}")


def take_away(root: Root, change: Change, keeper: Keeper) -> None:
    """Remove what stands in the change's place, if it still is what the plan saw; it is looked at once it is ours."""
    if change.before is not None and change.before.type == "directory":
        _take_directory(root, change, keeper)
        return
    try:
        aside = root.set_aside(change.place)
    except FileNotFoundError:
        return
    try:
        _check(root, change, aside)
    except BaseException:
        try:
            root.publish(aside, change.place)
        except FileExistsError:  # the agent has put something new there
            keeper.take(change.place, aside)
        raise
    _dispose(root, change, aside, keeper)


def changed_meanwhile(name: str) -> ConflictError:
    """Error for a workspace in which something else stands than when the plan was made."""
    return ConflictError(
        "the workspace changed while apply ran",
        fix="Run apply again: it finishes what was begun.",
        location=name,
    )


def _take_directory(root: Root, change: Change, keeper: Keeper) -> None:
    """Keep a directory whole, in one step from its place: a bucket's mount moves each file of it anew."""
    entry = root.stat(change.name)
    if entry is not None and entry.kind != "directory":
        raise changed_meanwhile(change.name)
    keeper.take(change.name)  # whatever the agent has put there by now


def _put(root: Root, change: Change, staged: str, keeper: Keeper) -> None:
    if change.before is not None:
        try:
            root.exchange(staged, change.place)
        except ExchangeUnsupportedError:
            take_away(root, change, keeper)  # a bucket's mount: for a moment nothing is there
        except FileNotFoundError:
            pass  # removed meanwhile: nothing is there to be lost
        else:
            _settle(root, change, staged, keeper)
            return
    root.publish(staged, change.place)


def _settle(root: Root, change: Change, aside: str, keeper: Keeper) -> None:
    """End an exchange: dispose of what came out of it, or put it back when it is not what the plan saw."""
    try:
        _check(root, change, aside)
    except BaseException:
        try:
            root.exchange(aside, change.place)
        except FileNotFoundError:  # the agent has removed ours
            root.publish(aside, change.place)
        raise
    _dispose(root, change, aside, keeper)


def _check(root: Root, change: Change, aside: str) -> None:
    if look(root, aside) != change.before:
        raise changed_meanwhile(change.name)


def _dispose(root: Root, change: Change, aside: str, keeper: Keeper) -> None:
    """Remove what was set aside. What was kept before it was ours alone may have changed since: it is kept again."""
    if change.keep:
        keeper.take(change.place, aside)
        return
    with suppress(FileNotFoundError):
        root.remove(aside)


def discard(root: Root, change: Change, staged: str, data: bytes, keeper: Keeper) -> None:
    """Remove a staged file after a failure; what else an exchange left under its name is kept first."""
    found = look(root, staged)
    if found is not None and found.data == data:
        root.remove(staged)
    elif found is not None:
        keeper.take(change.place, staged)
