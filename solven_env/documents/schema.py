"""Validation of a document against a JSON Schema: every mistake with its place, in our own words, reported once.

Beside JSON Schema's own keywords, a schema may carry `x-expects`: what a value must be, in words that follow "is not";
and `x-required`: the keys that a mapping must have once all files that it is composed of are read.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, cast

from solven_env.documents.diagnostics import closest, did_you_mean, quoted
from solven_env.documents.document import kind_in_words, path_text
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import Draft7Validator
    from jsonschema.exceptions import ValidationError

    from solven_env.documents.document import Document, KeyPath

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
}
_PLAIN = re.compile(
    r"(?!(true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$)(\.?[A-Za-z/^_]|[0-9]+(?=[KMGT]iB|\.[0-9]+\.))[A-Za-z0-9/.^_<>=-]*",
    re.I,
)
"""Text that needs no quotes, neither in YAML 1.2 nor in 1.1, where `yes` is a boolean."""


def validate(document: Document, schema: bytes) -> None:
    """Check a document against a JSON Schema (draft-07), report every mistake, and remove wrong parts from `data`.

    Afterwards every part has the type that the schema asks for. A required key may be missing, and a wrong item of a
    list is None.
    """
    by_path: dict[KeyPath, list[_Mistake]] = {}
    for error in _validator(schema).iter_errors(document.data):
        path = tuple(error.absolute_path)
        if path not in document.taken_out:
            by_path.setdefault(path, []).append(_Mistake.of(document, error))
    for path in sorted(by_path, key=len, reverse=True):
        for wrong in _report(by_path[path]):
            _take_out(document, wrong)


def check_complete(document: Document, schema: bytes) -> None:
    """Report each key that is missing from the whole document, as `x-required` asks. `validate` was called before."""
    _check_complete(document, document.data, parsed(schema), ())


def _check_complete(document: Document, value: Any, schema: Any, path: KeyPath) -> None:
    if not isinstance(value, dict):
        return
    if "x-required" in schema and path not in document.unread:
        _missing_keys(_Mistake(document, path, value, schema, "required", schema["x-required"]))
    for key, field in schema.get("properties", {}).items():
        _check_complete(document, value.get(key), field, (*path, key))


def of_key(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """The schema of the value at a key of a mapping; an empty one for a key that it does not know."""
    further = schema.get("additionalProperties")
    return schema.get("properties", {}).get(key) or (further if isinstance(further, dict) else {})


@functools.lru_cache(maxsize=4)
def parsed(schema: bytes) -> dict[str, Any]:
    """A JSON Schema as plain data, which nobody changes."""
    found: dict[str, Any] = json.loads(schema)
    return found


@functools.lru_cache(maxsize=4)
def _validator(schema: bytes) -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(parsed(schema))


class _Mistake(NamedTuple):
    """One error of the schema at one place of the document."""

    document: Document
    path: KeyPath
    instance: Any
    schema: dict[str, Any]
    keyword: str
    constraint: Any

    @classmethod
    def of(cls, document: Document, error: ValidationError) -> _Mistake:
        about_a_key = "propertyNames" in error.absolute_schema_path
        schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
        keyword = "propertyNames" if about_a_key else str(error.validator)
        path = tuple(error.absolute_path)
        return cls(document, path, cast("Any", error.instance), schema, keyword, cast("Any", error.validator_value))

    @property
    def name(self) -> str:
        return path_text(self.path)

    @property
    def example(self) -> str:
        examples = self.schema.get("examples")
        return f"Write, for example, {inline(examples[0])}." if examples else "Write another value."

    def report(self, code: str, message: str, fix: str) -> None:
        self.document.report(code, self.document.at_value(*self.path), message, fix)


def _report(mistakes: list[_Mistake]) -> Iterator[KeyPath]:
    """Report the mistakes at one place; yield the paths to remove."""
    by_keyword = {mistake.keyword: mistake for mistake in reversed(mistakes)}
    if "type" in by_keyword:  # other mistakes there follow from it
        yield from _wrong_type(by_keyword["type"])
        return
    for mistake in mistakes:
        if mistake.keyword == "propertyNames":
            yield from _bad_key(mistake)
    if mistakes[0].path in mistakes[0].document.unread:
        by_keyword = {key: each for key, each in by_keyword.items() if key not in _MISSING}
    if "additionalProperties" in by_keyword:
        yield from _unknown_keys(by_keyword["additionalProperties"])
    if "required" in by_keyword:
        _missing_keys(by_keyword["required"])
    if "oneOf" in by_keyword:
        of = by_keyword["oneOf"]
        alternatives = {key for each in of.constraint for key in each["required"]}
        if not any((*of.path, key) in of.document.taken_out for key in alternatives):
            yield from _wrong_value(of)
    rest = [each for key, each in by_keyword.items() if key not in _OF_MAPPINGS]
    if rest:
        yield from _wrong_value(rest[0])


_MISSING = {"required", "oneOf"}
"""The keywords that say which keys a mapping lacks."""
_OF_MAPPINGS = {"propertyNames", "additionalProperties", "required", "oneOf"}


def _bad_key(mistake: _Mistake) -> Iterator[KeyPath]:
    path = (*mistake.path, mistake.instance)
    expects = mistake.schema.get("x-expects", "a name that may stand here")
    where, message = mistake.document.at_key(*path), f"{quoted(mistake.instance)} is not {expects}"
    mistake.document.report("SE108", where, message, mistake.example)
    yield path


def _unknown_keys(mistake: _Mistake) -> Iterator[KeyPath]:
    """Report each unknown key; yield their paths. The key that one most likely stands for counts as taken out."""
    known = mistake.schema.get("properties", {})
    inside = f" in {mistake.name}" if mistake.path else ""
    for key in sorted(mistake.instance.keys() - known.keys()):
        path = (*mistake.path, key)
        message = f"unknown key {quoted(key)}{inside}"
        mistake.document.report("SE101", mistake.document.at_key(*path), message, did_you_mean(key, known))
        meant = closest(key, known)
        if meant and meant not in mistake.instance:
            mistake.document.taken_out.add((*mistake.path, meant))
        yield path


def _missing_keys(mistake: _Mistake) -> None:
    subject = mistake.name if mistake.path else "the document"
    for key in mistake.constraint:
        is_told = (*mistake.path, key) in mistake.document.taken_out
        if key not in mistake.instance and not is_told:
            place = mistake.document.at_key(*mistake.path)
            fix = f"Add '{key}: {_example(mistake.schema, key)}'."
            removal = mistake.document.removal(*mistake.path, key)
            mistake.document.report("SE102", place, f"{subject} has no '{key}'{removal}", fix)


def _wrong_type(mistake: _Mistake) -> Iterator[KeyPath]:
    """Report a value of the wrong type. A scalar that only lacks its quotes becomes the text that was meant."""
    constraint = mistake.constraint
    wanted: list[str] = constraint if isinstance(constraint, list) else [constraint]
    of_text = {**mistake.schema, **mistake.schema.get("else", {})}
    written, taken_for = mistake.document.plain.get(mistake.path, ("", ""))
    fits = "string" in wanted and re.search(of_text.get("pattern", ""), written)
    if taken_for == "nothing":
        is_free = "string" in wanted and not of_text.keys() & {"pattern", "enum", "minLength"}
        fix = 'Write "" for the empty text.' if is_free else mistake.example
        mistake.report("SE106", f"{mistake.name} has no value", fix)
        yield mistake.path
    elif taken_for and "enum" in mistake.schema:
        yield from _not_allowed(mistake, mistake.schema["enum"], written)
    elif taken_for and (fits or wanted == ["string"]):
        fix = f'Quote it: "{written}".' if fits else f"Quote it, and write {of_text['x-expects']}."
        mistake.report("SE107", f"{mistake.name}: {written} is read as {taken_for}, not as text", fix)
        if fits:
            _parent(mistake.document.data, mistake.path)[mistake.path[-1]] = written
        else:
            yield mistake.path
    else:
        expected = " or ".join(_TYPES[kind] for kind in wanted)
        fix = _unquoted(mistake.instance, wanted) or mistake.example
        message = f"{mistake.name} must be {expected}, not {kind_in_words(mistake.instance)}"
        mistake.report("SE103", message, fix)
        yield mistake.path


def _unquoted(instance: object, wanted: list[str]) -> str:
    """The fix for a number or a boolean in quotes, or for 'yes'; empty for other mistakes."""
    if wanted == ["boolean"]:
        return "Write it without quotes." if instance in ("true", "false") else "Write true or false."
    is_number = wanted == ["integer"] and isinstance(instance, str) and instance.isdecimal()
    return "Write it without quotes." if is_number else ""


def _wrong_value(mistake: _Mistake) -> Iterator[KeyPath]:
    expects = mistake.schema.get("x-expects", "allowed here")
    instance = mistake.instance
    if mistake.keyword in ("enum", "const"):
        allowed = mistake.constraint if mistake.keyword == "enum" else [mistake.constraint]
        yield from _not_allowed(mistake, allowed, str(instance))
        return
    if isinstance(instance, str):
        from solven_env.documents.excerpts import CREDENTIALS

        value = quoted(CREDENTIALS.sub("://…@", instance))
        mistake.report("SE105", f"{mistake.name}: {value} is not {expects}", mistake.example)
    elif isinstance(instance, bool):
        mistake.report("SE104", f"{mistake.name}: {inline(instance)} is not {expects}", mistake.example)
    elif isinstance(instance, int):
        mistake.report("SE110", f"{mistake.name}: {instance} is not {expects}", mistake.example)
    elif mistake.keyword == "oneOf":
        mistake.report("SE109", f"{mistake.name} is not {expects}", mistake.example)
    else:
        mistake.report("SE112", f"{mistake.name} is not {expects}", mistake.example)
    yield mistake.path


def _not_allowed(mistake: _Mistake, allowed: list[object], written: str) -> Iterator[KeyPath]:
    words = [str(word) for word in allowed]
    listed = " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    close = closest(written, words)
    fix = f"Did you mean '{close}'?" if close else "Write one of them." if len(words) > 1 else f"Write {words[0]}."
    mistake.report("SE104", f"{mistake.name}: {quoted(written)} is not {listed}", fix)
    yield mistake.path


def _example(schema: dict[str, Any], key: str) -> str:
    examples = schema.get("properties", {}).get(key, {}).get("examples")
    return inline(examples[0]) if examples else "…"


def inline(value: object) -> str:
    """A value as YAML on one line: quoted where YAML would not read it as text.

    >>> print(inline("abc"), inline("3.10"), inline(["a", 1]), inline({"to": "b c", "optional": True}))
    abc "3.10" [a, 1] {to: "b c", optional: true}
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{inline(key)}: {inline(each)}' for key, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _take_out(document: Document, path: KeyPath) -> None:
    document.taken_out.add(path)
    if not path:
        document.data = {}
        return
    parent, last = _parent(document.data, path), path[-1]
    if isinstance(parent, list) and isinstance(last, int):
        parent[last] = None
    elif isinstance(parent, dict):
        parent.pop(last, None)


def _parent(data: Any, path: KeyPath) -> Any:
    """The list or mapping that holds the value at `path`; None if it was removed."""
    for part in path[:-1]:
        if not isinstance(data, list | dict) or (isinstance(data, dict) and part not in data):
            return None
        data = data[cast("Any", part)]
    return data
