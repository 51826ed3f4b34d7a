"""The storages that this host knows: where each was last, and the id under which this host keeps what belongs to it.

    <data>/known/storages/<id>              a symbolic link, whose text is the storage's own id, the device, inode and
                                            birth of its root, and its path, with `/` between them
    <data>/known/paths/<digest of a path>   a symbolic link, whose text is the `id`, and the mount point that it was on

The id is the storage's own (`storage.json` in its state), but for a copy of a storage: what lies on this host for the
original (layers, sessions, uids) is not the copy's, so that this host gives it another one. A link has its text or is
not there, whenever the machine stops; what is lost is noted anew by the next apply or run.

What a place is, whose storage has an id that this host knows:

    the same directory, by whatever path (renamed, bind-mounted, reached through a link)    the same storage
    the path at which it was (mounted again, restored from a backup)                        the same storage
    another place, and at the former path
        the very same directory is seen                                                     the same storage
        a storage of that id is seen                                                        a copy
        nothing is, or another storage                                                      the same storage, moved
        nothing is, since what was mounted there is not now, or it does not answer          nobody knows: refused

Directories are told apart by device, inode and birth. FUSE knows no birth, and numbers are given anew with each mount:
there the first row does not apply.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shlex
from pathlib import Path

from solven_env.errors import SolvenError, StateError, StorageError, StoreError
from solven_env.state.local import LocalState
from solven_env.state.storage_root import StorageRoot, is_mount_point
from solven_env.system import names
from solven_env.system.durable import make_directory
from solven_env.system.failures import failures_as
from solven_env.system.publishing import failure_of_ours, locked, refusals_told
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.config import Storage
    from solven_env.state.contents import StateStore


ID_KEY = "storage.json"
"""The key of the storage's own id in its state."""
_ID_FORMAT = 1


class KnownStorage(NamedTuple):
    """A storage as this host met it last: its own id, and its root. `born` is 0 where that is not known."""

    storage: str
    device: int
    inode: int
    born: int
    path: str


class _At(NamedTuple):
    """A storage that was met at a path: the id under which this host keeps its files, and the mount point it was on."""

    id: str
    mount: str


class Judged(NamedTuple):
    """A place as it is judged: `id` as of `_At`, None where there is none yet; `is_noted`: the two links say all of it.

    `original` is the path of that of which it is a copy, which is to get an id.
    """

    id: str | None
    is_noted: bool = False
    original: str = ""


def find(data: Path, root: StorageRoot, asked: Storage) -> str | None:
    """The id under which this host keeps what belongs to a storage; None where it has none yet. Nothing is made.

    `data` is our own directory (`<data>/solven-env`), `asked` what the host configuration says of the storage.
    StorageError where it is not mounted, or not the one that it should be; StateError where its id is damaged or gone.
    """
    return judge(data, root, asked).id


def settle(data: Path, root: StorageRoot, asked: Storage, judged: Judged, progress: Callable[[str], None]) -> str:
    """The same, drawn where there is none; a storage that is missing is made. `progress` is told of a copy.

    `judged` is what `judge` said of it. Errors as of `find`, and nothing is made then.
    """
    if judged.id is not None and judged.is_noted:
        return judged.id
    try:
        root.make()
    except OSError as error:
        raise failure_of_ours(StorageError, str(root.path), error) from error
    place, path = data / "known", _absolute(root.path)
    with locked(place, _digest(path)):  # a bucket's mount would let two at once draw two
        own = storage_id(LocalState(root), asked.id)
    with locked(place, own):
        judged = judge(data, root, asked)  # once more: another process may have noted it
        known_as = judged.id or f"{own}.{os.urandom(4).hex()}"
        _note(data, root, own, known_as)
    if judged.original:
        progress(f"storage: {root.path} is a copy of {judged.original}, and gets layers of its own on this host")
    return known_as


def recall(data: Path, path: Path) -> str | None:
    """The id of what was at a path when this host met it last; the storage itself is not looked at, and may be dead."""
    at = _read_at(data, _absolute(path))
    return at.id if at else None


def links(data: Path, root: StorageRoot, known_as: str) -> tuple[Path, Path]:
    """The two links that say what this host knows of a storage at its path, which it knows by that id."""
    return _link_at(data, _absolute(root.path)), _link(data, known_as)


def met(data: Path) -> dict[str, KnownStorage | None]:
    """All storages that this host has met, by the ids under which it keeps what is theirs; None for a damaged note."""
    place = data / "known" / "storages"
    with refusals_told(place):
        try:
            found = sorted(os.listdir(place))  # noqa: PTH208 (names are wanted)
        except FileNotFoundError:
            return {}
    return {each: _read_or_none(data, each) for each in found if not each.startswith(".")}


def _read_or_none(data: Path, known_as: str) -> KnownStorage | None:
    try:
        return _read(data, known_as)
    except StoreError:
        return None


