from __future__ import annotations

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import bwrap
from solven_env.sandbox.launch_plan import STARTER, LaunchPlan, StagedLink
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.request import Request

PLAN = LaunchPlan("s", "/w", (), hostname="box", program="/opt/bwrap")


REQUEST = Request(
    ("sh", "-c", "exit 3"), env={"SECRET": "hidden"}, cwd="/src", limits=Limits(open_files=64, cpu_time=9)
)
HARD = {"open_files": 1 << 63, "cpu_time": 10}


@pytest.mark.parametrize(
    ("controlled", "links", "session", "program"),
    [
        (False, (), ("--new-session",), ("/usr/bin/prlimit",)),
        (True, (), (), ("/usr/bin/setsid", "--ctty", "/usr/bin/prlimit")),
        (False, (STARTER,), ("--new-session",), ("/run/solven-env/solven-env",)),
    ],
)
def test_the_whole_command_line(
    controlled: bool, links: tuple[StagedLink, ...], session: tuple[str, ...], program: tuple[str, ...]
) -> None:
    line = bwrap.arguments(
        PLAN._replace(links=links), REQUEST, "/stage", HARD, controlled=controlled, environment=6, seccomp=7, status=8
    )
    assert line == [
        "/opt/bwrap",
        *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--uid", "1000", "--gid", "1000", "--hostname", "box"),
        *("--die-with-parent", "--cap-drop", "ALL", *session),
        *("--args", "6", "--seccomp", "7", "--json-status-fd", "8"),
        *("--dev-bind", "/stage", "/", "--chdir", "/src"),
        *("--", *program, "--core=0:0", "--nofile=64:64", "--cpu=9:10"),
        *("--", "sh", "-c", "exit 3"),
    ]


def test_the_environment_goes_another_way() -> None:
    request = Request(("true",), env={"A": "x y", "B": "\udcff"})
    assert bwrap.environment_arguments(request) == b"--setenv\0A\0x y\0--setenv\0B\0\xff\0"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b'{ "child-pid": 12, "mnt-namespace": 4026532250 }\n{ "exit-code": 7 }\n', 7),
        (b'{ "child-pid": 12 }\n{ "exit-code": 0 }\n', 0),
        (b'{ "child-pid": 12 }\n', None),
        (b'{ "child-pid": 12 }\n{ "exit-co', None),
        (b"", None),
    ],
)
def test_the_commands_status_is_what_bubblewrap_wrote(lines: bytes, status: int | None) -> None:
    assert bwrap.exit_status(lines) == status


def test_what_stopped_us_before_bubblewrap_comes_back() -> None:
    report = bwrap.failure_report(SandboxError("a link", fix="Remove it.", location="/proc"))
    error = bwrap.failure(report, "/usr/bin/bwrap")
    assert (error.message, error.fix, error.location) == ("a link", "Remove it.", "/proc")
    assert "standard error" in bwrap.failure(b"", "/usr/bin/bwrap").message
