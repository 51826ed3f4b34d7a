"""The start of one command: the holder's fork, and the last steps that need rights, then none are left."""

from __future__ import annotations

import errno
import os
import resource

from solven_env.errors import SolvenError, WorkingDirectoryError
from solven_env.sandbox import cgroups, limits, signals
from solven_env.sandbox.backends.bubblewrap import bwrap
from solven_env.sandbox.backends.bubblewrap.ending import Running
from solven_env.sandbox.roots import staging
from solven_env.sandbox.roots.namespaces import STAGE, drop_rights
from solven_env.system import mounting
from solven_env.system.blocks import holding
from solven_env.system.plain import signal
from solven_env.system.syscalls import HOLD_DIRECTORY, RESOLVE_IN_ROOT, openat2
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import NoReturn

    from solven_env.sandbox.backends.bubblewrap.reaper import Reaper
    from solven_env.sandbox.backends.bubblewrap.session_roots import StagedRoot
    from solven_env.sandbox.request import Request


_NO_DIRECTORY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG)


class Start(NamedTuple):
    """A command that is to be started, and what it is given.

    Each of the `streams` that is a terminal is replaced by `slave`; where the first one is, it controls the command.
    `group` is the cgroup that it enters first. `open_files` is the caller's soft limit of them. With a
    `reaper` it comes into that namespace, and is no pid 1.
    """

    root: StagedRoot
    request: Request
    streams: tuple[int, int, int]
    slave: int | None
    group: str | None
    open_files: int
    reaper: Reaper | None = None


def start(asked: Start, seccomp: bytes, home: int) -> Running:
    """Fork a command's first process, pid 1 of a namespace unless there is a reaper of one that it shares.

    `home` is the namespace in which we make all other children.
    """
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
        if asked.reaper is None:
            mounting.unshare(mounting.CLONE_NEWPID)
        else:
            mounting.join_namespace(asked.reaper.namespace, mounting.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(filter_in)  # bubblewrap reads to the end
                _become(asked, seccomp=filter_out, status=status)
        finally:
            mounting.join_namespace(home, mounting.CLONE_NEWPID)
    finally:
        os.close(filter_in)
        os.close(filter_out)
    return pid


def _look_after(pid: int, status: int, asked: Start) -> Running:
    try:
        return Running(pid, status, asked.root.path, asked.request, asked.group, asked.reaper)
    except BaseException:  # neither its time nor its launcher's end would end it
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _become(asked: Start, *, seccomp: int, status: int) -> NoReturn:
    """Turn this process, in the command's PID namespace, into bubblewrap. Failures go to `status`."""
    root, request, slave = asked.root, asked.request, asked.slave
    try:
        if asked.group is not None:
            cgroups.enter(asked.group)
        os.umask(0o022)
        signals.restore()
        mounting.unshare(mounting.CLONE_NEWNS)
        staging.enter(root.plan, root.path, STAGE)
        if root.network is not None:
            mounting.join_namespace(root.network.namespace, mounting.CLONE_NEWNET)
        environment = os.memfd_create("environment")
        with open(environment, "wb", closefd=False) as file:
            file.write(bwrap.environment_arguments(request))
        os.lseek(environment, 0, os.SEEK_SET)
        drop_rights(root.plan)
        mounting.rest_capabilities()
        _check_directory(request.directory)
        os.setsid()
        controlled = os.isatty(asked.streams[0])
        for number, stream in enumerate(asked.streams):
            os.dup2(slave if slave is not None and os.isatty(stream) else stream, number)
        mounting.close_on_exec(3)
        descriptors = {"environment": environment, "seccomp": seccomp, "status": status}
        for descriptor in descriptors.values():
            os.set_inheritable(descriptor, True)
        hard = limits.hard_limits()
        arguments = bwrap.arguments(root.plan, request, STAGE, hard, controlled=controlled, **descriptors)
        limit_open_files(asked.open_files)
        os.execve(root.plan.program, arguments, {})  # noqa: S606 (no shell is meant)
    except BaseException as error:  # whatever it is, the launcher learns it; nothing of the holder may go on here
        told = error if isinstance(error, SolvenError) else SolvenError(str(error))
        os.write(status, bwrap.failure_report(told))
    finally:
        os._exit(125)


def _check_directory(path: str) -> None:
    """Refuse (WorkingDirectoryError) a directory that the command could not enter: looked up as the command will, in
    the staged root, whose links lead nowhere else. What fails otherwise, bubblewrap tells.
    """
    try:
        with holding(os.open(STAGE, HOLD_DIRECTORY)) as root:
            os.close(openat2(root, f"{path}/.", HOLD_DIRECTORY, resolve=RESOLVE_IN_ROOT))
    except OSError as error:
        if error.errno in _NO_DIRECTORY:
            raise WorkingDirectoryError(
                f"cwd: {path} is no directory inside that a command can enter: {error.strerror}",
                fix="Make it first, or let the command begin elsewhere.",
            ) from error


def limit_open_files(soft: int | None = None) -> int:
    """Set the soft limit of open files, as far as the hard one lets it (None: all the way); what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    chosen = hard if soft is None else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (chosen, hard))
    return chosen
