"""A lease on a thread, for storages whose flock(2) may not reach the storage's other hosts.

    threads/<thread>/lease              who holds the thread
    threads/<thread>/lease.<digest>     who is about to take over from the holder that has this digest

The lease is a file that can only be created by one host. Its holder touches it every `RENEWED` seconds; `DURATION`
seconds after the last time, another host may take over. All times are the storage's own: a host that wants the thread
writes a file, and compares its time of modification with the lease's. So hosts' clocks matter only where a storage
stamps files by them (rclone). A holder counts by its own clock, which goes on while the machine sleeps, and stops
`MARGIN` seconds before anybody else would take over.

A process that was killed leaves its lease. On its own host the next apply takes it over at once: the flock, which is
taken first, tells that the process has ended.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from solven_env.errors import HeldError, printable
from solven_env.system.durable import exists, link_new, write_new
from solven_env.system.syscalls import LOCAL_TYPES, file_system_type, openat2, refresh
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

DURATION = 60.0
RENEWED = 15.0
MARGIN = 15.0

_LEASE = "lease"
_SUCCESSOR = f"{_LEASE}."
_LIMIT = 1 << 16
_TRIES = 20

# How a storage answers that a file is another one now than it last knew: NFS, rclone.
_CHANGED = (errno.ESTALE, errno.EIO)


class Holder(NamedTuple):
    """A process, and the mount in which its flock holds others off: `device` is of one boot of one machine."""

    host: str
    boot: str
    device: int
    process: int
    token: str


class _Found(NamedTuple):
    """A lease as it stands: its bytes, the holder in them (None where there is none), when it was last renewed."""

    text: bytes
    holder: Holder | None
    renewed: float


def is_needed(descriptor: int) -> bool:
    """True where other hosts may mount the file system of an open directory: a flock does not hold them off."""
    return file_system_type(descriptor) not in LOCAL_TYPES


def is_lease(name: str) -> bool:
    """True for a name in a thread's directory that belongs to this module."""
    return name == _LEASE or is_successor(name)


def is_there(directory: int) -> bool:
    """True where the thread whose directory is open has a lease, of whomever: who takes one over leaves it there."""
    return exists(directory, _LEASE)


def is_successor(name: str) -> bool:
    """True for the name of a file of a host that takes over; for the holder of the lease it is a leftover."""
    return name.startswith(_SUCCESSOR)


class Lease:
    """The lease of a thread, held by this process; `held` makes one."""

    def __init__(self, directory: int, thread: str, text: bytes, began: float) -> None:
        self._directory = directory
        self._thread = thread
        self._text = text
        self._until = began + DURATION - MARGIN
        self._is_lost = False

    def check(self) -> None:
        """HeldError when the lease ran out, by this host's clock. Looks at no file."""
        if self._is_lost or _clock() > self._until:
            raise HeldError(
                f"this apply lost its lease of thread {self._thread}: it was stopped, or the storage did not answer,"
                f" for over {DURATION - MARGIN:.0f} s, or another host took over",
                fix="Run apply again: it finishes what was begun.",
            )

    def confirm(self) -> None:
        """HeldError when the lease on the storage is not this process's any more."""
        self.check()
        self._look()
        self.check()

    def renew(self) -> None:
        """Have the lease last from now on; where another host took it over, `check` tells so from now on."""
        began = _clock()
        with suppress(OSError):  # a storage that keeps no times: others may take over, which `confirm` finds out
            os.utime(_LEASE, dir_fd=self._directory, follow_symlinks=False)
        self._look()
        if not self._is_lost:
            self._until = began + DURATION - MARGIN

    def renew_until(self, ended: threading.Event) -> None:
        """Renew the lease now and then, until an event is set."""
        while not ended.wait(RENEWED):
            with suppress(OSError):  # what lasts is found out by the clock
                self.renew()

    def release(self) -> None:
        """Let others have the thread; one that was lost is left alone, and so is one that cannot be removed."""
        with suppress(HeldError, OSError):
            self.confirm()
            os.unlink(_LEASE, dir_fd=self._directory)

    def _look(self) -> None:
        found = _look(self._directory, _LEASE)
        self._is_lost = self._is_lost or found is None or found.text != self._text


