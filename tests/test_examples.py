"""The example of a team: two profiles over one base, with a secret, a command of setup and a directory of files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests import pages
from tests.pages import TOP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

TEAM = TOP / "examples" / "team"
PROFILES = ("crawl", "publish")
SCHEMA_LINE = "# yaml-language-server: $schema=../../schemas/profile-v1.json\n"


def test_the_page_shows_the_files_as_they_are() -> None:
    blocks, _ = pages.read(TOP / "docs" / "getting-started.md")
    shown = {block.name.removeprefix("team/"): block.text for block in blocks if block.name.startswith("team/")}
    files = (path for path in TEAM.rglob("*") if path.is_file() and ".lock" not in str(path))
    assert shown == {str(path.relative_to(TEAM)): path.read_text().removeprefix(SCHEMA_LINE) for path in files}


@pytest.mark.parametrize("name", PROFILES)
def test_its_rendered_files(name: str, solven_env_render: Callable[..., object], snapshot: SnapshotAssertion) -> None:
    assert solven_env_render(f"examples/team/{name}.yaml") == snapshot


@pytest.mark.parametrize("name", PROFILES)
def test_its_profiles_are_valid_and_locked(name: str) -> None:
    profile = TEAM / f"{name}.yaml"
    assert solven_env.validate(profile) == ()
    assert solven_env.check_lock(profile).files == ("python.txt", "lock.json")


def test_it_works_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "sesame")
    storage, team = tmp_path / "storage", tmp_path / "team"
    shutil.copytree(TEAM, team)
    solven_env.apply(team / "crawl.yaml", "c1", storage=storage, inputs={"depth": "5", "verbose": "true"})
    solven_env.apply(team / "publish.yaml", "p1", storage=storage)
    with solven_env.Sandbox.connect("c1", storage=storage) as crawl:
        text = 'printf "%s %s %s" "$CRAWL_DEPTH" "$CRAWL_LOG" "$TEAM_TOKEN"; python -c "import bs4"'
        said = crawl.run(text, check=True).stdout
        assert said == "5 /crawl.log sesame"
        assert "The team's site" in crawl.files.read_text("/site/index.html")
        crawl.stop()
    with solven_env.Sandbox.connect("p1", storage=storage) as publish:
        publish.files.write("/news.md", "# News\n")
        assert publish.run(["/tools/publish"], check=True).stdout == "published to https://staging.example.com\n"
        assert publish.files.read_text("/site/news.html") == "<h1>News</h1>"
        assert publish.run('printf "%s" "${TEAM_TOKEN-none}"', check=True).stdout == "none"
        publish.stop()
    (team / "files" / "config" / "title.txt").write_text("Another title\n")
    report = solven_env.apply(team / "publish.yaml", "p1", storage=storage)
    assert [change.address.partition(":")[0] for change in report.threads[0].changes] == ["file", "setup"]
    assert "Another title" in (storage / "threads" / "p1" / "site" / "index.html").read_text()
    assert solven_env.diff(team / "publish.yaml", "p1", storage=storage).threads[0].changes == ()
