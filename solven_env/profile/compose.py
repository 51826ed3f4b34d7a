"""Composition: profiles that extend others as one document, whose places lie in several files. Pure.

`x-merge` in the schema says how each field is merged:

| `x-merge` | the field is | merged |
|---|---|---|
| `replace` | one value, or one entry of a mapping | the later one stands |
| `keys` | a mapping | entries of both, each by its own rule; a new one behind the others |
| `by item`, `by package`, … | a list | items of both; one that is known already takes the earlier one's place |
| `own` | about this file (`extends`, `remove`) | not taken over |
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from solven_env.documents.diagnostics import did_you_mean, quoted
from solven_env.documents.document import Document, Removed, Was, path_text
from solven_env.documents.schema import of_key
from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from solven_env.documents.document import KeyPath

_Schema = dict[str, Any]


def _package(written: str) -> str:
    found = pep508.parse(written)
    return found.name if found else written


def _field(name: str) -> Callable[[Any], str]:
    """The identity of an item by one of its fields; a text is this field itself."""
    return lambda item: str(item.get(name, "")) if isinstance(item, dict) else str(item)


IDENTITIES: Mapping[str, Callable[[Any], str]] = {
    "by item": str,
    "by package": _package,
    "by target": _field("target"),
    "by name": _field("name"),
    "by run": _field("run"),
}
"""The name that an item of a list is known by, for each rule of lists."""


def compose(own: Document, bases: Sequence[Document], schema: _Schema) -> Document:
    """A file with those that it extends, in their order. Mistakes in `remove` are added to those of the files."""
    inherited = Document(own.file, {})
    for base in bases:
        inherited = _merged(inherited, base, schema)
    return _merged(_without(inherited, own, schema), own, schema)


def _merged(earlier: Document, later: Document, schema: _Schema) -> Document:
    into = Document(
        later.file,
        {},
        diagnostics=[*earlier.diagnostics, *later.diagnostics],
        taken_out=earlier.taken_out | later.taken_out,
        unread=earlier.unread | later.unread,
        removed=[*earlier.removed, *later.removed],
        texts=earlier.texts | later.texts,
    )
    into.values[()] = later.at_value()
    into.data = _merge_keys(into, earlier, later, (), schema)
    return into


def _merge_keys(into: Document, earlier: Document, later: Document, path: KeyPath, schema: _Schema) -> dict[str, Any]:
    old, new = earlier.part(path), later.part(path)
    merged = {}
    known = schema.get("properties", {})
    for key in dict.fromkeys((*(key for key in known if key in old or key in new), *old, *new)):
        inside, field = (*path, key), of_key(schema, key)
        if field["x-merge"] == "own":
            continue
        source = later if key in new else earlier
        if key in old and key in new:
            merged[key] = _merge(into, earlier, later, inside, field)
        else:
            merged[key] = _take(source, inside, into, inside)
        into.keys[inside], into.values[inside] = source.at_key(*inside), source.at_value(*inside)
    return merged


def _merge(into: Document, earlier: Document, later: Document, path: KeyPath, schema: _Schema) -> Any:
    how = schema["x-merge"]
    if how == "keys":
        return _merge_keys(into, earlier, later, path, schema)
    if how in IDENTITIES:
        return _merge_lists(into, earlier, later, path, how)
    _note(into, path, later, path, earlier, path)
    return _take(later, path, into, path)


def _merge_lists(into: Document, earlier: Document, later: Document, path: KeyPath, how: str) -> list[Any]:
    old, new = _places(earlier, path, how), _places(later, path, how)
    merged: list[Any] = []
    for name in dict.fromkeys((*old, *new)):
        source, places = (later, new[name]) if name in new else (earlier, old[name])
        missing = _extras(earlier, old.get(name, ())) - _extras(source, places) if how == "by package" else set()
        for place in places:
            at = (*path, len(merged))
            if name in old and name in new:
                _note(into, at, later, place, earlier, old[name][0])
            item = _take(source, place, into, at)
            if missing:
                item, missing = pep508.with_extras(item, missing), set()
            merged.append(item)
    return merged


def _places(document: Document, path: KeyPath, how: str) -> dict[str, list[KeyPath]]:
    """The paths of a list's items, by what they are known by. Items that were taken out have none."""
    found: dict[str, list[KeyPath]] = {}
    for index, item in enumerate(document.part(path)):
        if item is not None:
            found.setdefault(IDENTITIES[how](item), []).append((*path, index))
    return found


