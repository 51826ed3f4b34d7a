"""The state as files on the storage: `<storage>/.solven-env/<key>`, directories 0700 and files 0600."""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import itertools
import os
import posixpath
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING

from solven_env.errors import HeldError, StateError
from solven_env.state import leases
from solven_env.state.contents import ANY, OnlyLookedError, Stored, Write
from solven_env.state.storage_root import StorageRoot
from solven_env.system import at_once, reread
from solven_env.system.blocks import READ_DIRECTORY_ITSELF, holding
from solven_env.system.durable import exists, link_new, sync_directory, write_new
from solven_env.system.failures import failure, shown
from solven_env.system.removal import remove_entry
from solven_env.system.syscalls import O_PATH, openat2, refresh
from solven_env.system.unsynced import Unsynced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path


_OURS = ".solven-env"
_LOCK = "lock"
_TEMPORARY = ".tmp-"
_GONE = "gone"
"""Name of a thread's directory of what is being removed."""
_PIECE = 1024 * 1024
_HALF_A_DAY = 12 * 3600.0
_PATIENCE = 10.0
_PAUSE = 0.02
"""Seconds to wait for what others share, and between two tries."""


class LocalState:
    """A `StateStore` in files.

    A file appears complete or not at all, and is on disk when the function returns. `compare_and_swap` looks and
    replaces in two steps: it is the thread's lock that keeps others out. What a killed process left half-written is
    removed by the next one that takes the lock. Where the storage may be mounted by other hosts too, the lock is an
    flock and a lease, and nothing of a thread is written by whom it has left.
    """

    def __init__(self, storage: Path | StorageRoot) -> None:
        """Keep the state of the threads in `storage`; nothing is opened or made before it is needed."""
        self._storage = storage if isinstance(storage, StorageRoot) else StorageRoot(storage)
        self._held: list[str] = []
        self._leases: dict[str, leases.Lease] = {}
        self._only_looked: set[str] = set()
        """The threads that are held without the lease that writing needs."""
        self._has_flags = True
        self._homes: dict[str, int] = {}
        """The open directories of the threads that are held."""
        self._made = Unsynced()
        """The directories in which one was made. None of these has to be on disk before anything is in it."""

    def location(self, key: str) -> str:
        """See `StateStore.location`."""
        return posixpath.join(self._storage.path, _OURS, key)

    def get(self, key: str) -> Stored | None:
        """See `StateStore.get`."""
        _check(key)
        with self._told(key):
            try:
                descriptor = self._open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            try:
                if self._needs_leases(descriptor):
                    refresh(descriptor)
                value = _read(descriptor)
            except OSError as error:
                if error.errno == errno.EIO and self._storage.is_shared:
                    raise StateError(
                        "the mount cannot read it, which rclone says too, for as long as it does not know that another"
                        " host wrote it",
                        fix="Try again when its `--dir-cache-time` has passed (5 minutes, if it was not set), or read"
                        " the mount's log.",
                        location=self.location(key),
                    ) from error
                raise
            finally:
                os.close(descriptor)
        return Stored(value, _version(value))

    def holds(self, key: str, data: bytes, *, renew: bool = False) -> bool:
        """See `StateStore.holds`. What this process has read once is known by its stat(2)."""
        _check(key)
        with self._told(key):
            try:
                descriptor = self._open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                return False
            try:
                before = os.fstat(descriptor)
                if before.st_size != len(data):
                    return False
                if reread.recall(before) != data:
                    if _read(descriptor) != data:
                        return False
                    reread.remember(before, os.fstat(descriptor), data)
                if renew and self._needs_leases(descriptor):
                    _renew(descriptor)
                return True
            finally:
                os.close(descriptor)

    def sizes(self, keys: Iterable[str], *, renew: bool = False) -> dict[str, int]:
        """See `StateStore.sizes`. The directory of keys that lie together is opened once."""
        found = {}
        for above, group in itertools.groupby(keys, posixpath.dirname):
            with self._told(above):
                try:
                    directory = self._open(above, READ_DIRECTORY_ITSELF)
                except FileNotFoundError:
                    continue
                with holding(directory):
                    renews = renew and self._needs_leases(directory)
                    for key in group:
                        _check(key)
                        name = posixpath.basename(key)
                        with suppress(FileNotFoundError):
                            about = os.stat(name, dir_fd=directory, follow_symlinks=False)
                            found[key] = about.st_size
                            if renews:
                                with holding(openat2(directory, name, O_PATH | os.O_NOFOLLOW)) as opened:
                                    _renew(opened)
        return found

    def create(self, key: str, value: bytes) -> str:
        """See `StateStore.create`."""
        self.write([Write(key, value, None)])
        return _version(value)

    def compare_and_swap(self, key: str, value: bytes, expected_version: str) -> str:
        """See `StateStore.compare_and_swap`."""
        self.write([Write(key, value, expected_version)])
        return _version(value)

    def write(self, *groups: Sequence[Write], unsynced: Unsynced | None = None) -> None:
        """See `StateStore.write`. All are written under temporary names first, with one wait for their bytes.

        Temporary files of a thread, and of what threads share while one of them is held, are all in `threads/<thread>`,
        so that its lock has one place to look for leftovers.
        """
        if any(groups):
            for thread in self._only_looked:  # before any temporary file
                self.check_held(thread)
        waiting = Unsynced()
        with ExitStack() as stack:
            places = _Places({f"threads/{thread}": home for thread, home in self._homes.items()}, self._hold, stack)
            staged: dict[Write, tuple[int, str]] = {}
            try:
                for each in chain.from_iterable(groups):
                    _check(each.key)
                    with self._told(each.key):
                        place = places.open(self._home(each.key))
                        places.open(posixpath.dirname(each.key))
                        name = _TEMPORARY + os.urandom(8).hex()
                        write_new(place, name, each.value, mode=0o600, unsynced=waiting)
                        staged[each] = place, name
                if not staged:
                    return
                with self._told(next(iter(staged)).key):
                    waiting.take(self._made)
                    if unsynced is not None:
                        waiting.take(unsynced)
                    waiting.wait()
                    for thread in {each.key.split("/")[1] for each in staged if each.key.startswith("threads/")}:
                        self._confirm(thread)
                names = Unsynced()
                for group in groups:
                    with self._told(next((each.key for each in group), "")):
                        names.wait()
                    for each in group:
                        self._put(each, *staged[each], places)
                        del staged[each]
                    for directory in {posixpath.dirname(each.key) for each in group}:
                        names.add(os.dup(places.open(directory)))
                if unsynced is not None:
                    unsynced.take(names)
                with self._told(groups[-1][-1].key):
                    names.wait()
            except BaseException:
                for place, name in staged.values():
                    with suppress(OSError):  # what went wrong first is what counts
                        os.unlink(name, dir_fd=place)
                raise

    def _put(self, each: Write, place: int, staged: str, places: _Places) -> None:
        """Give a value that is staged its key, if that has the expected version and its thread's lease lasts."""
        if each.key.startswith("threads/"):
            self.check_held(each.key.split("/")[1])
        directory, name = places.open(posixpath.dirname(each.key)), posixpath.basename(each.key)
        if each.expected is None:
            with self._told(each.key):
                try:
                    self._has_flags = link_new(place, staged, directory, name, has_flags=self._has_flags)
                except FileExistsError:
                    raise StateError(
                        "this is recorded already, and a record is never overwritten",
                        fix="Run the command again; if it says so again, report it.",
                        location=self.location(each.key),
                    ) from None
            return
        if each.expected != ANY:
            stored = self.get(each.key)
            if stored is None or stored.version != each.expected:
                where = self.location(each.key)
                raise StateError("the record changed since it was read", fix="Try again.", location=where)
        with self._told(each.key):
            os.rename(staged, name, src_dir_fd=place, dst_dir_fd=directory)

    def list(self, prefix: str) -> tuple[str, ...]:
        """See `StateStore.list`."""
        beneath = posixpath.dirname(prefix)
        if beneath:
            _check_names(beneath)
        with self._told(beneath):
            try:
                top = self._open(beneath, READ_DIRECTORY_ITSELF)
            except FileNotFoundError:
                return ()
            try:
                keys = [posixpath.join(beneath, name) for name in _files(top)]
            finally:
                os.close(top)
        return tuple(sorted(key for key in keys if key.startswith(prefix)))

    def names(self, key: str) -> tuple[str, ...]:
        """See `StateStore.names`."""
        _check_names(key)
        with self._told(key):
            try:
                directory = self._open(key, READ_DIRECTORY_ITSELF)
            except FileNotFoundError:
                return ()
            try:
                return tuple(sorted(_names(directory)))
            finally:
                os.close(directory)

    @contextmanager
    def place(self, key: str) -> Iterator[int]:
        """See `StateStore.place`. What its user is refused there stays the OSError that it is."""
        _check(key)
        with self._told(key), self._parent(f"{key}/") as (found, _):
            self._made.wait()
            directory = os.dup(found)
        try:
            yield directory
        finally:
            os.close(directory)

    def has(self, key: str) -> bool:
        """See `StateStore.has`."""
        _check(key)
        with self._told(key):
            try:
                os.close(self._open(key, O_PATH | os.O_NOFOLLOW))
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def lock(
        self, thread: str, progress: Callable[[str], None] = lambda _: None, *, to_look: bool = False
    ) -> Iterator[None]:
        """See `StateStore.lock`. An flock(2) on the empty file `threads/<thread>/lock`, which ends with the process.

        HeldError when it is held, in this process too. Where the storage may be another host's too, a lease with it,
        of which `progress` is told when it had to be taken over. `to_look` needs none where nobody has one: a lease
        takes a dozen operations of the mount.
        """
        key = self._lock_key(thread)
        with ExitStack() as held:
            with self._told(key), _deletion_told(thread), self._parent(key) as (directory, name):
                taken = _take(directory, name, thread)
                held.callback(_let_go, taken)
                if not self._needs_leases(directory):
                    if not os.path.samestat(os.stat(name, dir_fd=directory), os.fstat(taken)):
                        raise FileNotFoundError(name)  # it was the former one's, whom somebody deleted
                    _remove_leftovers(directory)
                elif to_look and not _is_leased(directory):
                    self._only_looked.add(thread)
                    held.callback(self._only_looked.discard, thread)
                else:
                    self._leases[thread] = held.enter_context(leases.held(directory, thread, progress))
                    held.callback(self._leases.pop, thread)
                    _remove_leftovers(directory)
                self._held.append(thread)
                held.callback(self._held.remove, thread)
                self._homes[thread] = os.dup(directory)
                held.callback(lambda: os.close(self._homes.pop(thread)))
            yield

    def check_held(self, thread: str) -> None:
        """See `StateStore.check_held`."""
        if thread in self._only_looked:
            raise OnlyLookedError(f"thread {thread} is looked at only, and was to be written", fix="Report this.")
        if thread in self._leases:
            self._leases[thread].check()

    def is_held(self, thread: str) -> bool:
        """True while an apply holds the thread. Nothing is made; others are kept from it for a moment only."""
        key = self._lock_key(thread)
        with self._told(key):
            try:
                directory = self._open(posixpath.dirname(key), READ_DIRECTORY_ITSELF)
            except FileNotFoundError:
                return False
            try:
                _let_go(_take(directory, _LOCK, thread, fcntl.LOCK_SH, make=False))
                if self._needs_leases(directory):
                    leases.refuse_held(directory, thread)
            except FileNotFoundError:
                return False
            except HeldError:
                return True
            finally:
                os.close(directory)
        return False

    def stamp(self, key: str) -> tuple[int, ...] | None:
        """See `StateStore.stamp`."""
        _check(key)
        with self._told(key):
            try:
                descriptor = self._open(key, O_PATH | os.O_NOFOLLOW)
            except FileNotFoundError:
                return None
            with holding(descriptor):
                status = os.fstat(descriptor)
        return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, status.st_size

    @contextmanager
    def sharing(self, *, alone: bool = False) -> Iterator[None]:
        """See `StateStore.sharing`. An flock(2) on the empty file `lock`; none where other hosts share the storage."""
        with ExitStack() as held:
            with self._told(_LOCK), self._parent(_LOCK) as (directory, name):
                if not self._needs_leases(directory):
                    descriptor = _open_lock(directory, name, os.O_RDONLY, make=True)
                    held.enter_context(holding(descriptor))
                    held.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
                    if alone:
                        _lock_alone(descriptor)
                    else:
                        at_once.lock(descriptor, fcntl.LOCK_SH)
            yield

    def discard_shared(self, keys: Iterable[str]) -> int:
        """See `StateStore.discard_shared`."""
        freed = 0
        for above, group in itertools.groupby(keys, posixpath.dirname):
            with self._told(above), holding(self._open(above, READ_DIRECTORY_ITSELF)) as directory:
                for key in group:
                    name = posixpath.basename(key)
                    with suppress(FileNotFoundError):
                        freed += os.stat(name, dir_fd=directory, follow_symlinks=False).st_blocks * 512
                        os.unlink(name, dir_fd=directory)
                sync_directory(directory)
        return freed

    def disk_size(self, key: str) -> int:
        """See `StateStore.disk_size`."""
        _check(key)
        with self._told(key):
            try:
                with holding(self._open(key, O_PATH | os.O_NOFOLLOW)) as held:
                    blocks = os.fstat(held).st_blocks
                    is_directory = stat.S_ISDIR(os.fstat(held).st_mode)
            except FileNotFoundError:
                return 0
            names = self.names(key) if is_directory else ()
        return blocks * 512 + sum(self.disk_size(f"{key}/{name}") for name in names)

    def is_shared(self) -> bool:
        """See `StateStore.is_shared`."""
        with self._told(""), self._parent(_LOCK) as (directory, _):
            return self._needs_leases(directory)

    def sweep(self, thread: str) -> int:
        """See `StateStore.sweep`."""
        return self._remove(posixpath.dirname(self._lock_key(thread)), _GONE)

    def discard(self, key: str) -> int:
        """See `StateStore.discard`. It is renamed first, so that a crash leaves nothing of it under the key."""
        _check_names(key)
        home = "/".join(key.split("/")[:2])
        with self._told(key):
            try:
                place = self._open(posixpath.dirname(key), READ_DIRECTORY_ITSELF)
            except FileNotFoundError:
                return 0
            with holding(place), self._parent(f"{home}/{_GONE}/{os.urandom(8).hex()}") as (gone, aside):
                try:
                    os.rename(posixpath.basename(key), aside, src_dir_fd=place, dst_dir_fd=gone)
                except FileNotFoundError:
                    return 0
                sync_directory(place)
        return self._remove(home, _GONE)

    def forget(self, thread: str) -> int:
        """See `StateStore.forget`. The lock goes last: who waits for it makes another one, which nobody holds."""
        home = posixpath.dirname(self._lock_key(thread))
        with self._told(home), holding(self._open(home, READ_DIRECTORY_ITSELF)) as directory:
            rest = [name for name in os.listdir(directory) if not _is_reserved(name)]  # noqa: PTH208
        freed = sum(self._remove(home, name) for name in rest)
        with self._told(home), holding(self._open(home, READ_DIRECTORY_ITSELF)) as directory:
            for name in sorted(filter(_is_reserved, os.listdir(directory))):  # noqa: PTH208 - a lease before the lock
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)
        with self._told(home), holding(self._open("threads", READ_DIRECTORY_ITSELF)) as above:
            try:
                os.rmdir(thread, dir_fd=above)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):  # else another one has the thread by now
                    raise
            sync_directory(above)
        return freed

    def _remove(self, home: str, name: str) -> int:
        """Remove what has a name in a directory of the state, with all that is in it; the bytes that were freed."""
        with self._told(f"{home}/{name}"), holding(self._open(home, READ_DIRECTORY_ITSELF)) as directory:
            removal = remove_entry(directory, name)
            sync_directory(directory)
        for path, error in removal.failures:
            raise failure(StateError, self.location(f"{home}/{path}"), error) from error
        return removal.freed

    def _needs_leases(self, descriptor: int) -> bool:
        if self._storage.is_shared is None:
            self._storage.is_shared = leases.is_needed(descriptor)
        return self._storage.is_shared

    def _lock_key(self, thread: str) -> str:
        key = f"threads/{thread}/{_LOCK}"
        _check_names(key)
        if "/" in thread:
            raise _refusal(key)
        return key

    def _confirm(self, thread: str) -> None:
        """HeldError where a thread's lease was lost, or none was taken."""
        self.check_held(thread)
        if thread in self._leases:
            self._leases[thread].confirm()

    def _home(self, key: str) -> str:
        """The key of the directory for the temporary file of a key."""
        home = posixpath.dirname(key).split("/")[:2]
        if self._held and home[0] != "threads":
            home = ["threads", self._held[-1]]
        return "/".join(home)

    @contextmanager
    def _parent(self, key: str) -> Iterator[tuple[int, str]]:
        beneath, name = posixpath.split(key)
        directory = self._hold(beneath)
        try:
            yield directory, name
        finally:
            os.close(directory)

    def _hold(self, beneath: str) -> int:
        """A directory, open and made where it is missing. A new one's name is on disk with the next write."""
        try:
            return self._open(beneath, READ_DIRECTORY_ITSELF)
        except FileNotFoundError:
            return self._make(beneath)

    def _open(self, key: str, flags: int) -> int:
        home, rest = self._nearest(key)
        return openat2(home, rest, flags)

    def _nearest(self, key: str) -> tuple[int, str]:
        """The directory of a held thread that a key is beneath, else the storage; and the path from there."""
        for thread, home in self._homes.items():
            place = f"threads/{thread}"
            if key == place or key.startswith(f"{place}/"):
                return home, key[len(place) + 1 :] or "."
        return self._storage.open(), posixpath.join(_OURS, key)

    def _make(self, beneath: str) -> int:
        """Make a directory in the nearest one that is there, and give it open."""
        if not beneath:
            above, name = openat2(self._storage.make(), ".", READ_DIRECTORY_ITSELF), _OURS
        else:
            above, name = self._hold(posixpath.dirname(beneath)), posixpath.basename(beneath)
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
        try:
            return openat2(above, name, READ_DIRECTORY_ITSELF)
        finally:
            self._made.add(above)

    def _told(self, key: str) -> _KeyTold:
        return _KeyTold(self, key)