def forgetting(data: Path, known_as: str) -> str:
    """The command that has this host forget a storage."""
    return _rm(_link(data, known_as))


def storage_id(state: StateStore, wanted: str | None = None) -> str:
    """The id of the storage whose state this is; where it has none `wanted`, or one that is drawn, is written now.

    StateError where it is damaged.
    """
    known = known_storage_id(state)
    if known is not None:
        return known
    given = wanted or os.urandom(16).hex()
    try:
        state.create(ID_KEY, f"{_id_file(given)}\n".encode())
    except StateError:
        known = known_storage_id(state)  # another one wrote it at the same time
        if known is None:
            raise
        return known
    return known_storage_id(state) or given  # a bucket's mount lets another host replace it


def _id_file(storage: str) -> str:
    """The text of the file `ID_KEY` for an id, one line."""
    return json.dumps({"format": _ID_FORMAT, "id": storage})


def known_storage_id(state: StateStore) -> str | None:
    """The id of the storage whose state this is; None where none was drawn yet. StateError where it is damaged."""
    stored = state.get(ID_KEY)
    if stored is None:
        return None
    try:
        about = json.loads(stored.value)
        found, version = about["id"], about.get("format", _ID_FORMAT)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found, version = "", _ID_FORMAT
    if type(version) is int and version > _ID_FORMAT:
        raise StateError(
            f"the storage's id has format {version}, which is not {_ID_FORMAT}",
            fix="A newer solven-env wrote it: install that one.",
            location=state.location(ID_KEY),
        )
    if not isinstance(found, str) or not names.ID.fullmatch(found):
        raise StateError(
            "the storage's id is damaged",
            fix="Restore it from a backup, or remove it.",
            location=state.location(ID_KEY),
        )
    return found


def judge(data: Path, root: StorageRoot, asked: Storage) -> Judged:
    """Tell which storage a place is, as the table of this module has it. Errors as of `find`."""
    with failures_as(StorageError, str(root.path)):
        here = root.look()
    if asked.require_mount and not (here and here.is_mount_root):
        raise StorageError(
            f"the storage {asked.name} is not mounted, and the host configuration says require_mount",
            fix="Mount it and try again.",
            location=str(root.path),
        )
    path = _absolute(root.path)
    at = _read_at(data, path)
    own = known_storage_id(LocalState(root))
    if own is None or here is None:
        try:
            _check_new(data, root, asked, at)
        except StateError:
            if known_storage_id(LocalState(root)) is None:
                raise
            return judge(data, root, asked)  # it has just been drawn, by another first apply
        return Judged(None)
    if asked.id not in (None, own):
        raise StorageError(
            f"this storage has the id {own}, and the host configuration says {asked.id} for {asked.name}",
            fix=f"Mount the right one here, or correct storages.{asked.name} in the host configuration.",
            location=str(root.path),
        )
    seen = KnownStorage(own, here.device, here.inode, here.born, path)
    if at is not None and _read(data, at.id) == seen:
        return Judged(at.id, is_noted=True)
    return _recognise(data, seen, at)


def _check_new(data: Path, root: StorageRoot, asked: Storage, at: _At | None) -> None:
    """Refuse to take a place without an id for a new storage, where another one is known or told to be there."""
    if at is not None:
        _check_mounted(data, root.path, at)
    with failures_as(StorageError, str(root.path)):
        has_state, has_threads = root.holds(".solven-env/threads"), root.holds("threads")
    known = _read(data, at.id) if at is not None else None
    lost = known.storage if known is not None and has_state else asked.id
    if lost is not None and (has_state or has_threads):
        who = "this host's configuration says" if lost == asked.id else "this host knows it as"
        raise StateError(
            f"the storage's id is gone, and {who} {lost}",
            fix=f"Restore it from a backup, or write this there: {_id_file(lost)}",
            location=str(root.path / ".solven-env" / ID_KEY),
        )
    if known is not None and known.storage == asked.id:  # drawn already: this one is not it, or lost everything
        raise StorageError(
            f"there is nothing of the storage {asked.name} here, which this host has used",
            fix=f"Mount the right one. To begin it anew here: {_rm(_link_at(data, _absolute(root.path)))}",
            location=str(root.path),
        )


def _check_mounted(data: Path, path: Path, at: _At) -> None:
    with failures_as(StorageError, at.mount):
        if is_mount_point(at.mount):
            return
    raise StorageError(
        f"the storage is not mounted: {at.id} was here, and nothing is mounted at {at.mount} now",
        fix=f"Mount it and try again. To begin another one here: {_rm(_link_at(data, _absolute(path)))}",
        location=str(path),
    )


