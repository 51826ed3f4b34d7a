"""Three-way merge of structured texts (TOML, JSON) by their keys. Pure.

A text is parsed to plain data; what has to change is decided there, as edits, which a `Form` then makes in the
observed text one after another. So all that no edit is about stays as it is written. The text that comes out is parsed
again and compared with what was meant: a text that says something else is never returned.

A *package map* or *package array* (`dependencies`) is merged package by package, and a package is more the agent's
than another key: one that the agent removed stays removed, and one that the agent added keeps the agent's range. So
`uv add`, `uv remove`, `bun add` and `bun remove` are never undone. A package of ours is a clash only where both sides
gave it another range, and neither range lies within the other.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Literal

from solven_env.errors import printable
from solven_env.reconcile.merging import Clash, Merged
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence

    Path = tuple[str | int, ...]

_SHOWN = 60
"""Characters of a value that a clash shows."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class PlainValue(NamedTuple):
    """A plain value that is no string: its type's name and its text, so that 1, 1.0 and true are three values."""

    kind: str
    text: str


class Missing(NamedTuple):
    """The value of a key that is not there."""


MISSING = Missing()


class Edit(NamedTuple):
    """One change of a text. `path` ends with the index of an element where it is about one of an array.

    `put` gives the key the value that the desired text has at `source`; `insert` makes a new element of it, which then
    has this index; `drop` removes the key or the element.
    """

    action: Literal["put", "insert", "drop"]
    path: Path
    source: Path = ()


class Form(NamedTuple):
    """A language of structured texts. `parse` raises `ValueError` whose words follow 'is no TOML: '."""

    name: str
    largest: int
    """Bytes of a text that is merged at most: each edit reads the whole, which an agent may have made hard to read."""
    parse: Callable[[str], dict[str, Any]]
    edit: Callable[[str, str, frozenset[str], Edit], str]
    """The text with one edit: of the text, the desired text, and the comments of ours. `ValueError` if it cannot be."""
    comments: Callable[[str], frozenset[str]]
    """The comments of a text, a line each."""
    is_packages: Callable[[Path], bool]
    """True for the path of a package map or a package array."""
    elsewhere: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], frozenset[Path]]
    """Paths of packages that only the desired data have there, and of which the observed data have another entry."""
    is_set: Callable[[Path], bool]
    """True for the path of an array in which the order says nothing."""
    is_same: Callable[[Any, Any], bool]
    """True if two requirements of packages mean the same."""
    is_within: Callable[[Any, Any], bool]
    """True if all that the first requirement accepts is known to be accepted by the second."""
    identify: Callable[[Any, bool], Hashable]
    """The package that an element of a package array is about; with True, told apart by its extras and its marker."""


class _Unparsed(NamedTuple):
    """A text that cannot be parsed, and why."""

    why: str


class _Decided(NamedTuple):
    edits: list[Edit]
    clashes: list[Clash]


def merge(form: Form, base: bytes | None, desired: bytes | None, observed: bytes, prefer: str) -> Merged:
    """The merge of three texts of one form, as `toml.merge` and `json_text.merge` describe it."""
    if desired in (observed, base):
        return Merged(observed)
    if base == observed:
        return Merged(desired)
    texts = [_read(form, each) for each in (base, desired, observed)]
    was, wanted, found = texts
    if isinstance(was, _Unparsed):
        was = "", {}
    preferred = observed if prefer == "observed" else desired
    if isinstance(wanted, _Unparsed) or isinstance(found, _Unparsed):
        ours = wanted.why if isinstance(wanted, _Unparsed) else "drops it" if desired is None else "changed it"
        theirs = found.why if isinstance(found, _Unparsed) else "changed it"
        return Merged(preferred, (Clash("", ours, theirs),))
    try:
        decided = _Merge(form, prefer, form.elsewhere(was[1], wanted[1], found[1])).table(
            (), was[1], wanted[1], found[1]
        )
        text, meant = found
        comments = form.comments(was[0])
        for edit in decided.edits:
            text = form.edit(text, wanted[0], comments, edit)
            meant = _edited(meant, edit, wanted[1])
        is_as_meant = not decided.edits or _full(form.parse(text)) == _full(meant)
    except (ValueError, LookupError, RecursionError):
        is_as_meant = False
    if not is_as_meant:
        why = f"is written in a way that cannot be edited as {form.name}"
        return Merged(preferred, (Clash("", "changed it", why),))
    is_empty = desired is None and not _full(meant) and form.comments(text) <= comments
    data = None if is_empty else _encoded(text, observed) if decided.edits else observed
    return Merged(data, tuple(decided.clashes))


_BOM = b"\xef\xbb\xbf"


