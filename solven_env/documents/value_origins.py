"""Origins of values that a document does not hold: `from` says of which kind, and one key beside it says where."""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from solven_env.documents.document import Document, KeyPath


class ValueOrigin(NamedTuple):
    """The key that says where a value is that comes from one kind of origin, with an example as YAML."""

    key: str
    example: str
    is_needed: bool = True


def check_origin(
    code: str, document: Document, path: KeyPath, written: Mapping[str, Any], origins: Mapping[str, ValueOrigin]
) -> None:
    """Report, by this code, a key that says nothing of the kind of origin that `from` names, and one that is missing.

    `origins` are by the words that `from` may be; `written` is what stands at `path`.
    """
    if "from" not in written:  # a mistake of another kind
        return
    wanted, name = origins[written["from"]], ".".join(map(str, path))
    for each in origins.values():
        if each.key != wanted.key and each.key in written:
            message = f"{name}: '{each.key}' says nothing of what is from {written['from']}"
            fix = f"Write '{wanted.key}: {wanted.example}' instead." if wanted.is_needed else f"Remove '{each.key}'."
            document.report(code, document.at_key(*path, each.key), message, fix)
            return
    if wanted.is_needed and wanted.key not in written and (*path, wanted.key) not in document.taken_out:
        fix = f"Add '{wanted.key}: {wanted.example}'."
        document.report(code, document.at_key(*path), f"{name} has no '{wanted.key}'", fix)
