"""Codes of mistakes: each that the source gives has a page, and the examples of each page are what it says."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env import config
from solven_env.errors import DocumentError
from solven_env.profile.source import read_inputs
from solven_env.system import shipped
from tests import pages
from tests.checking import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.pages import Block

CODE = re.compile(r"SE\d{3}")
DIRECTORY = shipped.directory("docs") / "errors"
PAGES = sorted(DIRECTORY.glob("SE*.md"))
SCRIPT = "sh"
"""The kind of a block that makes the document: what cannot be shown, such as a tab, or has to be long."""


def given() -> list[str]:
    """The codes that the source gives, as literals."""
    trees = (ast.parse(path.read_text()) for path in Path(solven_env.__file__).parent.rglob("*.py"))
    constants = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return sorted(value for value in constants if isinstance(value, str) and CODE.fullmatch(value))


def title(page: Path) -> str:
    """The kind of mistake that a page is about, from its first line."""
    head, _, kind = page.read_text().partition("\n")[0].partition(": ")
    assert head == f"# {page.stem}"
    return kind


def test_every_code_that_the_source_gives_has_a_page_and_no_other_has() -> None:
    assert [page.stem for page in PAGES] == given()


def test_the_first_page_lists_them_by_their_titles() -> None:
    rows = [line for line in (DIRECTORY / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert rows == [f"| [{page.stem}]({page.name}) | {title(page)} |" for page in PAGES]
    assert len({title(page) for page in PAGES}) == len(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_wrong_example_has_this_mistake_alone_and_the_right_one_none(page: Path, tmp_path: Path) -> None:
    blocks, prose = pages.read(page)
    assert prose.count("Wrong:") == prose.count("Right:") == sum(line.startswith("**Fix:** ") for line in prose) == 1
    assert [line for line in page.read_text().splitlines() if len(line) > 120] == []
    lines = page.read_text().splitlines()
    right = lines.index("Right:") + 1
    for name, part in (
        ("wrong", [block for block in blocks if block.line < right]),
        ("right", [block for block in blocks if block.line > right]),
    ):
        directory = tmp_path / name
        directory.mkdir()
        assert mistakes(part, directory) == ({page.stem} if name == "wrong" else set())


def mistakes(blocks: Iterable[Block], directory: Path) -> set[str]:
    """The codes of the mistakes in what a reader of the blocks would save. A profile may lack its first lines."""
    for block in blocks:
        if block.kind == SCRIPT and not block.name:
            subprocess.run(["sh", "-euc", block.text], cwd=directory, check=True)
            continue
        is_part = block.name == "team.yaml" and not re.search(r"(?m)^version:", block.text)
        path = directory / block.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((HEAD if is_part else "") + block.text)
    try:
        if (directory / "config.yaml").exists():
            config.load({config.VARIABLE: str(directory / "config.yaml")})
        elif (directory / "inputs.yaml").exists():
            read_inputs(str(directory / "inputs.yaml"))
        else:
            return {each.code for each in solven_env.validate(directory / "team.yaml")}
    except DocumentError as error:
        return {each.code for each in error.diagnostics}
    return set()


def test_messages_name_no_file_that_only_a_checkout_has() -> None:
    """Who installed the wheel has neither tests nor scripts, and finds the pages by `solven-env docs`."""
    found = []
    for path in Path(solven_env.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                found += re.findall(
                    r"(?<![\w/.])(?:(?:tests|scripts|schemas|requirements|docs)/\w[\w./-]*|CONTRIBUTING)", node.value
                )
    assert set(found) <= {"docs/profile.md"}, "the help of `solven-env docs` alone says how a link spells a page"
