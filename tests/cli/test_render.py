"""`solven-env render`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import ConflictError, UsageError
from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from pathlib import Path

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


def test_render_removes_what_an_earlier_one_wrote(cli: Cli) -> None:
    first, second = cli.write("first.yaml"), cli.write("second.yaml", PROFILE.replace("bin/hello", "bin/bye"))
    assert cli("render", first, "--out", "out").stderr == "2 files written beneath out\n"
    (cli.directory / "out/README").write_text("mine")
    done = cli("render", second, "--out", "out")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "bin/hello: removed. Only an earlier render wrote it.\n1 file written beneath out, 1 unchanged\n"
    )
    assert sorted(path.name for path in (cli.directory / "out").rglob("*")) == [
        *(".bashrc", ".solven-env-render.json", "README", "bin", "bye")
    ]
    (cli.directory / "out/bin/bye").write_text("mine")
    done = cli("render", first, "--out", "out")
    assert done.returncode == 0
    assert "bin/bye: left in place" in done.stderr
    assert (cli.directory / "out/bin/bye").read_text() == "mine"


def test_render_loses_nothing_of_a_person(cli: Cli) -> None:
    profile, edited = cli.write("profile.yaml"), cli.directory / "out/bin/hello"
    edited.parent.mkdir(parents=True)
    edited.write_text("mine")
    refused = cli("render", profile, "--out", "out")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "bin/hello: no render wrote what stands there" in refused.stderr
    assert "--on-conflict overwrite" in refused.stderr
    assert [path.name for path in (cli.directory / "out").rglob("*")] == ["bin", "hello"]
    document = json.loads(cli("render", profile, "--out", "out", "--format", "json").stdout)
    assert document["error"]["code"] == 4
    assert document["error"]["details"] == ["bin/hello: no render wrote what stands there"]
    assert cli("render", profile, "--out", "out", "--on-conflict", "overwrite").returncode == 0
    assert edited.read_text() == "echo hi\n"


def test_check_compares_and_writes_nothing(cli: Cli, snapshot: SnapshotAssertion) -> None:
    profile = cli.write("profile.yaml")
    assert cli("render", profile, "--out", "out", "--check").returncode == 3
    assert not (cli.directory / "out").exists()
    cli("render", profile, "--out", "out")
    same = cli("render", profile, "--out", "out", "--check")
    assert (same.returncode, same.stdout, same.stderr) == (0, "out: as profile.yaml renders it.\n", "")
    cli.write("profile.yaml", PROFILE.replace("bin/hello:", "bin/bye:"))
    (cli.directory / "out/.bashrc").write_text("mine")
    differing = cli("render", profile, "--out", "out", "--check")
    assert (differing.returncode, differing.stderr) == (3, "")
    assert differing.stdout == snapshot
    as_json = cli("render", profile, "--out", "out", "--check", "--format", "json")
    document = json.loads(as_json.stdout)
    assert (as_json.returncode, as_json.stderr) == (3, "")
    assert document["differences"] == snapshot
    assert document["directory"] == "out"
    assert [file["path"] for file in document["files"]] == [".bashrc", "bin/bye"]


def test_check_needs_a_directory_and_a_whole_list(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    refused = cli("render", profile, "--check")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--out DIR" in refused.stderr
    assert cli("render", profile, "--check", "--out", "profile.yaml").returncode == 2
    cli("render", profile, "--out", "out")
    (cli.directory / "out/.solven-env-render.json").write_text("<<<<<<< HEAD\n")
    for options in ((), ("--check",)):
        damaged = cli("render", profile, "--out", "out", *options)
        assert (damaged.returncode, damaged.stdout) == (1, "")
        assert "out/.solven-env-render.json: this list of rendered files is damaged." in damaged.stderr
        assert "delete it" in damaged.stderr


def test_the_same_in_python(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(PROFILE)
    profile, out = tmp_path / "profile.yaml", tmp_path / "out"
    assert [each.difference for each in solven_env.render_to(profile, out, check=True).differences] == ["missing"] * 2
    assert not out.exists()
    report = solven_env.render_to(profile, out, inputs={"who": "eve"})
    assert (report.path, [file.path for file in report.files]) == (out, [".bashrc", "bin/hello"])
    assert solven_env.render_to(profile, out, inputs={"who": "eve"}, check=True).differences == ()
    (out / "bin/hello").write_text("mine")
    with pytest.raises(ConflictError):
        solven_env.render_to(profile, out)
    with pytest.raises(UsageError):
        solven_env.render_to(profile, out, on_conflict="always")  # type: ignore[arg-type]
    solven_env.render_to(profile, out, on_conflict="overwrite")
    assert (out / "bin/hello").read_text() == "echo hi\n"


def test_a_required_input_is_asked_for_but_not_by_validate(cli: Cli) -> None:
    profile = cli.write("profile.yaml", PROFILE.replace("{default: ada}", "{type: string}"))
    assert cli("validate", profile).returncode == 0
    result = cli("render", profile)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--set who=VALUE" in result.stderr
    assert cli("apply", profile, "t1").returncode == 2
    assert not cli.storage.exists()
