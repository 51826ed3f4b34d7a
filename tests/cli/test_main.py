from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
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
        (("apply", "--format", "json"), "apply", "there is no PROFILE"),
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


NAMES = """\
version: 1
name: small
release: 1.0.0
env: {GRUSS: "grüß {{ thread }} €"}
dotfiles:
  é/ü.txt: {content: "ÿ € {{ env.GRUSS }}\\n"}
  tmpl: {template: vörlage.j2}
  bytes: {source: quëlle}
"""
VERBS = (
    ("validate", "prôfil.yaml"),
    ("render", "prôfil.yaml"),
    ("render", "prôfil.yaml", "--out", "äus"),
    ("diff", "prôfil.yaml", "t1"),
    ("apply", "prôfil.yaml", "t1"),
    ("status", "t1"),
    ("status", "t1", "--profile", "prôfil.yaml", "--format", "json"),
    ("run", "t1", "--explain", "--format", "json", "--env", "É=ß", "--", "echo", "é"),
    ("run", "t1", "--env", "É=ß", "--", "sh", "-c", 'env | grep -a É; cat /é/ü.txt; ls /é; echo "$1"', "sh", "é"),
    ("run", "t1", "--cwd", "/é", "--shell", "pwd; touch ñeu; rm ü.txt"),
    ("diff", "prôfil.yaml", "t1", "--format", "json"),
    ("apply", "prôfil.yaml", "t1", "--set", "ü=1"),
    ("apply", "prôfil.yaml", "t1"),
    ("validate", "fehlt-é.yaml"),
)
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_the_locale_changes_nothing(tmp_path: Path) -> None:
    said = {}
    for name, environ in (("utf8", {"LC_ALL": "C.UTF-8"}), ("ascii", ASCII)):
        (place := tmp_path / name).mkdir()
        for file, text in (("prôfil.yaml", NAMES), ("vörlage.j2", "{{ thread }} ö\n"), ("quëlle", "ä\n")):
            (place / file).write_text(text, encoding="utf-8")
        said[name] = [_outcome(place, arguments, environ) for arguments in VERBS]
        found = {os.fsencode(path.relative_to(place)) for path in place.rglob("*") if "threads" in path.parts}
        assert "stör/threads/t1/é/ü.txt".encode() in found
        assert "stör/threads/t1/é/ñeu".encode() in found
        assert (place / "äus/é/ü.txt").read_bytes() == "ÿ € grüß example €\n".encode()
    assert said["utf8"] == said["ascii"]
    assert [outcome[0] for outcome in said["utf8"]] == [0] * 11 + [2, 0, 2]


def _outcome(place: Path, arguments: tuple[str, ...], environ: dict[str, str]) -> tuple[int, bytes, bytes]:
    """The status and what is said, but for the directory, and for names that are drawn."""
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "SOLVEN_ENV_STORAGE": "./stör"}
    homes = {
        "XDG_RUNTIME_DIR": str(place.parent),
        "XDG_DATA_HOME": str(place / "data"),
        "XDG_CACHE_HOME": str(place / "c"),
    }
    package = {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [os.fsencode(sys.executable), b"-m", b"solven_env", *(each.encode() for each in arguments)]
    done = subprocess.run(
        words, cwd=place, env={**base, **homes, **package, **environ}, capture_output=True, check=False
    )
    drawn = re.compile(rb"[0-9a-f]{16,}")
    here = os.fsencode(place)
    out, err = (drawn.sub(b"X", text.replace(here, b".")) for text in (done.stdout, done.stderr))
    return done.returncode, out, err


def test_a_program_in_another_locale_is_told_of_it(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(NAMES.split("  tmpl")[0], encoding="utf-8")
    text = "import solven_env\ntry: solven_env.apply('./p.yaml', 't1', storage='./s')\nexcept Exception as e: print(ascii(str(e)))"
    environ = {**ASCII, "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert "writes file names as ascii" in done.stdout
    assert "PYTHONUTF8=1" in done.stdout


def test_no_crash_leaves_a_core(tmp_path: Path) -> None:
    """It would have the secrets that this process reads of files and commands."""
    words = [sys.executable, "-m", "solven_env", "validate", "-"]
    package = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        words, cwd=tmp_path, env=package, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        bound = Path(f"/proc/{process.pid}/limits")
        until = time.monotonic() + 20
        while not re.search(r"^Max core file size +0 +0 ", bound.read_text(), re.MULTILINE):
            assert time.monotonic() < until
            time.sleep(0.01)
        process.stdin.close()