def _recognise(data: Path, seen: KnownStorage, at: _At | None) -> Judged:
    """Tell which of the known storages of its id a place is, as the table of this module says."""
    entries = _entries(data, seen.storage)
    if at is not None and at.id not in entries:
        _check_mounted(data, Path(seen.path), at)
    for each, known in entries.items():
        if seen.born and known[1:4] == seen[1:4]:
            return Judged(each, is_noted=at is not None and at.id == each and _shows(known.path, seen))
    for each, known in entries.items():
        if known.path == seen.path:
            return Judged(each)
    if seen.storage not in entries:
        return Judged(seen.storage)
    stands = {each: _stands(data, known, seen) for each, known in entries.items()}
    for each, how in stands.items():
        if how == "same":
            return Judged(each, is_noted=at is not None and at.id == each)
    for each, how in stands.items():
        if how == "gone":
            return Judged(each)
        if how == "unknown":
            fix = "Mount that one, so that a copy is told from it. If it is gone, or was moved here: "
            what = f"the storage's id is that of {entries[each].path}, which is not mounted now, or does not answer"
            raise StorageError(what, fix=fix + _rm(_link(data, each)), location=seen.path)
    return Judged(None, original=entries[seen.storage].path)


def _stands(data: Path, known: KnownStorage, seen: KnownStorage) -> str:
    """Tell what is at the path of a known storage now, while `seen` is at another one: same, there, gone or unknown."""
    there = StorageRoot(Path(known.path))
    try:
        about = there.look()
        if about is not None and (about.device, about.inode) == (seen.device, seen.inode):
            return "same"
        if known_storage_id(LocalState(there)) == known.storage:
            return "there"
        at = _read_at(data, known.path)
        return "gone" if at is None or is_mount_point(at.mount) else "unknown"
    except (OSError, SolvenError):
        return "unknown"


def _shows(path: str, seen: KnownStorage) -> bool:
    try:
        about = StorageRoot(Path(path)).look()
    except OSError:
        return False
    return about is not None and (about.device, about.inode) == (seen.device, seen.inode)


def _note(data: Path, root: StorageRoot, own: str, known_as: str) -> None:
    """Have the two links say what is known now. The first is believed for what the second says of it only."""
    path = _absolute(root.path)
    with failures_as(StorageError, str(root.path)):
        here, mount = root.look(), root.mount_point()
        assert here is not None
    seen, known = KnownStorage(own, here.device, here.inode, here.born, path), _read(data, known_as)
    if known is not None and known.path != path and _shows(known.path, seen):
        seen = seen._replace(path=known.path)  # two paths to one directory
    with refusals_told(data / "known"):
        fresh = data / "known" / f".{own}.new"
        _replace(fresh, _link_at(data, path), f"{known_as}{mount}")
        _replace(fresh, _link(data, known_as), "/".join(map(str, seen[:4])) + seen.path)


def _replace(fresh: Path, link: Path, text: str) -> None:
    make_directory(link.parent, 0o700)
    fresh.unlink(missing_ok=True)  # what a killed process left
    fresh.symlink_to(text)
    fresh.rename(link)


def _entries(data: Path, own: str) -> dict[str, KnownStorage]:
    """The known storages whose own id this is: the original, then its copies."""
    place = _link(data, own).parent
    with refusals_told(place):
        try:
            there = sorted(os.listdir(place))  # noqa: PTH208 (names are wanted)
        except FileNotFoundError:
            return {}
    found = ((name, _read(data, name)) for name in there if name == own or name.startswith(f"{own}."))
    return {name: known for name, known in found if known is not None and known.storage == own}


def _read(data: Path, known_as: str) -> KnownStorage | None:
    text = _text(_link(data, known_as))
    if text is None:
        return None
    try:
        storage, device, inode, born, path = text.split("/", 4)
        return KnownStorage(storage, int(device), int(inode), int(born), f"/{path}")
    except ValueError:
        raise _damaged(_link(data, known_as)) from None


def _read_at(data: Path, path: str) -> _At | None:
    text = _text(_link_at(data, path))
    if text is None:
        return None
    known_as, slash, mount = text.partition("/")
    if not known_as or not slash:
        raise _damaged(_link_at(data, path))
    return _At(known_as, slash + mount)


def _text(link: Path) -> str | None:
    with refusals_told(link):
        try:
            return os.readlink(link)  # noqa: PTH115 (a path that is not in its shortest form is damage)
        except FileNotFoundError:
            return None


def _damaged(link: Path) -> StoreError:
    return StoreError("what this host knows of a storage is damaged", fix=f"Run: {_rm(link)}", location=str(link))


def _rm(link: Path) -> str:
    """The command that has this host forget what a link says."""
    return shlex.join(("rm", str(link)))


@functools.lru_cache(maxsize=64)
def _link(data: Path, known_as: str) -> Path:
    return data / "known" / "storages" / known_as


@functools.lru_cache(maxsize=64)
def _link_at(data: Path, path: str) -> Path:
    return data / "known" / "paths" / _digest(path)


def _digest(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (which looks at no link: that could hang)
