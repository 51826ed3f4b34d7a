"""Three-way merge of JSON by its keys; the order of keys, the indent and the last line's end stay as they are. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from solven_env.reconcile.merging import ranges, three_ways
from solven_env.reconcile.merging.three_ways import PlainValue
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from solven_env.reconcile.merging import Merged
    from solven_env.reconcile.merging.three_ways import Edit, Path

_PACKAGES = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
_SETS = ("trustedDependencies",)


def merge(base: bytes | None, desired: bytes | None, observed: bytes, prefer: str = "") -> Merged:
    """Merge what the profile and the workspace each changed, key by key, and the dependencies package by package.

    `base` None: nothing is known of what we wrote; `desired` None: the profile drops the file. `prefer` is the side,
    "desired" or "observed", whose value is taken where both clash. The data is None where nothing is left.

    >>> merge(b'{"a": 1, "b": 2}', b'{"a": 3, "b": 2}', b'{"a": 1, "b": 2, "mine": 1.0}').data
    b'{"a": 3, "b": 2, "mine": 1.0}'
    """
    return three_ways.merge(_FORM, base, desired, observed, prefer)


def parse(text: str) -> dict[str, Any]:
    """Data of a text; numbers keep their text. `ValueError` for no JSON, for no object, and for a key said twice."""
    found = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_no_constant,
    )
    if not isinstance(found, dict):
        raise ValueError("it is not an object, {…}")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {key: _plain(value) for key, value in pairs}
    if len(found) < len(pairs):
        again = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"it says {three_ways.shown(again)} twice in one object")
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return PlainValue("word", {None: "null", True: "true", False: "false"}[value])
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _number(text: str) -> PlainValue:
    """A number as JavaScript reads it: 1.0 and 1 are one, and Bun writes the one for the other."""
    number = float(text)
    return PlainValue("number", f"{number:.0f}" if number.is_integer() and abs(number) < 1 << 53 else text)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number of JSON")


# Places in a text, which is JSON as `parse` reads it

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[^\s,\]}]+")


class _Member(NamedTuple):
    """A member of an object, or an element of an array: the key's place and the value's. An element has no key."""

    key: str
    begin: int
    value: int
    end: int


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found
    return found.end()


def _end(text: str, at: int) -> int:
    """Place behind the value that begins at a place."""
    if text[at] not in '"[{':
        found = _WORD.match(text, at)
        assert found
        return found.end()
    depth = 0
    for token in _TOKEN.finditer(text, at):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    raise ValueError


def _members(text: str, at: int) -> list[_Member]:
    """The members or elements of the object or array that begins at a place."""
    found = []
    is_object = text[at] == "{"
    at = _space(text, at + 1)
    while text[at] not in "]}":
        begin, key = at, ""
        if is_object:
            at = _end(text, at)
            key = json.loads(text[begin:at])
            at = _space(text, _space(text, at) + 1)
        value, at = at, _end(text, at)
        found.append(_Member(key, begin, value, at))
        at = _space(text, at)
        if text[at] == ",":
            at = _space(text, at + 1)
    return found


def _find(members: Sequence[_Member], key: str | int) -> int | None:
    """Index of a member, by its key or as an element."""
    if isinstance(key, int):
        return key if key < len(members) else None
    return next((at for at, member in enumerate(members) if member.key == key), None)


def _value(text: str, path: Path) -> str:
    """The text of the value at a path."""
    at = _space(text, 0)
    for key in path:
        members = _members(text, at)
        found = _find(members, key)
        if found is None:
            raise LookupError(path)
        at = members[found].value
    return text[at : _end(text, at)]


# Edits


def _edit(text: str, desired: str, _ours: frozenset[str], edit: Edit) -> str:
    at = _space(text, 0)
    for depth, key in enumerate(edit.path):
        members = _members(text, at)
        found = _find(members, key)
        is_last = depth == len(edit.path) - 1
        if is_last and edit.action == "drop":
            assert found is not None
            return _without(text, at, members, found)
        if found is None or (is_last and edit.action == "insert"):
            return _added(text, at, members, desired, edit, depth)
        at = members[found].value
    style = _Style(text)
    return text[:at] + style.spell(_value(desired, edit.source), len(edit.path)) + text[_end(text, at) :]


def _without(text: str, at: int, members: Sequence[_Member], index: int) -> str:
    """The text without a member, and without the comma that goes with it."""
    if len(members) == 1:
        return text[: at + 1] + text[_end(text, at) - 1 :]
    if index == len(members) - 1:
        return text[: members[index - 1].end] + text[members[index].end :]
    return text[: members[index].begin] + text[members[index + 1].begin :]


def _added(text: str, at: int, members: Sequence[_Member], desired: str, edit: Edit, depth: int) -> str:
    """The text with a new member in the object, or a new element in the array, that begins at a place."""
    style = _Style(text)
    key = edit.path[depth]
    value = style.spell(_value(desired, edit.source), len(edit.path))
    for inner in range(len(edit.path) - 1, depth, -1):
        value = style.wrap(edit.path[inner], value, inner)
    entry = value if isinstance(key, int) else style.member(key, value)
    if not members:
        inside = style.wrap(key, value, depth)
        return text[:at] + inside + text[_end(text, at) :]
    index = key if isinstance(key, int) else _place(members, desired, edit, depth)
    if index == 0:
        first = members[0].begin
        return text[:first] + entry + "," + style.gap(text, at, members) + text[first:]
    before = members[index - 1].end
    return text[:before] + "," + style.gap(text, at, members) + entry + text[before:]


def _place(members: Sequence[_Member], desired: str, edit: Edit, depth: int) -> int:
    """Index of a new member, as `three_ways.place` finds it among the desired text's keys."""
    start = _space(desired, 0)
    for key in edit.source[:depth]:
        found = _members(desired, start)
        index = _find(found, key)
        assert index is not None
        start = found[index].value
    keys = [member.key for member in _members(desired, start)]
    return three_ways.place(edit.path[depth], keys, [member.key for member in members])


