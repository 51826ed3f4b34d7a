from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env import __version__
from solven_env.cli.main import COMMANDS
from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Cli


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_and_shows_an_example(cli: Cli, command: str) -> None:
    result = cli(*filter(None, (command, "--help")), COLUMNS="80")
    assert result.returncode == 0
    assert "Examples:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"solven-env {__version__}\n"


def test_without_a_command_it_shows_the_help(cli: Cli) -> None:
    assert "Commands:" in cli().stdout + cli().stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_commands(cli: Cli, shell: str) -> None:
    words = {"_TYPER_COMPLETE_ARGS": "solven-env a", "COMP_WORDS": "solven-env a", "COMP_CWORD": "1"}
    result = cli(_SOLVEN_ENV_COMPLETE=f"complete_{shell}", _TYPER_COMPLETE_FISH_ACTION="get-args", **words)
    assert "apply" in result.stdout


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


def test_standard_input_has_one_name(cli: Cli) -> None:
    assert cli("validate", "-", stdin=PROFILE).stderr == "<stdin>: valid\n"
    assert cli("validate", "-", stdin="version: 2\n").stdout.startswith("<stdin>:1:10: ")


def test_a_profile_that_is_not_there_hides_no_other(cli: Cli) -> None:
    good = cli.write("good.yaml")
    bad = cli.write("bad.yaml", PROFILE + "nmae: x\n")
    result = cli("validate", "none.yaml", bad, good)
    assert result.returncode == 5
    assert result.stdout.startswith("bad.yaml:9:1: unknown key 'nmae'")
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


def test_render_prints_or_writes(cli: Cli, snapshot: SnapshotAssertion) -> None:
    profile = cli.write("profile.yaml")
    assert cli("render", profile, "--set", "who=eve").stdout == snapshot
    written = cli("render", profile, "--out", "out")
    assert (written.returncode, written.stdout) == (0, "")
    assert (cli.directory / "out/bin/hello").read_text() == "echo hi\n"
    assert (cli.directory / "out/bin/hello").stat().st_mode & 0o777 == 0o755
    (cli.directory / "file").write_text("")
    assert cli("render", profile, "--out", "file").returncode == 2
    (cli.directory / ".bashrc").write_text("mine")
    assert cli("render", profile, "--out", "").returncode == 2
    assert (cli.directory / ".bashrc").read_text() == "mine"
    document = json.loads(cli("render", profile, "--format", "json").stdout)
    assert [file["path"] for file in document["files"]] == [".bashrc", "bin/hello"]


def test_a_required_input_is_asked_for_but_not_by_validate(cli: Cli) -> None:
    profile = cli.write("profile.yaml", PROFILE.replace("{default: ada}", "{type: string}"))
    assert cli("validate", profile).returncode == 0
    result = cli("render", profile)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--set who=VALUE" in result.stderr
    assert cli("apply", profile, "t1").returncode == 2
    assert not cli.storage.exists()


def test_a_closed_pipe_is_no_traceback(cli: Cli) -> None:
    command = f"{sys.executable} -m solven_env render solven | head -n 1"
    result = subprocess.run(["sh", "-c", command], cwd=cli.directory, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", ["--help", "render solven", "status t1", "validate solven --format json"])
@pytest.mark.parametrize(("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), (">/dev/full", 1)])
def test_an_output_that_is_closed_or_full_is_no_traceback(
    cli: Cli, arguments: str, redirection: str, code: int
) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = f"{sys.executable} -m solven_env {arguments} {redirection}"
    environ = {**buffered, "SOLVEN_ENV_STORAGE": str(cli.storage), "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(
        ["sh", "-c", command], cwd=cli.directory, env=environ, capture_output=True, text=True, check=False
    )
    expected = "error: standard output cannot be written: No space left on device.\n" if code else ""
    assert result.returncode == code
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert "valid\n" not in result.stdout, "prose must not end up on standard output"


def test_output_survives_a_locale_without_unicode(cli: Cli) -> None:
    profile = cli.write("profile.yaml", PROFILE.replace("hello", "grüß"))
    result = cli("render", profile, PYTHONIOENCODING="ascii")
    assert (result.returncode, "gr\\xfc\\xdf" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "command", "message"),
    [
        (("apply", "solven", "--format", "json"), "apply", "Missing argument 'THREAD'"),
        (("apply", "--format=json", "solven", "t1", "--nope"), "apply", "No such option: --nope"),
        (("aply", "solven", "t1", "--format", "json"), "", "No such command 'aply'"),
    ],
)
def test_json_of_a_usage_that_is_wrong(cli: Cli, arguments: tuple[str, ...], command: str, message: str) -> None:
    result = cli(*arguments)
    document = json.loads(result.stdout)
    assert (result.returncode, document["command"], document["threads"]) == (2, command, [])
    assert document["error"]["code"] == 2
    assert document["error"]["message"].startswith(message)
    assert message in result.stderr
