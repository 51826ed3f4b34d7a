"""proot's command line, made from data.

proot (https://proot-me.github.io) traces a program with ptrace(2) and rewrites the paths in its system calls. Nothing
is mounted, and the kernel keeps nobody in.
"""

from __future__ import annotations

from solven_env.sandbox import seccomp
from solven_env.sandbox.launch_plan import SANDBOX_UID, SETSID, starter
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.sandbox.launch_plan import LaunchPlan
    from solven_env.sandbox.request import Request

STAGE = "/tmp"  # noqa: S108 - a tmpfs of the supervisor's own mount namespace over it; proot's own files go there too
ENV = "/usr/bin/env"


NEWER_CALLS: dict[str, tuple[int, int | None]] = {
    "execveat": (322, 281),
    "faccessat2": (439, 439),
    "fchmodat2": (452, 452),
    "file_getattr": (468, 468),
    "file_setattr": (469, 469),
    "getxattrat": (464, 464),
    "listxattrat": (465, 465),
    "name_to_handle_at": (303, 264),
    "open_tree_attr": (467, 467),
    "openat2": (437, 437),
    "removexattrat": (466, 466),
    "setxattrat": (463, 463),
    "statx": (332, 291),
}
"""Calls that take a path, which proot 5.1.0 leaves as it is. Checked against the kernel's headers by the tests."""

# It traces and reads by the first three. Without clone3 glibc's posix_spawn falls back to clone with CLONE_VM, after
# which proot 5.1.0 takes the child's heap for its parent's too: uv then fails when it compiles.
_NEEDED_CALLS = frozenset(("ptrace", "process_vm_readv", "process_vm_writev", "clone3"))


class Binding(NamedTuple):
    """A path of the host that is seen at `target`."""

    source: str
    target: str


def arguments(root: str, bindings: Sequence[Binding], plan: LaunchPlan, request: Request, *, uid: int) -> list[str]:
    """argv of a proot that shows `root` as / and is started with the command's environment; `uid` is the real one.

    proot ends with the status of whichever process ended last, and with 255 for any signal. So setsid leaves the
    command behind as an orphan, and whoever adopts orphans (`supervisor`) learns how it ended from the kernel. prlimit
    tells 126 from 127, and is told of a limit lest it prints a table; a core would lie in the workspace. env enters the
    working directory, where proot (-w) would quietly take / for one that is not there.
    """
    return [
        # Quiet, but for what stops it. (-1 is a value of its own: below 0 nothing is said of signals and bindings.)
        *("proot", "-v", "-1", "-r", root, "-w", "/"),
        *(() if uid == SANDBOX_UID else ("-i", f"{SANDBOX_UID}:{SANDBOX_UID}")),
        # The mark keeps proot from following a link at the target's last component.
        *(word for each in bindings for word in ("-b", f"{each.source}:{each.target}!")),
        *(() if request.directory == "/" else (ENV, f"--chdir={request.directory}")),
        *(SETSID, "--fork", starter(plan), "--core=0:0", "--", *request.argv),
    ]


def environment(request: Request) -> dict[str, str]:
    """The command's variables. proot itself is started with them, and hands them on as they are."""
    return {**request.env, "PWD": request.directory}


def filter_program(machine: str | None = None) -> bytes:
    """The filter of system calls for proot and what runs under it: proot may trace, and what it cannot rewrite is gone.

    proot 5.1.0 (Debian 12's) does not know the calls that came after it, so that their paths are the host's. `stat
    /file` then looks at the host (statx); with ENOSYS programs ask by the older call, whose path is rewritten.
    """
    # proot voids a call by giving it the number -2, which is above all of x32's.
    return seccomp.program(machine, but=_NEEDED_CALLS, unknown=NEWER_CALLS, kills_x32=False, families=())
