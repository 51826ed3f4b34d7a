"""`delete` and `gc` as people and programs get them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.cli import gc
from solven_env.errors import UsageError
from tests.cli.conftest import PROFILE

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


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 130)])
def test_it_asks_on_a_terminal(cli: Cli, answer: str, code: int) -> None:
    cli("apply", cli.write("profile.yaml"), "t1")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "solven_env", "delete", "t1", "--storage", str(cli.storage)]
    environ = {**os.environ, "HOME": str(cli.directory / "home")}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        said = b""
        while b"?" not in said:
            said += os.read(ours, 1000)
        os.write(ours, answer.encode())
        if code == 130:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == code
    os.close(ours)
    assert b"Delete 1 thread (t1), and its workspace" in said
    assert cli.workspace().exists() == (code != 0)


def test_what_is_collected_is_told(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    cli("apply", profile, "t1")
    cli.write("profile.yaml", PROFILE.replace("echo hi", "echo you").replace("1.0.0", "1.1.0"))
    cli("apply", profile, "t1")
    dry = cli("gc", "--dry-run", "--keep", "1")
    assert (dry.returncode, dry.stderr) == (0, "")
    lines = dry.stdout.splitlines()  # of bytes, a first collection may tell more than a dry run
    assert lines[0].startswith("  - generation 1 of t1 (")
    assert " would be freed: 1 generation" in lines[-1]
    done = json.loads(cli("gc", "--keep", "1", "--format", "json").stdout)
    assert [(each["kind"], each["number"]) for each in done["collected"]] == [("generation", 1), ("bytes", 1)]
    assert (done["freed"], done["unjudged"]) == (sum(each["freed"] for each in done["collected"]), [])
    assert cli("gc").stdout == "There is nothing to collect.\n"
    cli.storage.rename(cli.storage.with_name("elsewhere"))
    left = cli("gc")
    assert (left.returncode, "not where it was" in left.stderr, "rm " in left.stderr) == (0, True, True)


@pytest.mark.parametrize("text", ["30", "30x", "", "d", "-1d", "1.5d", "9" * 20 + "d"])
def test_no_times(text: str) -> None:
    with pytest.raises(UsageError, match="--older-than"):
        gc.seconds(text)


@pytest.mark.parametrize(("text", "number"), [("20GiB", 20 << 30), ("0", 0), ("1KiB", 1024)])
def test_bounds_of_size(text: str, number: int) -> None:
    assert gc.size(text) == number


@pytest.mark.parametrize("text", ["20", "20GB", "-1", ""])
def test_no_sizes(text: str) -> None:
    """A number without a unit is no size: nobody means 20 bytes by it."""
    with pytest.raises(UsageError, match="--max-size"):
        gc.size(text)
