"""Names of the package: a class name and a module name mean one thing each."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import solven_env

PACKAGE = Path(solven_env.__file__).parent
SOURCES = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")) if "_shipped" not in path.parts]

# A room's `cli/` module has the name of its verb, which other rooms have modules for too; `model` holds a room's types.
SHARED = ("__init__", "__main__", "model")


def repeated(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """The names that stand more than once, with the modules in which they do."""
    return {name: where for name, where in found.items() if len(where) > 1}


def test_a_class_name_means_one_thing() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for source in SOURCES:
        for node in ast.walk(ast.parse((PACKAGE / source).read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(source))
    assert repeated(found) == {}


def test_a_module_name_stands_once() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for source in SOURCES:
        if source.parts[0] != "cli" and source.stem not in SHARED:
            found[source.stem].append(str(source))
    assert repeated(found) == {}


def test_no_name_says_nothing() -> None:
    empty = ("manager", "helper", "util", "utils", "base", "common", "misc")
    assert [str(source) for source in SOURCES if source.stem in empty] == []
