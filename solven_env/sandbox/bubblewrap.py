"""bubblewrap's command line, made from data, and what its answers mean.

The holder brings the mounts, the PID and the network namespace (`launching`); bubblewrap adds user, IPC, UTS and
cgroup namespaces, drops every capability, forbids more user namespaces, and installs the filter.
"""

from __future__ import annotations

import json

from solven_env.errors import SandboxError
from solven_env.sandbox import refusal
from solven_env.sandbox.plan import SANDBOX_UID, Command, LaunchPlan

PRLIMIT = "/usr/bin/prlimit"
"""Sets limits inside, and tells 126 from 127: for a missing program bubblewrap itself ends with 1, like any command."""


def arguments(plan: LaunchPlan, command: Command, root: str, *, seccomp: int, status: int) -> list[str]:
    """argv for `command` on the staged `root`, with the descriptors of the filter and of the status lines.

    The environment is not in it: bubblewrap is started with the command's own, so that no argument list shows it.
    """
    return [
        plan.bwrap,
        *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--uid", str(SANDBOX_UID), "--gid", str(SANDBOX_UID), "--hostname", plan.hostname),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--seccomp", str(seccomp), "--json-status-fd", str(status)),
        # Every mount beneath is nodev already but for the nodes of /dev, which --bind would make nodev too.
        *("--dev-bind", root, "/", "--chdir", command.cwd),
        *("--", PRLIMIT, *(f"--{name}={value}:{value}" for name, value in command.limits)),
        *("--", *command.argv),
    ]


def exit_status(lines: bytes) -> int | None:
    """The command's status as bubblewrap wrote it to --json-status-fd; None when the command never ran."""
    for line in lines.splitlines():
        report = json.loads(line)
        if "exit-code" in report:
            return int(report["exit-code"])
    return None


def failure(lines: bytes) -> SandboxError:
    """Why the command never ran, from the same lines: what stopped us before bubblewrap, or that bubblewrap gave up."""
    for line in lines.splitlines():
        report = json.loads(line)
        if "failed" in report:
            return SandboxError(**report["failed"])
    switch = refusal.find_switch()
    return SandboxError(
        "bubblewrap could not start the command; what it says stands on standard error",
        fix=f"If that is about namespaces or a uid map: {switch[0]}; allow them: {switch[1]}" if switch else "",
    )