class _KeyTold:
    """Raises what the system refuses as a StateError, at a key."""

    def __init__(self, state: LocalState, key: str) -> None:
        self._state = state
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise failure(StateError, self._state.location(self._key), error) from error


class _Places:
    """The directories of keys, each opened once and closed with the stack."""

    def __init__(self, opened: dict[str, int], hold: Callable[[str], int], stack: ExitStack) -> None:
        self._opened = opened
        self._hold = hold
        self._stack = stack

    def open(self, beneath: str) -> int:
        """The directory's descriptor."""
        if beneath not in self._opened:
            self._opened[beneath] = self._hold(beneath)
            self._stack.callback(os.close, self._opened[beneath])
        return self._opened[beneath]


@functools.lru_cache(256)  # an apply asks for the same keys twice or more, and many for the same shared ones
def _check(key: str) -> None:
    _check_names(key)
    if _is_reserved(posixpath.basename(key)):
        raise _refusal(key)


def _check_names(key: str) -> None:
    names = key.split("/")
    if "\0" in key or any(name in ("", ".", "..") or name.startswith(_TEMPORARY) for name in names):
        raise _refusal(key)


def _is_reserved(name: str) -> bool:
    return name == _LOCK or leases.is_lease(name)


def _refusal(key: str) -> StateError:
    return StateError(f"{shown(key)!r} is no key of the state", fix="Use names with `/` between them.")


