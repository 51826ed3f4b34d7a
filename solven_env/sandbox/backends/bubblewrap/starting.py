"""The start of a command: its first process, forked ahead, and the last steps that need rights, then none are left.

The holder forks a first process before it knows which command this will be: it enters its namespaces and its root,
gives its rights up, and waits for the command. The next command of the same root costs no fork.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource

from solven_env.errors import SolvenError, WorkingDirectoryError
from solven_env.sandbox import cgroups, limits, signals, wire
from solven_env.sandbox.backends.bubblewrap import bwrap
from solven_env.sandbox.backends.bubblewrap.ending import Running
from solven_env.sandbox.request import decode_request
from solven_env.sandbox.roots import staging
from solven_env.sandbox.roots.namespaces import STAGE, drop_rights
from solven_env.system import mounting
from solven_env.system.blocks import holding, suppress
from solven_env.system.plain import Socket, pair, signal
from solven_env.system.syscalls import HOLD_DIRECTORY, RESOLVE_IN_ROOT, openat2
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from solven_env.sandbox.backends.bubblewrap.reaper import Reaper
    from solven_env.sandbox.backends.bubblewrap.session_roots import StagedRoot
    from solven_env.sandbox.request import Request


_NO_DIRECTORY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG)


class Start(NamedTuple):
    """A command that is to be started, and what it is given: the `request`, as it came too (`command`).

    Each of the `streams` that is a terminal is replaced by `slave`; where the first one is, it controls the command.
    `group` is the cgroup that it enters first. `open_files` is the caller's soft limit of them, and `seccomp` the
    filter that it runs under.
    """

    request: Request
    command: dict[str, Any]
    streams: tuple[int, int, int]
    slave: int | None
    group: str | None
    open_files: int
    seccomp: bytes


class First(NamedTuple):
    """A first process that waits for its command by `channel`, in a staged root. With a `reaper` it is in that
    namespace, and is no pid 1. `places` are where it has mounted its /proc.
    """

    pid: int
    root: str
    channel: Socket
    reaper: Reaper | None
    places: tuple[tuple[int, int] | None, ...]


def fork(root: StagedRoot, home: int, reaper: Reaper | None = None, *, is_ahead: bool = False) -> First:
    """Fork a first process for a root, pid 1 of a namespace unless there is a reaper of one that it shares.

    `home` is the namespace in which we make all other children. One that `is_ahead` of its command ends where it fails.
    """
    places = staging.proc_places(root.plan, root.path) if is_ahead else ()
    ours, theirs = pair()
    try:
        if reaper is None:
            mounting.unshare(mounting.CLONE_NEWPID)
        else:
            mounting.join_namespace(reaper.namespace, mounting.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _become(root, theirs, is_ahead=is_ahead)
        finally:
            mounting.join_namespace(home, mounting.CLONE_NEWPID)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return First(pid, root.path, ours, reaper, places)


def end(first: First) -> None:
    """End a first process that gets no command, and wait for that."""
    first.channel.close()
    with suppress(ProcessLookupError):
        os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)


def start(first: First, asked: Start) -> Running | None:
    """Give a first process its command; None where that process is gone."""
    status_out = status_in = filter_out = filter_in = -1
    try:
        status_out, status_in = os.pipe()
        filter_out, filter_in = os.pipe()
        os.write(filter_in, asked.seccomp)
        os.close(filter_in)  # bubblewrap reads to the end
        filter_in = -1
        if asked.group is not None:
            cgroups.enter(asked.group, first.pid)
        told = {"command": asked.command, "open_files": asked.open_files}
        slave = () if asked.slave is None else (asked.slave,)
        wire.send_request(first.channel, "start", told, (filter_out, status_in, *asked.streams, *slave))
        running = Running(first.pid, status_out, first.root, asked.request, asked.group, first.reaper)
    except BaseException as error:  # neither its time nor its launcher's end would end it
        if status_out >= 0:
            os.close(status_out)
        end(first)
        if isinstance(error, (BrokenPipeError, ConnectionResetError, ProcessLookupError)):
            return None
        if asked.group is not None:
            cgroups.remove(asked.group)
        raise
    finally:
        for each in (status_in, filter_out, filter_in):
            if each >= 0:
                os.close(each)
    first.channel.close()
    return running


def _become(root: StagedRoot, channel: Socket, *, is_ahead: bool) -> NoReturn:
    """Wait in the command's namespaces for the command, and become bubblewrap."""
    try:
        failed = None
        try:
            _enter(root, channel)
        except BaseException as error:  # told to whoever asks for the command
            if is_ahead:
                os._exit(125)
            failed = error
        asked = wire.receive_request(channel)
        if asked is not None:
            _execute(root, asked, failed)
    finally:
        os._exit(125)


def _enter(root: StagedRoot, channel: Socket) -> None:
    """Enter the root, and give up what rights bubblewrap does not need. No descriptor of the holder's stays open."""
    network = () if root.network is None else (root.network.namespace,)
    mounting.close_all_but({channel.fileno(), *network})
    os.umask(0o022)
    signals.restore()
    mounting.unshare(mounting.CLONE_NEWNS)
    staging.enter(root.plan, root.path, STAGE)
    for each in network:
        mounting.join_namespace(each, mounting.CLONE_NEWNET)
        os.close(each)
    drop_rights(root.plan)
    mounting.rest_capabilities()
    os.setsid()


def _execute(root: StagedRoot, asked: wire.Asked, failed: BaseException | None) -> None:
    """Turn this process into bubblewrap. Failures go to the status pipe."""
    # None has the number of a standard stream, which all are closed here.
    seccomp, status, *streams = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 3) for each in asked.descriptors]
    try:
        if failed is not None:
            raise failed
        request = decode_request(asked.document["command"])
        slave = streams.pop() if len(streams) > 3 else None
        _check_directory(request.directory)
        staging.write_secrets(root.plan, STAGE, request.files)
        environment = fcntl.fcntl(os.memfd_create("environment"), fcntl.F_DUPFD_CLOEXEC, 3)
        with open(environment, "wb", closefd=False) as file:
            file.write(bwrap.environment_arguments(request))
        os.lseek(environment, 0, os.SEEK_SET)
        controlled = os.isatty(streams[0])
        for number, stream in enumerate(streams):
            os.dup2(slave if slave is not None and os.isatty(stream) else stream, number)
        mounting.close_on_exec(3)
        descriptors = {"environment": environment, "seccomp": seccomp, "status": status}
        for each in descriptors.values():
            os.set_inheritable(each, True)
        hard = limits.hard_limits()
        arguments = bwrap.arguments(root.plan, request, STAGE, hard, controlled=controlled, **descriptors)
        limit_open_files(asked.document["open_files"])
        os.execve(root.plan.program, arguments, {})  # noqa: S606 (no shell is meant)
    except BaseException as error:  # whatever it is, the launcher learns it; nothing of the holder may go on here
        told = error if isinstance(error, SolvenError) else SolvenError(str(error))
        os.write(status, bwrap.failure_report(told))


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
