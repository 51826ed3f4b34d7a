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


def test_a_closed_pipe_is_no_traceback(cli: Cli) -> None:
    command = f"{sys.executable} -m solven_env render solven | head -n 1"
    result = subprocess.run(["sh", "-c", command], cwd=cli.directory, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", ["--help", "render solven", "docs", "validate solven --format json"])
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
