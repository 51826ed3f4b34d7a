"""Limits of one command: their values, how the kernel is told, and which of them stopped a command.

A limit is an upper bound: where the mount, the caller or the host sets a lower one, that one holds.
"""

from __future__ import annotations

import resource

from solven_env.system.plain import signal
from solven_env.typed import NamedTuple

_GRACE = 2
"""Seconds of CPU time between SIGXCPU and SIGKILL: a process may tidy up, and its end tells who killed it."""

_NEAR = 0.9
"""Share of the limit of processes that counts as reached: they come and go as we count. Of 40 bombs that failed, 39
had so many (measured)."""

_MEASURED = 0.75
"""Share of the limit of CPU time that counts as used: the kernel counts ticks against the limit, and tells less of it
afterwards (0.91 s of 1 s, measured)."""


class Limits(NamedTuple):
    """Limits of one command; None is no limit.

    `processes` counts threads too. `cpu_time` (seconds) and `open_files` are each process's; `file_size` (bytes) is
    each file's; `disk` (bytes) is what all commands of the session together may add to the thread's directories, which
    is watched and may be overrun; the others are the command's with all that it starts: `memory` (bytes), `wall_time`
    (seconds). `strict`: where a cgroup is wanted and cannot be had, the command does not start.
    """

    processes: int | None = None
    open_files: int | None = None
    file_size: int | None = None
    cpu_time: int | None = None
    memory: int | None = None
    wall_time: int | None = None
    disk: int | None = None
    strict: bool = False


class Reached(NamedTuple):
    """The limit that stopped a command, by its name in the profile (or `timeout`), and its value as written there.

    Not `is_certain` is what only the status tells: a command may end with 153 by itself.
    """

    limit: str
    value: str
    is_certain: bool = True


class Evidence(NamedTuple):
    """Facts about a command that has ended.

    `out_of_time` is the limit of wall time at which it was killed. `cpu_time` is in seconds, of all its processes that
    were waited for. `processes` is how many were seen at one moment, `left` how many its first one left when it ended.
    `is_tmp_full`: of the session, at the end. `refused_forks` and `oom_kills` are its cgroup's. `has_filled_disk`: it
    was ended for what its session had added.
    """

    status: int
    out_of_time: Reached | None = None
    cpu_time: float = 0.0
    processes: int = 0
    left: int = 0
    is_tmp_full: bool = False
    refused_forks: int = 0
    oom_kills: int = 0
    has_filled_disk: bool = False


_RLIMITS = {
    # Our name: the option of prlimit(1), the kernel's number, and how far the hard limit lies above the soft one.
    "processes": ("nproc", resource.RLIMIT_NPROC, 0),
    "open_files": ("nofile", resource.RLIMIT_NOFILE, 0),
    "file_size": ("fsize", resource.RLIMIT_FSIZE, 0),
    "cpu_time": ("cpu", resource.RLIMIT_CPU, _GRACE),
}
_SIZES = ("memory", "file_size", "tmp_size", "disk")
_TIMES = ("cpu_time", "wall_time", "timeout")
_UNITS = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))


def options(limits: Limits, hard: dict[str, int]) -> list[str]:
    """The options of prlimit(1), none above the `hard` limits: to raise one takes rights that nobody inside has."""
    # A core would lie in the workspace. And told nothing to set, prlimit prints a table into the command's output.
    made = ["--core=0:0"]
    for name, (option, _, grace) in _RLIMITS.items():
        value = getattr(limits, name)
        if value is not None:
            made.append(f"--{option}={min(value, hard[name])}:{min(value + grace, hard[name])}")
    return made


def forbid_cores() -> None:
    """Have no crash of this process, nor of those that it starts, leave its memory on a disk: it may hold secrets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hard_limits() -> dict[str, int]:
    """This process's own, by our names; RLIM_INFINITY is above every other."""
    found = {name: resource.getrlimit(number)[1] for name, (_, number, _) in _RLIMITS.items()}
    return {name: 1 << 63 if value == resource.RLIM_INFINITY else value for name, value in found.items()}


def time_limit(limits: Limits, timeout: float | None) -> tuple[float, str] | None:
    """Seconds of wall time after which the command is ended, and which of the two says so: the smaller one."""
    times = [(timeout, "timeout"), (limits.wall_time, "wall_time")]
    return min(((seconds, name) for seconds, name in times if seconds is not None), default=None)


def reached(name: str, value: float, *, is_certain: bool = True) -> Reached:
    """The limit with its value as a profile writes it."""
    text = f"{value:g}" if name in _TIMES else str(value)
    if name in _TIMES:
        text += " s"
    if name in _SIZES:
        text = next((f"{int(value) >> bits}{unit}" for bits, unit in _UNITS if not int(value) % (1 << bits)), text)
    return Reached(name, text, is_certain)


def judge(limits: Limits, tmp_size: int | None, evidence: Evidence) -> tuple[Reached, ...]:
    """Limits that the command reached, as far as the evidence goes.

    What the command alone was told is not seen: EMFILE, EFBIG where SIGXFSZ is ignored, and EAGAIN of a fork
    between two looks at its processes.
    """
    status = evidence.status
    found = [*filter(None, (evidence.out_of_time, _cpu_time(limits, evidence)))]
    if limits.memory is not None and evidence.oom_kills:
        found.append(reached("memory", limits.memory))
    if limits.disk is not None and evidence.has_filled_disk:
        found.append(reached("disk", limits.disk))
    found += filter(None, (_processes(limits, evidence),))
    if limits.file_size is not None and status == 128 + signal.SIGXFSZ:
        found.append(reached("file_size", limits.file_size, is_certain=False))
    if tmp_size is not None and status and evidence.is_tmp_full:
        found.append(reached("tmp_size", tmp_size))
    return tuple(found)


def _processes(limits: Limits, evidence: Evidence) -> Reached | None:
    """Nearly as many as allowed tell a bomb where it failed, and where it left them: they come and go as we count."""
    if limits.processes is None:
        return None
    is_certain = evidence.refused_forks > 0 or evidence.processes >= limits.processes
    told = evidence.processes if evidence.status else evidence.left
    is_near = told >= limits.processes * _NEAR
    return reached("processes", limits.processes, is_certain=is_certain) if is_certain or is_near else None


def _cpu_time(limits: Limits, evidence: Evidence) -> Reached | None:
    """A status alone tells nothing: a command may end with it by itself. That much time is hardly used by chance."""
    needed = {128 + signal.SIGXCPU: 0, 128 + signal.SIGKILL: _GRACE}.get(evidence.status)
    if limits.cpu_time is None or needed is None or evidence.cpu_time < (limits.cpu_time + needed) * _MEASURED:
        return None
    return reached("cpu_time", limits.cpu_time, is_certain=needed == 0)
