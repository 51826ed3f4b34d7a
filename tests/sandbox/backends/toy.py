"""A backend that isolates nothing: it runs the command in the workspace, as it is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from solven_env.errors import UsageError
from solven_env.sandbox.capture import Capture
from solven_env.sandbox.cgroups import Unenforced
from solven_env.sandbox.request import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from solven_env.config import HostSandbox
    from solven_env.errors import PlatformError, SandboxError
    from solven_env.sandbox.backends.protocol import Backend, BackendQuestion
    from solven_env.sandbox.file_access import FileAccess
    from solven_env.sandbox.kept import KeptOutput, StartedProcess, Told
    from solven_env.sandbox.launch_plan import LaunchPlan, Mount
    from solven_env.sandbox.request import Request
    from solven_env.sandbox.runtime import SessionState
    from solven_env.system.networks import Network
    from tests.sandbox.backends import toy

    ROW: Backend = toy

NAME = "toy"
STATEMENT = "The toy backend isolates nothing."
LACKS = "toy, which enforces nothing"
HAS_MOUNTS = False
HAS_SESSIONS = False
NEEDS_DIRECTORY = False
SHOWN: Mapping[type[Mount], str] = {}


def notice(network: str) -> str:
    return f"backend: toy (network asked for: {network}). {STATEMENT}"


def locate(_: HostSandbox, __: Mapping[str, str]) -> str:
    return "/usr/bin/env"


def too_old(_: str) -> PlatformError | None:
    return None


def network(_: Network) -> Network:
    return "host"


def unenforced(limits: Collection[str]) -> tuple[Unenforced, ...]:
    return tuple(Unenforced(name, "the backend is toy", "Use another.") for name in limits)


async def run(
    plan: LaunchPlan,
    request: Request,
    *,
    runtime_dir: str,
    directory: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Ended:
    stdin, *outputs = request.streams
    words, env = explain(plan, request, controlled=False), dict(request.env)
    done = subprocess.run(
        words,
        cwd=plan.workspace,
        env=env,
        stdin=stdin if isinstance(stdin, int) else subprocess.DEVNULL,
        stdout=outputs[0] if isinstance(outputs[0], int) else subprocess.PIPE,
        stderr=outputs[1] if isinstance(outputs[1], int) else subprocess.PIPE,
        check=False,
    )
    for output, said in zip(outputs, (done.stdout, done.stderr), strict=True):
        if isinstance(output, Capture):
            output.take(said)
    return Ended(done.returncode)


def refuses_files() -> SandboxError | None:
    return None


def reach_files(_: LaunchPlan, __: float, ___: str, *, bounded: bool) -> FileAccess:
    raise UsageError("files: the backend toy has no session")


def start(
    _: LaunchPlan,
    __: Request,
    ___: KeptOutput,
    *,
    runtime_dir: str,
    progress: Callable[[str], None] = lambda _: None,
) -> StartedProcess:
    raise UsageError("start: the backend toy has no session")


def publish(_: LaunchPlan, __: int, ___: float, ____: str) -> int:
    raise UsageError("publish: the backend toy has no session")


def ask(_: str, __: str, ___: str, ____: str = "") -> Told | None:
    return None


def explain(plan: LaunchPlan, request: Request, *, controlled: bool) -> tuple[str, ...]:
    return plan.program, *request.argv


def look(_: str, __: str) -> SessionState | None:
    return None


def make_room(_: str, __: str, ___: int) -> None:
    return None


def stop_all(_: str, __: str) -> bool:
    return False


def questions() -> tuple[BackendQuestion, ...]:
    return ()