def _read(form: Form, data: bytes | None) -> tuple[str, dict[str, Any]] | _Unparsed:
    """A text and what it says; nothing for no text."""
    if data is None:
        return "", {}
    if len(data) > form.largest:
        return _Unparsed(f"is too large to be merged: {len(data):,} bytes, and {form.largest:,} are the most")
    try:
        text = data.removeprefix(_BOM).decode()
        return text, form.parse(text)
    except UnicodeDecodeError as error:
        line = data[: error.start + len(data) - len(error.object)].count(b"\n") + 1
        return _Unparsed(f"is no {form.name}: it is not UTF-8 in line {line}")
    except RecursionError:
        return _Unparsed(f"is no {form.name} that can be merged: it is nested too deep")
    except ValueError as error:
        return _Unparsed(f"is no {form.name}: {printable(str(error))}")


def _encoded(text: str, observed: bytes) -> bytes:
    return (_BOM if observed.startswith(_BOM) else b"") + text.encode()


# Decisions


class _Merge(NamedTuple):
    """One merge: the decisions for a table, a key, an array."""

    form: Form
    prefer: str
    elsewhere: frozenset[Path] = frozenset()
    """Packages of which the agent has another entry: a second one of ours is not added."""

    def table(self, path: Path, base: Any, desired: Any, observed: Any) -> _Decided:
        decided = _Decided([], [])
        base = {} if base is MISSING else base
        for key in dict.fromkeys((*desired, *base)):
            sides = (each.get(key, MISSING) for each in (base, desired, observed))
            edits, clashes = self.value((*path, key), *sides)
            decided.edits.extend(edits)
            decided.clashes.extend(clashes)
        return decided

    def value(self, path: Path, base: Any, desired: Any, observed: Any) -> _Decided:
        if desired in (observed, base):
            return _Decided([], [])
        if desired is MISSING:
            return self._dropped(path, base, observed)
        for kind, decide in self._deeper():
            was = base if isinstance(base, kind) else MISSING
            has = kind() if observed is MISSING and was is not MISSING else observed
            if isinstance(desired, kind) and isinstance(has, kind):
                return decide(path, was, desired, has)
        take = [Edit("put", path, path)]
        if observed == base:
            return _Decided([] if path in self.elsewhere else take, [])
        if self.form.is_packages(path[:-1]):
            return self._package(path, (base, desired, observed), take)
        return self._clash(path, desired, observed, take)

    def _deeper(self) -> tuple[tuple[type, Callable[[Path, Any, Any, Any], _Decided]], ...]:
        """The merges of values that have parts, by their types."""
        return (dict, self.table), (list, self._array)

    def _dropped(self, path: Path, base: Any, observed: Any) -> _Decided:
        """Drop what has our value still, and a table or array of ours in which nothing is left."""
        if observed == base:
            return _Decided([Edit("drop", path)], [])
        for kind, decide in self._deeper():
            if isinstance(base, kind) and isinstance(observed, kind):
                decided = decide(path, base, kind(), observed)
                if decided.clashes:  # an array that is merged whole: it is the agent's now
                    break
                left = observed
                for edit in decided.edits:
                    left = _edited(left, edit._replace(path=edit.path[len(path) :]), {})
                return _Decided([Edit("drop", path)], []) if observed and not left else decided
        return _Decided([], [])

    def _array(self, path: Path, base: Any, desired: list[Any], observed: list[Any]) -> _Decided:
        if self.form.is_packages(path):
            return self._packages(path, [] if base is MISSING else base, desired, observed)
        if self.form.is_set(path) and base is MISSING:
            base = []
        was = [] if base is MISSING else base
        if base is not MISSING and all(map(_is_set, (was, desired, observed))):
            gone = [at for at, item in enumerate(observed) if item in was and item not in desired]
            new = [at for at, item in enumerate(desired) if item not in was and item not in observed]
            edits, left = self._elements(path, desired, observed, {}, gone, new)
            if observed != base or left == desired:
                return _Decided(edits, [])
        take = [Edit("put", path, path)]
        return _Decided(take, []) if observed == base else self._clash(path, desired, observed, take)

    def _packages(self, path: Path, base: list[Any], desired: list[Any], observed: list[Any]) -> _Decided:
        """The merge of a package array, in which the order says nothing."""
        every = [[self.form.identify(item, False) for item in items] for items in (base, desired, observed)]
        twice = {name for names in every for name, count in Counter(names).items() if count > 1}
        was, wanted, has = (self._by_name(items, twice) for items in (base, desired, observed))
        puts: dict[int, int] = {}
        clashes: list[Clash] = []
        for name in [name for name in wanted if name in has]:
            sides = (base[was[name]] if name in was else MISSING, desired[wanted[name]], observed[has[name]])
            edits, found = self._package((*path, wanted[name]), sides, [Edit("put", path)])
            clashes += found
            if edits:
                puts[has[name]] = wanted[name]
        dropped = [name for name in has if name in was and name not in wanted]
        gone = [has[name] for name in dropped if self._same(base[was[name]], observed[has[name]])]
        new = [at for name, at in wanted.items() if name not in was and name not in has]
        return _Decided(self._elements(path, desired, observed, puts, gone, new)[0], clashes)

    def _by_name(self, items: Sequence[Any], twice: Collection[Hashable]) -> dict[Hashable, int]:
        """The index of each package; those with a name that some array has twice are told apart by more than it."""
        found: dict[Hashable, int] = {}
        for at, item in enumerate(items):
            name = self.form.identify(item, False)
            found.setdefault(self.form.identify(item, True) if name in twice else name, at)
        return found

    def _package(self, path: Path, sides: tuple[Any, Any, Any], take: list[Edit]) -> _Decided:
        """The merge of one requirement. One that the agent removed or added is the agent's; of two ranges of which one
        lies within the other, that one has what both ask for.
        """
        base, desired, observed = sides
        if MISSING in (base, observed) or self._same(desired, observed) or self._same(desired, base):
            return _Decided([], [])
        if self._same(base, observed) or self.form.is_within(desired, observed):
            return _Decided(take, [])
        if self.form.is_within(observed, desired):
            return _Decided([], [])
        return self._clash(path, desired, observed, take)

    def _same(self, one: Any, other: Any) -> bool:
        return bool(one == other or self.form.is_same(one, other))

    def _elements(
        self, path: Path, desired: list[Any], observed: list[Any], puts: dict[int, int], gone: list[int], new: list[int]
    ) -> tuple[list[Edit], list[Any]]:
        """Edits that put, drop and insert elements, each index as it is when its edit is made, and what they leave."""
        edits = [Edit("put", (*path, at), (*path, source)) for at, source in sorted(puts.items())]
        edits += [Edit("drop", (*path, at)) for at in sorted(gone, reverse=True)]
        left = [desired[puts[at]] if at in puts else item for at, item in enumerate(observed) if at not in gone]
        for source in sorted(new):
            at = place(desired[source], desired, left)
            left.insert(at, desired[source])
            edits.append(Edit("insert", (*path, at), (*path, source)))
        return edits, left

    def _clash(self, path: Path, desired: Any, observed: Any, take: list[Edit]) -> _Decided:
        clash = Clash(self._told(path, desired), shown(desired), shown(observed))
        return _Decided(take if self.prefer == "desired" else [], [clash])

    def _told(self, path: Path, desired: Any) -> str:
        """A key's path, or a package with the path of the table or the array that it is in."""
        if not self.form.is_packages(path[:-1]):
            return dotted(path)
        name = self.form.identify(desired, False) if isinstance(path[-1], int) else path[-1]
        return f"{printable(str(name))} in {dotted(path[:-1])}"


