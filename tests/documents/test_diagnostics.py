"""Located messages: their text, their JSON, their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.documents.diagnostics import Diagnostic, Location, did_you_mean, ordered, quoted
from solven_env.errors import printable


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (Location("a.yaml", 3, 14), "a.yaml:3:14: SE101 m. f."),
        (Location("a.yaml"), "a.yaml: SE101 m. f."),
        (Location("a\n\x1b.yaml", 1, 1), "a\\n\\x1b.yaml:1:1: SE101 m. f."),
        (Location("é😀.yaml", 1, 1), "é😀.yaml:1:1: SE101 m. f."),
    ],
)
def test_the_text_of_a_diagnostic(location: Location, expected: str) -> None:
    assert str(Diagnostic("SE101", location, "m", "f.")) == expected


def test_the_json_of_a_diagnostic() -> None:
    diagnostic = Diagnostic("SE101", Location("a.yaml", 3, 14), "what\n", "How\x00.")
    assert diagnostic.to_json() == {
        "code": "SE101",
        "file": "a.yaml",
        "line": 3,
        "column": 14,
        "message": "what\\n",
        "fix": "How\\x00.",
    }


def test_diagnostics_are_in_the_documents_order_each_once() -> None:
    late, early, first = (
        Diagnostic("SE101", Location("a", line, column), "m", "f.") for line, column in [(10, 1), (2, 9), (0, 0)]
    )
    assert ordered([late, early, first, late]) == (first, early, late)


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("evn", ["env", "name"], "Did you mean 'env'?"),
        ("zzz", ["name", "env"], "Known here: env, name."),
        ("zzz", [], "Nothing is known here; remove it."),
    ],
)
def test_did_you_mean(word: str, known: list[str], expected: str) -> None:
    assert did_you_mean(word, known) == expected


def test_a_long_value_is_cut() -> None:
    assert quoted("x" * 60) == f"'{'x' * 60}'"
    assert quoted("x" * 61) == f"'{'x' * 59}…'"


@given(st.text(st.characters(codec=None)))
def test_a_message_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
    assert str(Diagnostic("SE101", Location(text, 1, 1), text, text)).isprintable()
    assert len(quoted(text).splitlines()) == 1
