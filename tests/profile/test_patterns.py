"""Patterns: they say what `re` says, and no pattern and no text makes them slow."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.profile.patterns import MAX_PATTERN, MAX_PLACES, MAX_VALUE, Pattern, PatternError

LONG = "a" * (MAX_VALUE - 1)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*a){20}",
        "(a*)*" * 20 + "b",
        "a*" * 100 + "b",
        "(" * 20 + "a*" + ")*" * 20 + "b",
        f"(a?){{{MAX_PLACES - 1}}}",
        f"[a-z]{{0,{MAX_PLACES - 1}}}b?",
        r"(\w+\s?)*!",
    ],
)
def test_no_pattern_is_slow(pattern: str) -> None:
    begun = time.monotonic()
    Pattern(pattern).matches(f"{LONG}!")
    Pattern(pattern).matches("".join(map(chr, range(0x4E00, 0x4E00 + MAX_VALUE))))
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a{256}){256}", "has over 256 places, its repetitions written out"),
        ("((){999}){999}", "has over 256 places, its repetitions written out"),
        ("(((a{0}){999}){999}){999}", "has over 256 places, its repetitions written out"),
        ("[a-z]{999}", "has over 256 places, its repetitions written out"),
        ("a" * (MAX_PATTERN + 1), "has more than 250 characters"),
        ("(" * 21 + ")" * 21, "nests more than 20 groups"),
        (r"(a)\1", r"has \1, which cannot stand there"),
        ("(?=a)", "has a '(?', of which '(?:' alone may be used"),
        ("(?i)a", "has a '(?', of which '(?:' alone may be used"),
        ("(?P<x>a)", "has a '(?', of which '(?:' alone may be used"),
        ("(?#)", "has a '(?', of which '(?:' alone may be used"),
        ("a*+", "has *+, which repeats a repetition"),
        ("a*?", "has *?, which repeats a repetition"),
        ("a**", "has **, which repeats a repetition"),
        ("*a", "has *a, which cannot stand there"),
        ("(*a)", "has *a), which cannot stand there"),
        ("a{", "has {, which cannot stand there"),
        ("a{}", "has {}, which is no number of times"),
        ("a{,}", "has {,}, which is no number of times"),
        ("a{3,2}", "has {3,2}, which is no number of times"),
        ("a{1000}", "has {10…, which cannot stand there"),
        ("a)", "has a ')' too many"),
        ("(a", "lacks a ')'"),
        ("[a", "has [a, which cannot stand there"),
        ("[]", "has [], which cannot stand there"),
        ("[z-a]", "has [z-a], which is no set of characters: bad character range z-a"),
        ("[^]", "has [^], which is no set of characters: unterminated character set"),
        ("[[a]]", "has [[a…, which cannot stand there"),
        ("[a--b]", r"has two signs that follow each other in [a--b]: write a '\' before each"),
        (r"\bx", r"has \bx, which cannot stand there"),
        (r"\Z", r"has \Z, which cannot stand there"),
        (r"\N{DIGIT ONE}", r"has \N{…, which cannot stand there"),
        ("a^b", "has ^b, which cannot stand there"),
        ("a$b", "has $b, which cannot stand there"),
        ("\\", "has \\, which cannot stand there"),
    ],
)  # fmt: skip
def test_what_is_no_pattern(pattern: str, problem: str) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("[A-Z]+-[0-9]+", ["A-1", "ABC-123"], ["", "A-", "a-1", "A-1 ", "A-1\n", " A-1", "A-1A-1"]),
        ("^[A-Z]+$", ["A"], ["", "a", "A\n", "^A$"]),
        (r"a\$", ["a$"], ["a", "a\\"]),
        (r"a\\$", ["a\\"], ["a", "a\\$"]),
        ("a|b|", ["a", "b", ""], ["ab", "|"]),
        ("(a|b){2,3}", ["ab", "bbb"], ["a", "abab"]),
        ("a{2}b{,2}c{1,}", ["aac", "aabbccc"], ["ac", "aabbbc", "aab"]),
        ("a{0}", [""], ["a"]),
        (r"\d\w\s", ["1_ "], ["\u0661_ ", "1\u00e9 "]),
        (".", ["x", "\u00e9", "\U0001f600"], ["\n", "", "xx"]),
        (r"[\d\-\]]+", ["1-]"], ["\\"]),
        ("\u00e9+", ["\u00e9\u00e9"], ["e"]),
        ("", [""], ["a"]),
    ],
)
def test_what_a_pattern_says(pattern: str, fits: list[str], others: list[str]) -> None:
    made = Pattern(pattern)
    assert [text for text in fits if not made.matches(text)] == []
    assert [text for text in others if made.matches(text)] == []


def test_a_text_that_is_too_long_is_none() -> None:
    assert Pattern("a*").matches("a" * MAX_VALUE)
    assert not Pattern("a*").matches("a" * (MAX_VALUE + 1))


_PARTS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\W", r"\.", "1", r"\x61"]),
    lambda inside: st.one_of(
        st.tuples(inside, inside).map("".join),
        st.tuples(inside, inside).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inside, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{,2}", "{1,}"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@given(_PARTS, st.lists(st.text("ab1.!\n", max_size=7), max_size=5))
def test_a_pattern_says_what_re_says(pattern: str, texts: list[str]) -> None:
    made, oracle = Pattern(pattern), re.compile(pattern, re.ASCII)
    assert [made.matches(text) for text in texts] == [oracle.fullmatch(text) is not None for text in texts]


@given(st.text("ab()[]{}|*+?^$\\.,-12:", max_size=12))
def test_what_is_a_pattern_is_one_for_re(pattern: str) -> None:
    try:
        made = Pattern(pattern)
    except PatternError:
        return
    oracle = re.compile(pattern, re.ASCII)
    for text in ("", "a", "b", "ab", "aab", "1", "a1", "$", "^", "-", "\\", "a\n"):
        assert made.matches(text) == (oracle.fullmatch(text) is not None), text
