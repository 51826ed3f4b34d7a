"""YAML text to nodes, with mistakes of syntax in our own words.

ruamel.yaml composes the nodes; nothing is constructed from tags. Its composer is bounded here, because it recurses
and takes 50 µs a node (measured).
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, cast

from ruamel.yaml import YAML
from ruamel.yaml import tokens as kinds
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner

from solven_env.documents.diagnostics import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ruamel.yaml.error import StringMark
    from ruamel.yaml.nodes import Node

    from solven_env.documents.document import Document

MAX_NODES = 20_000
MAX_DEPTH = 50

_LINE_ENDS = "\0\r\n\u2028\u2029"
"""The characters at which ruamel ends a line; the first stands for the end of the text."""
_CHOMPING = {"+": True, "-": False, "": None}

_BREAK = re.compile(r"\r\n|\r|\n")
_BARE_EXPRESSION = re.compile(r"(?:^|[:,\[-])\s*({{)")

# ruamel's problem (a pattern), the code, the message, the fix; `{}` is the pattern's group. The first that matches
# counts.
_PROBLEMS = [
    (
        r"mapping values are not allowed",
        "SE009",
        "a ': ' may not stand here",
        "Quote a value that holds ': ', or indent less.",
    ),
    (r"found character '(.)' that cannot start", "SE010", "a value cannot begin with '{}'", "Quote the value."),
    (
        r"sequence entries are not allowed",
        "SE016",
        "a list may not begin behind a key",
        "Begin it on the next line, or write [a, b]; quote a text.",
    ),
    (
        r"found unknown escape character '(.)'",
        "SE016",
        "in double quotes, '\\{}' is no escape",
        "Put the text in single quotes, or write each '\\' twice.",
    ),
    (
        r"expected the node content, but found '(.)'",
        "SE016",
        "'{}' stands in the place of a value",
        "Remove it, or quote the value.",
    ),
    (r"found undefined alias '(.*)'", "SE011", "there is no anchor '{}'", "Quote a value that begins with '*'."),
    (r"but found '<scalar>'", "SE012", "this stands behind the end of a value", "Quote the whole value."),
    (r"expected <block end>", "SE013", "the indentation fits no line above", "Indent the line as its neighbours are."),
    (
        r"expected '?,'? or '(.)'",
        "SE014",
        "a ',' or '{}' is missing here",
        "Write it, or quote text that holds quotes or commas.",
    ),
    (
        r"incompatible YAML document",
        "SE015",
        "this is another version of YAML",
        "Remove the line that begins with '%YAML'.",
    ),
]
# The same, for what is told where the unfinished thing begins.
_UNFINISHED = [
    (r"could not find expected ':'", "SE008", "the line has no ':'", "Write 'key: value'."),
    (r"quoted scalar.*end of stream", "SE007", "the quote is never closed", "Close it."),
]


class TooLargeError(Exception):
    """The document is larger or deeper than we read: the place, the message and the fix."""

    def __init__(self, line: int, column: int, message: str, fix: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message, self.fix = line, column, message, fix


def too_deep(mark: StringMark) -> TooLargeError:
    """The error for a value more than MAX_DEPTH levels deep."""
    return TooLargeError(mark.line, mark.column, f"this is nested more than {MAX_DEPTH} levels deep", "Nest it less.")


def too_many(mark: StringMark) -> TooLargeError:
    """The error for more than MAX_NODES values."""
    message = f"the document has more than {MAX_NODES} values, aliases counted where they are used"
    return TooLargeError(mark.line, mark.column, message, "Make it smaller.")


def compose(text: str, document: Document) -> Node | None:
    """The node of the one document in `text`; None if it is empty or a mistake was reported."""
    try:
        return _composed(text)
    except MarkedYAMLError as error:
        _report_syntax(document, error, text)
    except ReaderError as error:
        character = error.character if isinstance(error.character, int) else ord(error.character)
        report_character(document, text[: error.position], character)
    except TooLargeError as error:
        _report(document, "SE004", error.line, error.column, error.message, error.fix)
    return None


@functools.lru_cache(maxsize=4)
def _composed(text: str) -> Node | None:
    """The node of a text. What a profile extends is read out of it before the rest is: nobody changes nodes."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    yaml.Composer = _BoundedComposer
    return cast("Node | None", yaml.compose(text))


