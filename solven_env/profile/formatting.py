"""The one form of a profile's text: order of keys, indentation and blanks. Values, quotes and comments stay. Pure.

The text is cut at the tokens of YAML into items, and put together again: scalars and comments are copied. Keys that the
schema names get its order; the keys of maps such as `env`, and the items of lists, stay in theirs. Then the whole is
parsed, and must say what it said before: otherwise nothing is formatted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import tokens as kinds

from solven_env.documents import syntax
from solven_env.documents.parsing import parse
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INDENT = 2
_BLANKS = " \t"
_COMMENT = re.compile(r"#[^\n]*")
_BLOCK_SCALAR = re.compile(r"([|>])([-+]?)([1-9]?)([-+]?)([ \t]*)(#.*)?")
_FLOWS = {
    kinds.FlowMappingStartToken: ("{}", kinds.FlowMappingEndToken),
    kinds.FlowSequenceStartToken: ("[]", kinds.FlowSequenceEndToken),
}
_UNSEEN = (
    kinds.StreamStartToken,
    kinds.BlockMappingStartToken,
    kinds.BlockSequenceStartToken,
    kinds.BlockEndToken,
    kinds.KeyToken,
)
"""Tokens without a text of their own."""


class Unformatted(NamedTuple):
    """The reason why a text is not formatted, and its line, from 1; 0 for none."""

    why: str
    line: int = 0


class _NoFormError(Exception):
    """The text is written in a way that is not formatted."""

    def __init__(self, what: str, token: _Token) -> None:
        super().__init__(what)
        self.reason = Unformatted(f"it has {what}", token.line + 1)


@dataclass
class _Token:
    """A token of YAML and the comments about it."""

    kind: type[kinds.Token]
    value: Any
    text: str
    end: int
    """The offset behind it."""
    line: int
    """Counted from 0, as the column is."""
    column: int
    above: list[tuple[int, str]]
    """The comments on lines of their own before it, each with its column; an empty text is a blank line."""
    comment: str = ""
    """The comment behind it on its line, with the blanks between."""


@dataclass
class _Value:
    """A value: the `lines` of a scalar or an alias, or the `items` of a collection."""

    lines: list[str] = field(default_factory=list)
    is_block_scalar: bool = False
    brackets: str = ""
    """`{}` or `[]` of a collection, in block style too."""
    is_flow: bool = False
    is_spread: bool = False
    """True for a flow collection with one item a line."""
    anchor: str = ""
    header: str = ""
    """The comment behind the opening bracket of a flow collection."""
    items: list[_Item] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    """The comments behind the last item."""

    @property
    def is_block(self) -> bool:
        return bool(self.brackets) and not self.is_flow


@dataclass
class _Item:
    """An item of a list, or an entry of a mapping."""

    above: list[str]
    """The comments above it; an empty text is a blank line."""
    value: _Value = field(default_factory=_Value)
    comment: str = ""
    """The comment at the end of its line, or of that of its key or dash, with the blanks before it."""
    key: str | None = None
    """The key as it is written; None for an item of a list."""
    name: str = ""
    """The key as it is meant."""

    def add_comment(self, text: str) -> None:
        """Add a comment of its line; where it has one, the further one goes above."""
        if text and self.comment:
            self.above.append(text.strip())
        else:
            self.comment = self.comment or text


def formatted(text: bytes, schema: dict[str, Any]) -> bytes | Unformatted:
    """The one form of a document that has no mistake of syntax. `schema` has the order of keys.

    >>> fields = {"properties": {"a": {}, "b": {"properties": {"c": {}}}}}
    >>> print(formatted(b"b: {d: 1,c: 2} # last\\na:\\n- x", fields).decode(), end="")
    a:
      - x
    b: {c: 2, d: 1} # last
    """
    body = re.sub(r"\r\n?", "\n", text.decode("utf-8-sig"))
    try:
        tokens = _tokens(body)
        comments = sorted(_comments(tokens))
        # An anchor has to stay before its alias.
        order = {} if any(token.kind is kinds.AliasToken for token in tokens) else schema
        new = "".join(f"{line}\n" for line in _Reader(tokens, body).document(_Order(order, order)))
        again = parse(new.encode(), "")
        is_same = not again.diagnostics and again.data == parse(text, "").data
        if is_same and comments == sorted(_comments(_tokens(new))):
            return new.encode()
    except _NoFormError as error:
        return error.reason
    return Unformatted("another form would not say the same")


def _comments(tokens: Iterable[_Token]) -> Iterator[str]:
    for token in tokens:
        yield from (text for _, text in token.above if text)
        if token.comment:
            yield token.comment.strip()
        if token.kind is kinds.ScalarToken and token.text.startswith(("|", ">")):
            yield from (found.rstrip(_BLANKS) for found in _COMMENT.findall(token.text.partition("\n")[0]))


def _tokens(text: str) -> list[_Token]:
    """The tokens of a text, each with the comments about it."""
    found: list[_Token] = []
    last, at = None, 0
    for each in syntax.tokens(text):
        start, end = each.start_mark.index, each.end_mark.index
        if isinstance(each, kinds.ScalarToken) and each.style in ("|", ">"):
            end = start + len(_without_blank_end(text[start:end]))
        token = _Token(type(each), getattr(each, "value", None), text[start:end], end, *_place(each), [])
        found.append(token)
        if start == end and not isinstance(each, kinds.StreamEndToken):
            continue
        first, *lines = f"{'' if last else chr(10)}{text[at:start]}".split("\n")
        if last is not None and first.strip(_BLANKS):
            last.comment = _blanks(first[: first.find("#")]) + first.strip(_BLANKS)
        # The last line is the one that the token itself stands on.
        token.above = [(len(line) - len(line.lstrip(_BLANKS)), line.strip(_BLANKS)) for line in lines[:-1]]
        if lines and lines[-1].strip(_BLANKS) and isinstance(each, kinds.StreamEndToken):
            token.above.append((0, lines[-1].strip(_BLANKS)))
            lines[-1] = ""
        gap = [first.strip(_BLANKS), *(line for _, line in token.above), *(line.strip(_BLANKS) for line in lines[-1:])]
        if any(line and not line.startswith("#") for line in gap) or (lines and lines[-1].strip(_BLANKS)):
            raise _NoFormError("something between two values that is no comment", token)
        last, at = token, end
    return found


def _place(token: Any) -> tuple[int, int]:
    return token.start_mark.line, token.start_mark.column


def _blanks(text: str) -> str:
    """The blanks before a comment: as they are, or one."""
    return text if text and not text.strip(" ") else " "


def _without_blank_end(text: str) -> str:
    """A block scalar without the blank lines behind it that are no part of it."""
    header, *lines = text.split("\n")
    if lines and not lines[-1].strip(" "):
        lines.pop()  # the beginning of what comes next
    if "+" not in header.partition("#")[0]:
        used = next((line for line in lines if line.strip(" ")), "")
        indent = len(used) - len(used.lstrip(" "))
        while lines and not lines[-1][indent:] and not lines[-1].strip(" "):
            lines.pop()
    return "\n".join([header, *lines])


def _texts(comments: Iterable[tuple[int, str]]) -> list[str]:
    return [text for _, text in comments]


class _Reader:
    """Puts tokens together to items, and prints them."""

    def __init__(self, tokens: list[_Token], text: str) -> None:
        self._tokens = tokens
        self._length = len(text)
        self._next = 1  # the first one is the beginning of the stream

    def document(self, order: _Order) -> list[str]:
        """The lines of the document in its one form."""
        header: list[str] = []
        if self._kind() is kinds.DirectiveToken:
            raise _NoFormError("a directive ('%')", self._tokens[self._next])
        if self._kind() is kinds.DocumentStartToken:
            start = self._take()
            header = [*_texts(start.above), f"---{start.comment}"]
        top = _Item([])
        self._value(top, -1)
        header += top.above
        if top.value.is_block:
            if top.value.anchor:
                raise _NoFormError("an anchor of the whole document", self._tokens[0])
            first = top.value.items[0]
            header, first.above = [*header, *first.above], []
            above, lines = _block(top.value, 0, order)
            header += above
        elif top.value.lines or top.value.brackets:
            lines = _inline(top.value, 0, order)
            lines[-1] += top.comment
        else:
            lines = []
        below: list[str] = []
        while self._next < len(self._tokens):
            token = self._take()
            if token.kind not in (kinds.DocumentEndToken, kinds.StreamEndToken):
                raise _NoFormError("something behind its end", token)
            below += [*_texts(token.above), *filter(None, [token.comment.strip()])]
        if not lines:
            header, below = [*header, *below], []
        while header and not header[0]:
            del header[0]
        ends = below if lines else header
        while ends and not ends[-1]:
            ends.pop()
        return [*_single(header), *lines, *_single(below)]

    def _kind(self) -> type[kinds.Token]:
        return self._tokens[self._next].kind

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _below(self, column: int) -> list[str]:
        """Take the comments that stand here at a column or further in: they belong to the collection that ends."""
        token = next(each for each in self._tokens[self._next :] if each.kind not in _UNSEEN)
        count = 0
        for number, (at, text) in enumerate(token.above, 1):
            if text and at < column:
                break
            count = number if text else count
        taken, token.above = token.above[:count], token.above[count:]
        return _texts(taken)

    def _value(self, item: _Item, column: int) -> None:
        """Read the value of an item; `column` is that of its key or dash."""
        value = item.value
        while self._kind() in (kinds.AnchorToken, kinds.TagToken):
            token = self._take()
            item.above += _texts(token.above)
            item.add_comment(token.comment)
            value.anchor += f"{token.text} "
        kind = self._kind()
        if kind is kinds.BlockMappingStartToken:
            self._mapping(value)
        elif kind is kinds.BlockSequenceStartToken or (kind is kinds.BlockEntryToken and item.key is not None):
            self._sequence(value, is_indented=kind is kinds.BlockSequenceStartToken)
        elif kind in _FLOWS:
            self._flow(item)
        elif kind in (kinds.ScalarToken, kinds.AliasToken):
            self._scalar(item, column)

    def _key(self, item: _Item) -> int:
        """Read a key and its colon; the key's column."""
        if self._take().text:
            raise _NoFormError("a key behind a '?'", self._tokens[self._next - 1])
        token = self._take()
        if token.kind is not kinds.ScalarToken or self._kind() is not kinds.ValueToken:
            raise _NoFormError("a key of this kind", token)
        item.above += _texts(token.above)
        item.key, item.name = token.text, str(token.value)
        item.add_comment(token.comment)
        item.add_comment(self._take().comment)
        return token.column

    def _mapping(self, value: _Value) -> None:
        value.brackets, column = "{}", 0
        self._take()
        while self._kind() is not kinds.BlockEndToken:
            if self._kind() is not kinds.KeyToken:
                raise _NoFormError("an entry without a key", self._tokens[self._next])
            item = _Item([])
            column = self._key(item)
            self._value(item, column)
            value.items.append(item)
        self._take()
        value.below = self._below(column)

    def _sequence(self, value: _Value, *, is_indented: bool) -> None:
        """Read a list; one that is not indented ends where something else than a dash stands."""
        value.brackets, column = "[]", 0
        if is_indented:
            self._take()
        while self._kind() is kinds.BlockEntryToken:
            dash = self._take()
            item, column = _Item(_texts(dash.above)), dash.column
            item.add_comment(dash.comment)
            self._value(item, column)
            value.items.append(item)
        if is_indented:
            self._take()
        value.below = self._below(column if is_indented else column + 1)

    def _flow(self, item: _Item) -> None:
        value, start = item.value, self._take()
        value.brackets, end = _FLOWS[start.kind]
        value.is_flow, value.header = True, start.comment
        item.above += _texts(start.above)
        above: list[str] = []
        while self._kind() is not end:
            if self._kind() is kinds.FlowEntryToken:
                comma = self._take()
                above += _texts(comma.above)
                value.items[-1].add_comment(comma.comment)
                continue
            inner = _Item(above)
            above = []
            if self._kind() is kinds.KeyToken and value.brackets == "{}":
                self._key(inner)
            elif self._kind() in (kinds.KeyToken, kinds.ValueToken):
                raise _NoFormError("an entry of this kind", self._tokens[self._next])
            self._value(inner, 0)
            value.items.append(inner)
        close = self._take()
        value.below = [*above, *_texts(close.above)]
        value.is_spread = close.line > start.line
        item.add_comment(close.comment)

    def _scalar(self, item: _Item, column: int) -> None:
        token = self._take()
        item.above += _texts(token.above)
        header = _BLOCK_SCALAR.match(token.text) if token.text.startswith(("|", ">")) else None
        if header is None:
            first, *others = token.text.split("\n")
            # Blanks around the lines of a text count for nothing, but for an escaped one.
            others = [each.lstrip(_BLANKS) if each.endswith("\\ ") else each.strip(_BLANKS) for each in others]
            first = first.rstrip(_BLANKS) if others and not first.endswith("\\ ") else first
            item.value.lines = [first, *others]
            item.add_comment(token.comment)
            return
        style, chomping, digit = header[1], header[2] or header[4], header[3]
        _, *lines = token.text.split("\n")
        used = next((each for each in lines if each.strip(" ")), "")
        indent = max(column, 0) + int(digit) if digit else len(used) - len(used.lstrip(" "))
        if not chomping and token.end == self._length:  # without the line's end, which is about to come
            chomping = "-"
        item.value.is_block_scalar = True
        item.value.lines = [style + (str(_INDENT) if digit else "") + chomping, *(each[indent:] for each in lines)]
        if header[6]:
            item.add_comment(_blanks(header[5]) + header[6].rstrip(_BLANKS))


