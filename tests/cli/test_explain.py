"""`solven-env resolve` and `solven-env explain`: a profile with all that it extends, and where each value stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from solven_env.documents.parsing import parse
from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

BASE = (
    "version: 1\nenv: {GREETING: hi, LANG: C.UTF-8}\ndotfiles: {tools/x: {source: x.sh}, tools/y: {template: y.j2}}\n"
)


def team(cli: Cli) -> str:
    (cli.directory / "shared").mkdir()
    cli.write("shared/base.yaml", BASE)
    cli.write("shared/x.sh", "echo x\n")
    cli.write("shared/y.j2", "{{ env.LANG }} {% include 'part.j2' %}\n")
    cli.write("shared/part.j2", "beside the base")
    cli.write("x.sh", "another one")
    cli.write("part.j2", "another one")
    return cli.write("team.yaml", PROFILE.replace("inputs:", "extends: [shared/base.yaml]\ninputs:"))


def test_a_profile_and_its_base_are_one_document(cli: Cli) -> None:
    done = cli("resolve", team(cli))
    assert (done.returncode, done.stderr) == (0, "")
    document = parse(done.stdout.encode(), "all.yaml")
    assert document.data["env"] == {"GREETING": "hello {{ who }}", "LANG": "C.UTF-8"}
    assert list(document.data) == ["version", "name", "release", "inputs", "env", "dotfiles"]
    described = json.loads(cli("resolve", "team.yaml", "--format", "json").stdout)
    assert (described["command"], described["profile"]) == ("resolve", document.data)


def test_templates_and_sources_lie_beside_the_file_that_names_them(cli: Cli) -> None:
    done = cli("render", team(cli), "--out", "out")
    assert done.returncode == 0, done.stderr
    assert (cli.directory / "out" / "tools" / "x").read_text() == "echo x\n"
    assert (cli.directory / "out" / "tools" / "y").read_text() == "C.UTF-8 beside the base"


def test_each_value_is_told_with_its_line(cli: Cli) -> None:
    done = cli("explain", team(cli), "env")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        'env.GREETING = "hello {{ who }}" ← team.yaml:6, was hi ← shared/base.yaml:2\n'
        "env.LANG = C.UTF-8 ← shared/base.yaml:2\n",
        "",
    )
    (value,) = json.loads(cli("explain", "team.yaml", "env.GREETING", "--format", "json").stdout)["values"]
    assert value == {
        "key": "env.GREETING",
        "value": "hello {{ who }}",
        "removed": False,
        "file": "team.yaml",
        "line": 6,
        "column": 7,
        "replaced": [{"value": "hi", "file": "shared/base.yaml", "line": 2, "column": 7}],
    }


def test_what_is_wrong_is_told_in_its_file(cli: Cli) -> None:
    profile = team(cli)
    cli.write("shared/base.yaml", BASE + "zzz: 1\n")
    for verb in ("resolve", "explain", "validate", "render"):
        done = cli(verb, profile)
        assert done.returncode == 5
        assert "shared/base.yaml:4:1: SE101 unknown key 'zzz'" in done.stdout + done.stderr
    done = cli("explain", cli.write("team.yaml", PROFILE), "env.GREETIN")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'env.GREETING'?" in done.stderr
