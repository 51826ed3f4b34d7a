"""The end of a command: the remains of its first process, bubblewrap's report, and the limits that it reached."""

from __future__ import annotations

import os
import time

from solven_env.sandbox import cgroups, limits
from solven_env.sandbox.backends.bubblewrap import bwrap, counting
from solven_env.sandbox.backends.bubblewrap.reaper import children, end_foreground
from solven_env.system.plain import signal
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.errors import SolvenError
    from solven_env.sandbox.backends.bubblewrap.reaper import Reaper
    from solven_env.sandbox.limits import Reached
    from solven_env.sandbox.request import Request
    from solven_env.sandbox.roots.sources import Memory

TIMED_OUT = 124
KILLED = 128 + signal.SIGKILL
UNKNOWN = 1 << 62
"""Bytes that are said of what cannot be looked at: more than any limit."""
_LEEWAY = 1 << 20  # bytes that a command may still add which began when there was too much: a history, a log
_NEVER = float("inf")


class Running:
    """A command's first process and what is known about how it ends."""

    def __init__(
        self, pid: int, status: int, root: str, request: Request, group: str | None, reaper: Reaper | None
    ) -> None:
        self.pid = pid
        self.reaper = reaper  # of the namespace that it shares with others
        self.foreground: set[int] = set()  # sessions (setsid(2)) that end with it, once it is killed
        self.status = status  # read end of bubblewrap's --json-status-fd
        self.root = root
        self.limits = request.limits
        self.keep_alive = request.keep_alive
        self.group = group  # its cgroup
        self.time_limit = limits.time_limit(request.limits, request.timeout)
        self.deadline = None if self.time_limit is None else time.monotonic() + self.time_limit[0]
        self.verdict: int | None = None  # the status that is decided already: killed or timed out
        allowed = request.limits.processes
        self.watch = counting.Watch(pid, status, allowed, shares=reaper is not None) if allowed is not None else None
        self.disk_allowed = request.limits.disk  # bytes that its session may have added; see `check_disk`
        self.failure: SolvenError | None = None  # what it is told in place of a status
        self.has_filled_disk = False
        self.unreached: int | None = None  # what was counted at its start (`network.attempts`); None: not counted
        self.pidfd = os.pidfd_open(pid)


def kill(running: Running, verdict: int) -> None:
    """End the command with all that it started, or, in a namespace that is shared, with its foreground.

    `verdict` is its status, unless one is decided already.
    """
    if running.verdict is None:
        running.verdict = verdict
        if running.reaper is not None:
            running.foreground = {running.pid, *children(running.pid)}
        signal.pidfd_send_signal(running.pidfd, signal.SIGKILL)


def due(running: Running) -> float:
    """The time at which `attend` has something to do, on the monotonic clock; `inf` for never."""
    if running.verdict is not None:
        return _NEVER
    return min(running.deadline or _NEVER, running.watch.due if running.watch else _NEVER)


def attend(running: Running) -> None:
    """Do what is due: look at the command's processes, or end it when its time is up."""
    now = time.monotonic()
    is_late = running.deadline is not None and running.deadline <= now
    if running.verdict is None and running.watch is not None and (is_late or running.watch.due <= now):
        counting.look(running.watch)
    if is_late:
        kill(running, TIMED_OUT)


def check_disk(running: Running, added: int, *, is_exact: bool) -> None:
    """End the command when its session has added more than it may have, as far as was looked (`is_exact`: to the end).

    One that began when there was too much already may tidy up: what it finds is allowed, and what it leaves of that.
    """
    if running.disk_allowed is None or running.limits.disk is None:
        return
    if added > running.disk_allowed or added >= UNKNOWN // 2:
        running.has_filled_disk = True
        kill(running, KILLED)
    elif is_exact:
        running.disk_allowed = max(running.limits.disk, min(running.disk_allowed, added + _LEEWAY))


def end(running: Running, program: str, tmp: Memory | None) -> tuple[int | SolvenError, tuple[Reached, ...]]:
    """Reap a first process that has ended: the command's status, or why there was none, and the limits it reached.

    `program` is the bubblewrap that it was, `tmp` the /tmp that it had.
    """
    _, waited, usage = os.wait4(running.pid, 0)
    if running.reaper is not None and running.foreground:
        end_foreground(running.reaper, running.foreground)
    said = running.watch.said if running.watch else b""
    with open(running.status, "rb") as lines:
        said += lines.read()
    happened = cgroups.Events()
    if running.group is not None:
        happened = cgroups.events(running.group)
        cgroups.remove(running.group)
    if running.failure is not None:
        return running.failure, ()
    status = running.verdict
    if status is None:
        status = bwrap.exit_status(said)
    if status is None and os.WIFSIGNALED(waited):
        status = 128 + os.WTERMSIG(waited)
    if status is None:
        return bwrap.failure(said, program), ()
    evidence = limits.Evidence(
        status,
        out_of_time=limits.reached(running.time_limit[1], running.time_limit[0])
        if running.verdict == TIMED_OUT and running.time_limit
        else None,
        cpu_time=usage.ru_utime + usage.ru_stime,
        processes=running.watch.peak if running.watch else 0,
        left=running.watch.left if running.watch else 0,
        is_tmp_full=tmp is not None and status != 0 and _is_full(tmp),
        refused_forks=happened.refused_forks,
        oom_kills=happened.oom_kills,
        has_filled_disk=running.has_filled_disk,
    )
    return status, limits.judge(running.limits, tmp.size if tmp else None, evidence)


def _is_full(memory: Memory) -> bool:
    """Of bytes, or of files: its size bounds both."""
    about = os.statvfs(memory.where)
    return about.f_bavail == 0 or about.f_favail == 0
