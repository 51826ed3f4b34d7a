"""YAML text to plain data with the place of each key and value, so that messages name line and column."""

from __future__ import annotations

import codecs
import re
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from solven_env.documents import syntax
from solven_env.documents.diagnostics import Location, quoted
from solven_env.documents.document import Document, KeyPath, Scalar, kind_in_words

MAX_BYTES = 1 << 20

_TAG = "tag:yaml.org,2002:"
_WORDS = {
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "timestamp": "a date",
    "null": "nothing",
    "value": "a default value",
    "merge": "a merge key",
}
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")  # no leading zero: some readers take 0755 for octal


def parse(text: bytes, file: str, *, is_secret: bool = False) -> Document:
    """The YAML document in `text`, which messages call `file`. An empty document is an empty mapping.

    A mistake of syntax ends the reading; `diagnostics` of the document holds it. There are no excerpts of a text that
    `is_secret`.

    >>> parse(b"a: {b: 1}", "x.yaml").data
    {'a': {'b': 1}}
    """
    document = Document(file, {})
    if not is_secret:
        document.texts[file] = text[: MAX_BYTES + 1].removeprefix(codecs.BOM_UTF8).decode(errors="replace")
    decoded = _decode(text, document)
    node = syntax.compose(decoded, document) if decoded is not None else None
    if node is not None:
        try:
            data = _Builder(document).value(node, ())
        except syntax.TooLargeError as error:
            document.report("SE004", Location(file, error.line + 1, error.column + 1), error.message, error.fix)
        else:
            _take_top(document, node, data)
    return document


def _take_top(document: Document, node: Node, data: Any) -> None:
    if isinstance(data, dict):
        document.data = data
    elif data is not None:
        message = f"the document is {kind_in_words(data)}, not a mapping"
        document.report("SE103", _location(document, node), message, "Write 'key: value' lines.")


def _decode(text: bytes, document: Document) -> str | None:
    if len(text) > MAX_BYTES:
        message = f"the document has more than {MAX_BYTES} bytes"
        document.report("SE004", Location(document.file), message, "Make it smaller.")
        return None
    text = text.removeprefix(codecs.BOM_UTF8)
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        before = re.split(r"\r\n|\r|\n", text[: error.start].decode())
        place = Location(document.file, len(before), len(before[-1]) + 1)
        message = f"the byte 0x{text[error.start]:02x} is not UTF-8"
        document.report("SE001", place, message, "Save the file as UTF-8.")
        return None
    if "\x85" in decoded:  # ruamel takes it for the end of a line, as YAML 1.1 did
        syntax.report_character(document, decoded.partition("\x85")[0], 0x85)
        return None
    return decoded


def _location(document: Document, node: Node) -> Location:
    return Location(document.file, node.start_mark.line + 1, node.start_mark.column + 1)


class _Builder:
    """Turns the nodes of one document into plain data. It leaves out what it reports, as `validate` does."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        where = _location(self._document, node)
        if isinstance(node, ScalarNode) and not node.value and node.style is None:
            where = self._document.keys.get(path, where)  # an absent value has no place of its own
        self._document.values[path] = where
        self._nodes += 1
        if self._nodes > syntax.MAX_NODES:  # aliases of aliases grow without bound ("billion laughs")
            raise syntax.too_many(node.start_mark)
        if len(path) > syntax.MAX_DEPTH:
            raise syntax.too_deep(node.start_mark)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return self._list(node, path)

    def _list(self, node: Node, path: KeyPath) -> list[Any] | None:
        if self._has_tag(node, "seq"):
            self._document.taken_out.add(path)
            return None
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any] | None:
        if self._has_tag(node, "map") or self._is_bare_expression(node):
            self._document.taken_out.add(path)
            return None
        data: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key)
            if name is None:
                self._document.unread.add(path)
                continue
            inside = (*path, name)
            if inside in self._document.keys:
                where = _location(self._document, key)
                self._document.report("SE017", where, f"{quoted(name)} stands here twice", "Keep one of the two.")
                continue
            self._document.keys[inside] = _location(self._document, key)
            built = self.value(value, inside)
            if inside not in self._document.taken_out:
                data[name] = built
        return data

    def _key(self, node: Node) -> str | None:
        where = _location(self._document, node)
        if not isinstance(node, ScalarNode):
            if not (isinstance(node, MappingNode) and self._is_bare_expression(node)):
                kind = "a mapping" if isinstance(node, MappingNode) else "a list"
                self._document.report("SE018", where, f"the key is {kind}, not text", "Write a name before the colon.")
        elif _is_plain(node, "merge"):
            self._document.report("SE019", where, "merge keys ('<<') are not supported", "Write the keys out.")
        elif _taken_for(node):
            self._document.report("SE018", where, f"the key {node.value} is not text", f'Quote it: "{node.value}".')
        elif not self._has_tag(node, "str"):
            return self._text(node, where)
        return None

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        taken_for = _taken_for(node)
        if not taken_for:
            text = None if self._has_tag(node, "str") else self._text(node, self._document.values[path])
            if text is None:
                self._document.taken_out.add(path)
            return text
        written = str(node.value)
        self._document.plain[path] = (written, taken_for)
        if taken_for == "a boolean" and written.lower() in ("true", "false"):  # YAML 1.1 takes 'yes' for one too
            return written.lower() == "true"
        if _WHOLE_NUMBER.fullmatch(written):
            return int(written)
        return None if taken_for == "nothing" else Scalar(written)

    def _text(self, node: ScalarNode, where: Location) -> str | None:
        try:  # JSON writes "\\ud83d\\ude00" for one character
            text = str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._document.report("SE002", where, "the text holds half a surrogate pair", "Write the whole character.")
            return None
        if "\0" in text:
            message = "the text holds the character U+0000"
            self._document.report("SE002", where, message, "Remove it: no program can take it.")
            return None
        return text

    def _has_tag(self, node: Node, kind: str) -> bool:
        tag = str(node.tag)
        if tag == _TAG + kind:
            return False
        where = _location(self._document, node)
        shown = quoted(tag.replace(_TAG, "!!", 1))
        self._document.report("SE020", where, f"the tag {shown} is not supported", "Remove it.")
        return True

    def _is_bare_expression(self, node: MappingNode) -> bool:
        """True for `{{ name }}` without quotes, which is reported."""
        if not node.flow_style or len(node.value) != 1:
            return False
        key, value = node.value[0]
        is_bare = isinstance(key, MappingNode) and key.flow_style and isinstance(value, ScalarNode) and not value.value
        if is_bare:
            syntax.report_bare_expression(self._document, _location(self._document, node))
        return bool(is_bare)


def _is_plain(node: ScalarNode, kind: str) -> bool:
    return node.style is None and node.tag == _TAG + kind


def _taken_for(node: ScalarNode) -> str:
    """The kind that YAML reads a plain scalar as; empty for text, and for a scalar with a tag of another kind."""
    return next((word for kind, word in _WORDS.items() if _is_plain(node, kind)), "")
