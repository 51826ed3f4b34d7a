"""`solven-env render`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Cli


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