def _extras(document: Document, places: Sequence[KeyPath]) -> set[str]:
    requirements = (pep508.parse(document.part(place)) for place in places)
    return {extra for requirement in requirements if requirement for extra in requirement.extras}


def _note(into: Document, at: KeyPath, later: Document, new: KeyPath, earlier: Document, old: KeyPath) -> None:
    """Note what a value was before, unless it was the same."""
    was = Was(earlier.part(old), earlier.at_key(*old))
    is_other = was.value != later.part(new)
    known = later.replaced.get(new, ())
    former = (*((was,) if is_other else ()), *earlier.replaced.get(old, ()))
    into.replaced[at] = (*known, *(each for each in former if each not in known))  # a file may come on two ways


def _take(
    source: Document, path: KeyPath, into: Document, at: KeyPath, drops: Collection[KeyPath] = frozenset()
) -> Any:
    """The value at a path of one document, put at a path of another one with the places of all that is in it.

    What stands at the paths in `drops` is left out.
    """
    tables: Sequence[tuple[dict[KeyPath, Any], dict[KeyPath, Any]]] = (
        (source.keys, into.keys),
        (source.values, into.values),
        (source.plain, into.plain),
        (source.replaced, into.replaced),
    )
    for known, places in tables:
        if path in known:
            places.setdefault(at, known[path])
    value = source.part(path)
    if isinstance(value, dict):
        keys = [key for key in value if (*path, key) not in drops]
        return {key: _take(source, (*path, key), into, (*at, key), drops) for key in keys}
    if isinstance(value, list):
        indexes = [index for index in range(len(value)) if (*path, index) not in drops]
        return [_take(source, (*path, index), into, (*at, new), drops) for new, index in enumerate(indexes)]
    return value


def _without(inherited: Document, own: Document, schema: _Schema) -> Document:
    """The inherited document without what `remove` of the file names. A name of nothing that is there is reported."""
    written = own.data.get("remove")
    if not written:
        return inherited
    drops = dict(_drops(inherited, own, ("remove",), (), schema))
    rest = replace(inherited, data={}, keys={}, values={}, plain={}, replaced={}, removed=[*inherited.removed])
    for path, where in drops.items():
        shown = path[:-1] if isinstance(path[-1], int) else path
        was = Was(inherited.part(path), inherited.at_key(*path))
        rest.removed.append(Removed(path_text(shown), own.at_key(*where), was))
    rest.data = _take(inherited, (), rest, (), drops)
    return rest


def _drops(
    inherited: Document, own: Document, at: KeyPath, path: KeyPath, schema: _Schema
) -> Iterator[tuple[KeyPath, KeyPath]]:
    """The path of each thing to remove, and the path in the file that says so."""
    spec, there, how = own.part(at), inherited.part(path), schema.get("x-merge", "keys")
    if spec is True:
        yield path, at
        return
    if how not in ("keys", *IDENTITIES):  # what is replaced as a whole is removed as a whole: its rest may be nothing
        own.report("SE207", own.at_value(*at), f"{path_text(path)} has no parts to remove", "Write true to remove it.")
        return
    known = {key: [(*path, key)] for key in there} if how == "keys" else _places(inherited, path, how)
    names = spec if isinstance(spec, list) else list(spec)
    for index, written in enumerate(names):
        if written is None:
            continue
        inside = (*at, index if isinstance(spec, list) else written)
        name = written if how == "keys" else IDENTITIES[how](written)
        if name not in known:
            removable = known if path else known.keys() & schema["properties"]["remove"]["properties"].keys()
            _report_missing(inherited, own, inside, path, written, removable)
        elif isinstance(spec, list):
            yield from ((part, inside) for part in known[name])
        else:
            field = of_key(schema, name) if how == "keys" else {"x-merge": "replace"}
            for part in known[name]:
                yield from _drops(inherited, own, inside, part, field)


def _report_missing(
    inherited: Document, own: Document, at: KeyPath, path: KeyPath, name: str, known: Collection[str]
) -> None:
    lost = inherited.taken_out | inherited.unread
    if lost or () in own.unread:  # it may be among what is reported already, or in a file that is
        return
    inside = f" in {path_text(path)}" if path else ""
    message = f"there is no {quoted(name)}{inside} to remove: nothing that this file extends has it"
    own.report("SE205", own.at_key(*at), message, did_you_mean(name, known) if known else "Remove this line.")
