"""Packages added to the text of a profile, replaced and removed: all else stays as it is written, byte for byte. Pure.

Text is put in and taken out at the places that the parser gives. Then the whole is parsed, and must say what it said
before but for these packages: otherwise nothing is edited (`None`).
"""

from __future__ import annotations

import codecs
import copy
import functools
import json
import re
from typing import Any

from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from solven_env.documents import syntax
from solven_env.documents.document import Document
from solven_env.documents.parsing import parse
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ruamel.yaml.nodes import Node

_INDENT = 2
_BLANKS = " \t"
_PLAIN = re.compile(r"[A-Za-z0-9^~][A-Za-z0-9._^~-]*(?:(?:[<>=~]=|[<>])[A-Za-z0-9.!-]+)?")
_NO_TEXT = re.compile(r"(?i)[-+.0-9_e]+|0[xob][0-9a-f_]+|true|false|yes|no|on|off|null|y|n|[0-9][0-9:._-]*")
"""Words that some reader of YAML takes for something else than text."""


class Addition(NamedTuple):
    """Packages of one section: requirements of a list, or ranges by name.

    `beside` are further fields, for a section made new.
    """

    section: str
    packages: Sequence[str] | Mapping[str, str]
    beside: Mapping[str, str] = {}


class Rewording(NamedTuple):
    """Packages of one section that are there: new words for some, and some that are dropped.

    Each is known by its index in the list, or by its name. A package whose words are None is dropped.
    """

    section: str
    words: Mapping[int | str, str | None]


class _Put(NamedTuple):
    """New text at an offset of the old one, in the place of what stands up to `until`; in front of it for None."""

    at: int
    text: str
    until: int | None = None


class _CannotError(Exception):
    """The text is written in a way that is not edited."""


def add(text: bytes, additions: Sequence[Addition]) -> bytes | None:
    """The text of a valid profile with these packages added; None where it is written in a way that is not edited.

        >>> add(b"python: {packages: [six]} # all\\n", [Addition("python", ["rich>=14.1.0"])])
        b'python: {packages: [six, rich>=14.1.0]} # all\\n'

    A section or a list that is missing is made. The packages are none that the section has.
    """
    wanted = copy.deepcopy(parse(text, "").data)
    for each in additions:
        section = wanted.get(each.section)
        section = dict(each.beside) if section is None else section
        if not isinstance(section, dict):
            return None
        before, more = section.get("packages"), each.packages
        joined: Any = {**(before or {}), **more} if isinstance(more, dict) else [*(before or []), *more]
        wanted[each.section] = {**section, "packages": joined}
    return _edited(text, [functools.partial(_puts, addition=each) for each in additions], wanted)


def change(text: bytes, changes: Sequence[Rewording]) -> bytes | None:
    """The text of a valid profile with other words for these packages, or without them; None as of `add`.

        >>> change(b"python: {packages: [six, rich]} # all\\n", [Rewording("python", {0: None, 1: "rich>=14"})])
        b'python: {packages: [rich>=14]} # all\\n'

    A comment behind a package that is dropped goes with it; those above it stay.
    """
    wanted = copy.deepcopy(parse(text, "").data)
    for each in changes:
        packages = wanted[each.section]["packages"]
        for key in sorted(each.words, key=str if isinstance(packages, dict) else int, reverse=True):
            if each.words[key] is None:
                del packages[key]
            else:
                packages[key] = each.words[key]
    return _edited(text, [functools.partial(_changes, change=each) for each in changes], wanted)


def _edited(text: bytes, edits: Iterable[Callable[[str, MappingNode], Iterable[_Put]]], wanted: object) -> bytes | None:
    """The text after one edit after the other, if it says what is wanted then."""
    mark = codecs.BOM_UTF8 if text.startswith(codecs.BOM_UTF8) else b""  # which is no part of the document
    try:
        body = text.removeprefix(mark).decode()
        for puts in edits:
            top = syntax.compose(body, Document("", {}))
            if not isinstance(top, MappingNode):
                return None
            for put in sorted(puts(body, top), key=lambda put: (put.at, put.text), reverse=True):
                body = body[: put.at] + put.text + body[put.at if put.until is None else put.until :]
    except (_CannotError, ValueError):
        return None
    edited = parse(body.encode(), "")
    return mark + body.encode() if not edited.diagnostics and edited.data == wanted else None


