"""`solven-env outdated`: what `lock --upgrade` would move, and what the profile's own ranges keep out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from solven_env.cli.outdated import tell_outdated
from solven_env.packages.locks import OutdatedPackage, Remark
from solven_env.report import OutdatedReport
from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Cli

OLD = """\
python: {version: "3.12", packages: [packaging==23.0, six]}
bun: {packages: {is-number: 6.0.0, ms: 2.1.1}}
"""
NEW = OLD.replace("==23.0", "<24").replace("2.1.1", "^2.1.1")


def test_what_an_upgrade_would_move_is_told_and_nothing_is_written(cli: Cli) -> None:
    profile = cli.write("team.yaml", PROFILE + OLD)
    cli("lock", profile)
    cli.write("team.yaml", PROFILE + NEW)
    cli("lock", profile)
    before = {path.name: path.read_bytes() for path in (cli.directory / "team.lock").iterdir()}
    told = cli("outdated", profile, "--exit-code")
    assert told.returncode == 3, told.stderr
    lines = re.sub(r"[0-9.]+ +(?=<24|6.0.0$)", "NEWEST  ", told.stdout, flags=re.MULTILINE).splitlines()
    assert lines == [
        "team.yaml: lock --upgrade would move 2 packages.",
        "python.txt",
        "  package    locked  upgrade  newest  kept out by",
        "  packaging  23.0    23.2     NEWEST  <24",
        "bun.lock",
        "  package    locked  upgrade  newest  kept out by",
        "  ms         2.1.1   2.1.3",
        "  is-number  6.0.0   6.0.0    NEWEST  6.0.0",
    ]
    assert {path.name: path.read_bytes() for path in (cli.directory / "team.lock").iterdir()} == before


def test_without_a_lock_of_the_profile_nothing_can_be_outdated(cli: Cli) -> None:
    profile = cli.write("team.yaml", PROFILE + OLD)
    missing = cli("outdated", profile, "--format", "json")
    assert missing.returncode == 7
    assert json.loads(missing.stdout)["error"]["message"] == "the lock of the profile's packages is missing"
    assert "Run: solven-env lock team.yaml\n" in missing.stderr
    (cli.directory / "team.lock").mkdir()
    (cli.directory / "team.lock/lock.json").write_text('{"format": 1, "asked": "sha256:0", "files": {}}')
    stale = cli("outdated", profile)
    assert (stale.returncode, stale.stdout) == (7, "")
    assert "out of date: the profile's packages changed" in stale.stderr
    assert cli("outdated", "-", stdin=PROFILE).returncode == 2
    small = cli("outdated", cli.write("small.yaml", PROFILE), "--exit-code")
    assert (small.returncode, small.stdout) == (0, "small.yaml: lock --upgrade would move nothing.\n")


def test_the_table_is_aligned_and_remarks_come_last(capsys: pytest.CaptureFixture[str]) -> None:
    packages = (
        OutdatedPackage("a-long-name", "1.0", "1.10.0"),
        OutdatedPackage("h2", "", "4.1.0"),
        OutdatedPackage("six", "1.17.0", ""),
        OutdatedPackage("x", "1", "1", "2", "<2"),
    )
    remarks = (Remark("held-back", "y", "1", "y 1; 2 has no wheel"),)
    report = OutdatedReport(Path("t.lock"), {"python.txt": packages}, remarks)
    assert report.moving == 3
    described = cast("dict[str, Any]", report.to_json()["outdated"])
    assert described["path"] == "t.lock"
    assert described["packages"]["python.txt"][3] == {
        "name": "x",
        "locked": "1",
        "upgrade": "1",
        "newest": "2",
        "held_by": "<2",
    }
    tell_outdated(report, "t.yaml")
    assert capsys.readouterr().out.splitlines() == [
        "t.yaml: lock --upgrade would move 3 packages.",
        "python.txt",
        "  package      locked  upgrade  newest  kept out by",
        "  a-long-name  1.0     1.10.0",
        "  h2           -       4.1.0",
        "  six          1.17.0  -",
        "  x            1       1        2       <2",
        "Held back, since a newer version has no wheel (solven-env docs builds):",
        "  y 1; 2 has no wheel",
    ]
