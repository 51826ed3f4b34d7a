"""The pins of a python.txt, held against what the profile asks for, what the packages ask for, and the index. Pure.

What a package asks for is not in python.txt: it stands in the package's own metadata, which is there when a build is
made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from solven_env.errors import LockError
from solven_env.packages.ecosystems.python.pip_pin import with_pip
from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.packages.ecosystems.python import Python
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.profile.pep508 import Requirement

_MAX_REQUIREMENT = 8 << 10
_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]")


def check(pins: Sequence[Pin], python: Python, file: str, *, fix: str = "") -> None:
    """LockError at the file where a package that the profile asks for, or pip, has no pin, or one that does not fit."""
    refuse_lacking(pins, with_pip(python.packages), python.version, "the profile", file, fix=fix)


def refuse_lacking(
    pins: Sequence[Pin],
    requirements: Sequence[str],
    version: str,
    asker: str,
    file: str,
    *,
    line: int | None = None,
    fix: str = "",
) -> None:
    """LockError where one of the requirements has no pin, or one that does not fit. `asker` says who asks for them.

    `line` is where a pin is missing, None for the whole file; `version` is Python's.
    """
    found: dict[str, list[Pin]] = {}
    for pin in pins:
        found.setdefault(pin.name, []).append(pin)
    for text in requirements:
        asked = pep508.parse(text)
        if asked is None:
            raise LockError(f"'{text}' is no requirement", fix=fix, location=file)
        candidates = found.get(asked.name, [])
        unfit = [pin for pin in candidates if not pep508.satisfies(pin.version, asked.specifier)]
        if unfit and (not asked.marker or len(unfit) == len(candidates)):
            what = f"{asked.name} {unfit[0].version} is not what {asker} asks for: {text}"
            raise LockError(what, fix=fix, location=f"{file}:{unfit[0].line}")
        if not candidates and is_true(asked.marker, pep508.environment(version) if asked.marker else {}):
            where = file if line is None else f"{file}:{line}"
            raise LockError(f"the lock has no pin for {text}, which {asker} asks for", fix=fix, location=where)


def applicable(pins: Sequence[Pin], environment: Mapping[str, str], file: str, *, fix: str = "") -> tuple[Pin, ...]:
    """The pins whose markers are true in `environment` (`pep508.environment`). LockError where two are of one name."""
    found: dict[str, Pin] = {}
    for pin in pins:
        try:
            is_applicable = pep508.applies(pin.marker or "", environment)
        except ValueError:
            what = f"the marker of {pin.name} compares what cannot be compared"
            raise LockError(what, fix=fix, location=f"{file}:{pin.line}") from None
        if is_applicable and pin.name in found:
            raise LockError(f"{pin.name} is pinned twice for this machine", fix=fix, location=f"{file}:{pin.line}")
        if is_applicable:
            found[pin.name] = pin
    return tuple(found.values())


def refuse_unasked(
    pins: Sequence[Pin],
    packages: Sequence[str],
    metadata: Mapping[tuple[str, str], Sequence[str]],
    environment: Mapping[str, str],
    file: str,
    *,
    fix: str = "",
) -> None:
    """LockError at the first pin that neither the profile's `packages` nor anything that they need asks for.

    `metadata` has the `Requires-Dist` lines of every pin that applies in `environment`, by its name and version as
    they are pinned.
    """
    found = applicable(pins, environment, file, fix=fix)
    refuse_unreached(found, reached(found, with_pip(packages), metadata, environment), file, fix=fix)


def refuse_unreached(pins: Sequence[Pin], asked: frozenset[str], file: str, *, fix: str = "") -> None:
    """LockError at the first pin whose name is not among those that are `asked` for."""
    for pin in pins:
        if pin.name not in asked:
            raise LockError(f"nothing asks for {pin.name} {pin.version}", fix=fix, location=f"{file}:{pin.line}")


def reached(
    pins: Sequence[Pin],
    requirements: Sequence[str],
    metadata: Mapping[tuple[str, str], Sequence[str]],
    environment: Mapping[str, str],
) -> frozenset[str]:
    """The names of the pins, of those that apply here, that requirements and what they need ask for.

    `metadata` as for `refuse_unasked`.
    """
    found = {pin.name: pin for pin in pins}
    asked: set[tuple[str, str]] = set()
    pending = [(text, "") for text in requirements]
    while pending:
        text, extra = pending.pop()
        requirement = _lenient(text)
        pin = found.get(requirement.name)
        if pin is None or not is_true(requirement.marker, {**environment, "extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            if (pin.name, wanted) not in asked:
                asked.add((pin.name, wanted))
                pending += ((line, wanted) for line in metadata[pin.name, pin.version])
    return frozenset(name for name, _ in asked)


def compare(found: Sequence[Pin], resolved: Sequence[Pin], file: str, *, fix: str = "") -> None:
    """LockError at the first pin that `resolved` has not, or has with other digests, or where it has one more."""
    theirs = {(pin.name, pin.version, pin.marker): pin for pin in resolved}
    for pin in found:
        same = theirs.pop((pin.name, pin.version, pin.marker), None)
        if same is None:
            what = f"the index's resolution has no {_shown(pin)}"
            raise LockError(what, fix=fix, location=f"{file}:{pin.line}")
        for number, digest in enumerate(pin.digests, 1):
            if digest not in same.digests:
                what = f"the index has no file of {pin.name} {pin.version} with this digest"
                raise LockError(what, fix=fix, location=f"{file}:{pin.line + number}")
    for pin in theirs.values():
        after = next((other.line for other in found if other.name > pin.name), found[-1].line)
        what = f"the lock lacks {_shown(pin)}, which the index's resolution has"
        raise LockError(what, fix=fix, location=f"{file}:{after}")


def _lenient(text: str) -> Requirement:
    """A requirement of a package's metadata. Of one that PEP 508 does not know, its name is enough: uv mends it."""
    found = pep508.parse(text) if len(text) <= _MAX_REQUIREMENT else None
    return found or pep508.Requirement(pep508.canonical(_NOT_NAME.split(text.strip(), maxsplit=1)[0]))


def is_true(marker: str, environment: Mapping[str, str]) -> bool:
    """Evaluate a marker of a package's metadata; one that makes no sense counts as true."""
    try:
        return pep508.applies(marker, environment)
    except ValueError:
        return True


def _shown(pin: Pin) -> str:
    return f"{pin.name} {pin.version}{f' ; {pin.marker}' if pin.marker else ''}"
