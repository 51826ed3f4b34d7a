"""A document as data, with the place of each part and the mistakes found in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from solven_env.documents.diagnostics import Diagnostic, Location, place_told, quoted
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KeyPath = tuple[str | int, ...]
"""The keys and list indices that lead from the top of a document to a value."""

_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", int: "a number", type(None): "nothing"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Scalar(NamedTuple):
    """A plain scalar that YAML reads as something that no field takes: a date, a fraction, a hexadecimal number."""

    text: str


class Was(NamedTuple):
    """A value that a later file replaced or removed, and its place."""

    value: Any
    location: Location


class Removed(NamedTuple):
    """A value that a file removed of those that it extends: its path as people write it, and where that is said."""

    path: str
    location: Location
    was: Was


@dataclass
class Document:
    """A YAML document: plain `data`, the places of its keys and values, and the mistakes found so far.

    A profile that extends others is one document too, whose places lie in several files; `file` is the applied one.
    """

    file: str
    data: dict[str, Any]
    keys: dict[KeyPath, Location] = field(default_factory=dict)
    values: dict[KeyPath, Location] = field(default_factory=dict)
    plain: dict[KeyPath, tuple[str, str]] = field(default_factory=dict)
    """For each plain scalar that YAML does not read as text: its text, and what YAML reads it as."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    taken_out: set[KeyPath] = field(default_factory=set)
    """The paths that `validate` removed, so that later checks do not report what depends on them."""
    unread: set[KeyPath] = field(default_factory=set)
    """The paths of mappings with a key that is reported and left out: nobody knows which keys these lack."""
    replaced: dict[KeyPath, tuple[Was, ...]] = field(default_factory=dict)
    """The former values of each value that replaced some, of files that are extended: the latest first."""
    removed: list[Removed] = field(default_factory=list)
    """The values that were removed of the files that are extended."""
    texts: dict[str, str] = field(default_factory=dict)
    """The text of each file that is part of the document, by its name, for excerpts; none if they must not be shown."""

    def part(self, path: KeyPath) -> Any:
        """The part of `data` at `path`, which must be there."""
        value: Any = self.data
        for each in path:
            value = value[each]
        return value

    def at_value(self, *path: str | int) -> Location:
        """The place where the value at `path` begins."""
        return self.values.get(path) or Location(self.file, 1, 1)

    def at_key(self, *path: str | int) -> Location:
        """The place where the key at `path` begins; for an item of a list, the place of its value."""
        return self.keys.get(path) or self.at_value(*path)

    def removal(self, *path: str | int) -> str:
        """The place that removed what a message says is not at `path`, as the end of its sentence; else nothing."""
        for each in self.removed:
            value, whole = each.was.value, path_text(path[:-1])
            if each.path == path_text(path) or (each.path == whole and isinstance(value, dict) and path[-1] in value):
                return f": {place_told(each.location, self.file)} removes it"
        return ""

    def report(self, code: str, location: Location, message: str, fix: str) -> None:
        """Add a mistake of the kind that `docs/errors/<code>.md` explains."""
        from solven_env.documents.excerpts import excerpt  # here: a valid document needs none

        self.diagnostics.append(Diagnostic(code, location, message, fix, excerpt(self.texts, location)))

    def report_twice(self, path: KeyPath, names: Iterable[str | None], canonical: Callable[[str], str] = str) -> None:
        """Report each name of the list at `path` that stands there before, the two in canonical form."""
        seen = set[str]()
        for number, name in enumerate(names):
            if name is None:
                continue
            if canonical(name) in seen:
                where = self.at_value(*path, number)
                self.report("SE111", where, f"{quoted(name)} stands here twice", "Keep one of the two.")
            seen.add(canonical(name))


def kind_in_words(value: object) -> str:
    """The kind of a value in a document, for a message.

    >>> kind_in_words([1]), kind_in_words("x")
    ('a list', 'text')
    """
    return value.text if isinstance(value, Scalar) else _KINDS.get(type(value), "a value of another kind")


def path_text(path: Iterable[str | int]) -> str:
    """A path as people write it.

    >>> print(path_text(["mounts", 2, "target"]), path_text(["dotfiles", ".bashrc", "mode"]))
    mounts[2].target dotfiles['.bashrc'].mode
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _PLAIN_NAME.fullmatch(part):
            text += f"[{quoted(part)}]"
        else:
            text += f".{part}" if text else part
    return text