def _quoted(key: str) -> str:
    """A key in quotes. Half of a surrogate pair is nothing that UTF-8 can write: it is escaped."""
    return json.dumps(key, ensure_ascii=any("\ud800" <= char <= "\udfff" for char in key))


class _Style:
    """The way in which a text is laid out: its line ends, its indent, and what stands between key and value."""

    def __init__(self, text: str) -> None:
        indent = re.search(r"\n([ \t]+)\S", text)
        colon = re.search(r'"[ \t]*:[ \t]*(?=\S)', text)
        self.is_in_lines = "\n" in text.strip() or text.strip() == "{}"
        self.line = "\r\n" if "\r\n" in text else "\n"
        self.indent = indent[1] if indent else "  "
        self.colon = colon[0][1:] if colon else ": "

    def member(self, key: str, value: str) -> str:
        return f"{_quoted(key)}{self.colon}{value}"

    def wrap(self, key: str | int, value: str, depth: int) -> str:
        """An object or an array, `depth` deep, with one member."""
        opened, closed = "[]" if isinstance(key, int) else "{}"
        entry = value if isinstance(key, int) else self.member(key, value)
        return self._container(opened, [entry], closed, depth)

    def gap(self, text: str, at: int, members: Sequence[_Member]) -> str:
        """The text between two members of an object."""
        lead = text[at + 1 : members[0].begin]
        if "\n" in lead or len(members) == 1:
            return lead if "\n" in lead else " "
        return text[members[0].end : members[1].begin].partition(",")[2]

    def spell(self, value: str, depth: int) -> str:
        """A value of another text in this one's layout, for a place `depth` deep."""
        if value[0] not in "[{":
            return value
        opened, closed = value[0], value[-1]
        entries = []
        for member in _members(value, 0):
            spelled = self.spell(value[member.value : member.end], depth + 1)
            entries.append(self.member(member.key, spelled) if opened == "{" else spelled)
        if "\n" not in value or not self.is_in_lines:
            return self._on_one_line(opened, entries, closed)
        return self._container(opened, entries, closed, depth)

    def _container(self, opened: str, entries: Sequence[str], closed: str, depth: int) -> str:
        if not self.is_in_lines or not entries:
            return self._on_one_line(opened, entries, closed)
        inner, outer = self.line + self.indent * (depth + 1), self.line + self.indent * depth
        return f"{opened}{inner}{f',{inner}'.join(entries)}{outer}{closed}"

    def _on_one_line(self, opened: str, entries: Sequence[str], closed: str) -> str:
        inside = ", ".join(entries)
        return f"{opened} {inside} {closed}" if opened == "{" and inside else f"{opened}{inside}{closed}"


# The form


def _is_packages(path: Path) -> bool:
    return len(path) == 1 and path[0] in _PACKAGES


def _elsewhere(base: dict[str, Any], desired: dict[str, Any], observed: dict[str, Any]) -> frozenset[Path]:
    """Packages that a release adds, and that the agent has in another table: `bun add -d` has them in one alone."""
    was, wanted, has = (
        {(table, name) for table in _PACKAGES if isinstance(data.get(table), dict) for name in data[table]}
        for data in (base, desired, observed)
    )
    theirs = {name for table, name in has - was if table != "peerDependencies"}
    return frozenset((table, name) for table, name in wanted - was - has if name in theirs)


def _is_set(path: Path) -> bool:
    return len(path) == 1 and path[0] in _SETS


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _is_within(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and ranges.npm_within(one, other)


def _identify(item: Any, _in_full: bool) -> Hashable:
    return three_ways.shown(item)


def _comments(_text: str) -> frozenset[str]:
    return frozenset()


_FORM = three_ways.Form(
    name="JSON",
    largest=256 * 1024,
    parse=parse,
    edit=_edit,
    comments=_comments,
    is_packages=_is_packages,
    elsewhere=_elsewhere,
    is_set=_is_set,
    is_same=_is_same,
    is_within=_is_within,
    identify=_identify,
)
