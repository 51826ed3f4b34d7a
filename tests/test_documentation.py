"""Every example in README and docs is checked: profiles validate, commands exist, Python runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from solven_env.cli.main import COMMANDS
from solven_env.config import parse
from solven_env.profile.load import load
from solven_env.profile.resolve import resolve
from solven_env.sources import schema
from tests.profiles import without_packages

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.name}:{page.read_text()[: match.start()].count(chr(10)) + 1}", match[2])
        for page in PAGES
        for match in BLOCK.finditer(page.read_text())
        if match[1] == language
    ]


@pytest.mark.parametrize(("place", "text"), blocks("yaml"))
def test_every_document_in_the_pages_is_valid(place: str, text: str) -> None:
    if "config-v1.json" in text:
        parse(text.encode(), place, schema("config-v1.json"))
        return
    declaration = load(text.encode(), place, schema("profile-v1.json"))
    resolve(declaration, {name: item.default or "x" for name, item in declaration.inputs.items()}, "example")
    assert declaration.document.diagnostics == []


@pytest.mark.parametrize(("place", "text"), blocks("python"))
def test_every_program_in_the_pages_runs(place: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()  # without packages: building those is another test's
    shipped = (TOP / "profiles/solven.yaml").read_text()
    (tmp_path / "profiles/solven.yaml").write_text(without_packages(shipped))
    environ = {**os.environ, "PYTHONPATH": str(TOP)}
    result = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "new 6\n", ""), place


def test_every_command_named_in_the_pages_exists() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"^ {4}solven-env ([a-z]+)\b|`solven-env ([a-z]+)\b", pages, re.MULTILINE))
    assert {one or other for one, other in named} <= set(COMMANDS)
    assert set(COMMANDS) <= set(re.findall(r"^\| `(\w+) ", (TOP / "README.md").read_text(), re.MULTILINE))


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_file_named_in_the_pages_for_contributors_exists() -> None:
    places = (TOP, *(TOP / "solven_env" / name for name in ("", "cli", "profile", "reconcile")))
    for page in (TOP / "CONTRIBUTING.md", TOP / "docs/layout.md"):
        named = set(re.findall(r"[\w/]*[\w.][\w-]+\.(?:py|json|toml|txt)\b|\b\w+/(?=\s)", page.read_text()))
        missing = [name for name in named if not any((place / name).exists() for place in places)]
        assert missing == [], page.name