@contextmanager
def held(directory: int, thread: str, progress: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lease of the thread whose directory is open; `progress` is told when it is taken over from a host.

    The caller has the flock. HeldError while another host's lease lasts.
    """
    import threading  # which most storages need none of

    place = os.dup(directory)
    try:
        mine = _here(place)
        lease = Lease(place, thread, *_take(place, thread, mine, progress))
        ended = threading.Event()
        renewing = threading.Thread(target=lease.renew_until, args=(ended,), daemon=True)
        renewing.start()
        try:
            yield lease
        finally:
            ended.set()
            renewing.join()
            lease.release()
    finally:
        os.close(place)


def refuse_held(directory: int, thread: str) -> None:
    """HeldError while another host's lease of the thread lasts, by this host's clock. Nothing is made."""
    found = _look(directory, _LEASE)
    if found is not None:
        _refuse(found, thread, _here(directory), time.time())


def _take(place: int, thread: str, mine: Holder, progress: Callable[[str], None]) -> tuple[bytes, float]:
    """Have the lease; its bytes, and when by `_clock` it began."""
    text = (json.dumps(mine._asdict(), sort_keys=True) + "\n").encode()
    for _ in range(_TRIES):
        began = _clock()
        # Begin again where the candidate is gone: a holder takes it for a leftover of its own.
        with suppress(FileNotFoundError), _candidate(place, text) as candidate:
            if _is_created(place, candidate, _LEASE):
                return text, began
            former = _look(place, _LEASE)
            if former is not None and _is_taken_over(place, candidate, thread, former, mine):
                _tell(former, mine, progress)
                return text, began
    raise HeldError(f"thread {thread} is wanted by other hosts at the same moment", fix="Try again.")


@contextmanager
def _candidate(place: int, text: bytes) -> Iterator[str]:
    """A lease under a temporary name, as long as this goes on."""
    name = f".tmp-{os.urandom(8).hex()}"
    write_new(place, name, text, mode=0o600)
    try:
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=place)


def _is_created(place: int, candidate: str, name: str) -> bool:
    try:
        link_new(place, candidate, place, name)
    except FileExistsError:
        return False
    return True


def _is_taken_over(place: int, candidate: str, thread: str, former: _Found, mine: Holder) -> bool:
    """Take over from a holder; False to look again, HeldError while its lease lasts.

    Only one can create the successor's file, and it replaces the lease only while that is still the former holder's.
    Whoever dies in between has left a file of the successor's name, which has its own time.
    """
    asked = _look(place, candidate)
    if asked is None:
        return False
    _refuse(former, thread, mine, asked.renewed)
    successor = _SUCCESSOR + hashlib.sha256(former.text).hexdigest()
    if not _is_created(place, candidate, successor):
        other = _look(place, successor)
        if other is not None:
            _refuse(other, thread, mine, asked.renewed)
            os.unlink(successor, dir_fd=place)
        return False
    standing = _look(place, _LEASE)
    if standing is None or standing.text != former.text:
        os.unlink(successor, dir_fd=place)
        return False
    os.rename(successor, _LEASE, src_dir_fd=place, dst_dir_fd=place)
    taken = _look(place, _LEASE)
    return taken is not None and taken.text == asked.text


def _look(place: int, name: str) -> _Found | None:
    """A lease as the storage has it, not as this host remembers it; None where there is none."""
    try:
        descriptor = openat2(place, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        refresh(descriptor)
        renewed = os.fstat(descriptor).st_mtime
        text = os.read(descriptor, _LIMIT)
        return _Found(text, _holder(text), renewed)
    except OSError as error:
        if error.errno not in _CHANGED:
            raise
        return _Found(b"", None, os.fstat(descriptor).st_mtime)
    finally:
        os.close(descriptor)


def _holder(text: bytes) -> Holder | None:
    try:
        holder = Holder(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    return holder if type(holder.host) is str and type(holder.process) is int else None


def _refuse(found: _Found, thread: str, mine: Holder, now: float) -> None:
    """HeldError while a lease lasts that is of another host, or of another mount on this one."""
    if found.holder is not None and found.holder[:3] == mine[:3]:
        return  # its flock held us off if it were alive
    left = found.renewed + DURATION - now
    if left > 0:
        until = time.strftime("%H:%M:%S", time.gmtime(time.time() + left))
        raise HeldError(
            f"thread {thread} is held by {_shown(found.holder)} until {until} UTC, or longer if that goes on",
            fix="Try again when it has ended; after that time, if it was killed.",
        )


def _tell(former: _Found, mine: Holder, progress: Callable[[str], None]) -> None:
    if former.holder is None or former.holder[:3] != mine[:3]:
        progress(f"lease: {_shown(former.holder)} held the thread and was silent for {DURATION:.0f} s: taken over")


def _shown(holder: Holder | None) -> str:
    return f"an apply on {printable(holder.host)} (process {holder.process})" if holder else "an apply on another host"


def _here(directory: int) -> Holder:
    """This process, through the mount of an open directory, with a new token."""
    return Holder(os.uname().nodename, _boot(), os.fstat(directory).st_dev, os.getpid(), os.urandom(16).hex())


def _boot() -> str:
    """Id of this boot of this machine; a random one where the kernel does not tell it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.urandom(16).hex()


def _clock() -> float:
    """Seconds by a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