def _changes(text: str, top: MappingNode, *, change: Rewording) -> Iterator[_Put]:
    """The pieces of text that are replaced and taken out."""
    section = _value(top, change.section)
    packages = _value(section, "packages") if isinstance(section, MappingNode) else None
    if not isinstance(packages, MappingNode | SequenceNode):
        raise _CannotError
    is_mapping = isinstance(packages, MappingNode)
    keys = [each[0].value for each in packages.value] if is_mapping else [*range(len(packages.value))]
    values = [each[1] if is_mapping else each for each in packages.value]
    dropped = [number for number, key in enumerate(keys) if change.words.get(key, "") is None]
    for key, value in zip(keys, values, strict=True):
        words = change.words.get(key)
        if words is not None:
            if not isinstance(value, ScalarNode) or value.style in ("|", ">"):
                raise _CannotError
            quote = value.style or ""
            yield _Put(value.start_mark.index, _written(words, quote), value.end_mark.index)
    if len(dropped) == len(keys):
        yield from _emptied(text, packages, "{}" if is_mapping else "[]")
    elif packages.flow_style:
        yield from _less_in_flow(text, packages, dropped)
    else:
        yield from (_line_of(text, packages, number) for number in dropped)


def _emptied(text: str, packages: MappingNode | SequenceNode, empty: str) -> Iterator[_Put]:
    """The collection without anything in it: its comments stay, above what comes next."""
    if packages.flow_style:
        start, end = packages.start_mark.index, packages.end_mark.index
        if re.search(r"^[ \t,\[{]*#", text[start:end], re.MULTILINE):  # a comment that is behind no package
            yield from _less_in_flow(text, packages, range(len(packages.value)))
        else:
            yield _Put(start, empty, end)
        return
    # In block style it has no place of its own: the brackets go behind the colon of its key.
    colon = text.rindex(":", 0, packages.start_mark.index)
    before = _without_comments(text[colon + 1 : packages.start_mark.index]).strip()
    if before or "#" in text[_line_start(text, colon) : colon]:
        raise _CannotError
    yield _Put(colon + 1, f" {empty}")
    yield from (_line_of(text, packages, number) for number in range(len(packages.value)))


def _line_of(text: str, packages: Node, number: int) -> _Put:
    """The lines of an entry in block style, with the comment behind it."""
    start, end = _bounds(text, packages.value[number])
    begin = _line_start(text, start)
    if text[begin:start].strip(" ") not in ("", "-"):
        raise _CannotError
    return _Put(begin, "", _line_end(text, end))


def _less_in_flow(text: str, packages: Node, dropped: Sequence[int]) -> Iterator[_Put]:
    """The entries of a flow taken out: at once as far as no comment stands between, else each by itself."""
    places = [_bounds(text, each) for each in packages.value]
    close = packages.end_mark.index - 1
    places.append((close, close))
    for first in (number for number in dropped if number - 1 not in dropped):
        last = next(number for number in range(first, len(places)) if number + 1 not in dropped)
        is_end = first > 0 and last + 2 == len(places)
        begin = places[first - 1][1] if is_end else places[first][0]
        between = text[begin : places[last + 1][0]]
        if between == _without_comments(between):
            yield _Put(begin, "", places[last][1] if is_end else places[last + 1][0])
            continue
        done = 0
        for number in range(first, last + 1):
            put = _out_of_flow(text, done, *places[number], places[number + 1][0])
            yield put
            done = put.until or 0
        if is_end and _comma(text, places[last][1], close) is None:
            comma = _comma(text, begin, places[first][0])
            assert comma is not None
            yield _Put(comma, "", comma + 1)


