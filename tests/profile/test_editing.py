"""Packages added to a profile's text: all else stays as it was written."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solven_env.documents.parsing import parse
from solven_env.profile.editing import Addition, add

RICH, MS = ["rich>=14.1.0"], {"ms": "^2.1.3"}
BESIDE = {"version": "3.12"}
SCOPED = {"@types/node": "^20.0.0"}

CASES = [
    ("python: {packages: [six]} # all\n", RICH, "python: {packages: [six, rich>=14.1.0]} # all\n"),
    ("python: {packages: [six,]}\n", RICH, "python: {packages: [six, rich>=14.1.0,]}\n"),
    ("python: {packages: []}\n", RICH, "python: {packages: [rich>=14.1.0]}\n"),
    ('python: {version: "3.12"}\n', RICH, 'python: {version: "3.12", packages: [rich>=14.1.0]}\n'),
    ("python: {}\n", RICH, "python: {packages: [rich>=14.1.0]}\n"),
    ('python: {packages: ["a>1", b]}', RICH, 'python: {packages: ["a>1", b, "rich>=14.1.0"]}'),
    ("python: {packages: ['a>1']}", RICH, "python: {packages: ['a>1', 'rich>=14.1.0']}"),
    (
        "python:\n  packages:\n    - six # old\n    # PDF\n    - pypdf # new\n  # end\nenv: {}\n",
        RICH,
        "python:\n  packages:\n    - six # old\n    # PDF\n    - pypdf # new\n    - rich>=14.1.0\n  # end\nenv: {}\n",
    ),
    ("python:\n  packages:\n  - six", RICH, "python:\n  packages:\n  - six\n  - rich>=14.1.0"),
    ("python:\r\n  packages:\r\n  - six\r\n", RICH, "python:\r\n  packages:\r\n  - six\r\n  - rich>=14.1.0\r\n"),
    ("python:\n  packages: # none\nenv: {}\n", RICH, "python:\n  packages: # none\n    - rich>=14.1.0\nenv: {}\n"),
    (
        'python:\n  version: "3.12" # ours\nenv: {}\n',
        RICH,
        'python:\n  version: "3.12" # ours\n  packages:\n    - rich>=14.1.0\nenv: {}\n',
    ),
    (
        "python:\n  packages: [\n    six, # a\n    b # c\n  ]\n",
        RICH,
        "python:\n  packages: [\n    six, # a\n    b, # c\n    rich>=14.1.0\n  ]\n",
    ),
    (
        "python:\n  packages: [\n    six,\n    b, # c\n  ]\n",
        RICH,
        "python:\n  packages: [\n    six,\n    b, # c\n    rich>=14.1.0,\n  ]\n",
    ),
    ("python:\n  packages: [six,\n    b]\n", RICH, "python:\n  packages: [six,\n    b, rich>=14.1.0]\n"),
    ("version: 1 # one\n", RICH, 'version: 1 # one\n\npython:\n  version: "3.12"\n  packages:\n    - rich>=14.1.0\n'),
    ("version: 1", RICH, 'version: 1\n\npython:\n  version: "3.12"\n  packages:\n    - rich>=14.1.0\n'),
    ("python:\nenv: {}\n", RICH, 'python:\n  version: "3.12"\n  packages:\n    - rich>=14.1.0\nenv: {}\n'),
    (
        '{"version": 1}',
        RICH,
        '{"version": 1, python: {version: "3.12", packages: [rich>=14.1.0]}}',
    ),
    ("bun: {packages: {docx: ^8.0.0}}\n", MS, "bun: {packages: {docx: ^8.0.0, ms: ^2.1.3}}\n"),
    ("bun:\n  packages:\n    docx: ^8.0.0 # w\n\n", MS, "bun:\n  packages:\n    docx: ^8.0.0 # w\n    ms: ^2.1.3\n\n"),
    ('bun:\n  packages:\n    docx: "^8.0.0"\n', SCOPED, 'bun:\n  packages:\n    docx: "^8.0.0"\n    "@types/node": "^20.0.0"\n'),
    ("version: 1\n", MS, "version: 1\n\nbun:\n  packages:\n    ms: ^2.1.3\n"),
    (
        "python:\n  packages:\n    - six\n  indexes:\n    - {name: a, packages: [b]} # c\nenv:\n",
        RICH,
        "python:\n  packages:\n    - six\n    - rich>=14.1.0\n  indexes:\n    - {name: a, packages: [b]} # c\nenv:\n",
    ),
    (
        "python:\n  indexes:\n    - {name: a, packages: [b]} # c\nenv:\n",
        RICH,
        "python:\n  indexes:\n    - {name: a, packages: [b]} # c\n  packages:\n    - rich>=14.1.0\nenv:\n",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("before", "packages", "after"), CASES)
def test_packages_are_added_and_nothing_else_changes(before: str, packages: object, after: str) -> None:
    section = "python" if isinstance(packages, list) else "bun"
    addition = Addition(section, packages, BESIDE if section == "python" else {})  # type: ignore[arg-type]
    assert add(before.encode(), [addition]) == after.encode()
    assert add(b"\xef\xbb\xbf" + before.encode(), [addition]) == b"\xef\xbb\xbf" + after.encode()


@pytest.mark.parametrize(
    "before",
    [
        "a: &a [six]\npython: {packages: *a}\n",
        "a: &a\n  packages: [six]\npython: *a\n",
        "python:\n  packages:\n  - |\n    six\n",
        "python: {packages: {six: '1'}}\n",
        "python: text\n",
        "- a\n",
        "a: [\n",
    ],
)
def test_what_cannot_be_edited_is_left_alone(before: str) -> None:
    assert add(before.encode(), [Addition("python", RICH)]) is None


def test_both_sections_are_added() -> None:
    edited = add(b"bun: {packages: {}}\n", [Addition("python", RICH), Addition("bun", MS)])
    assert edited == b"bun: {packages: {ms: ^2.1.3}}\n\npython:\n  packages:\n    - rich>=14.1.0\n"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(min_size=1, max_size=12), max_size=4), st.booleans(), st.text(min_size=1, max_size=12))
def test_any_text_is_added_as_it_is(there: list[str], in_flow: bool, new: str) -> None:
    import json

    items = [json.dumps(each) for each in there]
    block = "".join(f"\n    - {item}" for item in items)
    text = f"python:\n  packages: [{', '.join(items)}]\n" if in_flow else f"python:\n  packages:{block}\nenv: {{}}\n"
    edited = add(text.encode(), [Addition("python", [new])])
    if edited is not None:
        assert parse(edited, "").data["python"]["packages"] == [*there, new]
