"""The inputs that a profile declares: read, and checked as far as the schema cannot. Pure."""

from __future__ import annotations

from solven_env.documents.diagnostics import did_you_mean, quoted
from solven_env.profile import inputs, templating
from solven_env.profile.model import Input
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from solven_env.documents.document import Document

MAX_PATTERNS = 32
"""Inputs of one profile with a pattern, each of which may take a tenth of a second."""
_OF_TYPE = {"pattern": "string", "values": "enum"}
"""The fields that inputs of one type alone have."""


def read(document: Document, taken: Collection[str]) -> dict[str, Input]:
    """The inputs by name; each mistake is reported. `taken` are names with a meaning in expressions."""
    found, patterns = {}, 0
    for name, fields in document.data.get("inputs", {}).items():
        if name in taken or not _is_free(name):
            message = f"'{name}' already has a meaning in expressions"
            document.report("SE301", document.at_key("inputs", name), message, "Choose another name.")
        patterns += "pattern" in fields
        is_too_much = "pattern" in fields and patterns > MAX_PATTERNS
        if is_too_much and patterns == MAX_PATTERNS + 1:
            where = document.at_key("inputs", name, "pattern")
            document.report("SE307", where, f"more than {MAX_PATTERNS} inputs have a pattern", "Remove some of them.")
        found[name] = _read(document, name, {**fields, "pattern": ""} if is_too_much else fields)
    return found


def _is_free(name: str) -> bool:
    """True if expressions can use `name`: it is neither a word nor a function of Jinja."""
    try:
        return templating.undeclared(f"{{{{ {name} }}}}") == {name}
    except templating.TemplateError:
        return False


def _read(document: Document, name: str, fields: Mapping[str, Any]) -> Input:
    kind, default = fields.get("type", "string"), fields.get("default")
    is_type_lost = ("inputs", name, "type") in document.taken_out or ("inputs", name) in document.unread
    for field, owner in _OF_TYPE.items():
        if field in fields and kind != owner and not is_type_lost:
            fix = f"Write 'type: {owner}', or remove '{field}'."
            message = f"an input of type {kind} has no {field}"
            document.report("SE304", document.at_key("inputs", name, field), message, fix)
    item = Input(
        name,
        default=None if default is None else str(default).lower() if isinstance(default, bool) else str(default),
        required=fields.get("required", True) and "default" not in fields,
        type=kind,
        pattern=_pattern(document, name, fields) if kind == "string" else "",
        values=_values(document, name, fields) if kind == "enum" else (),
        description=fields.get("description", ""),
    )
    if item.default is not None and (wrong := inputs.problem(item, item.default)):
        another = "Write another default, or change the pattern."
        fix = did_you_mean(item.default, item.values) if item.values else another
        message = f"inputs.{name}.default: {quoted(item.default)} {wrong}"
        document.report("SE306", document.at_value("inputs", name, "default"), message, fix)
    return item


def _pattern(document: Document, name: str, fields: Mapping[str, Any]) -> str:
    """The pattern of an input; empty without one, and for what is none."""
    if "pattern" not in fields:
        return ""
    from solven_env.profile.patterns import PatternError

    text: str = fields["pattern"]
    where = document.at_value("inputs", name, "pattern")
    try:
        inputs.pattern(text)
    except PatternError as problem:
        fix = "See what a pattern may have: solven-env docs profile"
        document.report("SE305", where, f"the pattern {quoted(text)} {problem}", fix)
        return ""
    return text


def _values(document: Document, name: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    values = fields.get("values", ())
    document.report_twice(("inputs", name, "values"), values)
    return tuple(dict.fromkeys(value for value in values if value is not None))
