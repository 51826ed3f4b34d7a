"""Invalid profiles, each a small document in `invalid/`, and what is said of it.

Every code of profiles has a document, and so has every rule of the schema: each rule is loosened in turn, and some
document must then be told otherwise. `invalid/beside/` holds what documents there extend and render.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

import solven_env
from solven_env.documents.diagnostics import ordered
from solven_env.documents.parsing import parse
from solven_env.packages.ecosystems import rows
from solven_env.profile import inputs
from solven_env.profile.load import load
from solven_env.profile.resolve import resolve
from solven_env.profile.source import find_profile
from tests.checking import SCHEMA
from tests.test_codes import given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syrupy.assertion import SnapshotAssertion

    from solven_env.profile.source import ProfileSource

INVALID = Path(__file__).parent / "invalid"
DOCUMENTS = sorted(INVALID.glob("*.yaml"))

OF_OTHERS = re.compile("SE9..|SE303|SE204")
"""Codes of the host configuration, of files of inputs, and of a profile of more files than fit into `invalid/`."""

UNREACHABLE = {
    "properties/version type": "the format is read before the schema",
    "properties/version const": "the format is read before the schema",
    "/ type": "a document that is no mapping is told before",
    "/ required version": "the format is read before the schema",
    "properties/mounts/items/then type": "`if` asks for it",
}
"""Rules of the schema for editors alone, and why no document of ours can break them."""


@pytest.fixture(autouse=True)
def _in_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(INVALID)


def said(path: Path) -> list[str]:
    """The text of each mistake, as `solven-env validate NAME.yaml` prints it."""
    return [str(each).replace(f"{INVALID}/", "") for each in solven_env.validate(path.name)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_what_is_said_of_it(path: Path, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(said(path)) == snapshot


def test_every_code_of_profiles_has_a_document() -> None:
    codes = {each.code for path in DOCUMENTS for each in solven_env.validate(path.name)}
    assert [code for code in given() if code not in codes and not OF_OTHERS.fullmatch(code)] == []
    assert len(DOCUMENTS) >= 120


Place = tuple[str | int, ...]


def rules(schema: Any, place: Place = ()) -> Iterator[tuple[Place, str, str]]:
    """Each rule of a schema: where it is, its keyword, and which of its names, if it has several."""
    for keyword in schema.keys() - {"properties", "definitions"}:
        value = schema[keyword]
        if keyword in ("required", "x-required"):
            yield from ((place, keyword, name) for name in value)
        elif keyword in LOOSER:
            yield place, keyword, ""
    for keyword in ("items", "additionalProperties", "propertyNames", "if", "then", "else", "not", "contains"):
        if isinstance(schema.get(keyword), dict):
            yield from rules(schema[keyword], (*place, keyword))
    for keyword in ("properties", "definitions"):
        for name, inner in schema.get(keyword, {}).items():
            yield from rules(inner, (*place, keyword, name))
    for keyword in ("oneOf", "anyOf", "allOf"):
        for index, inner in enumerate(schema.get(keyword, ())):
            yield from rules(inner, (*place, keyword, index))


DROP = object()
LOOSER: dict[str, Any] = {
    **dict.fromkeys(("enum", "const", "pattern", "type", "oneOf", "anyOf", "allOf", "not", "propertyNames"), DROP),
    **dict.fromkeys(("additionalProperties", "uniqueItems", "if", "dependencies", "format"), DROP),
    **dict.fromkeys(("minimum", "minLength", "minItems", "minProperties"), -1),
    **dict.fromkeys(("maximum", "maxLength", "maxItems", "maxProperties"), 1),
}
"""For each keyword of a rule, what makes it looser: a number that is added, or that it is dropped."""


def loosened(schema: Any, place: Place, keyword: str, name: str) -> bytes:
    """The schema with one rule less, or a looser one."""
    mutant = copy.deepcopy(schema)
    inner = mutant
    for part in place:
        inner = inner[part]
    if name:
        inner[keyword].remove(name)
    elif LOOSER[keyword] is DROP:
        del inner[keyword]
    else:
        inner[keyword] += LOOSER[keyword]
    return json.dumps(mutant).encode()


def told(source: ProfileSource, schema: bytes) -> tuple[str, ...]:
    """The mistakes of a profile under a schema. Under a loosened one the code may meet what it does not expect."""
    try:
        declaration = load(source, schema, rows())
        chosen = inputs.choose(declaration.inputs, given={}, environ={}, recorded={})
        values = inputs.with_stand_ins(declaration.inputs, chosen.values)
        resolve(declaration, values, "example")
        return tuple(map(str, ordered(declaration.document.diagnostics)))
    except Exception as error:
        return (repr(error),)


@cache
def broken() -> dict[str, list[ProfileSource]]:
    """The documents that break a rule, by the rule."""
    validator = Draft7Validator(json.loads(SCHEMA))
    found: dict[str, list[ProfileSource]] = {}
    for path in DOCUMENTS:
        source = find_profile(path.name)
        for error in validator.iter_errors(parse(source.text, source.name).data):
            for each in (error, *(error.context or ())):
                found.setdefault(rule_of(list(each.absolute_schema_path)), []).append(source)
    return found


def rule_of(place: list[str | int]) -> str:
    """A rule as the table and the messages name it, from its place in the schema."""
    for index, part in enumerate(place):
        if part == "$ref":
            return rule_of(["definitions", "removal", *place[index + 1 :]])
    return f"{'/'.join(map(str, place[:-1])) or '/'} {place[-1]}"


def test_every_rule_of_the_schema_has_a_document_that_breaks_it() -> None:
    """A rule without one could be lost unnoticed. Add a document to `invalid/` for each that is named."""
    schema = json.loads(SCHEMA)
    sources = [find_profile(path.name) for path in DOCUMENTS]
    usual = {source: told(source, SCHEMA) for source in sources}
    assert not any(said and ".yaml:" not in said[0] for said in usual.values()), "the schema is whole: nothing raises"
    missing = []
    for place, keyword, name in rules(schema):
        rule = rule_of([*place, keyword])
        mutant = loosened(schema, place, keyword, name)
        near = broken().get(rule, [])
        others = [] if near and not name else sources
        if not any(told(source, mutant) != usual[source] for source in (*near, *others)):
            missing.append(f"{rule} {name}".rstrip())
    assert sorted(missing) == sorted(UNREACHABLE)
