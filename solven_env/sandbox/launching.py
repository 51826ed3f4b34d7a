"""From the holder's fork to bubblewrap: the last steps of one command that need rights, then none are left."""

from __future__ import annotations

import os
import resource

from solven_env.errors import SolvenError
from solven_env.sandbox import cgroups, limits, signals
from solven_env.sandbox.backends.bubblewrap import bwrap
from solven_env.sandbox.roots import staging
from solven_env.sandbox.roots.namespaces import STAGE
from solven_env.system import mounting
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import NoReturn

    from solven_env.sandbox.launch_plan import Command, LaunchPlan
    from solven_env.sandbox.network.slirp4netns import Network


class Root(NamedTuple):
    """A staged root: the directory that holds it, its network (None: the host's), and the mounts that an agent may move
    (`staging.Staged`).
    """

    plan: LaunchPlan
    path: str
    network: Network | None
    mounted: tuple[tuple[str, int], ...] = ()


class Start(NamedTuple):
    """A command that is to be started, and what it is given.

    Each of `streams` that is a terminal is replaced by `slave`; where the first one is, it controls the command.
    `group` is the cgroup that it enters first. `open_files` is the caller's soft limit of them.
    """

    root: Root
    command: Command
    streams: tuple[int, int, int]
    slave: int | None
    group: str | None
    open_files: int


def become(asked: Start, *, seccomp: int, status: int) -> NoReturn:
    """Turn this process, pid 1 of a PID namespace of its own, into bubblewrap. Failures go to `status`."""
    root, command, slave = asked.root, asked.command, asked.slave
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
            file.write(bwrap.environment_arguments(command))
        os.lseek(environment, 0, os.SEEK_SET)
        drop_rights(root.plan)
        os.setsid()
        controlled = os.isatty(asked.streams[0])
        for number, stream in enumerate(asked.streams):
            os.dup2(slave if slave is not None and os.isatty(stream) else stream, number)
        mounting.close_on_exec(3)
        descriptors = {"environment": environment, "seccomp": seccomp, "status": status}
        for descriptor in descriptors.values():
            os.set_inheritable(descriptor, True)
        hard = limits.hard_limits()
        arguments = bwrap.arguments(root.plan, command, STAGE, hard, controlled=controlled, **descriptors)
        limit_open_files(asked.open_files)
        os.execve(root.plan.bwrap, arguments, {})  # noqa: S606 (no shell is meant)
    except BaseException as error:  # whatever it is, the launcher learns it; nothing of the holder may go on here
        told = error if isinstance(error, SolvenError) else SolvenError(str(error))
        os.write(status, bwrap.failure_report(told))
    finally:
        os._exit(125)


def limit_open_files(soft: int | None = None) -> int:
    """Set the soft limit of open files, as far as the hard one lets it (None: all the way); what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    chosen = hard if soft is None else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (chosen, hard))
    return chosen


def drop_rights(plan: LaunchPlan) -> None:
    """Become the plan's host uid, with no group and no way back; without one there is nothing to drop."""
    if plan.uid is not None and plan.gid is not None:
        os.setgroups([])
        os.setresgid(plan.gid, plan.gid, plan.gid)
        os.setresuid(plan.uid, plan.uid, plan.uid)
    mounting.forbid_new_privileges()
