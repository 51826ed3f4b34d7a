"""Questions that are selected by name, and what they need."""

from __future__ import annotations

import pytest

from solven_env.doctor.questions import needed
from solven_env.documents.answers import Question, ok

ASKED: list[Question[None]] = [
    Question(name, lambda _: ok("asked"), needs) for name, needs in (("a", ()), ("b", ("a", "x")), ("c", ("b",)))
]


@pytest.mark.parametrize(
    ("names", "found"), [(["a"], "a"), (["b"], "ab"), (["c"], "abc"), (["c", "a"], "abc"), (["x"], ""), ([], "")]
)
def test_what_is_needed_is_asked_too(names: list[str], found: str) -> None:
    assert needed(names, ASKED) == set(found)
