"""Blocks between marked lines: ours are replaced, added and taken out, and the agent's lines stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.reconcile.merging import block

MARKS = block.marks(".bashrc")
BEGIN, END = b"# >>> solven-env >>>\n", b"# <<< solven-env <<<\n"
LINES = st.lists(st.sampled_from([b"mine", b"", b"# a comment", b"\xff", b" >>> solven-env >>>"]), max_size=4)
FILES = LINES.map(lambda lines: b"".join(line + b"\n" for line in lines))
OURS = st.lists(st.sampled_from([b"ours", b"", b"more"]), max_size=3).map(
    lambda lines: b"".join(b"%s\n" % line for line in lines)
)


@pytest.mark.parametrize(
    ("path", "begin", "end"),
    [
        (".bashrc", "# >>> solven-env >>>", "# <<< solven-env <<<"),
        ("Makefile", "# >>> solven-env >>>", "# <<< solven-env <<<"),
        ("src/Main.JAVA", "// >>> solven-env >>>", "// <<< solven-env <<<"),
        (".vimrc", '" >>> solven-env >>>', '" <<< solven-env <<<'),
        ("README.md", "<!-- >>> solven-env >>> -->", "<!-- <<< solven-env <<< -->"),
    ],
)
def test_the_marks_are_comments_of_the_file(path: str, begin: str, end: str) -> None:
    assert block.marks(path) == (begin.encode(), end.encode())


@given(before=FILES, after=FILES, old=OURS, new=OURS)
def test_a_block_is_put_replaced_and_taken_out(before: bytes, after: bytes, old: bytes, new: bytes) -> None:
    observed = before + BEGIN + old + END + after
    assert block.inside(observed, MARKS) == old
    assert block.put(observed, new, MARKS) == before + BEGIN + new + END + after
    assert block.put(observed, old, MARKS) == observed
    assert block.put(observed, None, MARKS) == (before + after or None)
    assert block.inside(before, MARKS) is None
    added = block.put(before, new, MARKS)
    assert added == before + BEGIN + new + END
    assert block.put(added, None, MARKS) == (before or None)


@pytest.mark.parametrize(
    ("observed", "wanted", "found"),
    [
        (b"", b"ours\n", BEGIN + b"ours\n" + END),
        (b"mine", b"ours", b"mine\n" + BEGIN + b"ours\n" + END),
        (b"mine\n" + BEGIN + b"old\n" + END[:-1], b"ours\n", b"mine\n" + BEGIN + b"ours\n" + END),
        (b"mine\r\n", b"ours\n", b"mine\r\n# >>> solven-env >>>\r\nours\r\n# <<< solven-env <<<\r\n"),
        (b"mine\r\n# >>> solven-env >>>\r\nold\r\n# <<< solven-env <<<\r\n", None, b"mine\r\n"),
        (b"  # >>> solven-env >>>  \nold\n" + END + b"mine", b"ours\n", BEGIN + b"ours\n" + END + b"mine"),
        (BEGIN + b"old\n" + END, None, None),
        (BEGIN + b"old\n" + END[:-1], None, None),
        (b"mine", None, b"mine"),
    ],
    ids=[
        "empty",
        "no last end",
        "block without a last end",
        "Windows",
        "Windows, taken out",
        "spaces",
        "alone",
        "alone, no end",
        "none",
    ],
)
def test_ends_of_lines(observed: bytes, wanted: bytes | None, found: bytes | None) -> None:
    assert block.put(observed, wanted, MARKS) == found
    if found is not None and wanted is not None:
        assert block.inside(found, MARKS) == block.content(wanted)
        assert block.put(found, wanted, MARKS) == found


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (BEGIN, "'# <<< solven-env <<<' is missing"),
        (b"x\n" + END, "'# >>> solven-env >>>' is missing"),
        (BEGIN + BEGIN + END, "'# >>> solven-env >>>' stands there 2 times"),
        (BEGIN + END + BEGIN + END, "'# >>> solven-env >>>' stands there 2 times"),
        (END + BEGIN, "stands before"),
        (b"a\0b\n", "it is no text"),
    ],
)
def test_damaged_marks_are_told_and_nothing_is_guessed(observed: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("<", "[<]")):
        block.inside(observed, MARKS)
    with pytest.raises(ValueError, match=words.replace("<", "[<]")):
        block.put(observed, b"ours\n", MARKS)
