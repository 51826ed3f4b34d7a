"""What others run in their CI: the hooks of pre-commit, and the GitHub Action with its scripts."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from solven_env.cli.main import COMMANDS
from tests.cli.conftest import PROFILE

TOP = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = YAML(typ="safe").load(TOP / "action.yml")
HOOKS: list[dict[str, Any]] = YAML(typ="safe").load(TOP / ".pre-commit-hooks.yaml")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of profiles, with what GitHub's runner gives a step, and solven-env on PATH."""
    for name in ("bin", "temp", "repository/profiles"):
        (tmp_path / name).mkdir(parents=True)
    command = f'#!/bin/sh\nexec "{sys.executable}" -m solven_env "$@"\n'
    (tmp_path / "bin" / "solven-env").write_text(command)
    (tmp_path / "bin" / "solven-env").chmod(0o755)
    (tmp_path / "repository" / "profiles" / "small.yaml").write_text(PROFILE)
    return tmp_path / "repository"


def run(checkout: Path, argv: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    top = checkout.parent
    base = {
        "PATH": f"{top}/bin:{os.environ['PATH']}",
        "HOME": str(top / "home"),
        "PYTHONPATH": str(TOP),
        "RUNNER_TEMP": str(top / "temp"),
        "GITHUB_STEP_SUMMARY": str(top / "temp" / "summary.md"),
    }
    return subprocess.run(argv, cwd=checkout, env={**base, **environ}, capture_output=True, text=True)


def step(checkout: Path, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run one step as the runner does, its variables filled from the action's inputs."""
    variables = {}
    for variable, expression in STEPS[name]["env"].items():
        assert expression.startswith("${{ inputs.")
        variables[variable] = inputs[expression.removeprefix("${{ inputs.").removesuffix(" }}")]
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
    return run(checkout, shell, **variables)


def test_no_script_holds_an_expression() -> None:
    """GitHub puts an expression's value into a script as text: that of a pull request's author would run."""
    assert [each["name"] for each in STEPS.values() if "${{" in each["run"]] == []
    assert all(each["shell"] == "bash" for each in STEPS.values())
    used = {word for each in STEPS.values() for word in each.get("env", {}).values()}
    assert used == {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]}


def test_mistakes_are_annotations(checkout: Path) -> None:
    assert step(checkout, "Validate", profiles="profiles/*.yaml").returncode == 0
    (checkout / "profiles" / "bad.yaml").write_text(PROFILE + "zzz: 1\n")
    done = step(checkout, "Validate", profiles="profiles/*.yaml")
    assert done.returncode == 5
    assert done.stdout.startswith("::error file=profiles/bad.yaml,line=9,col=1,title=SE101")


def test_committed_files_are_held_against_the_rendered_ones(checkout: Path) -> None:
    name = "Compare the rendered files"
    inputs = {"profiles": "profiles/small.yaml", "rendered": "rendered"}
    assert step(checkout, name, **inputs).returncode == 1
    run(checkout, ["solven-env", "render", "profiles/small.yaml", "--out", "rendered/small"])
    assert step(checkout, name, **inputs).returncode == 0
    (checkout / "profiles" / "small.yaml").rename(checkout / "--small.yaml")
    (checkout / "rendered" / "small").rename(checkout / "rendered" / "--small")
    inputs["profiles"] = "*.yaml"
    assert step(checkout, name, **inputs).returncode == 0
    (checkout / "rendered" / "--small" / ".bashrc").write_text("other")
    done = step(checkout, name, **inputs)
    assert done.returncode == 1
    assert ".bashrc" in done.stdout + done.stderr


def test_the_plan_of_a_new_thread_is_in_the_summary(checkout: Path) -> None:
    (checkout / "profiles" / "two words.yaml").write_text("no profile: its name is two words")
    done = step(checkout, "Show what an apply would do", profiles="profiles/small.yaml")
    assert done.returncode == 0, done.stderr
    summary = (checkout.parent / "temp" / "summary.md").read_text()
    assert summary.startswith("## A new thread of `profiles/small.yaml`\n\n``````````diff\n+ directory /\n")
    assert "\n--- /dev/null\n+++ .bashrc\n" in summary
    assert "\n+ settings launch\n``````````\n" in summary
    assert not (checkout.parent / "temp" / "solven-env-storage").exists()


def test_no_profile_gives_the_runner_commands(checkout: Path) -> None:
    """What is said of a file has its name, and its text: lines of an attacker's, on both streams."""
    (checkout / "profiles" / "small.yaml").rename(checkout / "::debug::small.yaml")
    (checkout / "-h.yaml").write_text("##[debug]: [")
    done = step(checkout, "Validate", profiles="*.yaml")
    assert done.returncode == 5
    assert [line.partition(",")[0] for line in done.stdout.splitlines()] == ["::error file=-h.yaml"]
    assert "::debug::" not in done.stderr
    for name in ("Compare the rendered files", "Show what an apply would do"):
        done = step(checkout, name, profiles="*.yaml", rendered="rendered")
        first, *_, last = done.stdout.splitlines()
        assert first == f"::stop-commands::{last.strip(':')}"


def test_the_hooks_type_commands_that_there_are(checkout: Path) -> None:
    assert [hook["id"] for hook in HOOKS] == ["solven-env-validate", "solven-env-fmt", "solven-env-lock"]
    for hook in HOOKS:
        words = shlex.split(hook["entry"])
        assert words[0] == "solven-env"
        assert words[1] in COMMANDS
        assert hook["language"] == "python"
        (checkout / "profiles" / "also.yaml").write_text(PROFILE)
        done = run(checkout, [*words, "profiles/small.yaml", "profiles/also.yaml"])
        assert done.returncode == 0, done.stderr
        (checkout / "profiles" / "also.yaml").write_text("a: [")
        assert run(checkout, [*words, "profiles/small.yaml", "profiles/also.yaml"]).returncode == 5
