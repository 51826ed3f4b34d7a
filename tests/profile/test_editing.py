"""Packages added to a profile's text: all else stays as it was written."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solven_env.documents.parsing import parse
from solven_env.profile.editing import Addition, Rewording, add, change

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


CHANGES = [
    ("python: {packages: [six, a]} # all\n", {0: None}, "python: {packages: [a]} # all\n"),
    ("python: {packages: [six, a]}\n", {1: None}, "python: {packages: [six]}\n"),
    ("python: {packages: [six, a, b, c]}\n", {0: None, 2: None}, "python: {packages: [a, c]}\n"),
    ("python: {packages: [six, a, b, c]}\n", {2: None, 3: None}, "python: {packages: [six, a]}\n"),
    ("python: {packages: [six, a]}\n", {0: None, 1: None}, "python: {packages: []}\n"),
    ("python: {packages: ['six', \"a\", b]}\n", {0: "x>1", 1: "y", 2: "1"}, "python: {packages: ['x>1', \"y\", \"1\"]}\n"),
    (
        "python:\n  packages:\n    # PDF\n    - six # old\n    - a>1 # kept\n    # end\nenv: {}\n",
        {0: None, 1: "a>2"},
        "python:\n  packages:\n    # PDF\n    - a>2 # kept\n    # end\nenv: {}\n",
    ),
    (
        "python:\r\n  packages: # all\r\n  - six\r\n  # of six\r\nenv: {}\r\n",
        {0: None},
        "python:\r\n  packages: [] # all\r\n  # of six\r\nenv: {}\r\n",
    ),
    ("python:\n  packages:\n  - six\n  - a", {1: None}, "python:\n  packages:\n  - six\n"),
    (
        "python:\n  packages: [\n    six, # a\n    a, # b\n    b # c\n  ]\n",
        {1: None},
        "python:\n  packages: [\n    six, # a\n    b # c\n  ]\n",
    ),
    (
        "python:\n  packages: [\n    six, # a\n    a, # b\n    b # c\n  ]\n",
        {1: None, 2: None},
        "python:\n  packages: [\n    six # a\n  ]\n",
    ),
    ("python:\n  packages: [\n    six,\n    a,\n  ]\n", {1: None}, "python:\n  packages: [\n    six,\n  ]\n"),
    ("python:\n  packages: [six,\n    a]\n", {1: None}, "python:\n  packages: [six]\n"),
    ("python:\n  packages: [six, # a\n    a] # b\n", {1: None}, "python:\n  packages: [six # a\n    ] # b\n"),
    (
        "python:\n  packages: [six, a, # b\n    # of b\n    b]\n",
        {0: None, 1: None},
        "python:\n  packages: [\n    # of b\n    b]\n",
    ),
    (
        "python:\n  packages: [six, a,\n    # of b\n    b]\n",
        {1: None, 2: None},
        "python:\n  packages: [six\n    # of b\n    ]\n",
    ),
    (
        "python:\n  packages: [\n    # PDF\n    six, # a\n    # end\n  ]\n",
        {0: None},
        "python:\n  packages: [\n    # PDF\n    # end\n  ]\n",
    ),
    ("python:\n  packages: [\n    six, # a\n    a # b\n  ]\n", {0: None, 1: None}, "python:\n  packages: []\n"),
    ("bun: {packages: {docx: ^8, ms: ^2}}\n", {"docx": None}, "bun: {packages: {ms: ^2}}\n"),
    ("bun: {packages: {docx: ^8, ms: ^2}}\n", {"docx": "^9", "ms": None}, "bun: {packages: {docx: ^9}}\n"),
    ('bun:\n  packages:\n    docx: "^8" # w\n    ms: ^2\n', {"docx": ">=1 <2"}, 'bun:\n  packages:\n    docx: ">=1 <2" # w\n    ms: ^2\n'),
    ("bun:\n  packages:\n    docx: ^8 # w\n\nenv: {}\n", {"docx": None}, "bun:\n  packages: {}\n\nenv: {}\n"),
    ('{"bun": {"packages": {\n  "a": "^1",\n  "b": "^2"\n}}}\n', {"b": None}, '{"bun": {"packages": {\n  "a": "^1"\n}}}\n'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "words", "after"), CHANGES)
def test_packages_are_replaced_and_removed_and_nothing_else_changes(
    before: str, words: dict[int | str, str | None], after: str
) -> None:
    section = "bun" if any(isinstance(key, str) for key in words) else "python"
    assert change(before.encode(), [Rewording(section, words)]) == after.encode()
    assert change(b"\xef\xbb\xbf" + before.encode(), [Rewording(section, words)]) == b"\xef\xbb\xbf" + after.encode()


@pytest.mark.parametrize(
    "before",
    [
        "a: &a [six]\npython: {packages: *a}\n",
        "a: &a six\npython: {packages: [*a, b]}\n",
        "python:\n  packages:\n  - |\n    six\n  - a\n",
    ],
)
@pytest.mark.parametrize("words", [None, "x"])
def test_what_cannot_be_changed_is_left_alone(before: str, words: str | None) -> None:
    assert change(before.encode(), [Rewording("python", {0: words})]) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5),
    st.sampled_from([", ", ",\n    ", ", # c\n    "]),
    st.booleans(),
    st.data(),
)
def test_any_package_is_removed_and_put_back(there: list[str], comma: str, in_flow: bool, data: st.DataObject) -> None:
    import json

    items = [json.dumps(each) for each in there]
    flow = f"[\n    {comma.join(items)}\n  ]" if "\n" in comma else f"[{comma.join(items)}]"
    block = "".join(f"\n    - {item} # c" for item in items)
    text = f"python:\n  packages: {flow}\n" if in_flow else f"python:\n  packages:{block}\nenv: {{}}\n"
    if parse(text.encode(), "").diagnostics:
        return
    dropped = data.draw(st.sets(st.integers(0, len(there) - 1), min_size=1))
    edited = change(text.encode(), [Rewording("python", dict.fromkeys(dropped))])
    assert edited is not None
    assert parse(edited, "").data["python"]["packages"] == [
        each for number, each in enumerate(there) if number not in dropped
    ]
