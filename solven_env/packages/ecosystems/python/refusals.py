"""Packages that cannot be had, in words: each with why, and with its fix in the fields of a profile. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import BuildError, counted
from solven_env.packages.ecosystems.python.file_lists import minor, systems, told_machines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from solven_env.packages.ecosystems.python.file_lists import Machine, Release


class Lacking(NamedTuple):
    """A package of which no version that fits has a wheel for the profile's Python on Linux."""

    release: Release
    """The newest version that fits."""
    parents: tuple[str, ...]
    """The packages that need it; none where the profile names it."""
    pythons: tuple[str, ...]
    """The Pythons for which that version has a wheel on Linux."""


class Unfit(NamedTuple):
    """A requirement of the profile for which the index has no version that is for the profile's Python."""

    requirement: str
    pythons: tuple[str, ...]
    """The Pythons for which there is one."""
    problem: str
    """The reason in uv's words."""


def refusal(python: str, lacking: Sequence[Lacking], unfit: Sequence[Unfit]) -> BuildError:
    """The error that names all of them, a line each in its `details`."""
    names = [each.requirement for each in unfit] + [each.release.name for each in lacking]
    count = counted(len(names), "Python package")
    built = [each.release.name for each in lacking if each.release.has_sdist]
    others = [(each.requirement, _change(each, python)) for each in unfit]
    others += [(each.release.name, _without(each, python)) for each in lacking if not each.release.has_sdist]
    fixes = [f"Write python.allow_builds: [{', '.join(built)}]"] if built else []
    if len(others) == 1:
        fixes += [fix for _, fix in others]
    elif others:
        fixes += [f"Change or leave out {', '.join(name for name, _ in others)}"]
    error = BuildError(
        f"{count} cannot be locked for Python {python} on Linux: {', '.join(names)}", fix=f"{'. '.join(fixes)}."
    )
    reasons = [f"{each.requirement}: {_unfit(each, python)}" for each in unfit]
    reasons += [_lacking(each, python) for each in lacking]
    error.details = tuple(reasons)
    return error


def not_here(lacking: Sequence[Release], machine: Machine, python: str) -> BuildError:
    """The error of a lock that is not for a machine: it names all packages that have no wheel there."""
    named = ", ".join(f"{each.name} {each.version}" for each in lacking)
    what = "this package has" if len(lacking) == 1 else "these packages have"
    where = f"this machine, {told_machines([machine])}, and Python {python}"
    built = [each.name for each in lacking if each.has_sdist]
    fix = (
        f"Write python.allow_builds: [{', '.join(built)}] and lock again"
        if len(built) == len(lacking)
        else "Lock again"
    )
    return BuildError(f"{what} no wheel for {where}: {named}", fix=f"{fix}, or use another kind of host.")


def told_pythons(versions: Iterable[str]) -> str:
    """Versions of Python in words.

    >>> told_pythons(["3.9", "3.10", "3.11", "3.13"])
    'Python 3.9 to 3.11 and 3.13'
    """
    runs: list[list[str]] = []
    for version in versions:
        if runs and minor(version) == minor(runs[-1][-1]) + 1:
            runs[-1].append(version)
        else:
            runs.append([version])
    return "Python " + " and ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _unfit(unfit: Unfit, python: str) -> str:
    if not unfit.pythons:
        return unfit.problem
    what = f"no version that fits is for Python {python}, but for {told_pythons(unfit.pythons)}"
    return f"{what}. {_change(unfit, python)}"


def _change(unfit: Unfit, python: str) -> str:
    return _version(unfit.pythons, python) if unfit.pythons else f"Change {unfit.requirement}, or leave it out"


def _lacking(lacking: Lacking, python: str) -> str:
    release = lacking.release
    named = f"{release.name} {release.version}"
    if lacking.parents:
        named += f", which {' and '.join(lacking.parents)} need{'' if len(lacking.parents) > 1 else 's'},"
    return f"{named} {_why(lacking, python)}{_fix(lacking, python)}"


def _why(lacking: Lacking, python: str) -> str:
    wheels, others = lacking.release.wheels, systems(lacking.release.wheels)
    if not wheels and not lacking.pythons:
        return "has no wheel"
    if lacking.pythons:
        return f"has no wheel for Python {python} on Linux, but for {told_pythons(lacking.pythons)}"
    if others:
        return f"has no wheel for Linux, but for {' and '.join(others)}"
    return f"has no wheel for Python {python} on Linux"


def _fix(lacking: Lacking, python: str) -> str:
    if not lacking.release.has_sdist:
        return f", and no source. {_without(lacking, python)}"
    other = f", or {_version(lacking.pythons, python).replace('Write', 'write')}" if lacking.pythons else ""
    return f": write python.allow_builds: [{lacking.release.name}]{other}"


def _without(lacking: Lacking, python: str) -> str:
    """The fix for a package that has no sdist."""
    name = lacking.release.name
    if lacking.pythons:
        return _version(lacking.pythons, python)
    if lacking.parents:
        return f"Leave {' and '.join(lacking.parents)} out"
    if systems(lacking.release.wheels) == ("Windows",):
        return f"""Leave {name} out, or write "{name}; sys_platform == 'win32'" in its place"""
    return f"Leave {name} out"


def _version(pythons: Sequence[str], python: str) -> str:
    """The nearest other version, a newer one first."""
    newer = [version for version in pythons if minor(version) > minor(python)]
    return f'Write python.version: "{newer[0] if newer else pythons[-1]}"'
