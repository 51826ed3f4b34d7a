"""A real sandbox for a test: a workspace, a runtime directory, and what must not outlive the test."""

from __future__ import annotations

import os
import select
import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.sandbox import runtime
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import Bind, Dev, Etc, LaunchPlan, Mount, Proc, Tmpfs
from solven_env.sandbox.request import Request
from solven_env.sandbox.roots import etc
from solven_env.system.effects import drive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.sandbox.limits import Reached

ROOT = os.geteuid() == 0
SANDBOX_HOST_UID = 61000 if ROOT else None
SYSTEM: tuple[Mount, ...] = (
    *(Bind(path, path, optional=True) for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/sys")),
    *(Etc(), Proc(), Dev(), Tmpfs("/tmp", size=64 << 20, mode=0o1777), Tmpfs("/var"), Tmpfs("/run")),
)
PATH = "/usr/bin:/bin"
BWRAP, PROOT = "/usr/bin/bwrap", "/usr/bin/proot"
DEADLINE = 60.0
"""Seconds after which a test gives up waiting for an event."""
HOLDER = b" import holder; holder.main("
"""In the arguments of a holder and of what it forks."""
POLL = 0.002
"""Seconds between two looks at something that no descriptor tells of: a loop without a pause takes the processor from
what it waits for."""


@dataclass(frozen=True)
class Result:
    status: int
    out: bytes
    err: bytes
    limits: tuple[Reached, ...] = ()


@dataclass(frozen=True)
class Box:
    """One thread's plan and the runtime directory of its holder."""

    plan: LaunchPlan
    runtime: str
    base: Path

    @property
    def workspace(self) -> Path:
        return Path(self.plan.workspace)

    def but(self, **changes: object) -> Box:
        return replace(self, plan=self.plan._replace(**changes))  # type: ignore[arg-type]

    def neighbour(self, name: str) -> Box:
        """Another thread of the same storage."""
        return self.but(session=f"{self.plan.session}-{name}", workspace=str(make_workspace(self.base / name)))

    def run(self, *argv: str, data: bytes = b"", **options: Any) -> Result:
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            stdin.write(data)
            stdin.seek(0)
            request = command(*argv, **options)._replace(streams=(stdin.fileno(), out.fileno(), err.fileno()))
            ended = drive(session.run(self.plan, request, self.runtime))
            out.seek(0)
            err.seek(0)
            return Result(ended.status, out.read(), err.read(), ended.limits)

    def shell(self, text: str, **options: object) -> Result:
        return self.run("sh", "-c", text, **options)  # type: ignore[arg-type]

    def holder(self) -> int | None:
        """The host's pid of the session's holder: pid 1 of the outermost of its namespaces."""
        name = runtime.socket_name(self.plan.session).encode()
        found: list[tuple[int, int]] = []
        for pid in pids():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                numbers = _own_pids(Path(f"/proc/{pid}/status").read_text())
            except OSError:
                continue
            if name in line and numbers[-1] == 1:
                found.append((len(numbers), pid))
        return min(found)[1] if found else None


def helpers(holder: int | None) -> list[int]:
    """The network helpers of a holder: one a namespace."""
    found = []
    for pid in pids():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:
            continue
        if fields[0].endswith("(slirp4netns") and int(fields[2].split()[1]) == holder:
            found.append(pid)
    return found


def command(*argv: str, stdin: int = 0, stdout: int = 1, stderr: int = 2, **options: object) -> Request:
    """A planned request: with its whole environment, and these streams."""
    values: dict[str, object] = {"env": {"PATH": PATH, "HOME": "/"}, "streams": (stdin, stdout, stderr), **options}
    return Request(argv, **values)  # type: ignore[arg-type]


def make_workspace(path: Path) -> Path:
    path.mkdir()
    if SANDBOX_HOST_UID is not None:
        os.chown(path, SANDBOX_HOST_UID, SANDBOX_HOST_UID)
    return path


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def wait_until_gone(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([pidfd], [], [], DEADLINE)[0], f"process {pid} lives on"
    finally:
        os.close(pidfd)


def wait_for_file(path: Path) -> None:
    """Until a command made the file that says how far it is."""
    end = time.monotonic() + DEADLINE
    while not path.exists():
        assert time.monotonic() < end, f"{path} was never made"
        time.sleep(POLL)


def _own_pids(status: str) -> list[int]:
    """The numbers of a process in each PID namespace, the outermost first."""
    (line,) = (line for line in status.splitlines() if line.startswith("NSpid:"))
    return [int(number) for number in line.split()[1:]]


def survivors(mark: str, program: bytes = b"") -> list[int]:
    """Processes whose mounts show the test's directory `mark`, or that name it in a variable or their arguments.

    A holder names its session's socket only, but it has the staged workspace in its mounts from its first command on.
    With a `program`, those alone that have it in their arguments.
    """
    return sorted(pid for pid, line in _survivors(mark).items() if program in line)


def commands(mark: str) -> list[int]:
    """Survivors but for the session's own processes: the holder, and what it has forked for a command to come."""
    return sorted(pid for pid, line in _survivors(mark).items() if HOLDER not in line)


def holders(mark: str) -> list[int]:
    """The holders of sessions among the survivors."""
    own = [pid for pid, line in _survivors(mark).items() if HOLDER in line]
    return sorted(
        pid for pid in own if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) not in own
    )


def _survivors(mark: str) -> dict[int, bytes]:
    """Each with its arguments, which are read once: what it is told from is what it was when it was found."""
    found = {}
    for pid in pids():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            mounts = Path(f"/proc/{pid}/mountinfo").read_text()
        except OSError:
            continue
        if mark in mounts or _has_open(pid, line, mark) or _is_marked(pid, mark) or _traces(line, mark):
            found[pid] = line
    return found


def _has_open(pid: int, line: bytes, mark: str) -> bool:
    """A holder closes files while we look: one that has gone hides no other."""
    if HOLDER not in line:
        return False
    with suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if mark in os.readlink(f"/proc/{pid}/fd/{entry}"):
                    return True
    return False


def _is_marked(pid: int, mark: str) -> bool:
    """What proot lets go of without a mount namespace names nothing: a test gives it a variable that does."""
    try:
        return f"MARKED={mark}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _traces(line: bytes, mark: str) -> bool:
    """Without one, proot has the paths of the host in its arguments."""
    return line.startswith(b"proot\0") and mark.encode() in line


def wait_until_alone(mark: str) -> None:
    """Until nothing survives, what a survivor may still have forked included.

    Looked at twice: one that forks and ends while the processes are listed is seen neither before nor after.
    """
    end = time.monotonic() + DEADLINE
    while left := survivors(mark) or survivors(mark):
        assert time.monotonic() < end, f"survivors: {left}"
        for pid in left:
            wait_until_gone(pid)


@pytest.fixture
def box() -> Iterator[Box]:
    """A thread with an empty workspace; under root beneath a directory that only root may enter."""
    base = Path(tempfile.mkdtemp(prefix="solven-"))
    assert base.stat().st_mode & 0o077 == 0
    name = uuid.uuid4().hex
    workspace = make_workspace(base / f"workspace-{name}")
    plan = LaunchPlan(
        session=name,
        workspace=str(workspace),
        mounts=SYSTEM,
        files=etc.identity("user"),
        uid=SANDBOX_HOST_UID,
        gid=SANDBOX_HOST_UID,
        program=BWRAP,
    )
    yield Box(plan, str(base / "runtime"), base)
    for directory, names, _ in os.walk(base):
        if "work" in names:  # of an overlay, left without any permission
            os.chmod(os.path.join(directory, "work"), 0o700)
    shutil.rmtree(base)


@pytest.fixture(autouse=True)
def nothing_survives(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test with a box: no process with its mounts, no holder, and nothing in the runtime directory."""
    if "box" not in request.fixturenames:
        yield
        return
    own: Box = request.getfixturevalue("box")
    yield
    wait_until_alone(own.base.name)
    if os.path.isdir(own.runtime):
        assert os.listdir(own.runtime) == []
