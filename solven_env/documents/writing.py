"""Plain data as the text of a YAML document, for people to read and edit. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from solven_env.documents.schema import inline

if TYPE_CHECKING:
    from collections.abc import Mapping


def text(data: Mapping[str, Any]) -> str:
    """A mapping of plain data as YAML in block style, which `parsing.parse` reads as the same data.

    >>> print(text({"env": {"A": "3.10"}, "mounts": ["/opt/tools"]}), end="")
    env:
      A: "3.10"
    mounts:
      - /opt/tools
    """
    yaml = YAML()
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump(_written(data), out)
    # ruamel leaves what a terminal obeys, as U+202E. It stands between double quotes: nothing else can hold it.
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in out.getvalue())


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {_written(key): _written(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_written(each) for each in value]
    if not isinstance(value, str) or inline(value) == value:
        return value
    is_block = "\n" in value and value.replace("\n", "").isprintable() and not value.startswith((" ", "\n"))
    return LiteralScalarString(value) if is_block else DoubleQuotedScalarString(value)
