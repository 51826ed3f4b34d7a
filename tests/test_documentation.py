"""Every example in the pages is checked: a block of a kind that nothing here or in test_transcripts.py knows, fails."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

import solven_env
from solven_env import errors
from solven_env.cli.errors import CODES, INTERRUPTED, PENDING
from solven_env.cli.main import COMMANDS
from solven_env.config import parse
from solven_env.packages.ecosystems import rows
from solven_env.profile.load import load
from solven_env.profile.resolve import resolve
from solven_env.profile.source import find_profile, read_schema
from solven_env.sandbox.backends.proot import STATEMENT
from solven_env.system import shipped
from tests import pages
from tests.cli.conftest import cli  # noqa: F401 - a fixture
from tests.pages import PAGES, TOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.profile.source import ProfileSource
    from tests.cli.conftest import Cli
    from tests.pages import Block

MODULES = sorted((TOP / "solven_env").rglob("*.py"))

KINDS = {
    "console": "typed by test_transcripts.py, and its output compared",
    "python": "run by test_transcripts.py",
    "yaml": "read as a profile, a host configuration or a workflow",
    "sh": "read by sh; each command and what it names exist",
    "text": "nothing to type: a drawing, a listing, a message",
}


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    for page in PAGES:
        for block in pages.read(page)[0]:
            assert block.kind in KINDS, block.place
            if block.kind == "text":
                assert not re.search(r"(?m)^(\$ |solven-env [a-z])", block.text), f"{block.place} is to be typed"
            if block.kind == "console":
                assert block.text.startswith("$ "), block.place


@pytest.mark.parametrize("text", ["    indented\n", "```\nof no kind\n```\n", "- item\n  ```sh\n  true\n  ```\n"])
def test_a_block_that_names_no_kind_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"Prose.\n\n{text}")
    with pytest.raises(ValueError, match="names no kind"):
        pages.read(tmp_path / "page.md")


@pytest.mark.parametrize("block", pages.blocks("yaml"), ids=lambda block: block.place)
def test_every_document_in_the_pages_is_valid(block: Block, tmp_path: Path) -> None:
    text = block.text.encode()
    if block.name.startswith("."):  # the workflows' commands are typed by test_transcripts.py
        assert YAML(typ="safe").load(text).keys() & {"jobs", "repos"}
    elif "config-v1.json" in block.text:
        parse(text, block.place, read_schema("config-v1.json"))
    else:
        declaration = load(_source(block, tmp_path), read_schema("profile-v1.json"), rows())
        resolve(declaration, {name: item.default or "x" for name, item in declaration.inputs.items()}, "example")
        is_base = (
            block.name and f"[{Path(block.name).name}]" in block.page.read_text()
        )  # which needs neither a name nor a release
        missing = ["the document has no 'name'", "the document has no 'release'"] if is_base else []
        assert [each.message for each in declaration.document.diagnostics] == missing


def _source(block: Block, directory: Path) -> ProfileSource:
    """The profile of a block, beside the other files of its page."""
    path = directory / (block.name or "unnamed.yaml")
    for other in (*pages.blocks("yaml"), block._replace(name=path.name if not block.name else block.name)):
        if other.page == block.page and other.name:
            (directory / other.name).parent.mkdir(parents=True, exist_ok=True)
            (directory / other.name).write_text(other.text)
    return find_profile(path)


@pytest.mark.parametrize("block", pages.blocks("sh"), ids=lambda block: block.place)
def test_every_command_in_the_pages_is_one(block: Block, cli: Cli) -> None:  # noqa: F811
    assert subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True).stderr == ""
    for line in () if block.name else block.text.splitlines():
        match shlex.split(line, comments=True):
            case ["solven-env", command, *rest]:
                assert command in COMMANDS, line
                result = cli(command, "--help", *rest)  # an option that there is not is an error before the help
                assert result.returncode == 0, f"{line}: {result.stderr}"
            case ["pip", "install", "."]:
                assert (TOP / "pyproject.toml").exists()
            case [("sh" | "pytest" | "."), *rest]:
                missing = [word for word in rest if "/" in word and not (TOP / word.partition("::")[0]).exists()]
                assert missing in ([], [".venv/bin/activate"]), line
            case _:
                pytest.fail(f"{block.place}: nothing checks {line}")


def test_every_command_named_in_the_pages_exists() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"(?:^|`|\$ )solven-env ([a-z]+)\b", text, re.MULTILINE)) <= set(COMMANDS)
    assert set(COMMANDS) == set(re.findall(r"^\| `(\w+) ", (TOP / "README.md").read_text(), re.MULTILINE))


def _fields(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each field of a schema and what its row of a table says of its default."""
    required = {*schema.get("required", ()), *schema.get("x-required", ())}
    for name, field in schema.get("properties", {}).items():
        if "$ref" in field:  # the shape of `remove` is that of the document
            continue
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        yield above + name, "required" if name in required else default
        yield from _fields(field, f"{above}{name}.")
        items = field.get("items", {})
        for each in (items, items.get("then", {}), *items.get("anyOf", ())):
            yield from _fields(each, f"{above}{name}[].")
        of_any_name = field.get("additionalProperties")
        for each in (of_any_name, of_any_name.get("then", {})) if isinstance(of_any_name, dict) else ():
            yield from _fields(each, f"{above}{name}.*.")


def test_the_page_of_profiles_has_every_field_and_its_default() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \|[^|]*\| ?(.*?) ?\|[^|]*\|$", (TOP / "docs/profile.md").read_text())
    assert rows == list(_fields(json.loads(read_schema("profile-v1.json"))))


