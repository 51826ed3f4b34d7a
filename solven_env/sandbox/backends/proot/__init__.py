"""proot: paths rewritten with ptrace, for hosts without user namespaces. No security boundary. A row of `BACKENDS`.

Everything is imported where it is used: a run under another backend has no use for it.
"""

from __future__ import annotations

from solven_env.sandbox.launch_plan import Dev, Proc, SecretFiles, Tmpfs
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from solven_env.config import HostSandbox
    from solven_env.errors import PlatformError, SandboxError
    from solven_env.sandbox.backends.protocol import BackendQuestion
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.file_access import FileAccess
    from solven_env.sandbox.kept import KeptOutput, StartedProcess, Told
    from solven_env.sandbox.launch_plan import LaunchPlan, Mount
    from solven_env.sandbox.request import Ended, Request
    from solven_env.sandbox.runtime import SessionState
    from solven_env.system.networks import Network

NAME = "proot"
STATEMENT = (
    "The proot backend rewrites paths so that a cooperative program sees the workspace as /. It is a convenience, not "
    "a security boundary."
)
LACKS = "proot, which enforces neither network nor limits nor namespaces"
HAS_MOUNTS = False
HAS_SESSIONS = False
NEEDS_DIRECTORY = True
SHOWN: Mapping[type[Mount], str] = {
    Proc: "those of all processes, or of the command and its proot where a PID namespace is to be had",
    Dev: "the host's",
    SecretFiles: "a directory of the command's own",
    Tmpfs: "a directory of the command's own, of no size",
}


def notice(network: str) -> str:
    """The line that names the backend and what it does not enforce."""
    return (
        f"backend: proot, which enforces neither network (asked for: {network}) nor limits nor namespaces. {STATEMENT}"
    )


def locate(_: HostSandbox, environ: Mapping[str, str]) -> str:
    """The absolute path of the first proot on PATH.

    No version is asked for: 5.1.0, of 2014, runs what we run, and no distribution has an older one.
    """
    import os
    import shutil

    from solven_env.errors import PlatformError
    from solven_env.sandbox.host_programs import installing

    found = shutil.which("proot", path=environ.get("PATH"))
    if found is None:
        raise PlatformError("proot is not installed, and the backend is proot", fix=installing("sys-apps/proot"))
    return os.path.abspath(found)


def too_old(_: str) -> PlatformError | None:
    """None: every version will do."""
    return None


def network(_: Network) -> Network:
    """The host's own, whatever is asked for."""
    return "host"


def unenforced(limits: Collection[str]) -> tuple[Unenforced, ...]:
    """All but that of wall time."""
    from solven_env.sandbox.cgroups import Unenforced

    why, fix = "the backend is proot", "Use the backend bubblewrap."
    return tuple(Unenforced(name, why, fix) for name in limits if name != "wall_time")


def refuses_files() -> SandboxError | None:
    """The error where this host lets it make no namespaces, and so no memory. It takes a process."""
    from solven_env.sandbox.backends.proot import bindings
    from solven_env.system import processes

    done = processes.ask("solven_env.sandbox.backends.proot.supervisor.probe", seconds=10.0)
    return None if done is not None and done.returncode == 0 else bindings.no_memory()


async def run(
    plan: LaunchPlan,
    request: Request,
    *,
    runtime_dir: str,
    directory: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Run the request under a supervisor of its own."""
    from solven_env.sandbox.backends.proot import client

    return await client.run(plan, request, runtime_dir, directory, progress)


def reach_files(_: LaunchPlan, __: float, ___: str, *, bounded: bool) -> FileAccess:  # noqa: ARG001
    """UsageError: it has no sessions."""
    from solven_env.errors import UsageError

    raise UsageError("files: the backend proot has no session", fix="Use the backend bubblewrap, or run a command.")


def start(
    _: LaunchPlan,
    __: Request,
    ___: KeptOutput,
    *,
    runtime_dir: str,  # noqa: ARG001
    progress: Callable[[str], None] = lambda _: None,  # noqa: ARG001
) -> StartedProcess:
    """UsageError: it has no sessions."""
    from solven_env.errors import UsageError

    raise UsageError("start: the backend proot has no session", fix="Use the backend bubblewrap, or run the command.")


def publish(_: LaunchPlan, __: int, ___: float, ____: str) -> int:
    """UsageError: it has no sessions."""
    from solven_env.errors import UsageError

    raise UsageError("publish: the backend proot has no session", fix="Use the backend bubblewrap.")


def ask(_: str, __: str, ___: str, ____: str = "") -> Told | None:
    """None: it has no sessions."""
    return None


def explain(plan: LaunchPlan, request: Request, *, controlled: bool) -> tuple[str, ...]:  # noqa: ARG001
    """The command line of proot."""
    from solven_env.sandbox.backends.proot import bindings, tracer
    from solven_env.sandbox.launch_plan import SANDBOX_UID

    bound = bindings.foreseen(plan, tracer.STAGE)
    words = tracer.arguments(f"{tracer.STAGE}/root", bound, plan, request, uid=plan.uid or SANDBOX_UID)
    return plan.program, *words[1:]


def look(_: str, __: str) -> SessionState | None:
    """None: it has no sessions."""
    return None


def make_room(_: str, __: str, ___: int) -> None:
    """Nothing: it watches no disk."""


def stop_all(_: str, __: str) -> bool:
    """False: it has no sessions."""
    return False


def questions() -> tuple[BackendQuestion, ...]:
    """None beside the program itself."""
    return ()
