"""`solven-env add` and `remove`: a profile's packages, edited in place and locked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PROFILE
from tests.trees import snapshot

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

PACKAGES = (
    PROFILE
    + """\
# Ours.
python:
  version: "3.12"
  packages:
    - six # everybody needs it
"""
)
NOWHERE = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9/"}


def test_packages_are_added_replaced_and_removed_with_their_lock(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES)
    place = cli.directory / profile
    added = cli("add", profile, "python", "packaging<24", "SIX")
    assert (added.returncode, added.stdout) == (
        0,
        "  + python packaging<24\n    python six  (is there already)\nteam.lock: python.txt, lock.json changed.\n"
        "  python.txt: 3 packages pinned\n",
    ), added.stderr
    assert place.read_text() == PACKAGES + "    - packaging<24\n"
    assert cli("lock", profile, "--check").returncode == 0
    replaced = cli("add", profile, "python", "packaging>=24")
    assert replaced.stdout.startswith("  ~ python packaging>=24  (was packaging<24)\nteam.lock: python.txt, lock.json")
    assert place.read_text() == PACKAGES + "    - packaging>=24\n"
    ranged = cli("add", profile, "bun", "ms", "is-number@^7.0.0")
    assert ranged.returncode == 0, ranged.stderr
    assert re.search(r"\n\nbun:\n  packages:\n    ms: \^2\.\d+\.\d+\n    is-number: \^7\.0\.0\n\Z", place.read_text())
    removed = cli("remove", profile, "bun", "ms", "is-number", "--format", "json")
    edit = json.loads(removed.stdout)["edit"]
    assert [(each["name"], each["outcome"]) for each in edit["packages"]] == [
        ("ms", "removed"),
        ("is-number", "removed"),
    ]
    assert edit["lock"]["changed"] == ["bun.lock", "lock.json"]
    assert place.read_text().endswith("\n\nbun:\n  packages: {}\n")
    assert cli("lock", profile, "--check").returncode == 0
    before = snapshot(cli.directory)
    again = cli("add", profile, "python", "packaging>=24")
    assert (again.returncode, again.stderr) == (0, "team.yaml: unchanged\n")
    assert snapshot(cli.directory) == before


def test_the_lock_goes_with_the_last_package(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES)
    assert cli("lock", profile).returncode == 0
    (cli.directory / "team.lock" / "notes.txt").write_text("mine")
    removed = cli("remove", profile, "python", "six")
    assert (removed.returncode, removed.stdout.splitlines()) == (
        0,
        [
            "  - python six",
            "team.yaml: no packages, so nothing to lock.",
            "team.lock: python.txt, lock.json removed.",
        ],
    )
    assert [path.name for path in (cli.directory / "team.lock").iterdir()] == ["notes.txt"]
    (cli.directory / "team.lock" / "notes.txt").unlink()
    cli.write("team.yaml", PACKAGES)
    assert cli("lock", profile).returncode == 0
    cli.write("team.yaml", PROFILE)
    assert cli("lock", profile).stdout.splitlines()[-1] == "team.lock: python.txt, lock.json removed."
    assert not (cli.directory / "team.lock").exists()


def test_without_a_lock_no_index_is_asked(cli: Cli) -> None:
    profile = cli.write("team.yaml", PROFILE)
    for words in (("python", "httpx>=0.27", "six"), ("bun", "docx", "@types/node@^20.0.0")):
        done = cli("add", profile, *words, "--no-lock", **NOWHERE)
        assert (done.returncode, done.stderr) == (0, "")
    assert cli("remove", profile, "python", "six", "--no-lock", **NOWHERE).stdout == "  - python six\n"
    assert (cli.directory / profile).read_text() == PROFILE + (
        '\npython:\n  version: "3.12"\n  packages:\n    - httpx>=0.27\n'
        '\nbun:\n  packages:\n    docx: "*"\n    "@types/node": ^20.0.0\n'
    )
    assert cli("validate", profile).returncode == 0
    assert not (cli.directory / "team.lock").exists()


@pytest.mark.parametrize("command", ["add", "remove"])
def test_where_no_lock_can_be_made_nothing_is_written(cli: Cli, command: str) -> None:
    profile = cli.write("team.yaml", PACKAGES.replace("six", "solven-is-in-no-index\n    - six"))
    place = cli.directory / profile
    before = place.stat(), place.read_text()
    done = cli(command, profile, "python", "six>=1" if command == "add" else "six", **NOWHERE)
    assert (done.returncode, done.stdout) == (1, "")
    assert (place.stat().st_ino, place.read_text()) == (before[0].st_ino, before[1])
    assert not (cli.directory / "team.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "solven", "python", "httpx"), "a shipped profile is not edited: it comes with solven-env"),
        (("add", "-", "python", "httpx"), "a profile on standard input has no lock"),
        (("add", "team.yaml", "pyton", "httpx"), "there are no packages of 'pyton'"),
        (("add", "team.yaml", "python", "a b"), "'a b' is not a requirement as PEP 508 writes it"),
        (("add", "team.yaml", "python", "a\n    - b"), r"'a\n    - b' is not a requirement as PEP 508 writes it"),
        (("add", "team.yaml", "python", "a @ https://example.com/a.whl"), "'a' is given by its address"),
        (("add", "team.yaml", "bun", "docx@latest"), "docx: 'latest' is a tag, whose version moves"),
        (("add", "team.yaml", "bun", "a: b"), "'a: b' is not the name of an npm package"),
        (("add", "team.yaml", "bun", "docx@^8\n    evil: '1'"), "is not a range of versions"),
        (("remove", "team.yaml", "python", "pandas"), "team.yaml: python.packages of this file has no 'pandas'"),
        (("remove", "team.yaml", "bun", "docx"), "team.yaml: bun.packages of this file has no 'docx'"),
        (("remove", "odd.yaml", "python", "six"), "odd.yaml: the profile is written in a way that is not edited by itself"),
        (("remove", "group.yaml", "python", "rich"), "it stands at group.yaml:15:34. Edit that group by hand."),
        (("add", "twice.yaml", "python", "six>=2"), "twice.yaml: six stands in 2 entries of python.packages"),
    ],
)  # fmt: skip
def test_what_cannot_be_edited_is_a_usage_error_and_stays(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    cli.write("team.yaml", PACKAGES)
    cli.write("odd.yaml", PACKAGES.replace("- six # everybody needs it", "- >-\n      six\n    - rich"))
    cli.write("group.yaml", PACKAGES + "  groups:\n    more: {when: who, packages: [rich]}\n")
    cli.write("twice.yaml", PACKAGES.replace("- six #", "- six>=1\n    - six<2 #"))
    before = snapshot(cli.directory)
    done = cli(*arguments, "--no-lock")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split()) or message in done.stderr
    assert snapshot(cli.directory) == before


def test_an_invalid_profile_is_told_with_its_mistakes(cli: Cli) -> None:
    profile = cli.write("team.yaml", PACKAGES + "bum: {}\n")
    done = cli("add", profile, "python", "httpx", "--no-lock")
    assert done.returncode == 5
    assert "unknown key 'bum'" in done.stderr


def test_only_the_named_file_is_edited_and_what_it_extends_is_told(cli: Cli) -> None:
    cli.write("base.yaml", 'version: 1\npython: {version: "3.11", packages: [six]}\nbun: {packages: {docx: ^8.0.0}}\n')
    own = "version: 1\nname: own\nrelease: 1.0.0\nextends: [base.yaml]\n"
    profile = cli.write("own.yaml", own)
    assert cli("add", profile, "python", "rich", "--no-lock").returncode == 0
    assert (cli.directory / profile).read_text() == f"{own}\npython:\n  packages:\n    - rich\n"
    cli("add", profile, "python", "six>=1", "--no-lock")
    told = cli("remove", profile, "python", "six", "--no-lock").stdout
    assert told == "  - python six>=1  (still asked for: base.yaml:2:38)\n"
    for kind, name, place in (("python", "six", "base.yaml:2:38"), ("bun", "docx", "base.yaml:3:18")):
        done = cli("remove", profile, kind, name, "--no-lock")
        assert done.returncode == 2
        assert f"own.yaml: {kind}.packages of this file has no '{name}': it stands at {place}." in done.stderr
        fix = re.search("'(remove: .*)'", done.stderr)
        assert fix is not None
        cli.write("left.yaml", f"{own}{fix[1]}\n")
        assert cli("validate", "left.yaml").returncode == 0
