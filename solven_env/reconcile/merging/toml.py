"""Three-way merge of TOML by its keys; comments, the order of keys and their spelling stay as they are. Pure.

The text is edited where it stands, by a scan of our own, instead of through tomlkit: version 0.15 reads 62 KB in 4.3 s
(tables out of order), and puts a new key behind the comment that belongs to the next table (both measured). The scan
may rely on a text that `tomllib` has read, and `tomllib` reads what comes out.
"""

from __future__ import annotations

import functools
import re
import tomllib
from typing import Any

from solven_env.profile import pep508
from solven_env.reconcile.merging import ranges, three_ways
from solven_env.reconcile.merging.three_ways import Edit, PlainValue
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from solven_env.reconcile.merging import Merged
    from solven_env.reconcile.merging.three_ways import Path

_PACKAGES = (("project", "dependencies"), ("build-system", "requires"), ("tool", "uv", "dev-dependencies"))
_GROUPS = (("project", "optional-dependencies"), ("dependency-groups",))
"""Arrays of requirements, and tables whose values are such."""


def merge(base: bytes | None, desired: bytes | None, observed: bytes, prefer: str = "") -> Merged:
    """Merge what the profile and the workspace each changed, key by key, and the dependencies package by package.

    `base` None: nothing is known of what we wrote; `desired` None: the profile drops the file. `prefer` is the side,
    "desired" or "observed", whose value is taken where both clash. The data is None where nothing is left.

    >>> merge(b"a = 1\\nb = 2\\n", b"a = 3\\nb = 2\\n", b"b = 2 # mine\\na = 1\\n").data
    b'b = 2 # mine\\na = 3\\n'
    """
    return three_ways.merge(_FORM, base, desired, observed, prefer)


def parse(text: str) -> dict[str, Any]:
    """Data of a text, each value but a string as its kind and its text. `ValueError` for what is no TOML."""
    keys = _STRING_OR_COMMENT.sub(lambda found: "" if found[0][0] == "#" else "''", text)
    if _DEEP_KEY.search(keys):  # tomllib's time grows with the square of the depth
        raise ValueError(f"a key has more than {_DEEPEST} parts")
    found = _plain(tomllib.loads(text, parse_float=lambda number: PlainValue("float", number)))
    assert isinstance(found, dict)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str | PlainValue):
        return value
    if isinstance(value, bool):
        return PlainValue("bool", str(value).lower())
    if isinstance(value, int):
        return PlainValue("int", str(value) if abs(value) < 1 << 64 else hex(value))
    return PlainValue("date", value.isoformat())


# Places in a text, which is TOML as tomllib reads it

