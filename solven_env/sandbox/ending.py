"""How a command ends: what its first process leaves, what bubblewrap reports, and which limits it reached."""

from __future__ import annotations

import os
import time

from solven_env.sandbox import bubblewrap, cgroups, counting, limits
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.errors import SandboxError
    from solven_env.sandbox.limits import Reached
    from solven_env.sandbox.plan import Command
    from solven_env.sandbox.sources import Memory

TIMED_OUT = 124


class Running:
    """A command's first process and what is known about how it ends."""

    def __init__(self, pid: int, status: int, root: str, command: Command, group: str | None) -> None:
        self.pid = pid
        self.status = status  # read end of bubblewrap's --json-status-fd
        self.root = root
        self.limits = command.limits
        self.keep_alive = command.keep_alive
        self.group = group  # its cgroup
        self.time_limit = limits.time_limit(command.limits, command.timeout)
        self.deadline = None if self.time_limit is None else time.monotonic() + self.time_limit[0]
        self.verdict: int | None = None  # the status that is decided already: killed or timed out
        self.watch = counting.Watch(pid, status) if command.limits.processes is not None else None
        self.pidfd = os.pidfd_open(pid)


def end(running: Running, bwrap: str, tmp: Memory | None) -> tuple[int | SandboxError, tuple[Reached, ...]]:
    """Reap a first process that has ended: the command's status, or why there was none, and the limits it reached.

    `bwrap` is the bubblewrap that it was, `tmp` the /tmp that it had.
    """
    _, waited, usage = os.wait4(running.pid, 0)
    said = running.watch.said if running.watch else b""
    with open(running.status, "rb") as lines:
        said += lines.read()
    happened = cgroups.Events()
    if running.group is not None:
        happened = cgroups.events(running.group)
        cgroups.remove(running.group)
    status = running.verdict
    if status is None:
        status = bubblewrap.exit_status(said)
    if status is None and os.WIFSIGNALED(waited):
        status = 128 + os.WTERMSIG(waited)
    if status is None:
        return bubblewrap.failure(said, bwrap), ()
    evidence = limits.Evidence(
        status,
        out_of_time=limits.reached(running.time_limit[1], running.time_limit[0])
        if running.verdict == TIMED_OUT and running.time_limit
        else None,
        cpu_time=usage.ru_utime + usage.ru_stime,
        processes=running.watch.processes if running.watch else 0,
        is_tmp_full=tmp is not None and status != 0 and os.statvfs(tmp.where).f_bavail == 0,
        refused_forks=happened.refused_forks,
        oom_kills=happened.oom_kills,
    )
    return status, limits.judge(running.limits, tmp.size if tmp else None, evidence)
