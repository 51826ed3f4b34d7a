"""Plain data as YAML that reads as the same data."""

from hypothesis import given
from hypothesis import strategies as st

from solven_env.documents.parsing import parse
from solven_env.documents.writing import text

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.sampled_from(["3.10", "0755", "true", "~", "yes", "{{ a }}", "a: b", "- a", " a", "a\n", "a\nb\n\n", "#", "2024-01-01", "a\n  b"]),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(-(10**9), 10**9), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_it_reads_as_what_was_written(data: dict[str, object]) -> None:
    written = text(data)
    document = parse(written.encode(), "p.yaml")
    assert (document.diagnostics, document.data) == ([], data), written


def test_a_text_of_several_lines_stays_readable() -> None:
    assert text({"a": "x\ny\n", "b": "1"}) == 'a: |\n  x\n  y\nb: "1"\n'


def test_nothing_that_a_terminal_obeys_is_left() -> None:
    data = {"\u202ea": "\u202e", "b": "\u2066x\ny\n", "c": ["\U000e0041", "\x1b[31m", "\u200b\\", "é 漢"]}
    written = text(data)
    assert written.replace("\n", "").isprintable()
    assert parse(written.encode(), "p.yaml").data == data
