"""YAML text to data with positions: what is read, and where each mistake of syntax is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.documents import parsing, syntax
from solven_env.documents.document import KeyPath, Scalar, path_text
from solven_env.documents.parsing import parse
from tests.checking import uncoded


def mistakes(text: str | bytes) -> list[str]:
    document = parse(text if isinstance(text, bytes) else text.encode(), "p.yaml")
    return [uncoded(each).removeprefix("p.yaml:") for each in document.diagnostics]


def data(text: str | bytes) -> object:
    document = parse(text if isinstance(text, bytes) else text.encode(), "p.yaml")
    assert document.diagnostics == []
    return document.data


TAB = "a tab stands where only spaces may. Write spaces instead."
INDENTATION = "the indentation fits no line above. Indent the line as its neighbours are."
COLON = "a ': ' may not stand here. Quote a value that holds ': ', or indent less."
BARE = "text that begins with '{{' must stand in quotes. Quote it whole."
CONTROL = "may not stand in YAML. Remove it, or write it as an escape in double quotes."
DEEP = "this is nested more than 50 levels deep. Nest it less."
MANY = "the document has more than 20000 values, aliases counted where they are used. Make it smaller."
NUL = "the text holds the character U+0000. Remove it: no program can take it."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b \t\nc: d\t\n", {"a": "b", "c": "d"}),
        ("a: 'b'\t# e\nc:\t\n  d: e\t \t# f\t\n", {"a": "b", "c": {"d": "e"}}),
        ("\t\na: b\n\t# c\n \t \nc: d", {"a": "b", "c": "d"}),
        ("a:\n- b\t\n- [c\t, d\t]\t\n", {"a": ["b", ["c", "d"]]}),
        ("a: b\t\n  c\nd: e\t", {"a": "b c", "d": "e"}),
        ("a: 'b'\t\r\nc: &d\t\r\n  e: f\r\n", {"a": "b", "c": {"e": "f"}}),
        ("---\t\na: b#c\t#d\n...\t\n", {"a": "b#c"}),
        ("? a\t\n: b\n", {"a": "b"}),
        # the header of a block
        ("a: |\t\n  b\nc: >-\t# d\n  e\nf: |+2 \t\n   g\n\n", {"a": "b\n", "c": "e", "f": " g\n\n"}),
        ("a: |2-\t\n   b\n\t\nc: d\n", {"a": " b", "c": "d"}),
        # of a text they are part
        ("a: |\n  b\t\n  \tc\n", {"a": "b\t\n\tc\n"}),
        ("a: 'b\t'\n", {"a": "b\t"}),
    ],
)
def test_tabs_that_separate_nothing(text: str, expected: object) -> None:
    """YAML 1.2.2, 6.2 and 6.6: at the end of a line, before a comment, and on a blank line."""
    assert data(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # tabs, at the tab
        ("\ta: b\n", "1:1: " + TAB),
        ("a:\n\tb: c\n", "2:1: " + TAB),
        ("a:\n  b: c\n\td: e\n", "3:1: " + TAB),
        ("a:\n  b: c\n  \td: e\n", "3:3: " + TAB),
        ("a:\tb\n", "1:3: " + TAB),
        ("a:\n  -\tb\n", "2:4: " + TAB),
        ("a: b\tc\n", "1:5: " + TAB),
        (
            "a: |x\t\n  b\n",
            "1:5: this is not YAML: expected chomping or indentation indicators, but found 'x' "
            "while scanning a block scalar. Fix the syntax here.",
        ),
        # what is not closed, where it begins
        ("a: {b: c\n\n", "1:4: the '{' is never closed. Close it with '}'."),
        ("a:\n- [b\n", "2:3: the '[' is never closed. Close it with ']'."),
        ("a: {b: c,\n", "1:4: the '{' is never closed. Close it with '}'."),
        ("a: {b: [c], d: [e, {f:\n", "1:20: the '{' is never closed. Close it with '}'."),
        ("a: [\n", "1:4: the '[' is never closed. Close it with ']'."),
        ('a: "b\n', "1:4: the quote is never closed. Close it."),
        ("a: 'b\nc: d\n", "1:4: the quote is never closed. Close it."),
        # indentation
        ("a:\n    b: c\n  d: e\n", "3:3: " + INDENTATION),
        ("a: b\n c: d\n", "2:3: " + COLON),
        ("a: b: c\n", "1:5: " + COLON),
        # values that need quotes
        ("a: @b\n", "1:4: a value cannot begin with '@'. Quote the value."),
        ("a: %b\n", "1:4: a value cannot begin with '%'. Quote the value."),
        ("a: `b`\n", "1:4: a value cannot begin with '`'. Quote the value."),
        (
            "a: - b\n",
            "1:4: a list may not begin behind a key. Begin it on the next line, or write [a, b]; quote a text.",
        ),
        (
            'a: "\\d+"\n',
            "1:6: in double quotes, '\\d' is no escape. Put the text in single quotes, or write each '\\' twice.",
        ),
        ("a: [b, , c]\n", "1:8: ',' stands in the place of a value. Remove it, or quote the value."),
        ("a: *b\n", "1:4: there is no anchor 'b'. Quote a value that begins with '*'."),
        ('a: "b" c\n', "1:8: this stands behind the end of a value. Quote the whole value."),
        (
            "a: {b: 'it's'}\n",
            "1:12: a ',' or '}' is missing here. Write it, or quote text that holds quotes or commas.",
        ),
        ("a: b\nc\n", "2:1: the line has no ':'. Write 'key: value'."),
        ("a: {{ b }}\n", "1:4: " + BARE),
        ("a: {{ b }}/c\n", "1:4: " + BARE),
        ("a:\n- {{ b }}\n", "2:3: " + BARE),
        ("{{ a }}: b\n", "1:1: " + BARE),
        # one document, with a mapping
        ("a: b\n---\nc: d\n", "2:1: a second document begins here. Keep one document in a file."),
        ("a: b\n...\nc: d\n", "3:1: a second document begins here. Keep one document in a file."),
        ("%YAML 2.0\n---\na: b\n", "1:1: this is another version of YAML. Remove the line that begins with '%YAML'."),
        ("- a\n", "1:1: the document is a list, not a mapping. Write 'key: value' lines."),
        ("# x\n  a\n", "2:3: the document is text, not a mapping. Write 'key: value' lines."),
        ("3.10\n", "1:1: the document is 3.10, not a mapping. Write 'key: value' lines."),
        # keys
        ("a: b\na: c\n", "2:1: 'a' stands here twice. Keep one of the two."),
        ("a: {b: c, d: e, 'b': f}\n", "1:17: 'b' stands here twice. Keep one of the two."),
        ("a:\n  b: c\n  b: d\n", "3:3: 'b' stands here twice. Keep one of the two."),
        ("1: a\n", '1:1: the key 1 is not text. Quote it: "1".'),
        ("a: {true: b}\n", '1:5: the key true is not text. Quote it: "true".'),
        ("2024-01-01: a\n", '1:1: the key 2024-01-01 is not text. Quote it: "2024-01-01".'),
        ("null: a\n", '1:1: the key null is not text. Quote it: "null".'),
        ("? [a]\n: b\n", "1:3: the key is a list, not text. Write a name before the colon."),
        ("? {a: b}\n: c\n", "1:3: the key is a mapping, not text. Write a name before the colon."),
        ("a: &x {b: c}\nd:\n  <<: *x\n", "3:3: merge keys ('<<') are not supported. Write the keys out."),
        ('"\\0": a\n', "1:1: " + NUL),
        # tags, at the tag
        ("a: !foo b\n", "1:4: the tag '!foo' is not supported. Remove it."),
        ('a: !!int "5"\n', "1:4: the tag '!!int' is not supported. Remove it."),
        ("a: !!set {b, c}\n", "1:4: the tag '!!set' is not supported. Remove it."),
        ("a: !!omap [b: c]\n", "1:4: the tag '!!omap' is not supported. Remove it."),
        ("a: !!binary aGk=\n", "1:4: the tag '!!binary' is not supported. Remove it."),
        (
            'a: !!python/object/apply:os.system ["true"]\n',
            "1:4: the tag '!!python/object/apply:os.system' is not supported. Remove it.",
        ),
        ("!foo a: b\n", "1:1: the tag '!foo' is not supported. Remove it."),
        # characters
        ('a: "b\0"\n', "1:6: the character U+0000 may not stand in YAML. Remove it."),
        ('a: b\nc: "\x07"\n', "2:5: the character U+0007 " + CONTROL),
        ("a: \x7f\n", "1:4: the character U+007F " + CONTROL),
        ("a: b\r\nc: \x1b[31m\r\n", "2:4: the character U+001B " + CONTROL),
        ('a: "b\x85c"\n', "1:6: the character U+0085 " + CONTROL),
        ('a: "b\\0"\n', "1:4: " + NUL),
        ('a: "\\ud800"\n', "1:4: the text holds half a surrogate pair. Write the whole character."),
        ('a: "\\udc00\\ud800"\n', "1:4: the text holds half a surrogate pair. Write the whole character."),
        # bytes
        (b"a: b\nc: \xff\n", "2:4: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        (b'a: "\xc3\xa9\xff"\n', "1:6: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        (b"\xef\xbb\xbfa: \xff\n", "1:4: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        (b"a: b\r\nc: d\re: \xff\n", "3:4: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        (b"a: \xed\xa0\x80\n", "1:4: the byte 0xed is not UTF-8. Save the file as UTF-8."),
        ("a: b\n".encode("utf-16"), "1:1: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        # size and depth
        ("a: " + "[" * 60 + "]" * 60, "1:54: " + DEEP),
        pytest.param("a: " + "[" * 100_000, "1:54: " + DEEP, id="100,000 brackets"),
        ("a: &x [*x]\n", "1:4: " + DEEP),
        ("a: &x {b: *x}\n", "1:4: " + DEEP),
    ],
)
def test_a_mistake_of_syntax_is_where_it_stands(text: str | bytes, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_a_document_that_is_too_large_is_not_read() -> None:
    text = "a: " + "x" * parsing.MAX_BYTES
    assert mistakes(text) == [" the document has more than 1048576 bytes. Make it smaller."]


def test_the_expansion_of_aliases_is_bounded() -> None:
    lines = ["a0: &a0 x"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    (only,) = mistakes("\n".join(lines))
    assert only.endswith(MANY)


def test_the_number_of_values_is_bounded() -> None:
    (only,) = mistakes("a:\n" + "- b\n" * (syntax.MAX_NODES + 1))
    assert only == f"{syntax.MAX_NODES}:3: {MANY}"


def test_mistakes_that_do_not_end_the_reading_are_all_told() -> None:
    text = 'a: b\na: c\n1: d\ne: !f g\nh: "\\0"\n'
    assert mistakes(text) == [
        "2:1: 'a' stands here twice. Keep one of the two.",
        '3:1: the key 1 is not text. Quote it: "1".',
        "4:4: the tag '!f' is not supported. Remove it.",
        "5:4: " + NUL,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("~\n", {}),
        ("{}", {}),
        ("\ufeff", {}),
        ("---\na: b\n...\n", {"a": "b"}),
        ("\ufeffa: b\n", {"a": "b"}),
        ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
        ("a: b\rc: d\r", {"a": "b", "c": "d"}),
        # YAML 1.2 reads these as text
        (
            "a: [yes, no, on, off, y, n, 12:30:45, 1.0.0, '', 3.x]",
            {"a": "yes no on off y n 12:30:45 1.0.0  3.x".split(" ")},
        ),
        ("a: [true, False, 'true']", {"a": [True, False, "true"]}),
        ("a: [1, -1, 0, '1']", {"a": [1, -1, 0, "1"]}),
        # no use as what YAML takes them for
        (
            "a: [3.10, 0755, 0o755, 0x1F, 1_000, +1, .inf, 1e3]",
            {"a": [*map(Scalar, "3.10 0755 0o755 0x1F 1_000 +1 .inf 1e3".split())]},
        ),
        ("a: [2024-01-01, =, <<]", {"a": [Scalar("2024-01-01"), Scalar("="), Scalar("<<")]}),
        ("a: [~, null, ]\nb:\n", {"a": [None, None], "b": None}),
        # YAML 1.1 takes 'yes' for a boolean, octal and sexagesimal for numbers: never silently
        ("%YAML 1.1\n---\na: [yes, 0755, 12:30:45]\n", {"a": [Scalar("yes"), Scalar("0755"), Scalar("12:30:45")]}),
        ("a: &x b\nc: *x\nd: &x e\nf: *x\n", {"a": "b", "c": "b", "d": "e", "f": "e"}),
        ("a: !!str 3.10\n", {"a": "3.10"}),
        ('a: "\\ud83d\\ude00 \\U0001F600 😀"\n', {"a": "😀 😀 😀"}),
        ('a: "\\r\\n\\t\\e\\x07"\n', {"a": "\r\n\t\x1b\x07"}),
        ("a: |\n  b\n\n  c\nd: >-\n  e\n  f\n", {"a": "b\n\nc\n", "d": "e f"}),
        ("a: 'b\u2028c'\n", {"a": "b\u2028c"}),
    ],
)
def test_a_document_is_read_as_plain_data(text: str, expected: object) -> None:
    assert data(text) == expected


def test_everything_has_a_place() -> None:
    document = parse(b"a: {'b': \"c\"}\nd:\n  - e\n  -\n  - f:\ng:\n", "p.yaml")
    places = {path_text(path): f"{where.line}:{where.column}" for path, where in document.values.items()}
    assert places == {
        "": "1:1",
        "a": "1:4",
        "a.b": "1:10",
        "d": "3:3",
        "d[0]": "3:5",
        "d[1]": "4:4",
        "d[2]": "5:5",
        "d[2].f": "5:5",
        "g": "6:1",
    }
    keys = {path_text(path): f"{where.line}:{where.column}" for path, where in document.keys.items()}
    assert keys == {"a": "1:1", "a.b": "1:5", "d": "2:1", "d[2].f": "5:5", "g": "6:1"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("mounts", 2, "target"), "mounts[2].target"),
        (("dotfiles", ".bashrc", "mode"), "dotfiles['.bashrc'].mode"),
        (("bun", "packages", "@types/bun"), "bun.packages['@types/bun']"),
        (("env", "A\nB"), "env['A\\nB']"),
        (("env", "x" * 100), "env." + "x" * 100),
        ((), ""),
    ],
)
def test_a_path_is_written_as_people_write_it(path: KeyPath, expected: str) -> None:
    assert path_text(path) == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise(text: bytes) -> None:
    for each in parse(text, "p.yaml").diagnostics:
        assert str(each).isprintable()


PIECES = st.sampled_from([*"{}[]:,-?&*!|>'\"%@`#=~<\n\t\r \\", "a", "b: c", "\n  ", "\n- ", "<<: ", "{{ x }}", "---\n", "...\n", "!!int ", "&a ", "*a", "\\ud800", "0755", "3.10", "é", "\x85", "\u2028", "\ufeff"])  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_nothing_that_looks_like_yaml_raises(text: str) -> None:
    document = parse(text.encode(), "p.yaml")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for each in document.diagnostics:
        assert str(each).isprintable()
        assert 1 <= each.location.line <= len(lines)
        assert 1 <= each.location.column <= max(map(len, lines)) + 1


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_quoted_text_comes_back_as_it_was_written(text: str) -> None:
    escaped = "".join(f"\\U{ord(char):08x}" for char in text)
    assert data(f'a: "{escaped}"') == {"a": text}
    printable = "".join(char for char in text if char.isprintable() or char in "\u2028\u2029\u200b")
    assert data("a: '" + printable.replace("'", "''") + "'") == {"a": printable}