class _Order(NamedTuple):
    """The order of the keys of a value, by its schema."""

    schema: dict[str, Any]
    root: dict[str, Any]

    def _parts(self) -> Iterator[dict[str, Any]]:
        """The schema and those that it is made of."""
        waiting = [self.schema]
        for part in waiting:
            yield part
            waiting += [part[word] for word in ("then", "else") if word in part]
            waiting += [each for word in ("allOf", "anyOf", "oneOf") for each in part.get(word, ())]
            waiting += [found for name, found in self.root.get("definitions", {}).items() if _refers(part, name)]

    def sorted(self, items: list[_Item]) -> list[_Item]:
        """Entries in the order of the schema, if it has one; those that it does not know last."""
        places = {name: place for place, name in enumerate(self._names())}
        return sorted(items, key=lambda item: places.get(item.name, len(places))) if places else items

    def _names(self) -> dict[str, Any]:
        return {name: field for part in self._parts() for name, field in part.get("properties", {}).items()}

    def of(self, item: _Item) -> _Order:
        """The order within an item or an entry."""
        found = self._names().get(item.name) if item.key is not None else None
        word = "items" if item.key is None else "additionalProperties"
        rest = (part[word] for part in self._parts() if isinstance(part.get(word), dict))
        return self._replace(schema=found or next(rest, {}))