def _out_of_flow(text: str, done: int, start: int, end: int, until: int) -> _Put:
    """An entry with its comma and the comment behind it: the whole line where it stands alone there.

    The text before `done` is taken out already. The next entry, or the end of the flow, begins at `until`.
    """
    comma = _comma(text, end, until)
    if comma is not None:
        if text[end:comma].strip(_BLANKS):
            raise _CannotError  # it begins another line
        end = comma + 1
    line, before = _line_start(text, start), len(text[:start].rstrip(_BLANKS))
    behind = re.compile(r"[ \t]*(?:#[^\r\n]*)?(\r\n|\r|\n)?").match(text, end)
    assert behind is not None
    if not behind[1]:
        return _Put(start, "", behind.end())
    if text[line:start].strip(_BLANKS):
        return _Put(max(done, before), "", behind.start(1))
    return _Put(line, "", behind.end())


def _comma(text: str, start: int, end: int) -> int | None:
    """The offset of the first comma between two places, outside of comments."""
    found = re.compile(r"(?:[^,#]|#[^\r\n]*)*+,").match(text, start, end)
    return found.end() - 1 if found else None


def _bounds(text: str, entry: Any) -> tuple[int, int]:
    """The offsets of an item, or of an entry with its key."""
    first, last = entry if isinstance(entry, tuple) else (entry, entry)
    if last.start_mark.index < first.start_mark.index or not isinstance(last, ScalarNode):
        raise _CannotError
    return int(first.start_mark.index), _end(text, last)


def _puts(text: str, top: MappingNode, *, addition: Addition) -> Iterator[_Put]:
    """The pieces of new text."""
    section = _value(top, addition.section)
    if section is None:
        block = {**addition.beside, "packages": addition.packages}
        yield from _new_entry(text, top, addition.section, block)
    elif not isinstance(section, MappingNode):
        yield from _filled(text, top, addition.section, {**addition.beside, "packages": addition.packages})
    else:
        packages = _value(section, "packages")
        if packages is None:
            yield from _new_entry(text, section, "packages", addition.packages)
        elif isinstance(packages, ScalarNode):
            yield from _filled(text, section, "packages", addition.packages)
        else:
            yield from _more_items(text, packages, addition.packages)


def _value(mapping: MappingNode, name: str) -> Any:
    for key, value in mapping.value:
        if isinstance(key, ScalarNode) and key.value == name:
            if value.start_mark.index < key.start_mark.index:  # an alias of what stands elsewhere
                raise _CannotError
            return value
    return None


def _more_items(text: str, node: Any, packages: Any) -> Iterator[_Put]:
    """More items of a list, or entries of a mapping, that is there."""
    if isinstance(node, SequenceNode) == isinstance(packages, dict):
        raise _CannotError
    quote = _quote(node)
    if node.flow_style:
        yield from _more_in_flow(text, node, _items(packages, quote))
        return
    indent = " " * node.start_mark.column
    lines = [indent + item for item in _items(packages, quote, dash="- ")]
    yield _behind_line(text, _inner_end(text, node), lines)


def _more_in_flow(text: str, node: Node, items: Sequence[str]) -> Iterator[_Put]:
    close = node.end_mark.index - 1
    if not node.value:
        yield _Put(node.start_mark.index + 1, ", ".join(items))
        return
    end = _inner_end(text, node)
    has_comma = _without_comments(text[end:close]).strip() == ","
    first = _first(node)
    if "\n" not in text[end:close] or text[_line_start(text, first) : first].strip():
        yield _Put(end, "".join(f", {item}" for item in items))
        return
    # One item a line: so it goes on.
    indent = text[_line_start(text, first) : first]
    if not has_comma:
        yield _Put(end, ",")
    lines = [f"{indent}{item}," for item in items]
    if not has_comma:
        lines[-1] = lines[-1].removesuffix(",")
    yield _behind_line(text, end, lines)


def _new_entry(text: str, mapping: MappingNode, name: str, value: Any) -> Iterator[_Put]:
    """A new entry of a mapping, behind the last one."""
    if mapping.flow_style:
        entry = f"{name}: {_in_flow(value)}"
        if not mapping.value:
            yield _Put(mapping.start_mark.index + 1, entry)
        else:
            yield _Put(_inner_end(text, mapping), f", {entry}")
        return
    lines = [*_block(name, value, mapping.start_mark.column)]
    is_top = mapping.start_mark.column == 0
    if is_top and not re.search(r"^\.\.\.", text, re.MULTILINE):
        end = _line_break(text)
        begin = "" if text.endswith(("\n", "\r")) or not text else end
        yield _Put(len(text), begin + end + end.join(lines) + end)
        return
    yield _behind_line(text, _inner_end(text, mapping), lines)


