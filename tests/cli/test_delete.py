"""`delete` as people and programs get it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.cli.tables import told_size

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_what_is_deleted_is_told(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    for thread in ("t1", "t2"):
        cli("apply", profile, thread)
    refused = cli("delete", "t1", "t2")
    assert (refused.returncode, "--yes" in refused.stderr, refused.stdout) == (2, True, "")
    assert cli.workspace().exists()
    kept = cli("delete", "t1", "--yes", "--keep-workspace")
    assert kept.returncode == 0
    assert re.fullmatch(r"t1: deleted, \d.* freed; its workspace is kept\.\n", kept.stdout)
    told = cli("delete", "t1", "t2", "--yes", "--format", "json")
    threads = json.loads(told.stdout)["threads"]
    assert [(each["thread"], each["state"], each["workspace"]) for each in threads] == [
        ("t1", "deleted", "removed"),
        ("t2", "deleted", "removed"),
    ]
    assert not cli.workspace().exists()
    gone = cli("delete", "t1", "--yes")
    assert (gone.returncode, gone.stderr.splitlines()[0]) == (2, "error: there is no thread t1 in this storage.")


@pytest.mark.parametrize("answer", ["y", "n"])
def test_it_asks_on_a_terminal(cli: Cli, answer: str) -> None:
    cli("apply", cli.write("profile.yaml"), "t1")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "solven_env", "delete", "t1", "--storage", str(cli.storage)]
    environ = {**os.environ, "HOME": str(cli.directory / "home")}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        said = b""
        while b"?" not in said:
            said += os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
        assert process.wait() == (0 if answer == "y" else 2)
    os.close(ours)
    assert b"Delete 1 thread (t1)" in said
    assert cli.workspace().exists() == (answer == "n")


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB"), (1 << 60, "1048576.0 TiB")],
)
def test_sizes(size: int, told: str) -> None:
    assert told_size(size) == told
