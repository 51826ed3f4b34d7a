from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_a_new_profile_is_valid_and_formatted_whatever_its_file_is_called(cli: Cli) -> None:
    for name, called in (("team.yaml", "team"), ("My Profile!.yml", "my-profile"), ("é.yaml", "profile")):
        done = cli("init", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"\nname: {called}\n" in (cli.directory / name).read_text()
    assert cli("fmt", "--check", "team.yaml", "My Profile!.yml").returncode == 0
    assert cli("validate", "team.yaml", "My Profile!.yml", "./é.yaml").returncode == 0
    assert cli("lock", "team.yaml").stdout == "team.yaml: no packages, so nothing to lock.\n"


def test_a_workspace_is_taken_and_the_rest_is_told(cli: Cli) -> None:
    workspace = cli.directory / "made"
    workspace.mkdir()
    for name, text in (
        (".bashrc", "export A='b c' B=d\nexport PATH=\"/.venv/bin:/opt/x:$PATH\"\nexport MY_KEY=x\ncd /\n"),
        ("pyproject.toml", '[project]\ndependencies = ["httpx>=0.27", "x @ file:///x"]\n'),
        ("package.json", '{"dependencies": {"docx": "^8.0.0", "ms": "latest"}}'),
        (".gitignore", "node_modules/\n"),
    ):
        (workspace / name).write_text(text)
    done = cli("init", "team.yaml", "--from", "made")
    assert (done.returncode, done.stdout) == (0, "team.yaml: written. Check it with: solven-env validate team.yaml\n")
    assert done.stderr.splitlines() == [
        "not taken: pyproject.toml: 'x @ file:///x' is given by its address",
        "not taken: package.json: ms: 'latest' is a tag, whose version moves",
        "not taken: .bashrc:3: MY_KEY may be a secret, which no profile holds: 'secrets: {MY_KEY: {from: environment}}' names it",
        "not taken: .bashrc:4: 'cd /' is no plain export",
    ]
    assert (
        (cli.directory / "team.yaml").read_text().partition("\nenv:")[2]
        == """\
 # of every command
  HOME: /
  A: "b c"
  B: d

path:
  prepend: [/.venv/bin, /node_modules/.bin, /opt/x]

python: # to add packages: solven-env add team.yaml python NAME…
  version: "3.12"
  packages:
    - httpx>=0.27

bun: # to add packages: solven-env add team.yaml bun NAME…
  packages:
    docx: ^8.0.0

dotfiles:
  .bashrc: {template: bashrc.j2}
  .bash_profile: {template: bash_profile.j2} # a login shell reads this one only
  pyproject.toml: {template: pyproject.toml.j2, own: keys}
  package.json: {template: package.json.j2, own: keys}
  .gitignore: {content: "node_modules/\\n", own: seed}
"""
    )
    assert cli("validate", "team.yaml").returncode == 0


def test_the_next_command_can_be_pasted(cli: Cli) -> None:
    assert cli("init", "a team.yaml").stdout.endswith("validate 'a team.yaml'\n")


def test_a_new_profile_has_a_usual_name_and_the_rest_is_told_as_data(cli: Cli) -> None:
    (cli.directory / ".bashrc").write_text("cd /\n")
    done = cli("init", "--from", ".", "--format", "json")
    assert json.loads(done.stdout) == {
        "format": 1,
        "command": "init",
        "threads": [],
        "profile": "profile.yaml",
        "not_taken": [{"where": ".bashrc:1", "what": "'cd /' is no plain export"}],
    }
    assert cli("validate", "profile.yaml").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("team",), "team: a profile is a file that ends in .yaml or .yml"),
        (("no/team.yaml",), "no/team.yaml: cannot write: No such file or directory"),
        (("team.yaml", "--from", "no"), "no: cannot read the workspace: No such file or directory"),
        (("team.yaml", "--from", "there.yaml"), "there.yaml: cannot read the workspace: Not a directory"),
        (("there.yaml",), "there.yaml: there is something already"),
    ],
)
def test_what_cannot_be_written_or_read_is_a_usage_error(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    cli.write("there.yaml")
    done = cli("init", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {message}." in done.stderr
    assert not (cli.directory / "team.yaml").exists()