def _filled(text: str, mapping: MappingNode, name: str, value: Any) -> Iterator[_Put]:
    """An entry whose key stands there without a value."""
    key, present = next(each for each in mapping.value if each[0].value == name)
    if not isinstance(present, ScalarNode) or present.value:
        raise _CannotError
    if mapping.flow_style:
        yield _Put(_colon(text, key), f" {_in_flow(value)}")
        return
    yield _behind_line(text, _colon(text, key), [*_block(name, value, mapping.start_mark.column)][1:])


def _colon(text: str, key: Node) -> int:
    return text.index(":", key.end_mark.index) + 1


def _block(name: str, value: Any, column: int) -> Iterator[str]:
    """The lines of an entry in block style."""
    yield f"{' ' * column}{name}:"
    inner = " " * (column + _INDENT)
    if name == "packages":
        yield from (inner + item for item in _items(value, "", dash="- "))
        return
    for key, each in value.items():
        if key == "packages":
            yield from _block(key, each, column + _INDENT)
        else:
            yield f"{inner}{key}: {json.dumps(each)}"


def _in_flow(value: Any) -> str:
    if isinstance(value, dict) and "packages" in value and not isinstance(value["packages"], str):
        fields = [f"{key}: {_in_flow(each) if key == 'packages' else json.dumps(each)}" for key, each in value.items()]
        return "{" + ", ".join(fields) + "}"
    items = ", ".join(_items(value, ""))
    return f"{{{items}}}" if isinstance(value, dict) else f"[{items}]"


def _items(packages: Any, quote: str, *, dash: str = "") -> list[str]:
    """Items of a list (behind `dash`), or entries of a mapping, as they are written."""
    if isinstance(packages, dict):
        return [f"{_written(name, '')}: {_written(each, quote)}" for name, each in packages.items()]
    return [dash + _written(each, quote) for each in packages]


def _written(text: str, quote: str) -> str:
    """A scalar, plain where every reader takes it for the text, else in quotes. `quote` is that of its neighbours."""
    if not quote and _PLAIN.fullmatch(text) and not _NO_TEXT.fullmatch(text):
        return text
    return f"'{text}'" if quote == "'" and "'" not in text else json.dumps(text)


def _quote(node: Node) -> str:
    """The quote around the last value that has one, of a list or a mapping; empty without any."""
    values = [each[1] if isinstance(each, tuple) else each for each in node.value]
    styles = [each.style for each in values if isinstance(each, ScalarNode)]
    return next((style for style in reversed(styles) if style in ("'", '"')), "")


def _first(node: Node) -> int:
    first = node.value[0]
    return int((first[0] if isinstance(first, tuple) else first).start_mark.index)


def _end(text: str, node: Any) -> int:
    """The offset behind the last character of a value: of a block, the parser only knows where the next one begins."""
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            raise _CannotError
        return int(node.end_mark.index)
    return int(node.end_mark.index) if node.flow_style else _inner_end(text, node)


def _inner_end(text: str, node: Node) -> int:
    """The offset behind the last item of a list, or the last entry of a mapping."""
    last = node.value[-1]
    if not isinstance(last, tuple):
        return _end(text, last)
    key, value = last
    if isinstance(value, ScalarNode) and not value.value and value.style is None:
        return _colon(text, key)
    return _end(text, value)


def _behind_line(text: str, at: int, lines: Sequence[str]) -> _Put:
    """New lines behind the one that holds this offset, with the comment at its end."""
    end, between = _line_end(text, at), _line_break(text)
    is_ended = text[:end].endswith(("\n", "\r"))
    new = between.join(lines)
    return _Put(end, new + between if is_ended else between + new)


def _line_break(text: str) -> str:
    """The characters that end the lines of a text."""
    return "\r\n" if "\r\n" in text else "\n"


def _line_end(text: str, at: int) -> int:
    """The offset behind the end of the line that holds this one."""
    found = re.compile(r"\r\n|\n|\r|\Z").search(text, at)
    assert found is not None
    return found.end()


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _without_comments(text: str) -> str:
    return re.sub(r"#[^\r\n]*", "", text)
