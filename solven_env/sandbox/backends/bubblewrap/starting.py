"""The fork of one command: what the holder opens for it, and what it closes and ends where the start fails half-way."""

from __future__ import annotations

import os

from solven_env.sandbox import cgroups, launching
from solven_env.sandbox.backends.bubblewrap.ending import Running
from solven_env.system import mounting
from solven_env.system.plain import signal
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from solven_env.sandbox.launching import Start


def start(asked: Start, seccomp: bytes, home: int) -> Running:
    """Fork a command's first process, pid 1 of a namespace; `home` is the one in which we make all other children."""
    status_out, status_in = os.pipe()
    try:
        pid = _fork(asked, seccomp, home, status_in)
        return _look_after(pid, status_out, asked)
    except BaseException:
        os.close(status_out)
        if asked.group is not None:
            cgroups.remove(asked.group)
        raise
    finally:
        os.close(status_in)


def _fork(asked: Start, seccomp: bytes, home: int, status: int) -> int:
    filter_out, filter_in = os.pipe()
    try:
        os.write(filter_in, seccomp)
        mounting.unshare(mounting.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(filter_in)  # bubblewrap reads to the end
                launching.become(asked, seccomp=filter_out, status=status)
        finally:
            mounting.join_namespace(home, mounting.CLONE_NEWPID)
    finally:
        os.close(filter_in)
        os.close(filter_out)
    return pid


def _look_after(pid: int, status: int, asked: Start) -> Running:
    try:
        return Running(pid, status, asked.root.path, asked.command, asked.group)
    except BaseException:  # neither its time nor its launcher's end would end it
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
