"""bubblewrap: kernel namespaces, kept for a thread by its session's holder. A row of `BACKENDS`.

Everything is imported where it is used: the holder, a module of this folder, must start light.
"""

from __future__ import annotations

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

NAME = "bubblewrap"
STATEMENT = ""
LACKS = ""
HAS_MOUNTS = True
HAS_SESSIONS = True
NEEDS_DIRECTORY = False
SHOWN: Mapping[type[Mount], str] = {}

_OLDEST = (0, 8)
"""--disable-userns is new in 0.8 (bubblewrap's NEWS)."""
_PACKAGE = "sys-apps/bubblewrap"


def notice(_: str) -> str:
    """Nothing: it enforces what is asked for."""
    return ""


def locate(sandbox: HostSandbox, environ: Mapping[str, str]) -> str:
    """The absolute path of what SOLVEN_ENV_BWRAP or the host configuration names, else of the first bwrap on PATH."""
    import os
    import shutil

    configured = environ.get("SOLVEN_ENV_BWRAP") or sandbox.bwrap
    if configured is not None:
        found = configured if os.access(configured, os.X_OK) and os.path.isfile(configured) else None
    else:
        found = shutil.which("bwrap", path=environ.get("PATH"))
    if found is None:
        from solven_env.errors import PlatformError
        from solven_env.sandbox.host_programs import installing

        raise PlatformError(
            f"there is no bubblewrap at {configured}" if configured else "bubblewrap is not installed",
            fix=installing(_PACKAGE),
        )
    return os.path.abspath(found)


def too_old(program: str) -> PlatformError | None:
    """The error about a bubblewrap that is too old; None if it is new enough. It takes a process: 2 ms."""
    import subprocess

    from solven_env.errors import PlatformError
    from solven_env.sandbox.host_programs import installing

    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
        version = parse_version(said.stdout)
    except (OSError, subprocess.TimeoutExpired):
        version = ()
    if version >= _OLDEST:
        return None
    told = ".".join(map(str, version)) or "of no known version"
    return PlatformError(
        f"bubblewrap is {told}, and 0.8 or newer is needed", fix=installing(_PACKAGE), location=program
    )


def parse_version(said: str) -> tuple[int, ...]:
    """The numbers in what `bwrap --version` prints; () where there are none."""
    import re

    found = re.fullmatch(r"bubblewrap (\d+(?:\.\d+)*)\s*", said)
    return tuple(map(int, found[1].split("."))) if found else ()


def network(asked: Network) -> Network:
    """The same: it makes each of them."""
    return asked


def unenforced(limits: Collection[str]) -> tuple[Unenforced, ...]:
    """The limit of memory, where no cgroup with that controller is delegated to us."""
    from solven_env.sandbox import cgroups

    return cgroups.unenforced() if "memory" in limits else ()


def refuses_files() -> SandboxError | None:
    """None: each command has memory of its own for them."""
    return None


async def run(
    plan: LaunchPlan,
    request: Request,
    *,
    runtime_dir: str,
    directory: str = "",  # noqa: ARG001
    progress: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Run the request in the thread's session, whose holder is started if there is none yet."""
    from solven_env.sandbox.backends.bubblewrap import session

    return await session.run(plan, request, runtime_dir, progress)


def reach_files(plan: LaunchPlan, keep_alive: float, runtime_dir: str, *, bounded: bool) -> FileAccess:
    """Reach the session's file server."""
    from solven_env.sandbox.backends.bubblewrap import file_client

    return file_client.Connection(plan, keep_alive, runtime_dir, bounded=bounded)


def start(
    plan: LaunchPlan,
    request: Request,
    kept: KeptOutput,
    *,
    runtime_dir: str,
    progress: Callable[[str], None] = lambda _: None,
) -> StartedProcess:
    """Have the session's holder start the command, with a keeper."""
    from solven_env.sandbox.backends.bubblewrap import session

    return session.start_kept(plan, request, kept, runtime_dir, progress)


def ask(session: str, runtime_dir: str, what: str, name: str = "") -> Told | None:
    """Ask the session's holder."""
    from solven_env.sandbox.backends.bubblewrap import control

    return control.ask(session, runtime_dir, what, name)


def publish(plan: LaunchPlan, port: int, keep_alive: float, runtime_dir: str) -> int:
    """Forward a loopback port of the host to a port inside."""
    from solven_env.sandbox.backends.bubblewrap import session

    return session.publish(plan, port, keep_alive, runtime_dir)


def explain(plan: LaunchPlan, request: Request, *, controlled: bool) -> tuple[str, ...]:
    """The command line of bubblewrap."""
    from solven_env.sandbox import limits
    from solven_env.sandbox.backends.bubblewrap import bwrap
    from solven_env.sandbox.roots.namespaces import STAGE

    numbers = {"environment": 3, "seccomp": 4, "status": 5}
    hard = limits.hard_limits()
    return tuple(bwrap.arguments(plan, request, STAGE, hard, controlled=controlled, **numbers))


def look(session: str, runtime_dir: str) -> SessionState | None:
    """The state of the session, from its holder's answer. The socket of a dead session is removed."""
    from solven_env.sandbox.backends.bubblewrap import control

    return control.look(session, runtime_dir)


def make_room(session: str, runtime_dir: str, size: int) -> None:
    """Have the session's watch of the disk leave out what an apply writes."""
    from solven_env.sandbox.backends.bubblewrap import control

    control.make_room(session, runtime_dir, size)


def stop_all(owner: str, runtime_dir: str) -> bool:
    """End the owner's sessions, in whatever state their holders are."""
    from solven_env.sandbox.backends.bubblewrap import control

    return control.stop_all(owner, runtime_dir)


def questions() -> tuple[BackendQuestion, ...]:
    """One about CVE-2026-87766."""
    from solven_env.sandbox.backends.bubblewrap import bwrap
    from solven_env.sandbox.backends.protocol import BackendQuestion

    return (BackendQuestion("planted links", bwrap.try_planted_links),)
