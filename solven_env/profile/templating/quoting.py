"""The filters that quote values for shell, TOML and JSON."""

from __future__ import annotations

import json
from typing import Any

_TOML_ESCAPES = str.maketrans({
    **{chr(code): f"\\u{code:04X}" for code in (*range(0x20), 0x7F)},
    '"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r",
})  # fmt: skip


def written(value: object) -> str:
    """`value` as text: a boolean as YAML, TOML and JSON write it, anything else as Python does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shell(value: object) -> str:
    """`value` as one word of a POSIX shell, always in single quotes (POSIX.1-2024, XCU 2.2.2)."""
    return "'" + written(value).replace("'", "'\\''") + "'"


def toml(value: object) -> str:
    """`value` as a basic string of TOML 1.0: control characters and DEL are escaped."""
    return '"' + written(value).translate(_TOML_ESCAPES) + '"'


def as_json(value: object) -> str:
    """`value` as JSON (RFC 8259), in ASCII, so that no reader stumbles over U+2028."""
    return dumped(value)


def dumped(value: object, **options: Any) -> str:
    """`value` as `json.dumps` writes it; what is undefined in it is named in the error."""
    try:
        return json.dumps(value, **options)
    except TypeError:
        str(value)  # raises what has the name
        raise
