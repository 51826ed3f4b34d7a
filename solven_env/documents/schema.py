"""A document held against a JSON Schema: every mistake located, in words of ours.

A schema may carry, beside JSON Schema's own keywords, `x-expects`: what a value must be, in the words that follow
"is not".
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, cast

from solven_env.diagnostics import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema import Draft7Validator
    from jsonschema.exceptions import ValidationError

    from solven_env.documents.reading import Document, Path

_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "boolean": "true or false", "integer": "a number"}


def validate(document: Document, schema: bytes) -> None:
    """Hold the document against a JSON Schema (draft-07), report every mistake, and take what is wrong out of `data`.

    What is left has the schema's shape, so that later checks need no guards; a wrong item of a list is left as None.
    """
    errors = sorted(_validator(schema).iter_errors(document.data), key=lambda error: -len(error.absolute_path))
    for error in errors:
        for path in _translate(document, error):
            _take_out(document, path)


def path_text(path: Iterable[str | int]) -> str:
    """`path` as people write it: `mounts[2].target`, `dotfiles.'.bashrc'`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part.replace("_", "").replace("-", "").isalnum() else f"'{part}'")
    return text


@functools.lru_cache(maxsize=4)
def _validator(schema: bytes) -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads(schema))


def _translate(document: Document, error: ValidationError) -> Iterator[Path]:
    """Report one error of the schema; yield the paths that are wrong and must be taken out."""
    path = tuple(error.absolute_path)
    instance, keyword, constraint = cast("Any", error.instance), error.validator, cast("Any", error.validator_value)
    name = path_text(path)
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    example = f"Write, for example, {_inline(schema['examples'][0])}." if schema.get("examples") else ""
    if "propertyNames" in error.absolute_schema_path:
        expects = schema.get("x-expects", "a name that may stand here")
        document.report(document.key(*path, instance), f"'{instance}' is not {expects}", example)
        yield (*path, instance)
    elif keyword == "additionalProperties":
        known = schema.get("properties", {})
        for key in sorted(instance.keys() - known.keys()):
            inside = f" in {name}" if name else ""
            document.report(document.key(*path, key), f"unknown key '{key}'{inside}", did_you_mean(key, known))
            yield (*path, key)
    elif keyword == "required":
        missing = [key for key in constraint if key not in instance]
        subject = f"{name} has" if name else "the document has"
        key = next(key for key in missing if repr(key) in error.message)
        place = document.key(*path)
        document.report(place, f"{subject} no '{key}'", f"Add '{key}: {_example(schema, key)}'.")
        if path:
            yield path
    elif keyword == "type":
        if not _is_put_right(document, path, error, example):
            yield path
    else:
        expects = schema.get("x-expects")
        if keyword in {"enum", "const"}:
            allowed = constraint if keyword == "enum" else [constraint]
            expects = expects or f"one of {', '.join(map(str, allowed))}"
            example = did_you_mean(str(instance), map(str, allowed))
        value = _inline(instance) if isinstance(instance, str | int) else name
        document.report(document.value(*path), f"{name}: {value} is not {expects or 'allowed here'}", example)
        yield path


def _is_put_right(document: Document, path: Path, error: ValidationError, example: str) -> bool:
    """Report a value of the wrong type. A scalar that only lacks quotes is taken as the text that was meant."""
    constraint: Any = error.validator_value
    wanted: list[str] = constraint if isinstance(constraint, list) else [constraint]
    where = document.value(*path)
    name = path_text(path)
    if path in document.plain and "string" in wanted:
        text, taken_for = document.plain[path]
        if taken_for == "nothing":
            document.report(where, f"{name} has no value", example or 'Write "" for the empty text.')
        else:
            document.report(where, f"{name}: {text} is read as {taken_for}, not as text", f'Quote it: "{text}".')
            _parent(document.data, path)[path[-1]] = text
            return True
        return False
    expected = " or ".join(_TYPES.get(kind, kind) for kind in wanted)
    found = document.plain[path][1] if path in document.plain else _found(error.instance)
    unquote = "Write it without quotes." if wanted == ["integer"] or wanted == ["boolean"] else ""
    document.report(where, f"{name} must be {expected}, not {found}", unquote or example or f"Write {expected} here.")
    return False


def _found(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number"}
    return names.get(type(value), "a value of another kind")


def _example(schema: dict[str, Any], key: str) -> str:
    examples = schema.get("properties", {}).get(key, {}).get("examples")
    return _inline(examples[0]) if examples else "…"


def _inline(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _take_out(document: Document, path: Path) -> None:
    parent, last = _parent(document.data, path), path[-1]
    if isinstance(parent, list) and isinstance(last, int):
        parent[last] = None
    elif isinstance(parent, dict):
        parent.pop(last, None)
    document.taken_out.add(path)


def _parent(data: Any, path: Path) -> Any:
    """What holds the value at `path`; None where it was taken out."""
    for part in path[:-1]:
        if not isinstance(data, list | dict) or (isinstance(data, dict) and part not in data):
            return None
        data = data[cast("Any", part)]
    return data
