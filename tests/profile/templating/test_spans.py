"""Places of expressions and statements within texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.profile.templating.spans import column, expressions, in_template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("plain", []),
        ("a {{ b }} c", ["{{ b }}"]),
        ("{{ b }}{{ c }}", ["{{ b }}", "{{ c }}"]),
        ("{{ '}}' }}{{ c }}", ["{{ '}}' }}", "{{ c }}"]),
        ("{{ {'a': {'b': 1}} }} x", ["{{ {'a': {'b': 1}} }}"]),
        ("{{- b -}} x", ["{{- b -}}"]),
        ("{{ b", ["{{ b"]),
        ("a\n{{ b\n}}", ["{{ b\n}}"]),
        ("${#name} {%x{{ b }}", ["{{ b }}"]),
        ("{# {{ b }} #}", ["{{ b }}"]),
    ],
)
def test_expressions_of_a_text(text: str, expected: list[str]) -> None:
    assert [text[span.begin : span.end] for span in expressions(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% if a %}{{ b }}{% endif %}", ["{% if a %}", "{{ b }}", "{% endif %}"]),
        ("{# {{ b }} #}{{ c }}", ["{{ c }}"]),
        ("{# {{ b }}", []),
        ("{% raw %}{{ b }}{%- endraw %}{{ c }}", ["{{ c }}"]),
    ],
)
def test_expressions_and_statements_of_a_template(text: str, expected: list[str]) -> None:
    assert [text[span.begin : span.end] for span in in_template(text)] == expected


@pytest.mark.parametrize(
    ("text", "names", "fields"),
    [
        ("{{ a + b }}", ["a", "b"], []),
        ("{{ a.b.c | d(e=f) }}", ["a", "f"], ["b", "c"]),
        ("{{ 'a' ~ \"b\" ~ c }}", ["c"], []),
        ("{{ a == b }}", ["a", "b"], []),
    ],
)
def test_names_and_fields(text: str, names: list[str], fields: list[str]) -> None:
    (span,) = expressions(text)
    assert ([name for name, _ in span.names], [name for name, _ in span.fields]) == (names, fields)
    assert all(text[offset:].startswith(name) for name, offset in (*span.names, *span.fields))


@pytest.mark.parametrize(
    ("text", "line", "name", "is_field", "expected"),
    [
        ("x {{ thred }}", 1, "thred", False, 6),
        ("x\r\n {{ thred }}", 2, "thred", False, 5),
        ("{{ a.b }}", 1, "b", True, 6),
        ("{{ a['b'] }}", 1, "b", True, 1),
        ("  {% if thred %}x{% endif %}", 1, "thred", False, 9),
        ("{{ a }}{{ a }}", 1, "a", False, 1),  # which of them, nobody can say
        ("x {{ a / 0 }} y", 1, "", False, 3),
        ("{{ a }} {{ b / 0 }}", 1, "", False, 1),
        ("{{ a\n + thred }}", 2, "thred", False, 4),
        ("{{ a\n + 1 / 0 }}", 2, "", False, 1),
        ("x", 9, "", False, 1),
    ],
)
def test_the_column_of_a_mistake(text: str, line: int, name: str, is_field: bool, expected: int) -> None:
    assert column(text, line, name, is_field=is_field) == expected


@given(
    st.lists(
        st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "a", ".", "|", "'", '"', "\n", "raw", " ", "(", ")"])
    ).map("".join)
)
def test_every_text_has_spans_in_their_order(text: str) -> None:
    for spans in (expressions(text), in_template(text)):
        offsets = [offset for span in spans for offset in (span.begin, span.end)]
        assert offsets == sorted(offsets)
        assert not offsets or offsets[-1] <= len(text)


@pytest.mark.parametrize(
    "text", ["{{ " + "'\\" * 100_000, "{{ '" * 60_000, "{%" * 100_000, "{{ (" * 60_000, "{# " * 80_000]
)
def test_a_hostile_text_is_read_once(text: str) -> None:
    """A scan that is quadratic would take minutes here."""
    assert len(expressions(text)) + len(in_template(text)) >= 0
    assert column(text, 1, "x", is_field=False) >= 1
