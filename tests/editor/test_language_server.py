"""What an editor shows and offers by the schemas: yaml-language-server is asked for every field, over its protocol."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from solven_env.packages import toolchain
from solven_env.packages.ecosystems.bun import program
from solven_env.profile.source import read_schema
from solven_env.system import directories, shipped
from tests.editor.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[2]
SERVER = TOP / ".tools/language-server/node_modules/yaml-language-server/bin/yaml-language-server"
SCHEMAS = {name: json.loads(read_schema(name)) for name in ("profile-v1.json", "config-v1.json")}
PARTS = ("allOf", "anyOf", "oneOf")


class Field(NamedTuple):
    """A field of a schema: where a document has it (0 stands for an item of a list), and what the schema says."""

    schema: str
    path: tuple[str | int, ...]
    says: dict[str, Any]
    is_named: bool = True
    """False for an entry of a map, whose key is its author's."""

    def __str__(self) -> str:
        return f"{self.schema.partition('-')[0]} {'.'.join(map(str, self.path))}"


def whole(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """A schema, or the definition that it refers to."""
    return root["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and those that it is made of."""
    yield schema
    for each in (*(each for word in PARTS for each in schema.get(word, ())), schema.get("then"), schema.get("else")):
        if isinstance(each, dict):
            yield from parts(each)


def fields(name: str, schema: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Field]:
    """Every field beneath a path: of sections, of entries of maps, of items of lists. What refers to itself, once."""
    for part in parts(schema):
        inner = [(key, each, True) for key, each in part.get("properties", {}).items()]
        if isinstance(rest := part.get("additionalProperties"), dict):
            inner.append((part.get("propertyNames", {}).get("examples", ["some"])[0], rest, False))
        for key, each, is_named in inner:
            says = whole(each, SCHEMAS[name])
            if "title" not in says:  # a condition says more of a field that stands elsewhere
                continue
            yield Field(name, (*path, key), says, is_named)
            if says is not schema:
                yield from fields(name, says, (*path, key))
        if isinstance(part.get("items"), dict):
            yield from fields(name, part["items"], (*path, 0))


FIELDS = [field for name, schema in SCHEMAS.items() for field in fields(name, schema)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    if not SERVER.exists():
        pytest.skip("sh scripts/language-server installs yaml-language-server, which .ci/run does")
    bun = program.find(toolchain.host(directories.cache(), os.environ)).path
    client = Client([str(bun), str(SERVER), "--stdio"], tmp_path_factory.mktemp("editor"))
    yield client
    client.close()


def head(schema: str) -> str:
    return f"# yaml-language-server: $schema={(shipped.directory('schemas') / schema).as_uri()}\n"


def block(path: tuple[str | int, ...], value: str) -> str:
    """A document that has this value at a path."""
    text, indent, begun = "", 0, False
    for each in path:
        if each == 0:
            text += f"\n{' ' * indent}- "
            indent, begun = indent + 2, True
        else:
            key = str(each) if re.fullmatch(r"[\w.-]+", str(each)) else json.dumps(each)
            text += f"{'' if begun or not text else chr(10)}{'' if begun else ' ' * indent}{key}:"
            indent, begun = indent + 2, False
    return f"{text.lstrip(chr(10))} {value}".replace("-  ", "- ")


def plain(text: str) -> str:
    """A text without what Markdown adds to it."""
    return re.sub(r"&\w+;|[^a-z0-9]", "", text.lower())


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_hovering_tells_what_a_field_is(client: Client, tmp_path: Path, field: Field) -> None:
    name = str(field.path[-1])
    value = json.dumps(field.says.get("examples", ["x"])[0])
    document = client.open(tmp_path / "team.yaml", f"{head(field.schema)}{block(field.path, value)}\n")
    shown = plain(document.hover(name if f"{name}:" not in block(field.path, "") else f"{name}:"))
    assert plain(field.says["title"]) in shown
    assert plain(field.says["description"]) in shown


@pytest.mark.parametrize("field", [each for each in FIELDS if each.is_named], ids=str)
def test_a_field_is_offered_where_it_may_stand(client: Client, tmp_path: Path, field: Field) -> None:
    *above, name = field.path
    is_item = bool(above) and above[-1] == 0
    parent = block(tuple(above), "") if above else ""
    text = parent if is_item or not above else f"{parent.rstrip()}\n{'  ' * len(above)}"
    document = client.open(tmp_path / "team.yaml", head(field.schema) + text)
    offered = document.completed()
    assert name in offered


@pytest.mark.parametrize(
    "field", [each for each in FIELDS if each.says.get("type") == "boolean" or "enum" in each.says], ids=str
)
def test_the_values_of_a_field_are_offered(client: Client, tmp_path: Path, field: Field) -> None:
    document = client.open(tmp_path / "team.yaml", head(field.schema) + block(field.path, ""))
    assert set(map(str, field.says.get("enum", ("true", "false")))) <= set(document.completed())


def test_the_shipped_profile_has_no_mistake_and_a_slip_is_told(client: Client, tmp_path: Path) -> None:
    text = (shipped.directory("profiles") / "solven.yaml").read_text().partition("\n")[2]
    assert client.open(tmp_path / "solven.yaml", head("profile-v1.json") + text).mistakes() == []
    slip = client.open(tmp_path / "slip.yaml", head("profile-v1.json") + text.replace("backend:", "bakend:")).mistakes()
    assert slip == ["Property bakend is not allowed."]


def test_every_package_of_the_server_is_pinned_by_its_digest_and_by_no_address() -> None:
    text = (TOP / "requirements/language-server/bun.lock").read_text()
    pins = re.findall(r'(?m)^    "[^"]+": \["[^"]+@[0-9][^"]*", "", .*"(sha512-[A-Za-z0-9+/=]{88})"\],$', text)
    assert len(pins) == len(re.findall(r'(?m)^    "[^"]+": \[', text)) > 10
    assert "://" not in text
