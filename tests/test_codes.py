"""Codes of mistakes: each that the source gives is in the table, and each in the table is given."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import solven_env
from solven_env.system import shipped

_CODE = re.compile(r"SE\d{3}")


def given() -> set[str]:
    """The codes that the source gives, as literals."""
    package = Path(solven_env.__file__).parent
    trees = (ast.parse(path.read_text()) for path in package.rglob("*.py"))
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and _CODE.fullmatch(value)}


def test_the_table_has_every_code_that_the_source_gives() -> None:
    table = re.findall(r"(?m)^\| (SE\d{3}) \|", (shipped.directory("docs") / "errors/README.md").read_text())
    assert table == sorted(given())