def _version(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _read(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, _PIECE):
        parts.append(part)
    return b"".join(parts)


def _files(top: int) -> Iterator[str]:
    """The paths of all files beneath an open directory, but for locks, leases and what a crash left."""
    for path, _, names, _ in os.fwalk(".", dir_fd=top, onerror=_raise):
        for name in names:
            if _is_told(name):
                yield posixpath.normpath(posixpath.join(path, name))


def _names(directory: int) -> Iterator[str]:
    """The names in an open directory, but for the same."""
    yield from filter(_is_told, os.listdir(directory))


def _is_told(name: str) -> bool:
    return not _is_reserved(name) and not name.startswith(_TEMPORARY)


def _raise(error: OSError) -> None:
    raise error


def _take(directory: int, name: str, thread: str, how: int = fcntl.LOCK_EX, *, make: bool = True) -> int:
    """Have an flock on a file, which is made where it is missing; HeldError when somebody else does."""
    descriptor = _open_lock(directory, name, os.O_RDONLY, make=make)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # NFS makes an exclusive flock a record lock, for which the file has to be open for writing (flock(2)).
            writable = _open_lock(directory, name, os.O_RDWR, make=False)
            os.close(descriptor)
            descriptor = writable
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HeldError(f"thread {thread} is held by another apply", fix="Try again when it has ended.") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _let_go(descriptor: int) -> None:
    # Closing alone would leave it with a child that was forked meanwhile and has not called exec yet.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _renew(descriptor: int) -> None:
    """Have a file look young where it is half a day old: another host collects older ones that no record names yet."""
    if time.time() - os.fstat(descriptor).st_mtime > _HALF_A_DAY:
        with suppress(OSError):  # a storage that keeps no times
            os.utime(f"/proc/self/fd/{descriptor}")  # which holds it only


def _lock_alone(descriptor: int) -> None:
    """Have what others share alone, as soon as none of them holds it. HeldError after `_PATIENCE`: more may come on."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise HeldError("applies go on in this storage", fix="Try again when they have ended.") from None
            time.sleep(_PAUSE)


@contextmanager
def _deletion_told(thread: str) -> Iterator[None]:
    """HeldError where the directory or the lock of a thread is gone under our hands: somebody deletes the thread."""
    try:
        yield
    except FileNotFoundError:
        raise HeldError(f"thread {thread} is being deleted", fix="Try again when it is gone.") from None


def _open_lock(directory: int, name: str, flags: int, *, make: bool) -> int:
    """Open the file of a lock. Not for writing, if that can be: rclone refuses to close what was not written then."""
    try:
        return openat2(directory, name, flags | os.O_NOFOLLOW)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        # Nor made by an open for reading, which rclone refuses.
        os.close(openat2(directory, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode=0o600))
    return openat2(directory, name, flags | os.O_NOFOLLOW)


def _is_leased(directory: int) -> bool:
    """True where a host has a lease of the thread. FileNotFoundError where the thread was deleted."""
    if not exists(directory, _LOCK):
        raise FileNotFoundError(_LOCK)
    return leases.is_there(directory)


def _remove_leftovers(directory: int) -> None:
    for name in os.listdir(directory):
        if name.startswith(_TEMPORARY) or leases.is_successor(name):
            with suppress(FileNotFoundError):  # another host's, that tries to have the thread, and removes it itself
                os.unlink(name, dir_fd=directory)
