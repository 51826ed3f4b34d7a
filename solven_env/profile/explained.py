"""The origin of each value of a profile: the file and line that it comes from, and what it replaced. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env.documents.diagnostics import Location, closest, place_told
from solven_env.documents.document import path_text
from solven_env.documents.schema import inline, of_key
from solven_env.errors import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solven_env.documents.document import Document, KeyPath, Was

_Schema = dict[str, Any]


class Explained(NamedTuple):
    """One value of a profile: `key` as people write it, and where it stands; None for the default of a field.

    `was` are the values that it replaced, the latest first. A value that was removed has `is_removed`, and its place is
    where that is said.
    """

    key: str
    value: Any
    location: Location | None
    was: tuple[Was, ...] = ()
    is_removed: bool = False

    def told(self, file: str) -> str:
        """One line for people; `file` is the applied file, whose directory messages leave out.

        >>> Explained("env.A", "b", Location("p/team.yaml", 12, 3)).told("p/team.yaml")
        'env.A = b ← team.yaml:12'
        """
        what = "removed" if self.is_removed else f"= {inline(self.value)}"
        place = f" ← {place_told(self.location, file)}" if self.location else " (the default)"
        was = "".join(f", was {inline(value)} ← {place_told(where, file)}" for value, where in self.was)
        return printable(f"{self.key} {what}{place}{was}")

    def to_json(self) -> dict[str, object]:
        """The value as plain data, for `--format json`."""
        return {
            "key": self.key,
            "value": None if self.is_removed else self.value,
            "removed": self.is_removed,
            **_place_json(self.location),
            "replaced": [{"value": value, **_place_json(where)} for value, where in self.was],
        }


class ProfileExplanation(NamedTuple):
    """The values of a profile, those that were removed last. `file` is the profile as messages call it."""

    file: str
    values: tuple[Explained, ...]


def _place_json(location: Location | None) -> dict[str, object]:
    return {name: getattr(location, name, None) for name in Location._fields}


def explain(document: Document, schema: _Schema, key: str = "") -> ProfileExplanation:
    """Each value of a whole profile; with `key` those at it or beneath it.

    A field that is in the schema and not in the profile has its default. UsageError for a key that is neither.
    """
    found = _find(document, schema, key)
    if isinstance(found, Explained):
        return ProfileExplanation(document.file, (found,))
    values = _values(document, _schema_at(schema, found), found, document.part(found))
    removed = [each for each in _removed(document) if not found or _is_beneath(each.key, path_text(found))]
    return ProfileExplanation(document.file, (*values, *removed))


def _values(document: Document, schema: _Schema, path: KeyPath, value: Any) -> Iterator[Explained]:
    how = schema.get("x-merge", "keys" if not path else "replace")
    if how == "keys" and isinstance(value, dict) and value:
        for name, inside in value.items():
            yield from _values(document, of_key(schema, name), (*path, name), inside)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            at = (*path, index)
            yield Explained(path_text(path), item, document.at_value(*at), document.replaced.get(at, ()))
    else:
        yield Explained(path_text(path), value, document.at_key(*path), document.replaced.get(path, ()))


def _removed(document: Document) -> Iterator[Explained]:
    for path, where, was in document.removed:
        yield Explained(path, None, where, (was,), is_removed=True)


def _is_beneath(path: str, above: str) -> bool:
    return path == above or path.startswith((f"{above}.", f"{above}["))


def _schema_at(schema: _Schema, path: KeyPath) -> _Schema:
    for part in path:
        schema = of_key(schema, str(part))
    return schema


def _find(document: Document, schema: _Schema, key: str) -> KeyPath | Explained:
    """The path of a key in a document, names with dots in them too; or the default of a field that is left out."""
    path: KeyPath = ()
    value: Any = document.data
    rest = key
    while rest:
        rest = rest.removeprefix(".") if path else rest
        names = [*value] if isinstance(value, dict) else []
        fits = [name for name in names if _shown(name, rest) is not None]
        if not fits:
            return _left_out(document, schema, path, rest, key, names)
        name = max(fits, key=len)
        rest = rest[len(_shown(name, rest) or "") :]
        path, value = (*path, name), value[name]
    return path


def _shown(name: str, rest: str) -> str | None:
    """A name as `rest` begins with it, in one of the ways to write it; None if it does not."""
    for written in (name, f"['{name}']", f'["{name}"]'):
        if rest == written or rest.startswith((f"{written}.", f"{written}[")):
            return written
    return None


def _left_out(document: Document, schema: _Schema, path: KeyPath, rest: str, key: str, names: list[str]) -> Explained:
    field = _schema_at(schema, path)
    for name in rest.split("."):
        field = field.get("properties", {}).get(name, {})
    shown = printable(key)
    if field.get("x-merge") == "own":
        raise UsageError(f"each file has its own '{shown}', and the whole has none", fix="Look into the file.")
    if "default" in field:
        return Explained(key, field["default"], None)
    removed = next((each for each in _removed(document) if each.key == key), None)
    if removed:
        return removed
    near = closest(rest, names)
    known = f"Known here: {', '.join(names)}." if names else f"Ask for {path_text(path)} as a whole."
    fix = f"Did you mean '{path_text((*path, near))}'?" if near else known
    raise UsageError(f"the profile has no '{shown}'", fix=printable(fix))