def place(item: Any, desired: Sequence[Any], present: Sequence[Any]) -> int:
    """Index for a new item: in order where what is present is sorted, else behind the one before it in `desired`."""
    texts = [_sorting(each) for each in present]
    if len(texts) > 1 and texts == sorted(texts):
        return sum(text <= _sorting(item) for text in texts)
    before = list(desired[: desired.index(item)])
    behind = [at + 1 for at, each in enumerate(present) if each in before]
    return max(behind) if behind else len(present) if before or len(desired) == 1 else 0


def _sorting(item: Any) -> str:
    return item.lower() if isinstance(item, str) else "~"


def _is_set(items: list[Any]) -> bool:
    """True for plain values of which none stands twice."""
    return not any(isinstance(item, dict | list) for item in items) and len(set(items)) == len(items)


def _edited(plain: Any, edit: Edit, desired: Any) -> Any:
    """Data of a text once the edit is made."""
    value = desired
    for key in edit.source:
        value = value[key]
    return _changed(plain, edit.path, edit.action, value)


def _changed(plain: Any, path: Path, action: str, value: Any) -> Any:
    key, rest = path[0], path[1:]
    changed = plain.copy()
    if rest:
        former = changed[key] if isinstance(key, int) or key in changed else [] if isinstance(rest[0], int) else {}
        changed[key] = _changed(former, rest, action, value)
    elif action == "drop":
        del changed[key]
    elif action == "insert":
        changed.insert(key, value)
    else:
        changed[key] = value
    return changed


def _full(plain: Any) -> Any:
    """The data without tables in which nothing is: TOML has them or not, by the way it is written."""
    if isinstance(plain, dict):
        return {key: full for key, value in plain.items() if (full := _full(value)) != {}}
    return plain


# Words


def dotted(path: Path) -> str:
    """A key's path as TOML writes it, and npm says it: `project.dependencies`."""
    return ".".join(key if isinstance(key, str) and _BARE.fullmatch(key) else shown(key) for key in path)


def shown(value: Any) -> str:
    """A value on one line, shortened."""
    text = printable(_spelled(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _spelled(value: Any) -> str:
    if value is MISSING:
        return "removed it"
    if isinstance(value, PlainValue):
        return value.text
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_spelled(each)}' for key, each in value.items())}}}"
    return str(value)
