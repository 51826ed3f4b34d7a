"""`solven-env validate`."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

from tests.cli.conftest import PROFILE
from tests.pages import TOP

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Cli


def test_validate_reports_each_profile(cli: Cli, snapshot: SnapshotAssertion) -> None:
    good = cli.write("good.yaml")
    bad = cli.write("bad.yaml", PROFILE.replace("release: 1.0.0", "release: 1.0") + "nmae: x\n")
    result = cli("validate", good, bad, "solven", "-", stdin="version: 2\n")
    assert (result.returncode, result.stdout, result.stderr) == snapshot
    document = json.loads(cli("validate", good, bad, "--format", "json").stdout)
    assert [(each["profile"], each["valid"], len(each["diagnostics"])) for each in document["profiles"]] == [
        ("good.yaml", True, 0),
        ("bad.yaml", False, 2),
    ]


def test_a_terminal_shows_the_line_of_each_mistake(cli: Cli, snapshot: SnapshotAssertion) -> None:
    bad = cli.write("bad.yaml", PROFILE.replace("release: 1.0.0", "release: 1.0") + f"nmae: [日本, x]  # {'a' * 80}\n")
    assert on_a_terminal(cli, "validate", bad) == snapshot
    assert on_a_terminal(cli, "render", bad) == snapshot
    assert "|" not in cli("validate", bad).stdout


def on_a_terminal(cli: Cli, *words: str) -> str:
    main, replica = os.openpty()
    fcntl.ioctl(replica, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with os.fdopen(main, "rb", buffering=0) as screen, os.fdopen(replica, "wb") as terminal:
        command = [sys.executable, "-m", "solven_env", *words]
        environ = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONIOENCODING": "utf-8"}
        subprocess.run(command, cwd=cli.directory, env=environ, stdout=terminal, stderr=terminal)
        terminal.flush()
        return screen.read(1 << 16).decode().replace("\r\n", "\n")


def test_standard_input_has_one_name(cli: Cli) -> None:
    assert cli("validate", "-", stdin=PROFILE).stderr == "<stdin>: valid\n"
    assert cli("validate", "-", stdin="version: 2\n").stdout.startswith("<stdin>:1:10: ")


def test_a_profile_that_is_not_there_hides_no_other(cli: Cli) -> None:
    good = cli.write("good.yaml")
    bad = cli.write("bad.yaml", PROFILE + "nmae: x\n")
    result = cli("validate", "none.yaml", bad, good)
    assert result.returncode == 5
    assert result.stdout.startswith("bad.yaml:9:1: SE101 unknown key 'nmae'")
    assert (
        "error: cannot read none.yaml: No such file or directory.\n  Name a file that holds a profile.\n"
        in result.stderr
    )
    assert "good.yaml: valid" in result.stderr
    assert cli("validate", good, "none.yaml").returncode == 2
    result = cli("validate", "none.yaml", bad, good, "--format", "json")
    found = json.loads(result.stdout)["profiles"]
    assert (result.returncode, [each["valid"] for each in found]) == (5, [False, False, True])
    assert [each["error"] and each["error"]["code"] for each in found] == [2, None, None]
