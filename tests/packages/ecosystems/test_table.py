"""The table of ecosystems: nothing else names a row, and the recipe for a row says what it needs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import solven_env
from solven_env.packages.ecosystems import ECOSYSTEMS
from tests import pages

PACKAGE = Path(solven_env.__file__).parent
ROWS = PACKAGE / "packages/ecosystems"

ABOUT_THEM = {
    "cli/layer.py": "a help and an example, texts for people",
    "doctor": "asks in words about what commands find of Python and of Bun (requirements R3 to R9)",
    "packages/lacking.py": "packages of distributions, of which one is called python",
    "packages/making.py": "the cache of Bun, which is a variable of every sandbox that makes a build",
    "profile/expressions.py": "a text for people",
}
"""Modules that name a row all the same, and why."""


def words(path: Path) -> list[str]:
    """The texts of a module that are a row's name, its directory, or a file of its lock; docstrings aside."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    names = "|".join(re.escape(row) for row in ECOSYSTEMS)
    files = "|".join(
        re.escape(text) for row in ECOSYSTEMS.values() for text in (row.TARGET, *row.LOCKS, row.WORKSPACE_LOCK)
    )
    pattern = re.compile(rf"(?<![\w.-])(?:{names})(?![\w-])|{files}")
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        if pattern.search(node.value)
    ]


def test_nothing_but_its_row_names_an_ecosystem() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(ROWS) and words(path)
    }
    assert {name for name in found if not name.startswith(tuple(ABOUT_THEM))} == set()
    assert all(any(name.startswith(about) for name in found) for about in ABOUT_THEM), "an exception that is none"


def test_the_recipe_names_the_files_that_an_ecosystem_needs_and_the_toy_needs_no_other() -> None:
    root = PACKAGE.parent
    assert pages.recipe("Add an ecosystem") == [
        "solven_env/packages/ecosystems/<name>/__init__.py",
        "solven_env/packages/ecosystems/__init__.py",
        "schemas/profile-v1.json",
        "tests/packages/ecosystems/<name>/test_<name>.py",
    ]
    toy = re.compile(r"\btoy\b")
    for place in ("solven_env", "schemas", "templates"):
        for path in (root / place).rglob("*.*"):
            if path.suffix in (".py", ".json", ".j2"):
                assert not toy.search(path.read_text()), path


@pytest.mark.parametrize("name", ECOSYSTEMS)
def test_each_ecosystem_has_a_folder_beside_the_table(name: str) -> None:
    assert Path(ECOSYSTEMS[name].__file__) == ROWS / name / "__init__.py"  # type: ignore[attr-defined]
