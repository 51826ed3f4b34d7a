"""The PID namespace that commands with `processes: session` share: its pid 1, and the end of one command in it.

The reaper is pid 1 there. The holder forks it, and each of these commands into its namespace; whatever loses its parent
becomes the reaper's child. It has no rights, sees an empty directory as `/`, reads nothing, and leaves it to the kernel
to reap. As pid 1 it gets no signal from within (pid_namespaces(7)), and when it ends, so does all of the namespace.

The foreground of a command is its session (setsid(2)): what a shell starts, jobs in the background too. What began a
session of its own has detached, and lives on.
"""

from __future__ import annotations

import ctypes
import os
import time

from solven_env.sandbox.roots.namespaces import STAGE, confine
from solven_env.system import mounting
from solven_env.system.blocks import suppress
from solven_env.system.plain import signal
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from solven_env.sandbox.launch_plan import LaunchPlan

_PATIENCE = 0.5
"""Seconds in which the rounds of kills are to find everything; then the namespace is ended, and all commands in it."""
_PAUSE = 0.0005
_EMPTY = f"{STAGE}/nothing"
_ENDED = "ZX"


class Reaper:
    """The reaper as the holder has it: its process, its namespace, the `roots` of the commands that came into it."""

    def __init__(self, pid: int, namespace: int) -> None:
        self.pid = pid
        self.namespace = namespace
        self.pidfd = os.pidfd_open(pid)
        self.roots: set[str] = set()

    def kill(self) -> None:
        """End the namespace; `end` waits for that."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def end(self) -> None:
        """End the namespace with all that is in it, and wait for that."""
        with suppress(ProcessLookupError):
            self.kill()
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        os.close(self.namespace)

    def used_roots(self) -> set[str]:
        """The roots that a process which is left in the namespace may have."""
        if not self._has_others():
            self.roots.clear()
        return self.roots

    def _has_others(self) -> bool:
        own = os.fstat(self.namespace).st_ino
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != self.pid:
                with suppress(OSError):
                    if os.stat(f"/proc/{name}/ns/pid").st_ino == own:
                        return True
        return False


def start(plan: LaunchPlan, seccomp: bytes, home: int) -> Reaper:
    """Fork the reaper of a new namespace; `home` is the one in which we make all other children."""
    with suppress(FileExistsError):
        os.mkdir(_EMPTY, 0o555)
    mounting.unshare(mounting.CLONE_NEWPID)
    try:
        pid = os.fork()
        if pid == 0:
            _become(plan, seccomp)
        try:
            return Reaper(pid, os.open("/proc/self/ns/pid_for_children", os.O_RDONLY | os.O_CLOEXEC))
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
    finally:
        mounting.join_namespace(home, mounting.CLONE_NEWPID)


def _become(plan: LaunchPlan, seccomp: bytes) -> NoReturn:
    try:
        os.setsid()
        for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(each, signal.SIG_DFL)  # Python's own handler of SIGINT would run even in pid 1
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: wait(2)
        hide_arguments(b"reaper")
        os.chroot(_EMPTY)
        os.chdir("/")
        os.closerange(0, 1 << 20)
        confine(plan, seccomp)
        while True:
            signal.pause()
    finally:
        os._exit(1)


def hide_arguments(name: bytes) -> None:
    """Overwrite our argument list, which names paths of the host: anybody inside may read /proc/1/cmdline."""
    with open("/proc/self/stat", "rb") as file:
        begin, end = map(int, file.read().rpartition(b")")[2].split()[45:47])  # proc(5): fields 48 and 49
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, name, min(len(name), end - begin - 1))


def children(pid: int) -> set[int]:
    """The children of a process's first thread; none when it has gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return set(map(int, file.read().split()))
    except OSError:
        return set()


def end_foreground(reaper: Reaper, sessions: set[int]) -> None:
    """End every process of these sessions (their leaders' pids), and wait for that.

    Each round kills the process groups that it finds, each at once (kill(2)): what is about to fork does not. Only what
    forks and changes its group all the time can be missed, round after round; then the namespace ends.
    """
    until = time.monotonic() + _PATIENCE
    killed: set[int] = set()
    while found := _members(sessions):
        if time.monotonic() > until:
            if found.keys() - killed:  # others only have not got to their end yet
                with suppress(ProcessLookupError):
                    reaper.kill()
            return
        if not found.keys() - killed:
            time.sleep(_PAUSE)
        for group in set(found.values()):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        killed |= found.keys()


def _members(sessions: set[int]) -> dict[int, int]:
    """The processes of these sessions that have not ended, each with its group."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, _, group, session = file.read().rpartition(b")")[2].split()[:4]
        except (OSError, ValueError):  # gone meanwhile
            continue
        if int(session) in sessions and state.decode() not in _ENDED:
            found[int(name)] = int(group)
    return found
