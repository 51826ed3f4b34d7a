"""Excerpts: the line of a mistake and the carets below it, on terminals of several widths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.documents.diagnostics import Location
from solven_env.documents.excerpts import MOST, excerpt, shown
from solven_env.documents.parsing import parse


def drawn(text: str, line: int, column: int, columns: int = 80) -> list[str]:
    found = excerpt({"a.yaml": text}, Location("a.yaml", line, column))
    return [] if found is None else shown(found, columns)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("bum: x", 1, ["  1 | bum: x", "    | ^^^"]),
        ("name: Bad Profile # no", 7, ["  1 | name: Bad Profile # no", "    |       ^^^^^^^^^^^"]),
        ("a: {b c: d}", 5, ["  1 | a: {b c: d}", "    |     ^^^"]),
        ('a: "b: \\"c" # d', 4, ['  1 | a: "b: \\"c" # d', "    |    ^^^^^^^^"]),
        ("a: 'it''s', b", 4, ["  1 | a: 'it''s', b", "    |    ^^^^^^^"]),
        ('a: "never closed', 4, ['  1 | a: "never closed', "    |    ^^^^^^^^^^^^^"]),
        ("a: [b, c]", 4, ["  1 | a: [b, c]", "    |    ^"]),
        ('a: "x {{ b }}"', 7, ['  1 | a: "x {{ b }}"', "    |       ^^^^^^^"]),
        ('a: "x {{ b + c }}"', 10, ['  1 | a: "x {{ b + c }}"', "    |          ^"]),
        ("{% if x %}", 1, ["  1 | {% if x %}", "    | ^^^^^^^^^^"]),
        # at the end of a line, and behind it
        ("ab", 3, ["  1 | ab", "    |   ^"]),
        ("ab", 99, ["  1 | ab", "    |   ^"]),
        ("", 1, ["  1 | ", "    | ^"]),
        # what a terminal gives two columns, none, or an effect
        ("日本: x", 1, ["  1 | 日本: x", "    | ^^^^"]),
        ("日本: x", 5, ["  1 | 日本: x", "    |       ^"]),
        ("e\u0301: x", 3, ["  1 | e\u0301: x", "    |  ^"]),
        ("\ta: b", 1, ["  1 |     a: b", "    | ^^^^^"]),
        ("\ta: b", 2, ["  1 |     a: b", "    |     ^"]),
        ("\x1b[2J: x", 7, ["  1 | \\x1b[2J: x", "    |          ^"]),
        ("a\u202eb: x", 6, ["  1 | a\\u202eb: x", "    |           ^"]),
        ("\ud800: x", 4, ["  1 | \\ud800: x", "    |         ^"]),
    ],
)
def test_carets_stand_below_what_is_marked(text: str, column: int, expected: list[str]) -> None:
    assert drawn(text, 1, column) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "")],
)
def test_lines_end_as_editors_count_them(line: int, expected: str) -> None:
    found = excerpt({"a.yaml": "a\r\nb\rc\nd\n"}, Location("a.yaml", line, 1))
    assert found is not None
    assert found.marked == expected


LONG = f"a: {'word ' * 30}"


@pytest.mark.parametrize(
    ("column", "columns", "expected"),
    [
        (1, 30, ["  1 | a: word word word word…", "    | ^"]),
        (99, 30, ["  1 | …word word word word …", "    |            ^^^^^^^^^^^"]),
        (1, 5, ["  1 | a: word word wo…", "    | ^"]),
    ],
)
def test_a_long_line_is_cut_around_the_place(column: int, columns: int, expected: list[str]) -> None:
    assert drawn(LONG, 1, column, columns) == expected


@pytest.mark.parametrize(
    ("texts", "location"),
    [
        ({"a.yaml": "x"}, Location("a.yaml")),  # the document as a whole
        ({"a.yaml": "x"}, Location("b.yaml", 1, 1)),  # what was not read is not shown
        ({}, Location("/etc/passwd", 1, 1)),
        ({"a.yaml": "a: https://ada:secret@example.com/simple"}, Location("a.yaml", 1, 1)),
        ({"a.yaml": "a: b\u2028c: d"}, Location("a.yaml", 1, 1)),  # readers disagree which line this is
    ],
)
def test_what_has_no_excerpt(texts: dict[str, str], location: Location) -> None:
    assert excerpt(texts, location) is None


@pytest.mark.parametrize(("is_secret", "expected"), [(False, "a"), (True, None)])
def test_the_mistakes_of_a_document_have_one_unless_it_is_secret(is_secret: bool, expected: str | None) -> None:
    (mistake,) = parse(b"a: b\na: c\n", "p.yaml", is_secret=is_secret).diagnostics
    assert (mistake.excerpt.marked if mistake.excerpt else None) == expected


def test_bytes_that_are_no_text_and_a_mark_of_the_byte_order_move_nothing() -> None:
    (mistake,) = parse(b"\xef\xbb\xbfa: \xff b\n", "p.yaml").diagnostics
    assert mistake.excerpt is not None
    assert shown(mistake.excerpt, 80) == ["  1 | a: \ufffd b", "    |    ^^^"]


def test_many_mistakes_in_one_line_keep_little_of_it() -> None:
    document = parse(b"a: {" + b"1: x, " * 5000 + b"}", "p.yaml")
    assert len(document.diagnostics) == 5000
    assert max(len("".join(each.excerpt[1:])) for each in document.diagnostics if each.excerpt) <= 3 * (MOST + 1)


@given(st.text(max_size=300), st.integers(1, 5), st.integers(1, 400), st.integers(1, 120))
def test_an_excerpt_is_two_printable_lines_that_fit(text: str, line: int, column: int, columns: int) -> None:
    lines = drawn(text, line, column, columns)
    assert len(lines) in (0, 2)
    for each in lines:
        assert each.isprintable()
        assert len(each) <= max(columns, 24) or any(ord(char) > 0x2FF for char in each)
    assert not lines or lines[1].strip(" |").strip("^") == ""
