"""proot's command line as data, what is said of it, and a command under it: no thread, no builds."""

from __future__ import annotations

import os

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.proot import client, tracer
from solven_env.sandbox.backends.proot.tracer import Binding
from solven_env.sandbox.launch_plan import SANDBOX_UID, Bind, LaunchPlan, Overlay, StagedFile, StagedLink, Tmpfs
from solven_env.sandbox.request import Request
from solven_env.sandbox.roots import etc
from solven_env.system.effects import drive
from tests.sandbox.running import PROOT, SYSTEM, Box, command

PLAN = LaunchPlan("s", "/w", ())


def test_arguments() -> None:
    asked = Request(("sh", "-c", "true"), env={"SECRET": "sesame"}, cwd="/usr")
    line = tracer.arguments("/stage/root", [Binding("/stage/0", "/usr")], PLAN, asked, uid=61000)
    assert line[:9] == ["proot", "-v", "-1", "-r", "/stage/root", "-w", "/", "-i", "1000:1000"]
    assert line[9:13] == ["-b", "/stage/0:/usr!", "/usr/bin/env", "--chdir=/usr"]
    assert line[-4:] == ["--", "sh", "-c", "true"]
    assert "sesame" not in " ".join(line)
    assert "-i" not in tracer.arguments("/r", [], PLAN, asked, uid=SANDBOX_UID)
    assert tracer.environment(asked) == {"SECRET": "sesame", "PWD": "/usr"}


def run(box: Box, text: str, **options: object) -> tuple[int, str]:
    record = box.base / "record"
    record.mkdir(exist_ok=True)
    read, write = os.pipe()
    try:
        asked = command("sh", "-c", text, stdout=write, **options)  # type: ignore[arg-type]
        ended = drive(client.run(box.plan._replace(program=PROOT), asked, box.runtime, str(record)))
    finally:
        os.close(write)
        with open(read) as file:
            said = file.read()
    return ended.status, said


def test_the_environment_is_the_commands_and_no_descriptor_leaks(box: Box) -> None:
    text = "tr '\\0' '\\n' < /proc/self/environ; ls /proc/self/fd"
    status, said = run(box, text, env={"PATH": "/usr/bin:/bin", "ODD-NAME": "a b"})
    assert (status, said.split("\n")) == (0, ["PATH=/usr/bin:/bin", "ODD-NAME=a b", "PWD=/", "0", "1", "2", "3", ""])


def test_files_and_links_of_the_plan_are_there_and_credentials_are_not(box: Box) -> None:
    own = box.but(
        mounts=(*SYSTEM, Tmpfs("/run/tools", read_only=True), Bind("/run/tools/bin/tool", "/usr/bin/env")),
        files=(*etc.identity("ada"), StagedFile("/run/tools/deep/file", b"bytes")),
        links=(StagedLink("/run/tools/link", "bin/tool"),),
    )
    assert run(own, "whoami; cat /run/tools/deep/file; /run/tools/link echo linked")[1] == "ada\nbyteslinked\n"
    allowed = set(run(own, "ls -A /etc")[1].split())
    assert {"passwd", "group", "hosts", "hostname"} <= allowed
    assert {"shadow", "sudoers", "pip.conf", "ssh", "gshadow"}.isdisjoint(allowed)


def test_newer_calls_see_the_workspace_and_never_the_host(box: Box) -> None:
    (box.workspace / "mine").write_text("mine")
    (box.workspace / "mine").chmod(0o644)
    text = "stat -c %s /mine && ls / | grep -c mine; stat /" + str(box.base).strip("/")
    assert run(box, text) == (1, "4\n1\n")


@pytest.mark.parametrize(
    ("mounts", "what"),
    [
        ((Bind("/x", "/nowhere/at/all"),), "does not exist on this host"),
        ((Overlay("/x", "/usr", "/usr", "/usr", "a"),), "proot knows no overlays"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(box: Box, mounts: tuple[object, ...], what: str) -> None:
    with pytest.raises(SandboxError, match=what):
        run(box.but(mounts=(*SYSTEM, *mounts)), "true")
    assert os.listdir(box.workspace) == []
