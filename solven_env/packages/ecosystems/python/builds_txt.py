"""builds.txt by a grammar of its own: what the build of each allowed package needs, pinned as in python.txt. Pure.

    file    = *comment 1*section
    section = "[" name "==" version "]" LF *pin

Each package has a section of its own, since what two builds need may contradict each other. The pins are those of
`requirements_txt`, all of them wheels; a build that needs nothing has none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from solven_env.errors import LockError
from solven_env.packages.ecosystems.python import pins as python_pins
from solven_env.packages.ecosystems.python import requirements_txt
from solven_env.typed import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from solven_env.packages.ecosystems.python.requirements_txt import Pin

_HEADING = re.compile(rf"\[{requirements_txt.NAMED}\]")
_SECTIONS = re.compile(rb"^(?=\[)", re.MULTILINE)
_COMMENT = re.compile(rb"#[ -~]*\n")
_HEADER = "# Made by `solven-env lock`: what builds of packages need, as wheels. Do not edit.\n"


class BuildPins(NamedTuple):
    """The section of one package: the pins that its build needs. `line` is the line of its heading."""

    name: str
    version: str
    pins: tuple[Pin, ...]
    line: int


def parse(text: bytes, file: str, *, fix: str = "", before: int = 0) -> tuple[BuildPins, ...]:
    """The sections of a builds.txt. LockError at `file:line` with `fix` for anything that the grammar has not.

    `before` counts the lines of the file that stand before the text.
    """
    head, *parts = _SECTIONS.split(text)
    line = before + 1
    for comment in head.splitlines(keepends=True) or ([] if parts else [b""]):
        if not parts or not _COMMENT.fullmatch(comment):
            what = "this is neither a comment nor the heading of a package"
            raise LockError(what, fix=fix, location=f"{file}:{line}")
        line += 1
    found: list[BuildPins] = []
    for part in parts:
        heading, ends, body = part.partition(b"\n")
        named = _HEADING.fullmatch(heading.decode("ascii", errors="replace"))
        if not named or not ends:
            raise LockError("this is not a heading: [name==version]", fix=fix, location=f"{file}:{line}")
        if any((section.name, section.version) == named.groups() for section in found):
            raise LockError(f"{named[1]} {named[2]} stands here twice", fix=fix, location=f"{file}:{line}")
        pins = requirements_txt.parse(body, file, fix=fix, before=line) if body else ()
        found.append(BuildPins(named[1], named[2], pins, line))
        line += part.count(b"\n")
    return tuple(found)


def print_sections(sections: Iterable[BuildPins]) -> str:
    """The text of builds.txt; empty without sections."""
    printed = [
        f"[{section.name}=={section.version}]\n{requirements_txt.print_pins(section.pins)}"
        for section in sorted(sections, key=lambda section: (section.name, section.version))
    ]
    return "".join((_HEADER, *printed)) if printed else ""


def check(
    sections: Sequence[BuildPins], pins: Sequence[Pin], allowed: Collection[str], file: str, *, fix: str = ""
) -> None:
    """LockError at the file where a pin of an allowed package has no section, or a section no such pin."""
    wanted = {(pin.name, pin.version) for pin in pins if pin.name in allowed}
    for section in sections:
        if (section.name, section.version) not in wanted:
            what = f"nothing asks for the build of {section.name} {section.version}"
            raise LockError(what, fix=fix, location=f"{file}:{section.line}")
    lacking = wanted - {(section.name, section.version) for section in sections}
    if lacking:
        name, version = min(lacking)
        raise LockError(f"the lock does not say what the build of {name} {version} needs", fix=fix, location=file)


def compare(found: Sequence[BuildPins], resolved: Sequence[BuildPins], file: str, *, fix: str = "") -> None:
    """LockError at the first pin that `resolved` says otherwise. Both have sections for the same packages."""
    theirs = {(section.name, section.version): section.pins for section in resolved}
    for section in found:
        pins = theirs[section.name, section.version]
        if not section.pins and pins:
            what = f"the lock lacks what the build of {section.name} {section.version} needs"
            raise LockError(what, fix=fix, location=f"{file}:{section.line}")
        python_pins.compare(section.pins, pins, file, fix=fix)
