"""Words of `run` and `shell` whose '--' is missing or misplaced get the line that is right, and exit 2."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from solven_env.cli import run, shell
from solven_env.errors import UsageError

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

OPTIONS = {"--cwd": True, "--env": True, "--timeout": True, "--shell": True, "--explain": False, "-h": False}

# The words behind `run`, and the line that is meant; what follows it says of an option whose it may be.
MISPLACED = (
    ("t1 ls -la", "t1 -- ls -la"),
    ("t1 python -c x", "t1 -- python -c x"),
    ("t1 python --version", "t1 -- python --version"),
    ("t1 -- ls", None),
    ("t1 ls", None),
    ("t1 ls -", None),
    ("t1 ls -- -la", None),
    ("t1 ls -la -- x", "t1 -- ls -la -- x"),
    ("--cwd /x t1 --env A ls -l 'a b'", "--cwd /x t1 --env A -- ls -l 'a b'"),
    ("t1 --cwd=/x ls -l", "t1 --cwd=/x -- ls -l"),
    ("t1 ls --cwd /x", "t1 -- ls --cwd /x. If --cwd is meant for run, write it before ls."),
    ("t1 ls --timeout=5", "t1 -- ls --timeout=5. If --timeout=5 is meant for run, write it before ls."),
    ("t1 ls -h", "t1 -- ls -h. If -h is meant for run, write it before ls."),
    ("-- t1 ls", "t1 -- ls"),
    ("-- t1 ls -la", "t1 -- ls -la"),
    ("--explain -- t1 ls", "--explain t1 -- ls"),
    ("-- t1", "t1 -- COMMAND"),
    ("--", "THREAD -- COMMAND"),
    ("-- ls -la", "THREAD -- ls -la"),
    ("ls -la", "THREAD -- ls -la"),
    ("ls --color", "THREAD -- ls --color"),
    ("t1 --cwd /x -x", "t1 --cwd /x -- -x"),
    # no value of a variable: an error goes into logs
    ("t1 --env TOKEN=sekrit ls -l", "t1 --env 'TOKEN=…' -- ls -l"),
    ("--env=TOKEN=sekrit t1 ls -l", "'--env=TOKEN=…' t1 -- ls -l"),
    ("t1 --timout 5", None),  # a slip of the pen: typer names the option that is meant
    ("t1 --shel x", None),
    ("t1 --color -- ls", None),
    ("t1 --shell 'ls -la'", None),
    ("t1 --shell -x", None),
    ("t1 --cwd -- ls", None),
    ("", None),
)


def words(text: str) -> list[str]:
    """The words of a line as a shell reads them."""
    return shlex.split(text)


@pytest.mark.parametrize(("given", "meant"), MISPLACED)
def test_the_line_that_is_meant_is_named(given: str, meant: str | None) -> None:
    if meant is None:
        run.check_words(words(given), OPTIONS)
        return
    with pytest.raises(UsageError) as caught:
        run.check_words(words(given), OPTIONS)
    assert caught.value.fix == f"Write: solven-env run {meant}"


@pytest.mark.parametrize("given", ["t1 ls", "t1 -- ls", "t1 --cwd /x ls", "--cwd /x t1 -- ls", "-- t1 ls"])
def test_a_shell_takes_no_command(given: str) -> None:
    with pytest.raises(UsageError, match="shell takes no command"):
        shell.check_words(words(given), OPTIONS)
    shell.check_words(words("t1 --cwd /x"), OPTIONS)


@pytest.mark.parametrize(
    ("verb", "told"), [("run", "Write: solven-env run t1 -- ls -la"), ("shell", "shell takes no command")]
)
def test_it_is_wrong_usage(cli: Cli, verb: str, told: str) -> None:
    done = cli(verb, "t1", "ls", "-la")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_the_document_says_it_too(cli: Cli) -> None:
    done = cli("run", "t1", "--explain", "--format", "json", "ls", "-la")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["fix"] == "Write: solven-env run t1 --explain --format json -- ls -la"
