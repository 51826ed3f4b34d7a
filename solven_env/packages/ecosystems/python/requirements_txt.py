"""python.txt by a grammar of its own: what `uv pip compile --universal --generate-hashes` writes, no more. Pure.

    file    = *comment 1*pin
    comment = "#" *printable LF
    pin     = name "==" version [" ; " marker] 1*(" \" LF "    --hash=sha256:" 64hexdigit) LF

A requirements file may hold much more: options that name an index or a directory, other files, addresses, variables of
the environment (https://pip.pypa.io/en/stable/reference/requirements-file-format). uv obeys them, whoever wrote them;
so they are refused here, at their line, before uv sees the file.
"""

from __future__ import annotations

import re

from solven_env.errors import LockError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 16 << 20
MAX_PINS = 10_000
_MAX_MARKER = 32 << 10
_MAX_DEPTH = 32

# Names and versions in their normal forms (PEP 503, PEP 440), which uv writes.
_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*+"
_NUMBER = "(?:0|[1-9][0-9]*)"
_VERSION = (
    rf"(?:{_NUMBER}!)?{_NUMBER}(?:\.{_NUMBER})*+(?:(?:a|b|rc){_NUMBER})?(?:\.post{_NUMBER})?(?:\.dev{_NUMBER})?"
    r"(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*+)?"
)
NAMED = rf"({_NAME})==({_VERSION})"
"""The pattern of a pin's name and version, in their normal forms."""
_PIN = re.compile(rf"{NAMED}(?: ; ([ -~]+))? \\")
_DIGEST = re.compile(r"    --hash=sha256:([0-9a-f]{64})( \\)?")
_COMMENT = re.compile(r"#[ -~]*+(?<!\\)")

_VARIABLE = (
    "os_name|sys_platform|platform_machine|platform_python_implementation|platform_release|platform_system"
    "|platform_version|python_version|python_full_version|implementation_name|implementation_version"
)
_VALUE = r"""'[^'"\\]*+'"""
_OPERATOR = r" (?:<=?|>=?|==|!=|~=|in|not in) "
_COMPARISON = re.compile(rf"(?:{_VARIABLE}){_OPERATOR}{_VALUE}|{_VALUE}{_OPERATOR}(?:{_VARIABLE})")
_JOINT = re.compile(r" (?:and|or) ")

_WRONG = (
    (re.compile(r"\s*--hash"), "a digest that is not SHA-256, or does not stand behind a package"),
    (re.compile(r"\s*-"), "an option, and a lock has none"),
    (re.compile(r".*(?:://|@)"), "an address, and a lock has none"),
    (re.compile(r".*[$]\{"), "a variable of the environment, and a lock has none"),
)


class Pin(NamedTuple):
    """One version of a package. `marker` says where it applies (PEP 508), None for everywhere; `line` counts from 1."""

    name: str
    version: str
    marker: str | None
    digests: tuple[str, ...]
    """SHA-256, 64 hexadecimal digits each, of the release's files; at least one."""
    line: int


def parse(text: bytes, file: str, *, fix: str = "", before: int = 0) -> tuple[Pin, ...]:
    """The pins of a python.txt. LockError at `file:line` with `fix` for anything that the grammar has not.

    `before` counts the lines of the file that stand before the text.
    """

    def refused(message: str, line: int) -> LockError:
        return LockError(message, fix=fix, location=f"{file}:{before + line}")

    if len(text) > MAX_BYTES:
        raise refused(f"the lock has more than {MAX_BYTES >> 20} MiB", 1)
    lines = _lines(text)
    pins: list[Pin] = []
    markers: dict[str, set[str | None]] = {}
    number = 0
    while number < len(lines):
        line, begun = lines[number], number + 1
        number += 1
        if not pins and _COMMENT.fullmatch(line):
            continue
        found = _PIN.fullmatch(line)
        if not found:
            raise refused(_wrong(line), begun)
        name, version, marker = found.groups()
        if marker is not None and not is_marker(marker):
            raise refused(f"the marker of {name} is not one as PEP 508 writes it", begun)
        others = markers.setdefault(name, set())
        if others and (marker is None or not others.isdisjoint((marker, None))):
            raise refused(f"{name} is pinned twice for the same environment", begun)
        others.add(marker)
        digests: list[str] = []
        continues = True
        while continues:
            digest = _DIGEST.fullmatch(lines[number]) if number < len(lines) else None
            if not digest:
                raise refused(_wrong_digest(lines, number), number + 1)
            digests.append(digest[1])
            continues = digest[2] is not None
            number += 1
        pins.append(Pin(name, version, marker, tuple(digests), before + begun))
        if len(pins) > MAX_PINS:
            raise refused(f"the lock pins more than {MAX_PINS} packages", begun)
    if not pins:
        raise refused("the lock pins no package", 1)
    return tuple(pins)


def print_pins(pins: Iterable[Pin], *, with_digests: bool = True) -> str:
    """The pins as uv writes them. Without digests they are versions to prefer, and nothing that is believed."""
    return "".join(_printed(pin if with_digests else pin._replace(digests=())) for pin in pins)


def _printed(pin: Pin) -> str:
    marker = f" ; {pin.marker}" if pin.marker else ""
    digests = (f"    --hash=sha256:{digest}" for digest in pin.digests)
    return " \\\n".join((f"{pin.name}=={pin.version}{marker}", *digests)) + "\n"


def _lines(text: bytes) -> list[str]:
    """The lines; one that is not plain text matches no rule of the grammar."""
    lines = text.decode("ascii", errors="replace").split("\n")
    if lines[-1]:
        return [*lines[:-1], f"{lines[-1]}\0"]  # it does not end: something is missing
    return lines[:-1]


def is_marker(text: str) -> bool:
    """Tell whether `text` is a marker, in one pass from the left: importing packaging takes 17 ms."""
    depth = position = 0
    if len(text) > _MAX_MARKER:
        return False
    while True:
        while text.startswith("(", position):
            depth, position = depth + 1, position + 1
        comparison = _COMPARISON.match(text, position)
        if not comparison or depth > _MAX_DEPTH:
            return False
        position = comparison.end()
        while text.startswith(")", position):
            depth, position = depth - 1, position + 1
        if depth < 0 or position == len(text):
            return depth == 0
        joint = _JOINT.match(text, position)
        if not joint:
            return False
        position = joint.end()


def _wrong(line: str) -> str:
    """The mistake in a line that should be a pin. Nothing of the line is repeated: it may hold credentials."""
    known = next((what for pattern, what in _WRONG if pattern.match(line)), None)
    return f"this is {known}" if known else "this is not a pin as `solven-env lock` writes it"


def _wrong_digest(lines: list[str], number: int) -> str:
    if number < len(lines) and "--hash" in lines[number]:
        return "this is a digest that is not SHA-256"
    return "a package has no digest here, or its list of digests does not end"
