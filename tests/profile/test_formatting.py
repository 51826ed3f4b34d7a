"""The one form of a profile's text: what it says stays, with its comments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from solven_env.documents.parsing import parse
from solven_env.profile.formatting import Unformatted, formatted
from tests.checking import SCHEMA

TOP = Path(__file__).parents[2]
FIELDS = json.loads(SCHEMA)
PROFILES = [path for name in ("profiles", "examples") for path in sorted((TOP / name).rglob("*.y*ml"))]

CASES = {
    "order of fields, not of variables": (
        "name: x\nenv: {B: b, A: a}\nversion: 1\n",
        "version: 1\nname: x\nenv: {B: b, A: a}\n",
    ),
    "order in sections and entries": (
        "python:\n  packages: [b, a]\n  version: '3.12'\nmounts:\n  - target: /a\n    kind: tmpfs\n  - {size: 1GiB, target: /b}\n",
        "mounts:\n  - kind: tmpfs\n    target: /a\n  - {target: /b, size: 1GiB}\npython:\n  version: '3.12'\n  packages: [b, a]\n",
    ),
    "unknown keys last, as they were": ("zz: 1\nyy: 2\nname: x\n", "name: x\nzz: 1\nyy: 2\n"),
    "indentation": (
        "python:\n    packages:\n    - a\n    -   b\nbun:\n      packages:\n          docx: ^8\n",
        "python:\n  packages:\n    - a\n    - b\nbun:\n  packages:\n    docx: ^8\n",
    ),
    "comments move with what they are about": (
        "# first\n# of all\nname: x # the name\n# the format\nversion: 1\n",
        "# first\n# of all\n# the format\nversion: 1\nname: x # the name\n",
    ),
    "a comment above the first key of an entry goes above its dash": (
        "mounts:\n  - source: /a\n    # why\n    kind: bind\n    target: /b\n",
        "mounts:\n  # why\n  - kind: bind\n    source: /a\n    target: /b\n",
    ),
    "a comment that stands further in is about what was before": (
        "python:\n  packages:\n    - a\n    # - b\n\n# bun\nbun: {}\n",
        "python:\n  packages:\n    - a\n    # - b\n\n# bun\nbun: {}\n",
    ),
    "comments everywhere": (
        "env: # e\n    # a\n    A: # of A\n      a\n    B: b   # of B\n    # last\npath: # p\n  prepend: # q\n  - # r\n    /a\n",
        "env: # e\n  # a\n  A: a # of A\n  B: b   # of B\n  # last\npath: # p\n  prepend: # q\n    - /a # r\n",
    ),
    "blanks": ("name: x   \n\n\n\nenv:   {A:   a,B: b}\t\n  \n", "name: x\n\nenv: {A: a, B: b}\n"),
    "no blank line above the first": ("\n\nname: x\nenv:\n\n  A: a\n", "name: x\nenv:\n  A: a\n"),
    "quotes": ("env: {A: 'a', B: \"b\", C: c}\n", "env: {A: 'a', B: \"b\", C: c}\n"),
    "lines of a text": (
        "env:\n  A: a\n      b   \n\n      c\n  B: \"a \\\n    b\\ \n    c\"\n",
        "env:\n  A: a\n    b\n\n    c\n  B: \"a \\\n    b\\ \n    c\"\n",
    ),
    "block scalars": (
        "env:\n   A: |  # lit\n      a\n        b  \n\n   B: >+\n       c\n\n   C: |2-\n       d\n",
        "env:\n  A: |  # lit\n    a\n      b  \n\n  B: >+\n    c\n\n  C: |2-\n      d\n",
    ),
    "a block scalar at the end of a file without a line's end": ("env:\n  A: |\n   a", "env:\n  A: |-\n    a\n"),
    "brackets over several lines": (
        "python: {packages: [a, # of a\n  b\n  # last\n  ], version: '3.12'\n }\n",
        "python: {\n  version: '3.12',\n  packages: [\n    a, # of a\n    b\n    # last\n  ]\n}\n",
    ),
    "JSON": ('{"name":"x",\n"version":1}', '{\n  "version": 1,\n  "name": "x"\n}\n'),
    "the mark of a document": ("# a\n--- # b\n# c\nname: x\n...\n# d\n", "# a\n--- # b\n# c\nname: x\n# d\n"),
    "ends of lines and the mark of byte order": ("\ufeffname: x\r\nenv: {}\r\n", "name: x\nenv: {}\n"),
    "an alias keeps the order": ("env: {A: &a x}\nname: *a\n", "env: {A: &a x}\nname: *a\n"),
    "comments whose last line does not end": ("name: x\n# a\n# b", "name: x\n# a\n# b\n"),
    "nothing but comments": ("\n# a\n\n\n# b\n\n", "# a\n\n# b\n"),
    "nothing": ("", ""),
    "a key without a value": ("env:\nname: x\n", "name: x\nenv:\n"),
    "lists in lists": ("a:\n- - b\n  -   c\n", "a:\n  - - b\n    - c\n"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_text_gets_its_one_form(before: str, after: str) -> None:
    assert formatted(before.encode(), FIELDS) == after.encode()
    assert formatted(after.encode(), FIELDS) == after.encode()


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("a: 1\n? b\n: c\n", "it has a key behind a '?'", 2),
        ("%YAML 1.2\n---\na: 1\n", "it has a directive ('%')", 1),
        ("--- &a\nb: 1\n", "it has an anchor of the whole document", 1),
        ("a: [b: c]\n", "it has an entry of this kind", 1),
        ("a: &b c\n&d e: f\n", "it has a key of this kind", 2),
    ],
)
def test_what_is_not_formatted_is_told(text: str, why: str, line: int) -> None:
    assert formatted(text.encode(), FIELDS) == Unformatted(why, line)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name)
def test_profiles_of_this_repository_have_the_form(path: Path) -> None:
    text = path.read_bytes()
    assert formatted(text, FIELDS) == text


LINES = """\
# yaml-language-server: $schema=x

