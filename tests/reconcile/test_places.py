"""The lines of a profile that the changes of a plan cite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import solven_env

if TYPE_CHECKING:
    from pathlib import Path

BASE = """\
version: 1
env:
  A: one
  B: one
sandbox: {limits: {memory: 1GiB}}
dotfiles:
  tools/a: {content: "{{ env.A }}"}
"""
TEAM = """\
version: 1
name: team
release: 1.0.0
extends: [base/base.yaml]
env: {B: two}
dotfiles:
  b: {content: b}
  c: {content: c}
links: {skills: {to: skills/x, optional: true}}
"""


def reasons(directory: Path) -> dict[str, str]:
    (report,) = solven_env.diff(directory / "team.yaml", "t1", storage=directory / "storage").threads
    return {change.address: change.reason for change in report.changes}


def test_a_change_cites_the_line_that_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base, team = tmp_path / "base" / "base.yaml", tmp_path / "team.yaml"
    base.write_text(BASE)
    team.write_text(TEAM)
    asks = "the profile asks for it"
    assert reasons(tmp_path) == {
        "directory:/": asks,
        "directory:tools": asks,
        "file:b": f"{asks}, team.yaml:7",
        "file:c": f"{asks}, team.yaml:8",
        "file:tools/a": f"{asks}, base/base.yaml:7",
        "settings:launch": asks,
    }
    solven_env.apply(team, "t1", storage=tmp_path / "storage")
    assert reasons(tmp_path) == {}
    base.write_text(BASE.replace("one", "three").replace("1GiB", "2GiB"))
    team.write_text(TEAM.replace("content: c", "content: d").replace("1.0.0", "1.1.0"))
    assert reasons(tmp_path) == {
        "file:c": "the profile changed it, team.yaml:8",
        "file:tools/a": "the profile changed env.A, base/base.yaml:3",
        "settings:launch": "the profile changed env.A, base/base.yaml:3; limits.memory, base/base.yaml:5;"
        " release, team.yaml:3",
    }


def test_what_is_no_longer_stated_has_the_line_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base, team = tmp_path / "base" / "base.yaml", tmp_path / "team.yaml"
    base.write_text(BASE.replace("  B: one\n", "  B: one\n  C: {from: environment}\n"))
    team.write_text(TEAM)
    solven_env.apply(team, "t1", storage=tmp_path / "storage")
    base.write_text(BASE.replace("  B: one\n", "  B: one\n  C: {from: environment, optional: true}\n"))
    assert reasons(tmp_path)["settings:launch"] == "the profile changed env.C, base/base.yaml:5"
    base.write_text(BASE)
    assert reasons(tmp_path)["settings:launch"] == "the profile changed env.C, team.yaml:5"
    team.write_text(TEAM.replace("env: {B: two}", "remove: {env: [B]}"))
    assert reasons(tmp_path)["settings:launch"] == "the profile changed env.B, team.yaml:5; env.C, base/base.yaml:2"


def test_files_of_a_directory_cite_the_line_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "files" / "in").mkdir(parents=True)
    (tmp_path / "files" / "in" / "a").write_text("a")
    dotfiles = "dotfiles:\n  d/e: {source: files}\n  d/f: {source: files/in/a}\n"
    (tmp_path / "team.yaml").write_text(f"version: 1\nname: team\nrelease: 1.0.0\n{dotfiles}")
    told = reasons(tmp_path)
    assert told["file:d/e/in/a"] == "the profile asks for it, team.yaml:5"
    assert told["file:d/f"] == "the profile asks for it, team.yaml:6"


def test_what_an_input_may_have_changed_is_not_said_of_the_profile_alone(tmp_path: Path) -> None:
    profile = tmp_path / "team.yaml"
    profile.write_text(
        "version: 1\nname: team\nrelease: 1.0.0\n"
        "inputs: {who: {default: ada}, at: {default: home}}\n"
        'env:\n  USER: "{{ who }}"\n'
        'dotfiles: {a: {content: "{{ who }}"}, b: {content: "{{ env.USER }}"}}\n'
    )
    solven_env.apply(profile, "t1", storage=tmp_path / "storage")

    def told(**inputs: str) -> dict[str, str]:
        (report,) = solven_env.diff(profile, "t1", storage=tmp_path / "storage", inputs=inputs).threads
        return {change.name: change.reason for change in report.changes}

    assert told(at="work") == {"launch": "the input at changed"}
    assert told(who="bob") == {
        "a": "the input who changed",
        "b": "the profile or the input who changed env.USER, team.yaml:6",
        "launch": "the profile or the input who changed env.USER, team.yaml:6",
    }
    assert told(who="bob", at="work")["launch"].startswith("the profile or the inputs at, who changed env.USER")
