"""YAML text to plain data that remembers where each key and value stands, so that messages name line and column.

ruamel.yaml composes the nodes; nothing is constructed from tags.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from solven_env.diagnostics import Diagnostic, Location

if TYPE_CHECKING:
    from ruamel.yaml.error import StringMark

Path = tuple[str | int, ...]
"""Where a value is in a document: keys and list indices from the top."""

MAX_BYTES = 1 << 20
MAX_NODES = 50_000  # aliases of aliases grow without bound ("billion laughs")
MAX_DEPTH = 50

_TAG = "tag:yaml.org,2002:"
_WORDS = {"int": "a number", "float": "a number", "bool": "true or false", "timestamp": "a date", "null": "nothing"}


@dataclass(frozen=True)
class Scalar:
    """A plain scalar that is no text and has no use as what YAML takes it for: a date, a number in a wrong place."""

    text: str


@dataclass
class Document:
    """One YAML document: plain `data`, where its parts stand, and the mistakes found so far."""

    file: str
    data: dict[str, Any]
    keys: dict[Path, Location] = field(default_factory=dict)
    values: dict[Path, Location] = field(default_factory=dict)
    plain: dict[Path, tuple[str, str]] = field(default_factory=dict)
    """What was written, and what YAML takes it for, where a plain scalar is no text."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    taken_out: set[Path] = field(default_factory=set)
    """What `validate` removed, so that later checks do not report what only misses it."""

    def value(self, *path: str | int) -> Location:
        """Where the value at `path` begins."""
        return self.values.get(path) or Location(self.file, 1, 1)

    def key(self, *path: str | int) -> Location:
        """Where the key at `path` begins; a list has none, so its item's value stands in."""
        return self.keys.get(path) or self.value(*path)

    def report(self, location: Location, message: str, fix: str) -> None:
        """Add a mistake."""
        self.diagnostics.append(Diagnostic(location, message, fix))


def parse(text: bytes, file: str, *, may_be_empty: bool = False) -> Document:
    """The YAML document in `text`, called `file` in messages. Mistakes of syntax end the reading; see `diagnostics`."""
    document = Document(file, {})
    decoded = _decode(text, document)
    if decoded is None:
        return document
    node = _compose(decoded, document)
    if isinstance(node, MappingNode):
        document.data = _Builder(document).mapping(node, ())
    elif node is not None:
        document.report(_location(document, node), "the document is no mapping", "Write 'key: value' lines.")
    elif not document.diagnostics and not may_be_empty:
        document.report(Location(file, 1, 1), "the document is empty", "Start with 'version: 1'.")
    return document


def _decode(text: bytes, document: Document) -> str | None:
    if len(text) > MAX_BYTES:
        document.report(Location(document.file), f"the document has more than {MAX_BYTES} bytes", "Make it smaller.")
        return None
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8-sig").split("\n")
        place = Location(document.file, len(before), len(before[-1]) + 1)
        document.report(place, f"byte 0x{text[error.start]:02x} is not UTF-8", "Save the file as UTF-8.")
        return None


def _compose(text: str, document: Document) -> Node | None:
    def report(line: int, column: int, message: str, fix: str) -> None:
        document.report(Location(document.file, line + 1, column + 1), message, fix)

    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
        return node
    except MarkedYAMLError as error:
        mark: StringMark = error.problem_mark or error.context_mark
        lines = text.splitlines()
        problem = str(error.problem).strip()
        if "\\t" in problem or _tab_column(lines, mark.line) == mark.column:
            report(mark.line, mark.column, "a tab stands where spaces must", "Indent with spaces.")
        elif "expected a single document" in str(error.context or ""):
            report(mark.line, mark.column, "a second document begins here", "Keep one document in a file.")
        else:
            context = f" {error.context}" if error.context else ""
            report(mark.line, mark.column, f"this is not YAML: {problem}{context}", "Mend the syntax here.")
    except ReaderError as error:
        before = text[: error.position].split("\n")
        character = f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)
        report(len(before) - 1, len(before[-1]), f"character {character} may not stand in YAML", "Remove it.")
    except RecursionError:
        report(0, 0, "the document is nested too deeply", f"Keep it below {MAX_DEPTH} levels.")
    return None


def _tab_column(lines: list[str], line: int) -> int:
    return lines[line].find("\t") if line < len(lines) else -1


def _location(document: Document, node: Node) -> Location:
    return Location(document.file, node.start_mark.line + 1, node.start_mark.column + 1)


class _Builder:
    """Turns the nodes of one document into plain data."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            where = _location(self._document, key)
            name = self._key(key, where)
            if name is None:
                continue
            if name in data:
                self._document.report(where, f"'{name}' stands here twice", "Keep one of the two.")
                continue
            self._document.keys[(*path, name)] = where
            data[name] = self._value(value, (*path, name))
        return data

    def _key(self, node: Node, where: Location) -> str | None:
        if not isinstance(node, ScalarNode):
            self._document.report(where, "a key must be text", "Write a plain name before the colon.")
        elif node.tag == f"{_TAG}merge":
            self._document.report(where, "merge keys ('<<') are not supported", "Write the keys out.")
        elif node.tag != f"{_TAG}str":
            self._document.report(where, f"the key {node.value} is not text", f'Quote it: "{node.value}".')
        elif _is_text(node.value):
            return str(node.value)
        else:
            self._document.report(where, "the key holds a character that is not allowed", "Remove it.")
        return None

    def _value(self, node: Node, path: Path) -> Any:
        where = _location(self._document, node)
        self._document.values[path] = where
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            if self._nodes <= MAX_NODES + 1:
                self._document.report(where, "the document is too large or nested too deeply", "Use fewer aliases.")
            self._nodes = MAX_NODES + 2
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, path, where)

    def _scalar(self, node: ScalarNode, path: Path, where: Location) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        text = str(node.value)
        if kind == "str":
            if not _is_text(text):
                self._document.report(
                    where, "the text holds U+0000 or half a surrogate pair", "Remove it: no program can take it."
                )
                return "-"
            return text
        if kind not in _WORDS:
            self._document.report(where, f"the tag {node.tag} is not supported", "Write the value without a tag.")
            return "-"
        self._document.plain[path] = (text, _WORDS[kind])
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int" and text.isdecimal() and len(text) < 10:
            return int(text)
        return None if kind == "null" else Scalar(text)


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