# The team
name: team   # ours
version: 1
env:
    B: "x"    # b
    # about a
    A:   'y'
    C: |   # lit
       one
         two

    D: >-
      folded
      text
    # tail of env

# python things
python:
  packages:
  - a
  # why b
  - b

  # - c
  version: "3.12"
mounts:
- /opt/tools
- source: /a
  # where
  target: /b
  kind: bind
-   {target: /c,why: "x, y"}
inputs: {
  # who
  who: {required: false,type: string}, # w
  b: {}
  }
bun:
  packages: {docx:   ^8.0.0,
     ms: "^2"}
dotfiles:
  .x: {mode: "0755", content: "a
     b\\
     c"}
# end
""".split("\n")
BITS = ["\n", " ", "  ", "# c", "- ", ": ", "{", "}", "[", "]", ", ", "a: b\n", "|\n", "> # x\n", "'", '"', "\n\n", "\t",
        "---\n", "...\n", "&x ", "*x", "? ", "|+\n", "|2-\n", "\\", "!!str ", "%YAML 1.2\n", "\ufeff", "\u2028", "\r\n",
        "é"]  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A few of the lines, with some bits put in and some characters taken out."""
    begin = draw(st.integers(0, len(LINES) - 1))
    text = "\n".join(LINES[begin : begin + draw(st.integers(1, len(LINES)))])
    for bit in draw(st.lists(st.sampled_from([*BITS, "", "", ""]), max_size=4)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + bit + text[at if bit else at + draw(st.integers(1, 3)) :]
    return text


def orders(data: object) -> list[list[str]]:
    """The keys of the maps whose order is the author's."""
    if not isinstance(data, dict):
        return []
    found = [data.get("env"), data.get("inputs")]
    return [list(each) for each in found if isinstance(each, dict)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents())
def test_what_a_text_says_stays_and_its_form_is_the_last_one(text: str) -> None:
    before = parse(text.encode(), "")
    assume(not before.diagnostics)
    form = formatted(text.encode(), FIELDS)
    assume(not isinstance(form, Unformatted))
    assert isinstance(form, bytes)
    after = parse(form, "")
    assert (after.data, after.diagnostics) == (before.data, [])
    assert orders(after.data) == orders(before.data)
    assert form in (b"",) or (form.endswith(b"\n") and not form.startswith(b"\n"))
    assert formatted(form, FIELDS) == form