def _merge_rules(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each field that is merged with those of extended profiles, and its rule; none within what is replaced whole."""
    if schema.get("x-merge") == "replace":
        return
    for name, field in schema.get("properties", {}).items():
        yield above + name, field["x-merge"]
        if field["x-merge"] == "keys":
            yield from _merge_rules(field, f"{above}{name}.")
            of_any_name = field["additionalProperties"]
            if isinstance(of_any_name, dict):
                yield f"{above}{name}.*", of_any_name["x-merge"]
                yield from _merge_rules(of_any_name, f"{above}{name}.*.")


def test_the_page_of_composition_has_the_rule_of_every_field() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \| `([^`]+)` \|$", (TOP / "docs/composition.md").read_text())
    assert rows == list(_merge_rules(json.loads(read_schema("profile-v1.json"))))


def test_the_page_of_the_command_line_is_what_the_help_says(tmp_path: Path) -> None:
    subprocess.run(["sh", TOP / "scripts/cli-docs", tmp_path / "cli.md"], check=True)
    assert (tmp_path / "cli.md").read_text() == (TOP / "docs/cli.md").read_text(), "type: sh scripts/cli-docs"


def test_the_page_of_the_command_line_has_every_exit_code() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \|", (TOP / "docs/cli.md").read_text())
    assert rows == [str(code) for code in sorted({0, 1, PENDING, INTERRUPTED, *CODES.values()})]


def test_the_page_of_the_command_line_has_every_function_and_every_error_with_a_code() -> None:
    text = (TOP / "docs/cli.md").read_text()
    functions = [name for name in solven_env.__all__ if callable(getattr(solven_env, name)) and name.islower()]
    assert [name for name in functions if f"`{name}`" not in text] == []
    section = " ".join(text.partition("## In Python")[2].partition("## Completion")[0].split())
    assert [kind.__name__ for kind in CODES if f"`{kind.__name__}`" not in section] == []
    assert set(map(str, CODES.values())) <= set(re.findall(r"\b\d\b", section))


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", "\n".join(pages.read(page)[1])):
            name, _, anchor = target.partition("#")
            other = page.parent / name if name else page
            assert other.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in pages.anchors(other), f"{page.name}: {target}"


def test_every_page_is_linked_from_the_first_one() -> None:
    first = (TOP / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"{page.relative_to(TOP)})" not in first] == []


def test_every_page_that_an_error_names_exists() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SolvenError)]
    named = {kind.page for kind in kinds} - {""}
    assert named
    assert named <= set(shipped.pages())


@pytest.mark.parametrize("page", ["README.md", "docs/isolation.md"])
def test_the_pages_say_what_proot_is_word_for_word(page: str) -> None:
    assert STATEMENT in " ".join((TOP / page).read_text().split())


def test_what_is_written_by_hand_has_120_columns() -> None:
    for page in PAGES:
        blocks, prose = pages.read(page)
        lines = [line for line in prose if not line.startswith("|")]
        lines += [
            line for block in blocks for line in block.text.splitlines() if block.kind != "console" or line[:2] == "$ "
        ]
        assert [line for line in lines if len(line) > 120] == [], page.name


def test_the_page_for_contributors_has_every_module_of_python() -> None:
    page = (
        (TOP / "docs/layout.md").read_text().partition("Its modules by subject:")[2].partition("Beside the package")[0]
    )
    modules = {path.stem for path in (TOP / "solven_env/packages/ecosystems/python").glob("*.py")}
    found = re.findall(r"`([a-z_]+)`", page.replace("`allow_builds`", ""))
    assert sorted(found) == sorted(modules)


def test_the_page_for_contributors_has_every_floor() -> None:
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = next(
        contract["layers"] for contract in contracts if contract["name"].startswith("The floors of the house")
    )
    table, _, _ = (TOP / "docs/layout.md").read_text().partition("## The way of a command")
    rows = re.findall(r"(?m)^\| (`[^|]*`) \|", table)
    assert [set(re.findall(r"`(\w+)(?:/|\.py)`", row)) for row in rows] == [
        set(floor.replace("solven_env.", "").split(" | ")) for floor in floors if floor != "solven_env.__main__"
    ]


def test_every_file_named_in_the_pages_for_contributors_exists() -> None:
    places = (TOP, *(TOP / "solven_env" / name for name in ("", "cli", "profile", "reconcile", "sandbox")))
    for page in (TOP / "CONTRIBUTING.md", TOP / "docs/layout.md"):
        named = set(re.findall(r"(?<![\w/>])[\w/]*[\w.][\w-]+\.(?:py|json|toml|txt)\b|\b\w+/(?=\s)", page.read_text()))
        missing = [name for name in named if not any((place / name).exists() for place in places)]
        assert missing == [], page.name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(TOP)))
def test_docstrings_open_with_what_the_thing_is_or_does(module: Path) -> None:
    alone = (node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Expr))
    docstrings = [each.value for each in alone if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    assert [text for text in docstrings if re.match(r"(What|Whether|Where|Why|Which|How)\b", text)] == []


# Those of the verbs need threads: test_transcripts.py types the pages, which show the same. Those of doors need other
# libraries: tests/conformance runs the page about them.
OF_VERBS = {
    TOP / "solven_env" / name
    for name in (
        "__init__.py",
        "programs/awaiting.py",
        "programs/blocking.py",
        "programs/files.py",
        "programs/process.py",
    )
} | {module for room in ("api", "doors") for module in (TOP / "solven_env" / room).glob("*.py")}
WITH_EXAMPLES = [module for module in MODULES if ">>> " in module.read_text() and module not in OF_VERBS]


@pytest.mark.parametrize("module", WITH_EXAMPLES, ids=lambda module: str(module.relative_to(TOP)))
def test_examples_in_docstrings_are_true(module: Path) -> None:
    name = ".".join(module.relative_to(TOP).with_suffix("").parts)
    assert doctest.testmod(importlib.import_module(name)).failed == 0
