"""A document as data: what it says, where each part of it stands, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from solven_env.documents.diagnostics import Diagnostic, Location, quoted
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]
"""Where a value is in a document: keys and list indices from the top."""

_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", int: "a number", type(None): "nothing"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Scalar(NamedTuple):
    """A plain scalar that is no text and has no use as what YAML takes it for: a date, a fraction, a hexadecimal."""

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


def found(value: object) -> str:
    """What a value of a document is, in words."""
    return value.text if isinstance(value, Scalar) else _KINDS.get(type(value), "a value of another kind")


def path_text(path: Iterable[str | int]) -> str:
    """`path` as people write it: `mounts[2].target`, `dotfiles['.bashrc'].mode`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _PLAIN_NAME.fullmatch(part):
            text += f"[{quoted(part)}]"
        else:
            text += f".{part}" if text else part
    return text
