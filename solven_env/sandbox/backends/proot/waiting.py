"""The end of a command under proot. The kernel tells its adopting parent; proot's own status means nothing.

`setsid --fork` (`proot.arguments`) leaves the command behind as an orphan, so that it becomes ours. proot, its tracer,
hears of its end first, and then we do, with the true status.
"""

from __future__ import annotations

import os
import select
import signal
import time

from solven_env.errors import SandboxError, SolvenError, WorkingDirectoryError
from solven_env.sandbox import host_programs  # now: the stage may come to lie over our own modules
from solven_env.typed import NamedTuple

_TIMED_OUT = 124
_KILLED = 128 + signal.SIGKILL
_PATIENCE = 3.0  # seconds that proot has to end its programs
_NOT_ENTERED = 125
_LONGEST_WAIT = 86400.0  # seconds; poll counts milliseconds in an int, and a timeout may be infinite
_MOMENT = 0.002  # seconds
_EXITING = 4  # PF_EXITING among a process's flags


class Exit(NamedTuple):
    """The end of a command, and if its time was up."""

    status: int
    is_out_of_time: bool = False


def wait(child: int, lifeline: int, timeout: float | None, cwd: str) -> Exit:
    """The command's exit status; 124 when its time was up, 137 when it was killed or its launcher is gone.

    SandboxError when proot could not start it, WorkingDirectoryError when it could not enter its working
    directory. Whatever is left of it is left to `end`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    woken, wakes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    events = select.poll()
    events.register(woken, select.POLLIN)
    events.register(lifeline, select.POLLIN)
    main = None
    while True:
        main, status = _look(child, main, cwd)
        if status is not None:
            return Exit(status)
        left = _LONGEST_WAIT if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return Exit(_TIMED_OUT, is_out_of_time=True)
        for descriptor, _ in events.poll(min(left, _LONGEST_WAIT) * 1000):
            if descriptor == lifeline:
                return Exit(_KILLED)
            os.read(woken, 4096)


def end(child: int, *, is_alone: bool) -> None:
    """Have proot end its programs. What is left then ends with our namespace, or, without one, is killed here."""
    if not _has_ended(child):
        os.kill(child, signal.SIGQUIT)
        limit = time.monotonic() + _PATIENCE
        while not _has_ended(child) and time.monotonic() < limit:
            _reap_others(child)
            time.sleep(_MOMENT)
    if is_alone:
        return
    # proot last: a program that it traces must not go on without it.
    while below := [pid for pid in _all_below(os.getpid()) if pid != child] or _children(os.getpid()):
        for pid in below:
            kill(pid)
        _reap_others(child)
        if below == [child]:
            os.waitpid(child, 0)
        time.sleep(_MOMENT)


def _look(child: int, main: int | None, cwd: str) -> tuple[int | None, int | None]:
    """Find which of our children the command is, if it is known by now, and its end, if it has ended."""
    while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
        main = main or _command(child)
        if ended.si_pid == main:
            return main, _status(child, os.waitpid(main, 0)[1])
        if ended.si_pid == child:
            if main is None:
                raise _not_started(ended.si_status, cwd)
            found = os.waitid(os.P_PID, main, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return main, _KILLED if found is None else _status(child, os.waitpid(main, 0)[1])
        if main is None:
            time.sleep(_MOMENT)  # setsid has forked, and is about to end
        else:
            os.waitpid(ended.si_pid, 0)
    return main, None


def _not_started(status: int, cwd: str) -> SolvenError:
    """The reason why there is no command. env(1) alone ends with 125, where it cannot enter the working directory."""
    if status == _NOT_ENTERED and cwd != "/":
        return WorkingDirectoryError(
            f"cwd: {cwd} is no directory inside that a command can enter; what env(1) says stands on standard error",
            fix="Make it first, or let the command begin elsewhere.",
        )
    return host_programs.lacking_starter() or SandboxError(
        "proot could not start the command; what it says stands on standard error",
        fix="If that is about tracing, proot needs ptrace(2): see kernel.yama.ptrace_scope, and whether the container "
        "allows it.",
    )


def _command(child: int) -> int | None:
    """The command among the orphans that are ours, the oldest of them; None before it is one.

    As long as proot has a child, that is setsid, and the command is not ours yet, though an orphan of it may be.
    """
    if not _has_ended(child) and _children(child):
        return None
    orphans = [pid for pid in _children(os.getpid()) if pid != child]
    return min(orphans, key=lambda pid: (_started(pid), pid), default=None)


def _status(child: int, waited: int) -> int:
    code = os.waitstatus_to_exitcode(waited)
    return _KILLED if _was_killed(child) else code if code >= 0 else 128 - code


def _was_killed(child: int) -> bool:
    """True if a signal killed proot: its programs went on with broken system calls, and may have crashed of that.

    The kernel lets go of them before it tells us that proot has ended; that it is about to end is seen at once.
    """
    if not int(_fields(child)[6]) & _EXITING:
        return False
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return ended is not None and ended.si_code != os.CLD_EXITED


def _has_ended(pid: int) -> bool:
    """True if a child of ours has ended, reaped or not."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _reap_others(child: int) -> None:
    for pid in _children(os.getpid()):
        if pid != child and _has_ended(pid):
            os.waitpid(pid, 0)


def _children(pid: int) -> list[int]:
    """proc_pid_task_children(5); a process that is gone has none."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _all_below(pid: int) -> list[int]:
    below = _children(pid)
    return below + [each for child in below for each in _all_below(child)]


def _started(pid: int) -> int:
    """In clock ticks since boot."""
    return int(_fields(pid)[19])


def _fields(pid: int) -> list[bytes]:
    """Those of proc_pid_stat(5) from the third on, behind the name, which may hold anything."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def kill(pid: int) -> None:
    """By SIGKILL, unless it is gone, or another user's."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