def _refers(part: dict[str, Any], name: str) -> bool:
    return part.get("$ref") == f"#/definitions/{name}"


def _block(value: _Value, indent: int, order: _Order) -> tuple[list[str], list[str]]:
    """The comments above a collection in block style, and its lines, which begin at the column `indent`."""
    lines: list[str] = []
    top: list[str] = []
    for number, item in enumerate(order.sorted(value.items)):
        above, own = _placed(item, indent, order.of(item))
        if number:
            lines += _indented([*item.above, *above], indent)
        else:
            top = [*item.above, *above]
        lines += own
    return top, [*lines, *_indented(value.below, indent)]


def _placed(item: _Item, indent: int, order: _Order) -> tuple[list[str], list[str]]:
    """Further comments above an item in block style, and its lines."""
    value = item.value
    begin = " " * indent + (f"{item.key}:" if item.key is not None else "-")
    if not value.is_block:
        first, *others = _inline(value, indent, order)
        lines = [f"{begin} {first}".rstrip(), *others]
        commented = 0 if value.is_block_scalar else -1
        lines[commented] += item.comment
        return [], lines
    above, lines = _block(value, indent + _INDENT, order)
    while above and not above[0]:
        del above[0]
    if item.key is None and not value.anchor and not item.comment:
        return above, [f"{begin} {lines[0].lstrip(' ')}", *lines[1:]]
    header = f"{begin} {value.anchor}".rstrip() + item.comment
    return [], [header, *_indented(above, indent + _INDENT), *lines]


