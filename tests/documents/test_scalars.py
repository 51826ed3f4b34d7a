"""Places within scalars of every style: exact, or that of the scalar, never a third one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.documents.diagnostics import Location
from solven_env.documents.parsing import parse
from solven_env.documents.scalars import place_within

MARK = "{{ x }}"


def place(text: str) -> tuple[int, int]:
    """Line and column of the mark in the value of `a`."""
    document = parse(text.encode(), "p.yaml")
    assert document.diagnostics == []
    found = place_within(
        document.texts, document.at_value("a"), document.data["a"], document.data["a"].index(MARK), len(MARK)
    )
    return found[1:]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # the text is the value
        ("a: b {{ x }} c\n", (1, 6)),
        ("'a': b {{ x }} # {{ x }}\n", (1, 8)),
        ("b: 1\na: b {{ x }}\n", (2, 6)),
        ('a: "{{ x }}"\n', (1, 5)),
        ("a: 'b {{ x }} c'\n", (1, 7)),
        ("{a: '{{ x }}', b: c}\n", (1, 6)),
        ('a: "é😀 {{ x }}"\n', (1, 8)),
        ("a: 'b \\ {{ x }}'\n", (1, 9)),
        ('a: "it\'s {{ x }}"\n', (1, 10)),
        ("\ufeffa: '{{ x }}'\n", (1, 5)),
        ("b: c\r\na: '{{ x }}'\r\n", (2, 5)),
        ("a:\n  '{{ x }}'\n", (2, 4)),
        # a block that keeps its lines
        ("a: |\n  {{ x }}\n", (2, 3)),
        ("a: |\n  b\n\n    c {{ x }}\n", (4, 7)),
        ("a: |2-\n    b {{ x }}\n", (2, 7)),
        ("a: |  # {{ x }}\n  b {{ x }}\n", (2, 5)),
        ("a: |\r\n  b\r\n  {{ x }}\r\n", (3, 3)),
        ("a: |+\n\n  {{ x }}\n\n", (3, 3)),
        # folded and escaped: from the first difference on, the beginning of the scalar
        ("a: >\n  b {{ x }}\n", (1, 4)),
        ("a: b\n  {{ x }}\n", (1, 4)),
        ("a: 'b\n  {{ x }}'\n", (1, 4)),
        ('a: "b\n  {{ x }}"\n', (1, 4)),
        ('a: "b\\n{{ x }}"\n', (1, 4)),
        ('a: "\\x41{{ x }}"\n', (1, 4)),
        ('a: "\\\\\\\\{{ x }}"\n', (1, 4)),
        ("a: '''{{ x }}'\n", (1, 4)),
        ("a: 'it''s {{ x }}'\n", (1, 4)),
        ("a: 'b {{ x }} it''s'\n", (1, 7)),
        ("a: 'b {{ x }}\n  c'\n", (1, 7)),
        # what an alias repeats stands elsewhere, behind its anchor
        ("b: &c '{{ x }}'\na: *c\n", (1, 4)),
        ("a: &c '{{ x }}'\n", (1, 4)),
        ("a: !!str '{{ x }}'\n", (1, 4)),
        # lines that Jinja and YAML count in another way
        ("b: 'c\u2028'\na: '{{ x }}'\n", None),
    ],
)
def test_the_place_of_an_expression(text: str, expected: tuple[int, int] | None) -> None:
    document = parse(text.encode(), "p.yaml")
    assert place(text) == (expected or document.at_value("a")[1:])


def test_a_text_that_is_not_known_has_the_place_of_the_scalar() -> None:
    assert place_within({}, Location("p.yaml", 3, 4), "{{ x }}", 0) == Location("p.yaml", 3, 4)
    assert place_within({"p.yaml": "a"}, Location("p.yaml", 3, 4), "{{ x }}", 0) == Location("p.yaml", 3, 4)


BITS = st.lists(st.sampled_from([MARK, "\n", " ", "  ", "'", '"', "''", "\\", "\\n", "\\\\", "b", "é", "#", ": ", ">", "|", "\t"]), max_size=9).map("".join)  # fmt: skip
STYLES = st.sampled_from(
    ["a: {}\n", "a: '{}'\n", 'a: "{}"\n', "a: |\n  {}\n", "a: >\n  {}\n", "a: |2\n   {}\n", "[{{a: '{}'}}]\n"]
)


@given(STYLES, BITS)
def test_no_place_is_wrong(style: str, bits: str) -> None:
    """Where it is not that of the scalar, the mark stands there, and as many of them before it as in the value."""
    text = style.replace("{{", "{").replace("}}", "}").replace("{}", bits.replace("\n", "\n  "))
    document = parse(text.encode(), "p.yaml")
    value = document.data.get("a")
    if not isinstance(value, str) or MARK not in value or document.diagnostics:
        return
    start, position = document.at_value("a"), -1
    for number in range(value.count(MARK)):
        position = value.index(MARK, position + 1)
        found = place_within(document.texts, start, value, position, len(MARK))
        if found == start:
            continue
        lines = text.split("\n")
        assert lines[found.line - 1][found.column - 1 :].startswith(MARK)
        before = "\n".join([*lines[: found.line - 1], lines[found.line - 1][: found.column - 1]])
        head = "\n".join([*lines[: start.line - 1], lines[start.line - 1][: start.column - 1]])
        assert before[len(head) :].count(MARK) == number
