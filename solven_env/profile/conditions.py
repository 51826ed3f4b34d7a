"""Conditions: what has a `when:`, the name of one input, is there only in threads where that input says so. Pure."""

from __future__ import annotations

from solven_env.documents.diagnostics import did_you_mean, quoted
from solven_env.profile.inputs import is_true
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from solven_env.documents.document import Document, KeyPath
    from solven_env.profile.sections import SectionKind

_CONDITIONAL = ("env", "mounts", "dotfiles", "links")
"""The parts of a profile whose entries may have a condition, beside the groups of packages."""


def is_met(entry: object, values: Mapping[str, str]) -> bool:
    """True if an entry has no condition, or one whose input is set, not empty and not `false`.

    >>> is_met({"to": "skills", "when": "debug"}, {"debug": "false"}), is_met("text", {})
    (False, True)
    """
    return not isinstance(entry, dict) or "when" not in entry or is_true(entry["when"], values)


def check(document: Document, inputs: Collection[str], ecosystems: tuple[SectionKind, ...]) -> None:
    """Report each condition that names no input of the profile."""
    lost = document.taken_out | document.unread
    for path, name in _written(document, ecosystems):
        if name not in inputs and not {("inputs",), ("inputs", name)} & lost:
            message = f"there is no input {quoted(name)}{document.removal('inputs', name)}"
            document.report("SE302", document.at_value(*path), message, did_you_mean(name, inputs))


def _written(document: Document, ecosystems: tuple[SectionKind, ...]) -> Iterator[tuple[KeyPath, str]]:
    """Every condition of a document, with its place."""
    parts: list[KeyPath] = [(name,) for name in _CONDITIONAL]
    for part in (*parts, *((row.NAME, "groups") for row in ecosystems)):
        entries: Any = document.data
        for name in part:
            entries = entries.get(name, {})
        for key, entry in enumerate(entries) if isinstance(entries, list) else entries.items():
            if isinstance(entry, dict) and "when" in entry:
                yield (*part, key, "when"), entry["when"]
