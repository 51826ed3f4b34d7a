"""The table of kinds: its rows satisfy the protocol, nothing else names them, and the recipe for a row says so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.reconcile.kinds import KINDS
from tests import pages
from tests.reconcile.kinds import toy

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(solven_env.__file__).parent
TABLE = PACKAGE / "reconcile/kinds/__init__.py"

FILE_SYSTEM = {"file", "directory"}
"""Names of rows that are words for what stands in any file system, too."""

SOMETHING_ELSE = {
    ("packages/ecosystems/python/pip_settings.py", "file:"),
    ("packages/named_sources.py", "file:///run/solven-env/no-index"),
}
"""Texts that look like an address and are something else: the scheme of a URL."""


def module_of(name: str) -> Path:
    """File of a row's module."""
    return Path(KINDS[name].__file__)  # type: ignore[attr-defined]


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module that is no docstring, the fixed parts of f-strings too."""
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            for each in value if isinstance(value, list) else [value]:
                is_text = isinstance(each, ast.Constant) and isinstance(each.value, str)
                if is_text and not (isinstance(node, ast.Expr) and name == "value"):
                    yield each.value


def compared(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Every `NAME.ATTRIBUTE == "text"`, whatever the operator: the name, the attribute and the text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Attribute):
            continue
        holder = node.left.value
        for other in node.comparators:
            for each in ast.walk(other):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield holder.id if isinstance(holder, ast.Name) else "", node.left.attr, each.value


@pytest.mark.parametrize("name", KINDS)
def test_nothing_but_its_own_module_has_addresses_of_a_kind(name: str) -> None:
    address = re.compile(rf"{name}:(\S|$)")
    for path in PACKAGE.rglob("*.py"):
        where = str(path.relative_to(PACKAGE))
        found = [text for text in texts(ast.parse(path.read_text())) if address.match(text)]
        if path != module_of(name):
            assert [text for text in found if (where, text) not in SOMETHING_ELSE] == [], where


@pytest.mark.parametrize("name", KINDS)
def test_nothing_but_its_own_module_asks_for_a_kind_by_name(name: str) -> None:
    for path in PACKAGE.rglob("*.py"):
        if path == module_of(name):
            continue
        for holder, attribute, text in compared(ast.parse(path.read_text())):
            is_of_file_system = name in FILE_SYSTEM and (attribute == "type" or holder not in ("change", "kind"))
            assert is_of_file_system or text != name or attribute not in ("kind", "type"), path


def test_the_recipe_names_the_files_that_a_kind_needs_and_the_toy_needs_no_other() -> None:
    root = PACKAGE.parent
    assert pages.recipe("Add a kind") == [
        "solven_env/reconcile/kinds/<kind>.py",
        "solven_env/reconcile/kinds/__init__.py",
        "schemas/profile-v1.json",
        "tests/reconcile/kinds/test_<kind>.py",
    ]
    for place in ("solven_env", "schemas"):
        for path in (root / place).rglob("*"):
            if path.suffix in (".py", ".json"):
                assert "countdown" not in path.read_text(), path
    assert Path(toy.__file__).parent == Path(__file__).parent


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_a_module_beside_the_table_and_a_test(name: str) -> None:
    module = module_of(name)
    assert module.parent == TABLE.parent
    assert (Path(__file__).parent / f"test_{module.stem}.py").exists()
