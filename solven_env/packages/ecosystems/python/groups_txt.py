"""groups.txt by a grammar of its own: which pins of python.txt each group of packages needs. Pure.

    file    = *comment 1*section
    section = "[" [group] "]" LF *(name "==" version [" ; " marker] LF)

The first section, without a name, is for the packages outside of any group. A pin stands in the section of each group
that needs it, with the marker that holds for this group; its digests stand in python.txt alone. So the lock of a thread
whose profile has some of the groups is made from their sections, and is as if only these had been locked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from solven_env.errors import LockError
from solven_env.packages.ecosystems.python import requirements_txt
from solven_env.typed import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from solven_env.packages.ecosystems.python.requirements_txt import Pin

_HEADING = re.compile(r"\[([a-z][a-z0-9_-]{0,63})?\]")
_PIN = re.compile(rf"{requirements_txt.NAMED}(?: ; ([ -~]+))?")
_COMMENT = re.compile(r"#[ -~]*")
_HEADER = "# Made by `solven-env lock`: the pins of python.txt that each group needs. Do not edit.\n"


class GroupPins(NamedTuple):
    """The section of one group: name, version and marker of each pin. `line` is the line of its heading."""

    name: str
    pins: tuple[tuple[str, str, str | None], ...]
    line: int


def parse(text: bytes, file: str, *, fix: str = "", before: int = 0) -> tuple[GroupPins, ...]:
    """The sections of a groups.txt. LockError at `file:line` with `fix` for anything that the grammar has not.

    `before` counts the lines of the file that stand before the text.
    """

    def refused(message: str, line: int) -> LockError:
        return LockError(message, fix=fix, location=f"{file}:{line}")

    lines = text.decode("ascii", errors="replace").split("\n")
    if len(text) > requirements_txt.MAX_BYTES or lines.pop():
        raise refused("the list of groups is too long, or does not end", before + 1)
    found: dict[str, tuple[int, dict[tuple[str, str, str | None], None]]] = {}
    pins: dict[tuple[str, str, str | None], None] | None = None
    for number, line in enumerate(lines, before + 1):
        heading, pin = _HEADING.fullmatch(line), _PIN.fullmatch(line)
        if heading:
            name, pins = heading[1] or "", {}
            if name in found:
                raise refused(f"the group [{name}] stands here twice", number)
            found[name] = number, pins
        elif pin and pins is not None:
            if pin[3] is not None and not requirements_txt.is_marker(pin[3]):
                raise refused(f"the marker of {pin[1]} is not one as PEP 508 writes it", number)
            pins[pin[1], pin[2], pin[3]] = None
        elif pins is not None or not _COMMENT.fullmatch(line):
            raise refused("this is neither the name of a group nor a pin without digests", number)
    if not found:
        raise refused("there is no group", before + 1)
    return tuple(GroupPins(name, tuple(pins), line) for name, (line, pins) in found.items())


def print_sections(sections: Iterable[tuple[str, Iterable[Pin]]]) -> str:
    """The text of groups.txt, for the pins of each group."""
    parts = [f"[{name}]\n{''.join(map(_printed, pins))}" for name, pins in sections]
    return "".join((_HEADER, *parts))


def check(
    sections: Sequence[GroupPins], pins: Sequence[Pin], groups: Collection[str], file: str, *, fix: str = ""
) -> None:
    """LockError where the sections are not those of the profile's groups, or name what is not in python.txt."""
    for section in sections:
        if section.name not in groups:
            raise LockError(f"the profile has no group [{section.name}]", fix=fix, location=f"{file}:{section.line}")
    lacking = [name for name in groups if name not in {section.name for section in sections}]
    if lacking:
        raise LockError(f"the lock does not say what the group [{lacking[0]}] needs", fix=fix, location=file)
    known = {(pin.name, pin.version) for pin in pins}
    for section in sections:
        for name, version, _ in section.pins:
            if (name, version) not in known:
                where = f"{file}:{section.line}"
                raise LockError(f"[{section.name}] has {name} {version}, which is not locked", fix=fix, location=where)


def compare(found: Sequence[GroupPins], resolved: Sequence[GroupPins], file: str, *, fix: str = "") -> None:
    """LockError at the first group of which the indexes say now that it needs other pins."""
    theirs = {section.name: set(section.pins) for section in resolved}
    for section in found:
        if set(section.pins) != theirs[section.name]:
            what = f"the index's resolution has other pins for the group [{section.name}]"
            raise LockError(what, fix=fix, location=f"{file}:{section.line}")


def part(sections: Iterable[GroupPins], pins: Iterable[Pin], groups: Collection[str]) -> list[Pin]:
    """The pins of python.txt that these groups need, each where at least one of them needs it."""
    markers: dict[tuple[str, str], dict[str | None, None]] = {}
    for section in sections:
        if section.name in groups:
            for name, version, marker in section.pins:
                markers.setdefault((name, version), {})[marker] = None
    found: list[Pin] = []
    for pin in pins:
        mine = markers.pop((pin.name, pin.version), None)  # of two with one version, one stands for both
        if mine is not None:
            found.append(pin._replace(marker=None if None in mine else " or ".join(filter(None, mine))))
    return found


def _printed(pin: Pin) -> str:
    return f"{pin.name}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}\n"
