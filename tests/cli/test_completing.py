"""Words that real shells complete."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.cli import completing, main
from solven_env.system import shipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli

BASH = """
source ./script
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_solven_env_completion solven-env
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -Uz compinit; compinit -u -D; source ./script
zstyle ':completion:*' list-colors; unsetopt always_last_prompt; PROMPT=; LISTMAX=999; COLUMNS=200; print READY
"""


@pytest.fixture
def ask(cli: Cli) -> Callable[..., list[str]]:
    """The words that a shell completes a command line with: `ask("bash", "solven-env status ")`."""
    for thread in ("t1", "t2", "other"):
        assert cli("apply", cli.write("small.yaml"), thread).returncode == 0
    (cli.directory / "configuration.yaml").write_text(f"storages: {{prod: {{root: {cli.storage}}}}}\n")
    (cli.directory / "sub").mkdir()
    cli.write("sub/deep.yml")
    cli.write("$(touch planted);.yaml")
    program = cli.directory / "bin/solven-env"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m solven_env "$@"\n')
    program.chmod(0o755)
    environ = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(cli.directory / "home"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SOLVEN_ENV_STORAGE": str(cli.storage),
        "SOLVEN_ENV_CONFIG": str(cli.directory / "configuration.yaml"),
        "TERM": "dumb",
    }

    def asked(shell: str, line: str, *waited: str) -> list[str]:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not here")
        script = run(["solven-env"], _SOLVEN_ENV_COMPLETE=f"source_{shell}")
        (cli.directory / "script").write_text(script)
        if shell == "zsh":
            return zsh(line, waited)
        if shell == "fish":
            return [
                each.partition("\t")[0]
                for each in run(["fish", "-N", "-c", f"source ./script; complete -C '{line}'"]).split("\n")
            ]
        words = " ".join(f"'{word}'" for word in line.split(" "))
        return run(["bash", "--norc", "-c", BASH.format(words=words)]).split("\n")

    def run(argv: list[str], **more: str) -> str:
        done = subprocess.run(argv, cwd=cli.directory, env={**environ, **more}, capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout.strip()

    def zsh(line: str, waited: tuple[str, ...]) -> list[str]:
        """Type the line and a tab into a zsh on a terminal: it has no other way to be asked."""
        parent, child = pty.openpty()
        process = subprocess.Popen(
            ["zsh", "-f", "-i"],
            cwd=cli.directory,
            env=environ,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        try:
            os.write(parent, ZSH.encode())
            read_until(parent, "\r\nREADY")
            os.write(parent, f"{line}\t\t".encode())
            shown = read_until(parent, *waited)
        finally:
            process.kill()
            process.wait()
            os.close(parent)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown).split()

    return asked


def read_until(descriptor: int, *texts: str) -> str:
    """What is shown, up to all of these texts: a shell on a terminal does not say that it is done."""
    found, until = "", time.monotonic() + 20
    while (
        not all(text in found for text in texts)
        and select.select([descriptor], [], [], max(0, until - time.monotonic()))[0]
    ):
        found += os.read(descriptor, 65536).decode(errors="replace")
    return found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_threads_profiles_storages_and_values(
    cli: Cli, ask: Callable[..., list[str]], shell: str
) -> None:
    for line, words in (
        ("solven-env status t", {"t1", "t2"}),
        ("solven-env apply s", {"solven", "small.yaml", "sub/"}),
        ("solven-env run t1 --network ", {"none", "internet", "host"}),
    ):
        assert words <= set(ask(shell, line, *words))
    assert not (cli.directory / "planted").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("solven-env apply small.yaml t", {"t1", "t2"}),
        ("solven-env apply --storage prod small.yaml o", {"other"}),
        ("solven-env status --storage /nowhere t", {""}),
        ("solven-env status --storage p", {"prod"}),
        ("solven-env validate sub/", {"sub/deep.yml"}),
        ("solven-env layer diff t", {"t1", "t2"}),
        ("solven-env add small.yaml b", {"bun"}),
        ("solven-env docs SE10", {each for each in shipped.pages_of_codes() if each.startswith("SE10")}),
        ("solven-env docs prof", {"profile"}),
        ("solven-env run t1 --network ", {"none", "internet", "host"}),
        ("solven-env status --format ", {"text", "json", "jsonl"}),
        ("solven-env apply small.yaml t1 --on-conflict k", {"keep"}),
        ("solven-env run t1 -- ", {""}),
    ],
)
def test_what_is_completed(ask: Callable[..., list[str]], line: str, words: set[str]) -> None:
    assert set(ask("bash", line)) == words


@pytest.mark.parametrize(
    "question",
    [lambda: 1 / 0, lambda: os.write(2, b"noise") and ["a b", "`id`", "$(id)", "x\ny"], lambda: time.sleep(60)],
)
def test_what_fails_makes_noise_or_hangs_gives_no_words(
    question: Callable[[], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert completing._asked(question, "") == []
    assert time.monotonic() - began < completing.SECONDS + 1
    assert capfd.readouterr() == ("", "")


def test_no_more_words_are_given_than_a_person_reads() -> None:
    assert len(completing._asked(lambda: [f"t{number:0100}" for number in range(99_999)], "t")) == completing.MOST


def test_every_thread_profile_and_storage_is_completed() -> None:
    group = main._LazyGroup()
    commands = [group.get_command(None, name) for name in main.COMMANDS]
    commands += [each for command in commands for each in getattr(command, "commands", {}).values()]
    asked = re.compile(r"\[?(THREAD|PROFILE|PATH\|NAME|NETWORK|BACKEND)\]?(\.\.\.)?")
    missing = [
        f"{command.name} {param.name}"
        for command in commands
        for param in command.params
        if asked.fullmatch(param.metavar or "") and param._custom_shell_complete is None
    ]
    assert missing == ["init profile"]  # that one is new
