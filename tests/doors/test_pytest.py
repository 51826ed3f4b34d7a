"""The plug-in of pytest, as somebody uses it who has profiles and tests of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import PROFILE

TOP = Path(__file__).resolve().parents[2]
TEST = """\
def test_the_rendered_files_of_small(solven_env_render, snapshot):
    assert solven_env_render("profiles/small.yaml") == snapshot
"""


def run(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with syrupy and the plug-in alone."""
    plugins = ["-p", "syrupy", "-p", "solven_env.doors.pytest", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "small.yaml").write_text(PROFILE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_profiles.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_three_lines_make_a_snapshot_of_the_rendered_files(project: Path) -> None:
    assert run(project).returncode == 1
    made = run(project, "--snapshot-update")
    assert (made.returncode, "1 snapshot generated" in made.stdout) == (0, True), made.stdout
    (snapshot,) = project.glob("tests/__snapshots__/*.ambr")
    text = snapshot.read_text()
    assert "'bin/hello': Rendered(" in text
    assert "mode='0755'," in text
    assert "export GREETING='hello ada'" in text
    # From another directory, and whatever the environment gives: the same.
    assert run(project / "tests", SOLVEN_INPUT_WHO="bob").returncode == 0
    (project / "profiles" / "small.yaml").write_text(PROFILE.replace("hello {{", "hi {{"))
    changed = run(project)
    assert changed.returncode == 1
    assert "+ export GREETING='hi ada'" in changed.stdout.replace("  ", "")


def test_an_invalid_profile_fails_its_test_with_the_mistakes(project: Path) -> None:
    (project / "profiles" / "small.yaml").write_text(PROFILE + "zzz: 1\nmode: 2\n")
    done = run(project)
    assert done.returncode == 1
    assert "profiles/small.yaml:10:1: SE101 unknown key 'mode'" in done.stdout
    assert "profiles/small.yaml:9:1: SE101 unknown key 'zzz'" in done.stdout
    assert "During handling" not in done.stdout
    assert "Traceback" not in done.stdout


def test_inputs_and_bytes_come_as_they_are(project: Path) -> None:
    (project / "profiles" / "a.bin").write_bytes(b"\xff")
    (project / "profiles" / "small.yaml").write_text(f"{PROFILE}  a.bin: {{source: a.bin}}\n")
    (project / "tests" / "test_profiles.py").write_text(
        "def test_it(solven_env_render):\n"
        "    files = solven_env_render('profiles/small.yaml', inputs={'who': 'bob'}, thread='t9')\n"
        "    assert files['a.bin'] == ('0644', 'whole', b'\\xff')\n"
        "    assert 'hello bob' in files['.bashrc'].text\n"
        "    assert '.bashrc' in solven_env_render('solven')\n"
    )
    done = run(project)
    assert done.returncode == 0, done.stdout


def test_the_package_brings_it() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"solven_env": "solven_env.doors.pytest"}
