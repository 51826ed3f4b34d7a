"""bubblewrap's command line, made from data, and what its answers mean.

The holder brings the mounts, the PID and the network namespace (`starting`); bubblewrap adds user, IPC, UTS and
cgroup namespaces, drops every capability, forbids more user namespaces, and installs the filter.
"""

from __future__ import annotations

import os

from solven_env.errors import SandboxError, UsageError
from solven_env.sandbox import limits, refusal, wire
from solven_env.sandbox.launch_plan import SANDBOX_UID, SETSID, LaunchPlan, starter
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from solven_env.errors import SolvenError
    from solven_env.sandbox.request import Request

_FAILED = b"failed "
_MOST_WORDS = 9000
"""MAX_ARGS in bubblewrap.c: of its command line and of what it reads from --args, three a variable, together."""


def arguments(
    plan: LaunchPlan,
    request: Request,
    root: str,
    hard: dict[str, int],
    *,
    controlled: bool,
    environment: int,
    seccomp: int,
    status: int,
) -> list[str]:
    """argv for the request on the staged `root`; descriptors hold its environment, the filter and the status lines.

    `hard` are the limits above which this process cannot set any. `controlled` makes the command's standard input its
    controlling terminal: whose ^C and ^Z reach it, and what /dev/tty is.

    bubblewrap itself starts with no environment, and no argument list shows one: `environment_arguments`.
    """
    line = [
        plan.program,
        *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--uid", str(SANDBOX_UID), "--gid", str(SANDBOX_UID), "--hostname", plan.hostname),
        *("--die-with-parent", "--cap-drop", "ALL", *(() if controlled else ("--new-session",))),
        *("--args", str(environment), "--seccomp", str(seccomp), "--json-status-fd", str(status)),
        # Every mount beneath is nodev already but for the nodes of /dev, which --bind would make nodev too.
        *("--dev-bind", root, "/", "--chdir", request.directory),
        # Even without limits: for a missing program bubblewrap itself ends with 1, like any command.
        *("--", *((SETSID, "--ctty") if controlled else ()), starter(plan), *limits.options(request.limits, hard)),
        *("--", *request.argv),
    ]
    too_many = len(line) + 3 * len(request.env) - _MOST_WORDS
    if too_many > 0:
        raise UsageError(
            f"command: its {len(request.argv)} words and {len(request.env)} variables are {too_many} words more than "
            "bubblewrap takes",
            fix="Pass them by a file or standard input, to xargs(1) for example.",
        )
    return line


def environment_arguments(request: Request) -> bytes:
    """The command's variables as bubblewrap reads them from --args.

    It must not be started with them: an LD_PRELOAD that is meant for the command would be loaded outside the walls.
    """
    return b"".join(os.fsencode(f"--setenv\0{name}\0{value}\0") for name, value in request.env.items())


def exit_status(lines: bytes) -> int | None:
    """The command's status as bubblewrap wrote it to --json-status-fd; None when the command never ran."""
    for line in lines.split(b"\n"):
        name, _, value = line.strip(b"{ }").partition(b":")
        if name == b'"exit-code"' and line.endswith(b"}"):  # a kill may have cut it short
            return int(value)
    return None


def failure_report(error: SolvenError) -> bytes:
    """The text that replaces bubblewrap's lines if we are stopped before it; `failure` reads it."""
    return _FAILED + wire.pack(wire.encode_error(error))


def failure(lines: bytes, program: str) -> SolvenError:
    """The reason why the command never ran, from the same lines: we were stopped, or bubblewrap gave up.

    Its version is asked for only now: before each command that would cost a third of a start.
    """
    from solven_env.sandbox.backends import bubblewrap
    from solven_env.sandbox.host_programs import lacking_starter

    if lines.startswith(_FAILED):
        return wire.failure(wire.unpack(lines.removeprefix(_FAILED)))
    found = bubblewrap.too_old(program) or lacking_starter()
    if found is not None:
        return SandboxError(found.message, fix=found.fix, location=found.location)
    switch = refusal.find_switch()
    by_itself = f"Look whether it works by itself: {program} --unshare-all --dev-bind / / true"
    return SandboxError(
        "bubblewrap could not start the command; what it says stands on standard error",
        fix=f"If that is about namespaces or a uid map: {switch[0]}; allow them: {switch[1]}" if switch else by_itself,
    )


def try_planted_links(program: str, directory: str) -> tuple[Literal["ok", "limited", "broken"], str]:
    """Give bubblewrap a link beneath a destination, in an empty directory, and see whether it follows (CVE-2026-87766).

    The link leads out of the new root, to where bubblewrap has the old one meanwhile.
    """
    import subprocess

    for name in ("root", "victim"):
        os.mkdir(f"{directory}/{name}")
    os.symlink(f"/oldroot{os.path.realpath(directory)}/victim", f"{directory}/root/planted")
    binds = ("--bind", f"{directory}/root", "/", "--bind", "/usr", "/planted/made")
    argv = [program, "--unshare-user", *binds, "--", "/-"]
    subprocess.run(argv, capture_output=True, check=False, timeout=10)  # noqa: S603
    if not os.path.exists(f"{directory}/victim/made"):
        return "ok", "bubblewrap follows no link that is planted at a mount point"
    return "limited", "bubblewrap follows links that are planted at mount points; ours are never given one"