_VOID = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?\r?\n?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' + r"|'''.*?'''(?:'{0,2})" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'", re.DOTALL
)
_STRING_OR_COMMENT = re.compile(rf"{_STRING.pattern}|#[^\n]*|[\"'][^\n]*", re.DOTALL)
_DEEPEST = 100
_DEEP_KEY = re.compile(rf"(?<![\w'-])(?:(?:[A-Za-z0-9_-]++|'')[ \t]*+\.[ \t]*+){{{_DEEPEST}}}")
_TOKEN = re.compile(rf"{_STRING.pattern}|#[^\n]*|[\[\]{{}}]", re.DOTALL)
_PLAIN_LINE = re.compile(
    r"""([A-Za-z0-9_-]+)[ \t]*=[ \t]*("[^"\\\n]*"|'[^'\n]*'|[^\s"'\[\]{},#]+)[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)"""
)
"""A whole line with a plain key and a plain value: most lines are such."""
_WORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#]+")


class _Pair(NamedTuple):
    """A key and its value. `path` is the key's from the root, or from the table that it is in; `begin` is where its
    line, or its key begins, `end` is behind its line, or its value.
    """

    path: Path
    begin: int
    key: int
    value: int
    stop: int
    end: int


class _Section(NamedTuple):
    """A table with its header: its lines from `begin` to `end`, of which the header has those to `body`."""

    path: Path
    begin: int
    body: int
    end: int
    pairs: tuple[_Pair, ...]

    @property
    def last(self) -> int:
        """Place behind the last pair, or behind the header."""
        return self.pairs[-1].end if self.pairs else self.body


def _match(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(at)
    return found.end()


def _keys(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """A dotted key and the place behind it."""
    keys: list[str] = []
    while True:
        at = _match(_SPACE, text, at)
        begin = at
        if text[at] in "\"'":
            at = _match(_STRING, text, at)
            quoted = text[begin:at]
            keys.append(tomllib.loads(f"key = {quoted}")["key"] if "\\" in quoted else quoted[1:-1])
        else:
            at = _match(_BARE_KEY, text, at)
            keys.append(text[begin:at])
        behind = _match(_SPACE, text, at)
        if text[behind : behind + 1] != ".":
            return tuple(keys), at
        at = behind + 1


def _end(text: str, at: int) -> int:
    """Place behind the value that begins at a place."""
    if text[at] not in "[{":
        return _match(_STRING if text[at] in "\"'" else _WORD, text, at)
    depth = 0
    for token in _TOKEN.finditer(text, at):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if not depth and token[0] in "]}":
            return token.end()
    raise ValueError(at)


def _items(text: str, at: int) -> tuple[list[tuple[int, int]], int]:
    """The elements of the array that begins at a place, and the place behind it."""
    found = []
    at = _match(_VOID, text, at + 1)
    while text[at] != "]":
        end = _end(text, at)
        found.append((at, end))
        at = _match(_VOID, text, end)
        if text[at] == ",":
            at = _match(_VOID, text, at + 1)
    return found, at + 1


def _members(text: str, at: int) -> tuple[list[_Pair], int]:
    """The pairs of the inline table that begins at a place, and the place behind it."""
    found = []
    at = _match(_VOID, text, at + 1)
    while text[at] != "}":
        pair = _pair(text, at, ())
        found.append(pair)
        at = _match(_VOID, text, pair.end)
        if text[at] == ",":
            at = _match(_VOID, text, at + 1)
    return found, at + 1


def _pair(text: str, at: int, table: Path) -> _Pair:
    keys, behind = _keys(text, at)
    value = _match(_SPACE, text, _match(_SPACE, text, behind) + 1)
    end = _end(text, value)
    return _Pair((*table, *keys), at, at, value, end, end)


@functools.lru_cache(maxsize=4)
def _sections(text: str) -> tuple[_Section, ...]:
    """The tables of a text in the order in which they stand; the first is the root, which has no header."""
    counts: dict[Path, int] = {}
    heads: list[tuple[Path, int, int]] = [((), 0, 0)]
    pairs: list[list[_Pair]] = [[]]
    at = _match(_VOID, text, 0)
    while at < len(text):
        line = text.rfind("\n", 0, at) + 1
        plain = _PLAIN_LINE.match(text, at)
        if plain is not None:
            pairs[-1].append(_Pair((*heads[-1][0], plain[1]), line, at, *plain.span(2), plain.end()))
            at = plain.end()
        elif text[at] != "[":
            pair = _pair(text, at, heads[-1][0])
            at = _match(_REST, text, pair.stop)
            pairs[-1].append(pair._replace(begin=line, end=at))
        else:
            is_element = text[at + 1] == "["
            keys, behind = _keys(text, at + 1 + is_element)
            path: Path = ()
            for key in keys[:-1]:
                path = (*path, key)
                path = (*path, counts[path]) if path in counts else path
            path = (*path, keys[-1])
            if is_element:
                counts[path] = counts.get(path, -1) + 1
                path = (*path, counts[path])
            at = _match(_REST, text, _match(_SPACE, text, behind) + 1 + is_element)
            heads.append((path, line, at))
            pairs.append([])
        at = _match(_VOID, text, at)
    begins = [0, *(_with_comments(text, begin) for _, begin, _ in heads[1:]), len(text)]
    return tuple(
        _Section(path, begin, body, end, tuple(each))
        for (path, _, body), begin, end, each in zip(heads, begins[:-1], begins[1:], pairs, strict=True)
    )


def _with_comments(text: str, at: int) -> int:
    """Beginning of the comment that stands right above a line, else of the line."""
    while at:
        above = text.rfind("\n", 0, at - 1) + 1
        if not text[above:at].lstrip().startswith("#"):
            break
        at = above
    return at


def _locate(text: str, sections: Sequence[_Section], path: Path) -> _Pair | None:
    """The pair of a path, which may be one of an inline table; None where there is none."""
    for section in sections:
        for pair in section.pairs:
            if path[: len(pair.path)] == pair.path:
                return _inner(text, pair, path[len(pair.path) :])
    return None


def _inner(text: str, pair: _Pair, rest: Path) -> _Pair | None:
    while rest:
        if isinstance(rest[0], int):
            items, _ = _items(text, pair.value)
            if rest[0] >= len(items):
                return None
            begin, end = items[rest[0]]
            pair, rest = _Pair((rest[0],), begin, begin, begin, end, end), rest[1:]
            continue
        if text[pair.value] != "{":
            return None
        found = next((each for each in _members(text, pair.value)[0] if rest[: len(each.path)] == each.path), None)
        if found is None:
            return None
        pair, rest = found, rest[len(found.path) :]
    return pair


# Edits


class _Source(NamedTuple):
    """The text that values are taken from: the desired one."""

    text: str
    sections: Sequence[_Section]

    def value(self, path: Path) -> str:
        """The text of a value; one that stands in tables of its own is written in one line."""
        pair = _locate(self.text, self.sections, path)
        if pair is not None:
            return self.text[pair.value : pair.stop]
        value: Any = parse(self.text)
        for key in path:
            value = value[key]
        return _spelled(value)


def _edit(text: str, desired: str, ours: frozenset[str], edit: Edit) -> str:
    if not text.endswith("\n") and text:
        text += "\n"
    source = _Source(desired, _sections(desired) if desired else ())
    line = "\r\n" if "\r\n" in text else "\n"
    if edit.action == "drop":
        return _without(text, edit.path, ours)
    if edit.action == "insert":
        return _with_element(text, edit, source, line)
    return _with_value(text, edit, ours, source, line)


def _with_value(text: str, edit: Edit, ours: frozenset[str], source: _Source, line: str) -> str:
    """The text with a value that another takes the place of, or with a new one: written as it is in the source."""
    sections = _sections(text)
    pair = _locate(text, sections, edit.path)
    if pair is not None:
        return text[: pair.value] + _in_lines(source.value(edit.source), line) + text[pair.stop :]
    if any(_is_beneath(each, edit.path) for each in _paths(sections)):
        text = _without(text, edit.path, ours)
    for depth in range(len(edit.path) - 1, 0, -1):
        holder = _locate(text, sections, edit.path[:depth])
        if holder is not None and text[holder.value] == "{":
            return _with_member(text, holder, f"{_key(edit.path[depth:])} = {_flat(source.value(edit.source))}")
    for section in source.sections:
        if section.path and _is_beneath(section.path, edit.source):
            text = _with_section(text, section, source, line)
        for each in section.pairs:
            if _is_beneath(each.path, edit.source):
                text = _with_pair(text, section, each, source, line)
            elif _is_beneath(edit.source, each.path):
                inner = _inner(source.text, each, edit.source[len(each.path) :])
                assert inner is not None
                text = _with_pair(text, section, inner._replace(path=edit.source), source, line)
    return text


def _is_beneath(path: Path, other: Path) -> bool:
    return path[: len(other)] == other


def _paths(sections: Sequence[_Section]) -> list[Path]:
    return [*(each.path for each in sections if each.path), *(pair.path for each in sections for pair in each.pairs)]


def _in_lines(value: str, line: str) -> str:
    return value.replace("\r\n", "\n").replace("\n", line)


def _with_section(text: str, section: _Section, source: _Source, line: str) -> str:
    """The text with the header of a table of the source, and the comment above it, behind the tables next to it."""
    sections = _sections(text)
    if any(each.path == section.path for each in sections):
        return text
    head = source.text[section.begin : section.body].rstrip("\r\n")
    like = max(_common(each.path, section.path) for each in sections)
    at = max(each.end for each in sections if _common(each.path, section.path) == like) if like else len(text)
    before, after = text[:at], text[at:]
    gap = "" if not before or before.endswith((line * 2, "\n\n")) else line
    return before + gap + _in_lines(f"{head}\n", line) + (line if after else "") + after


def _common(one: Path, other: Path) -> int:
    """Number of keys with which both begin."""
    return next(count for count in range(min(len(one), len(other)), -1, -1) if one[:count] == other[:count])


def _with_pair(text: str, section: _Section, new: _Pair, source: _Source, line: str) -> str:
    """The text with a new pair, which stands in a table of the source, in the table that it belongs to."""
    sections = _sections(text)
    value = _in_lines(source.text[new.value : new.stop], line)
    for depth in range(len(new.path) - 1, 0, -1):
        holder = _locate(text, sections, new.path[:depth])
        if holder is not None:
            return _with_member(text, holder, f"{_key(new.path[depth:])} = {_flat(value)}")
    for depth in range(len(new.path) - 1, -1, -1):
        table = new.path[:depth]
        home = next((each for each in sections if each.path == table), None)
        if home is None:
            outer = [each for each in sections if _is_beneath(table, each.path)]  # which may have it by dotted keys
            spread = [each for each in outer if any(_is_beneath(pair.path, table) for pair in each.pairs)]
            home = spread[-1] if spread else None
        elif len(section.path) > depth:
            return _with_pair(_with_section(text, section, source, line), section, new, source, line)
        if home is not None:
            above = source.text[_with_comments(source.text, new.begin) : new.begin]
            rest = source.text[new.stop : new.end].rstrip()
            near = _near([pair for pair in home.pairs if _is_beneath(pair.path, table)], section, new)
            return _in_section(text, home, near, above, f"{_key(new.path[len(home.path) :])} = {value}{rest}", line)
    raise LookupError(new.path)


def _near(pairs: Sequence[_Pair], section: _Section, new: _Pair) -> _Pair | None:
    """The pair behind which a new one goes: the nearest before it in the source, else the last."""
    places = {pair.path: pair.begin for pair in section.pairs if pair.begin < new.begin}
    known = [pair for pair in pairs if pair.path in places]
    return max(known, key=lambda pair: places[pair.path]) if known else pairs[-1] if pairs else None


def _in_section(text: str, home: _Section, near: _Pair | None, above: str, entry: str, line: str) -> str:
    """The text with a pair and the comment above it in the table `home`, behind a pair or the header."""
    at = near.end if near else home.body
    indent = text[near.begin : near.key] if near else ""
    entry = _in_lines(f"{above}{indent}{entry}\n", line)
    if at and text[at - 1] != "\n":
        entry = line + entry
    if not home.path and near is None and text[at:].strip():
        entry += line
    return text[:at] + entry + text[at:]


def _with_member(text: str, pair: _Pair, entry: str) -> str:
    members, end = _members(text, pair.value)
    if not members:
        return f"{text[: pair.value]}{{ {entry} }}{text[end:]}"
    at = members[-1].end
    return f"{text[:at]}, {entry}{text[at:]}"


def _key(keys: Path) -> str:
    return ".".join(str(key) if _BARE_KEY.fullmatch(str(key)) else _quoted(str(key)) for key in keys)


def _without(text: str, path: Path, ours: frozenset[str]) -> str:
    """The text without a key, all that is beneath it, and the comments of ours that stand right above."""
    sections = _sections(text)
    pair = _locate(text, sections, path)
    if pair is not None and not any(pair is each for section in sections for each in section.pairs):
        return _without_inner(text, sections, path, pair)
    cuts: list[tuple[int, int, str]] = []
    for section in sections:
        if section.path and _is_beneath(section.path, path):
            cuts.append((section.begin, section.end, _remarks(text, section, ours)))
        else:
            for each in section.pairs:
                if _is_beneath(each.path, path):
                    begin = _with_comments(text, each.begin)
                    above = text[begin : each.begin]
                    is_ours = all(remark.strip() in ours for remark in above.splitlines())
                    cuts.append((begin if is_ours else each.begin, each.end, ""))
    line = "\r\n" if "\r\n" in text else "\n"
    for begin, end, left in reversed(cuts):
        text = text[:begin] + left + text[end:]
    is_end = bool(cuts) and not text[cuts[-1][0] :].strip()
    return text.rstrip("\r\n") + line if is_end and text.strip() else text


def _remarks(text: str, section: _Section, ours: frozenset[str]) -> str:
    """The comments of a table's lines that are not ours."""
    spans = [(each.key, each.stop) for each in section.pairs]
    gaps, at = [], section.begin
    for begin, stop in (*spans, (section.end, section.end)):
        gaps.append(text[at:begin])
        at = stop
    lines = [each for gap in gaps for each in gap.splitlines(keepends=True)]
    kept = [each.lstrip() for each in lines if each.lstrip().startswith("#") and each.strip() not in ours]
    return "".join(kept) + ("\n" if kept else "")


def _without_inner(text: str, sections: Sequence[_Section], path: Path, pair: _Pair) -> str:
    """The text without a member of an inline table, or an element of an array."""
    above = (_locate(text, sections, path[:depth]) for depth in range(len(path) - 1, 0, -1))
    holder = next(found for found in above if found)
    spans = (
        _items(text, holder.value)[0]
        if text[holder.value] == "["
        else [(each.begin, each.end) for each in _members(text, holder.value)[0]]
    )
    at = spans.index((pair.begin, pair.end))
    begin, end = spans[at]
    line = text.rfind("\n", 0, begin) + 1
    behind = _match(_SPACE, text, end)
    behind = behind + 1 if text[behind] == "," else behind
    rest = _match(_REST, text, behind)
    if not text[line:begin].strip() and text[rest - 1] == "\n":
        return text[:line] + text[rest:]
    if at + 1 < len(spans) and "\n" not in text[end : spans[at + 1][0]]:
        return text[:begin] + text[spans[at + 1][0] :]
    if at and "\n" not in text[spans[at - 1][1] : begin]:
        return text[: spans[at - 1][1]] + text[end:]
    return text[:begin] + text[behind:]


def _with_element(text: str, edit: Edit, source: _Source, line: str) -> str:
    """The text with a new element in an array: in a line of its own where the elements have lines."""
    sections = _sections(text)
    array, index = edit.path[:-1], edit.path[-1]
    assert isinstance(index, int)
    pair = _locate(text, sections, array)
    value = _in_lines(source.value(edit.source), line)
    model = source.value(edit.source[:-1])
    if pair is None:
        text = _with_value(text, Edit("put", array, edit.source[:-1]), frozenset(), source, line)
        pair = _locate(text, _sections(text), array)
        assert pair is not None
        text = text[: pair.value] + "[]" + text[pair.stop :]
        pair = pair._replace(stop=pair.value + 2)
    items, end = _items(text, pair.value)
    if not items:
        indent = re.search(r"\n([ \t]*)", model)
        inside = f"[{line}{indent[1] or '    '}{value},{line}]" if indent else f"[{value}]"
        if "\n" in text[pair.value : end]:
            at = text.rfind("\n", 0, end) + 1
            return f"{text[:at]}{indent[1] if indent else '    '}{value},{line}{text[at:]}"
        return text[: pair.value] + inside + text[end:]
    if index == 0:
        begin = items[0][0]
        start = text.rfind("\n", 0, begin) + 1
        if start > pair.value and not text[start:begin].strip():
            start = text.index("\n", pair.value) + 1
            indent_text = text[text.rfind("\n", 0, begin) + 1 : begin]
            return f"{text[:start]}{indent_text}{value},{line}{text[start:]}"
        return f"{text[:begin]}{value}, {text[begin:]}"
    begin, stop = items[index - 1]
    start = text.rfind("\n", 0, begin) + 1
    behind = _match(_VOID, text, stop)
    has_comma = text[behind] == ","
    shares_a_line = index < len(items) and "\n" not in text[stop : items[index][0]]
    if start <= pair.value or text[start:begin].strip() or shares_a_line:
        return f"{text[:stop]}, {value}{text[stop:]}"
    comma = "," if has_comma else ""
    after = behind + 1 if has_comma else stop
    rest = _match(_REST, text, after)
    head = text[:after] if has_comma else text[:stop] + ","
    if text[rest - 1] != "\n":
        return f"{text[:stop]}, {value}{text[stop:]}"
    return f"{head}{text[after:rest]}{text[start:begin]}{value}{comma}{line}{text[rest:]}"


def _flat(value: str) -> str:
    """A value on one line, for an inline table."""
    return _spelled(parse(f"key = {value}\n")["key"]) if "\n" in value else value


def _spelled(value: Any) -> str:
    """A plain value in one line of TOML."""
    if isinstance(value, PlainValue):
        return value.text
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    inside = ", ".join(f"{_key((key,))} = {_spelled(each)}" for key, each in value.items())
    return f"{{ {inside} }}" if inside else "{}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


# The form


def _is_packages(path: Path) -> bool:
    return path in _PACKAGES or path[:-1] in _GROUPS


def _elsewhere(_base: dict[str, Any], _desired: dict[str, Any], _observed: dict[str, Any]) -> frozenset[Path]:
    return frozenset()  # an array may ask for what another one asks for too


def _is_set(_path: Path) -> bool:
    return False


def _is_same(one: Any, other: Any) -> bool:
    """True for two spellings of one requirement."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    parsed = pep508.parse(one)
    return parsed is not None and not parsed.has_address and parsed == pep508.parse(other)


def _is_within(one: Any, other: Any) -> bool:
    """True if a requirement's extras and its range have all that another one's have."""
    mine, its = (pep508.parse(each) if isinstance(each, str) else None for each in (one, other))
    if mine is None or its is None or mine.has_address or its.has_address or mine.marker != its.marker:
        return False
    return set(mine.extras) >= set(its.extras) and ranges.python_within(mine.specifier, its.specifier)


def _identify(item: Any, in_full: bool) -> Hashable:
    if isinstance(item, str) and (found := pep508.parse(item)) is not None:
        return f"{found.name} {found.extras} {found.marker}" if in_full else found.name
    if isinstance(item, dict) and isinstance(item.get("include-group"), str):
        return f"the group {pep508.canonical(item['include-group'])}"
    return three_ways.shown(item)


def _comments(text: str) -> frozenset[str]:
    """The lines of a text that are comments: all of them that begin so, be it in a string."""
    return frozenset(each for line in text.splitlines() if (each := line.strip()).startswith("#"))


_FORM = three_ways.Form(
    name="TOML",
    largest=64 * 1024,
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
