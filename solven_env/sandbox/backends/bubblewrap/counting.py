"""Count of the processes and threads of a command, in the holder's own /proc: now and then, and at its end.

Most bombs go on for a while, bash's for 15 seconds in which it tries a refused fork again. So the holder looks soon
after the start, and then less and less often. A look is one read as long as too few pids were drawn since the start,
or none since the last look, for anything to be found: 0.12 ms of CPU time with the holder's waking (measured), every
four seconds where nothing happens. Counting takes 10 µs a process.

The other moment that tells is when the command's first process has ended, and the kernel is about to end all others:
that is done when bubblewrap, pid 1, has written the status to its report and ends too. A count that merely begins with
that line loses the race (measured: 71 to 232 of 300 sleeping processes were still there). So the report, a pipe, is
kept full: bubblewrap waits with its line until the holder, which sees the first process end, has counted and reads.
"""

from __future__ import annotations

import fcntl
import os
import time

from solven_env.sandbox.backends.bubblewrap.reaper import children

_PAGE = 4096
_LINKS_OF_A_DIRECTORY = 2  # for itself and its name; each thread is one more
_SOON = 0.005  # seconds between the first two looks; then twice as many, up to these
_BUSY, _IDLE = 1.0, 4.0  # where processes are made, and where none is
_SHARE = 20
"""Pause after a look, as a multiple of its time: processes by the thousand cost a twentieth of a CPU."""


class Watch:
    """Facts about one command's processes, of which `limit` are allowed.

    `awaited` is the descriptor that turns readable when `step` is due, `due` the time at which `look` is. `peak` is the
    most processes that were there at a moment at which we counted, `left` how many the first one left when it ended.
    One that `shares` its PID namespace with others is known by its user namespace, which bubblewrap makes for it.
    """

    def __init__(self, first: int, report: int, limit: int, *, shares: bool = False) -> None:
        fcntl.fcntl(report, fcntl.F_SETPIPE_SZ, _PAGE)  # filled at once
        self.first = first
        self.report = report
        self.limit = limit
        self.shares = shares
        self.awaited: int | None = report
        self.command = 0  # the pid of its first process
        self.said = b""
        self.peak = 0
        self.left = 0
        self.pause = _SOON
        self.due = time.monotonic() + self.pause
        self.drawn = first


def look(watch: Watch) -> None:
    """Count, where there may be as many processes as are allowed and more than at the last look."""
    began = time.monotonic()
    drawn = _last_pid()
    is_idle = drawn == watch.drawn
    # The pids of a namespace come in turn; they begin anew behind the largest.
    if not is_idle and not 0 <= drawn - watch.first < watch.limit:
        watch.peak = max(watch.peak, _counted(watch))
    watch.drawn = drawn
    now = time.monotonic()
    watch.due = now + max(watch.pause, _SHARE * (now - began))
    watch.pause = min(2 * watch.pause, _IDLE if is_idle else _BUSY)


def _last_pid() -> int:
    """The one that was drawn last in our PID namespace, from which all of a command come too: proc_loadavg(5)."""
    with open("/proc/loadavg", "rb") as file:
        return int(file.read().split()[-1])


def step(watch: Watch) -> None:
    """bubblewrap has said something, or the command's first process has ended."""
    if watch.awaited == watch.report:
        piece = os.read(watch.report, _PAGE)
        watch.said += piece
        # It says that it starts the command, in several pieces; or it is over before that.
        if not piece or watch.said.endswith(b"}\n"):
            watch.awaited = _hold_back(watch)
    elif watch.awaited is not None:
        # The one that has ended was there too; whether it is still listed is chance.
        watch.left = _counted(watch, but=watch.command)
        watch.peak = max(watch.peak, 1 + watch.left)
        watch.said += os.read(watch.report, _PAGE)
        leave(watch)


def leave(watch: Watch) -> None:
    """Wait for nothing any more."""
    if watch.awaited not in (None, watch.report):
        os.close(watch.awaited)
    watch.awaited = None


def _hold_back(watch: Watch) -> int | None:
    """A pidfd of the command's first process, while newlines fill the pipe; None when it has ended already."""
    try:
        with open(f"/proc/{watch.first}/task/{watch.first}/children") as file:
            watch.command = int(file.read())
        pidfd = os.pidfd_open(watch.command)
    except (OSError, ValueError):
        return None
    filling = os.open(f"/proc/self/fd/{watch.report}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(filling, b"\n" * _PAGE)
    except BlockingIOError:  # the status stands there already
        pass
    finally:
        os.close(filling)
    return pidfd


def _counted(watch: Watch, but: int = 0) -> int:
    if not watch.shares:
        return count(watch.first, but)
    own = next(iter({watch.command} - {0} or children(watch.first)), watch.first)
    return 0 if own == watch.first else count(own, but, "user")


def count(first: int, but: int = 0, kind: str = "pid") -> int:
    """Processes and threads of the namespace of this `kind` that `first` is in, without `but`, and without pid 1 of a
    PID namespace, which `first` is.

    One that has ended counts until it is reaped, as it does for RLIMIT_NPROC.
    """
    try:
        namespace = os.stat(f"/proc/{first}/ns/{kind}").st_ino
    except OSError:
        return 0
    pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    apart = {first, but} if kind == "pid" else {but}
    return sum(_threads(pid, kind, namespace) for pid in pids - apart)


def _threads(pid: int, kind: str, namespace: int) -> int:
    try:
        is_inside = os.stat(f"/proc/{pid}/ns/{kind}").st_ino == namespace
        return os.stat(f"/proc/{pid}/task").st_nlink - _LINKS_OF_A_DIRECTORY if is_inside else 0
    except OSError:  # gone meanwhile
        return 0