def tokens(text: str) -> Iterator[Any]:
    """The tokens of a text that `compose` finds no mistake in, each with its marks."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    return cast("Iterator[Any]", yaml.scan(text))


def report_character(document: Document, before: str, character: int) -> None:
    """Report a character that YAML does not allow, or that YAML readers disagree about."""
    lines = _BREAK.split(before)
    message = f"the character U+{character:04X} may not stand in YAML"
    fix = "Remove it, or write it as an escape in double quotes." if character else "Remove it."
    _report(document, "SE002", len(lines) - 1, len(lines[-1]), message, fix)


class _Scanner(Scanner):
    """A scanner that takes tabs at a line's end, before a comment and on a blank line, as YAML 1.2.2 does (6.2, 6.6).

    ruamel takes none outside of brackets. A tab in an indentation stays a mistake, and so does one before a value.
    """

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self._pass_tabs():
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        self._pass_tabs()
        return super().scan_plain_spaces(indent, start_mark)

    def scan_block_scalar_indicators(self, start_mark: Any) -> Any:
        length = 0
        while self.reader.peek(length) in "+-0123456789":
            length += 1
        header = re.fullmatch("([+-]?)([1-9]?)([+-]?)", self.reader.prefix(length))
        if self.reader.peek(length) != "\t" or header is None or (header[1] and header[3]):
            return super().scan_block_scalar_indicators(start_mark)
        self.reader.forward(length)
        self._pass_tabs()
        return _CHOMPING[header[1] or header[3]], int(header[2]) if header[2] else None

    def scan_block_scalar_ignored_line(self, start_mark: Any) -> Any:
        self._pass_tabs()
        return super().scan_block_scalar_ignored_line(start_mark)

    def _pass_tabs(self) -> bool:
        """Go past blanks with a tab among them, if the line ends after them or a comment begins; True if it did."""
        length = 0
        while self.reader.peek(length) in " \t":
            length += 1
        if "\t" not in self.reader.prefix(length) or self.reader.peek(length) not in f"#{_LINE_ENDS}":
            return False
        self.reader.forward(length)
        return True


class _BoundedComposer(Composer):
    """A composer that stops at MAX_NODES and MAX_DEPTH."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML 1.2.2, 3.2.2.2: an anchor may be used again
        self._level = 0
        self._count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._level += 1
        self._count += 1
        if self._level > MAX_DEPTH + 1:
            raise too_deep(self.parser.peek_event().start_mark)
        if self._count > 2 * MAX_NODES:  # a key is a node too
            raise too_many(self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        return node


def _report(document: Document, code: str, line: int, column: int, message: str, fix: str) -> None:
    document.report(code, Location(document.file, line + 1, column + 1), message, fix)


def _report_syntax(document: Document, error: MarkedYAMLError, text: str) -> None:
    mark: StringMark = error.problem_mark or error.context_mark
    lines = _BREAK.split(text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    problem, context = str(error.problem).strip(), str(error.context or "")
    bare = next((found for found in _BARE_EXPRESSION.finditer(line) if found.start(1) < mark.column), None)
    unfinished = _translated(_UNFINISHED, f"{context} {problem}")
    if "\\t" in problem or line[mark.column : mark.column + 1] == "\t":
        message = "a tab stands where only spaces may"
        _report(document, "SE003", mark.line, mark.column, message, "Write spaces instead.")
    elif "expected a single document" in context:
        message = "a second document begins here"
        _report(document, "SE005", mark.line, mark.column, message, "Keep one document in a file.")
    elif bare:
        report_bare_expression(document, Location(document.file, mark.line + 1, bare.start(1) + 1))
    elif "<stream end>" in problem and "flow" in context:
        opened = _last_open(text)
        bracket, other = ("{", "}") if isinstance(opened, kinds.FlowMappingStartToken) else ("[", "]")
        mark, fix = opened.start_mark, f"Close it with '{other}'."
        _report(document, "SE007", mark.line, mark.column, f"the '{bracket}' is never closed", fix)
    elif unfinished and error.context_mark:
        code, message, fix = unfinished
        _report(document, code, error.context_mark.line, error.context_mark.column, message, fix)
    else:
        raw = "SE016", f"this is not YAML: {problem} {context}".strip(), "Fix the syntax here."
        code, message, fix = _translated(_PROBLEMS, problem) or raw
        _report(document, code, mark.line, mark.column, message, fix)


def _last_open(text: str) -> Any:
    """The last bracket of a text, as a token, that is opened and never closed."""
    opened = []
    for token in tokens(text):
        if isinstance(token, kinds.FlowMappingStartToken | kinds.FlowSequenceStartToken):
            opened.append(token)
        elif isinstance(token, kinds.FlowMappingEndToken | kinds.FlowSequenceEndToken):
            opened.pop()
    return opened[-1]


def report_bare_expression(document: Document, where: Location) -> None:
    """Report `key: {{ name }}`, which YAML reads as a mapping in a mapping."""
    document.report("SE006", where, "text that begins with '{{' must stand in quotes", "Quote it whole.")


def _translated(table: Iterable[tuple[str, str, str, str]], problem: str) -> tuple[str, str, str] | None:
    for pattern, code, message, fix in table:
        match = re.search(pattern, problem, re.DOTALL)
        if match:
            return code, message.replace("{}", match[1]) if match.groups() else message, fix
    return None
