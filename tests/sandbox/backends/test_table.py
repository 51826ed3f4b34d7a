"""The table of backends: nothing else names a row, and the recipe for one names the files that it needs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import solven_env
from solven_env.sandbox.backends import BACKENDS
from tests import pages

PACKAGE = Path(solven_env.__file__).parent
TABLE = PACKAGE / "sandbox/backends/__init__.py"
DEFAULT_OF_PROFILES = PACKAGE / "profile/model.py"


def words_of(tree: ast.AST) -> list[str]:
    """Texts of a module that are one word: a name by which something is looked up or compared."""
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value
    ]


@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_but_its_own_folder_and_the_table_has_the_name_of_a_backend(name: str) -> None:
    for path in PACKAGE.rglob("*.py"):
        is_its_own = TABLE.parent / name in path.parents or path in (TABLE, DEFAULT_OF_PROFILES)
        assert is_its_own or name not in words_of(ast.parse(path.read_text())), path


@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_but_the_table_imports_a_backend(name: str) -> None:
    module = f"solven_env.sandbox.backends.{name}"
    for path in PACKAGE.rglob("*.py"):
        if TABLE.parent / name in path.parents or path == TABLE:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
                assert not any(each == module or each.startswith(f"{module}.") for each in imported), path


def test_the_recipe_names_the_files_that_a_backend_needs_and_the_toy_needs_no_other() -> None:
    root = PACKAGE.parent
    assert pages.recipe("Add a backend") == [
        "solven_env/sandbox/backends/<name>/__init__.py",
        "solven_env/sandbox/backends/__init__.py",
        "schemas/profile-v1.json",
        "tests/sandbox/backends/<name>/test_<part>.py",
    ]
    for place in ("solven_env", "schemas"):
        for path in (root / place).rglob("*"):
            if path.suffix in (".py", ".json"):
                assert not re.search(r"\btoy\b", path.read_text()), path
