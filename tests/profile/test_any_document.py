"""Whatever a document is, the loader answers with a profile or with mistakes, each at a place in the document."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.cli.annotations import annotation
from solven_env.documents import excerpts
from tests.checking import HEAD, SCHEMA, SOLVEN, diagnose
from tests.profile.test_invalid import DOCUMENTS
from tests.test_codes import given as codes_given

EXAMPLES = int(os.environ.get("SOLVEN_ENV_TEST_DOCUMENTS", "300"))
"""Documents that are made, by all tests of this file."""

CODES = set(codes_given())


def check(text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    lines = len(re.findall(rb"\r\n|\r|\n|\x85|\xe2\x80[\xa8\xa9]", data)) + 1
    for mistake in diagnose(data):
        assert mistake.code in CODES
        assert str(mistake).isprintable()
        assert len(annotation(mistake).splitlines()) == 1
        where = mistake.location
        assert where.line <= lines or where.file != "p.yaml"
        assert (where.line == 0) == (where.column == 0)
        if mistake.excerpt:
            shown = excerpts.shown(mistake.excerpt, 80)
            assert len(shown) == 2
            assert all(line.isprintable() for line in shown)


def _names(schema: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(schema, dict):
        found.update(schema.get("properties", {}))
        for inner in schema.values():
            found |= _names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            found |= _names(inner)
    return found


def _words(schema: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(schema, dict):
        found.update(word for word in schema.get("enum", ()) if isinstance(word, str))
        for inner in (*schema.values(), *schema.get("examples", ())):
            found |= _words(inner)
    elif isinstance(schema, str) and len(schema) < 30:
        found.add(schema)
    return found


NAMES = sorted(_names(json.loads(SCHEMA)))
WORDS = sorted(_words(json.loads(SCHEMA)))
EXPRESSIONS = [
    "{{ thread }}",
    "{{ nope }}",
    "{{ python.version }}",
    "{{ 1 / 0 }}",
    "{{",
    "{% x %}",
    "{{ '..' }}",
    "{{ a }}/{{ b }}",
    '{{ "\\0" }}',
]
SIGNS = [
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    '"',
    "|\n",
    ">\n",
    "&a ",
    "*a",
    "!!int ",
    "!x ",
    "# ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "? ",
    "<<: ",
    "\t",
    "\r\n",
    "\0",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "é",
    "~",
    "0x1",
    "2024-01-01",
    "null",
    "true",
    "1e3",
    "\x1b[2J",
]
TOKENS = st.sampled_from([*NAMES, *WORDS, *EXPRESSIONS, *SIGNS])
LIKE_YAML = st.lists(TOKENS | st.text(max_size=3), max_size=40).map("".join)

VALID = [SOLVEN.decode(), *(path.read_text(errors="replace") for path in DOCUMENTS)]
CHANGES = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 12), st.lists(TOKENS, max_size=3).map("".join)),
    min_size=1,
    max_size=4,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([*WORDS, *EXPRESSIONS])
    | st.text(max_size=8)
)
KEYS = st.sampled_from(NAMES) | st.sampled_from(WORDS) | st.sampled_from(EXPRESSIONS) | st.text(max_size=6)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)


def shaped(schema: Any) -> st.SearchStrategy[Any]:
    """Values that are mostly as the schema says: what the later rules see."""
    if "$ref" in schema:
        return st.sampled_from([True, ["A"], {"packages": ["pandas"]}])
    kinds = schema.get("type", "object")
    kind = kinds[-1] if isinstance(kinds, list) else kinds
    known = st.sampled_from([*schema.get("enum", ()), *schema.get("examples", ())] or [""])
    if kind == "array":
        return st.lists(shaped(schema["items"]), max_size=3)
    if kind == "object":
        inner = schema.get("then", schema)
        fields = {name: shaped(field) for name, field in inner.get("properties", {}).items()}
        if fields:
            return st.fixed_dictionaries({}, optional=fields) | known
        names = st.sampled_from(["a", "b/c", ".bashrc", "A", "a_x", "thread", *EXPRESSIONS])
        return st.dictionaries(names, shaped(schema["additionalProperties"]), max_size=3) | known
    return known | (SCALARS if kind == "string" else st.integers(-1, 2000))


SHAPED = st.fixed_dictionaries(
    {},
    optional={
        name: shaped(field)
        for name, field in json.loads(SCHEMA)["properties"].items()
        if name not in ("version", "extends")
    },
)


def changed(text: str, changes: list[tuple[int, int, str]]) -> str:
    for at, length, put in changes:
        position = at % (len(text) + 1)
        text = text[:position] + put + text[position + length :]
    return text


@settings(max_examples=EXAMPLES // 3)
@given(LIKE_YAML, st.booleans())
def test_text_that_looks_like_yaml(text: str, has_head: bool) -> None:
    check((HEAD if has_head else "") + text)


@settings(max_examples=EXAMPLES // 3)
@given(st.sampled_from(VALID), CHANGES)
def test_a_profile_that_was_changed_somewhere(text: str, changes: list[tuple[int, int, str]]) -> None:
    check(changed(text, changes))


@settings(max_examples=EXAMPLES // 3)
@given(st.dictionaries(st.sampled_from(NAMES), TREES, max_size=6))
def test_a_tree_of_the_schema_s_keys(tree: dict[str, Any]) -> None:
    check(json.dumps({"version": 1, "name": "x", "release": "1.0.0", **tree}, ensure_ascii=False))


@settings(max_examples=EXAMPLES // 3)
@given(SHAPED)
def test_a_profile_of_nearly_the_right_shape(tree: dict[str, Any]) -> None:
    check(json.dumps({"version": 1, "name": "x", "release": "1.0.0", **tree}, ensure_ascii=False))


@settings(max_examples=EXAMPLES // 6)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    check(data)