def _inline(value: _Value, indent: int, order: _Order) -> list[str]:
    """The lines of a value that begins on the line of its key; `indent` is the column of that."""
    if value.is_flow:
        lines = _flow(value, indent, order)
    else:
        first, *others = value.lines or [""]
        lines = [first, *(each and " " * (indent + _INDENT) + each for each in others)]
    return [value.anchor + lines[0], *lines[1:]] if lines[0] else [value.anchor.rstrip()]


def _flow(value: _Value, indent: int, order: _Order) -> list[str]:
    inner = indent + _INDENT if value.is_spread else indent
    items = []
    for item in order.sorted(value.items):
        lines = _inline(item.value, inner, order.of(item))
        if item.key is not None:
            lines[0] = f"{item.key}: {lines[0]}"
        items.append((item, lines))
    begin, end = value.brackets[0], value.brackets[1]
    if not value.is_spread:
        return [begin + ", ".join(lines[0] for _, lines in items) + end]
    spread = [begin + value.header]
    for number, (item, lines) in enumerate(items, 1):
        lines[-1] = (lines[-1] + "," * (number < len(items))).rstrip() + item.comment
        lines[0] = " " * inner + lines[0]
        spread += [*_indented(item.above, inner), *lines]
    return [*spread, *_indented(value.below, inner), " " * indent + end]


def _indented(comments: list[str], indent: int) -> list[str]:
    return [each and " " * indent + each for each in _single(comments)]


def _single(comments: Iterable[str]) -> list[str]:
    """Comments with one blank line at most between two of them."""
    found: list[str] = []
    for each in comments:
        if each or found[-1:] != [""]:
            found.append(each)
    return found
