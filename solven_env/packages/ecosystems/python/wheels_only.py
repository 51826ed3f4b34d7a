"""The rule 'wheels only' and its price, told beside a lock, or in the place of one.

uv resolves for all platforms, and is content with a wheel for any of them. What Linux machines lack is found in the
lists of files; what the rule keeps old, in a second resolution that takes sdists too (`uv_questions`).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from solven_env.packages.ecosystems.python import NEWEST, file_lists, held_back, indexes, uv_questions
from solven_env.packages.ecosystems.python.file_lists import Release, machines
from solven_env.packages.ecosystems.python.pip_compile import Declared
from solven_env.packages.ecosystems.python.pip_pin import with_pip
from solven_env.packages.ecosystems.python.refusals import Lacking, Unfit, refusal
from solven_env.packages.ecosystems.python.uv_questions import ANNOTATED, LISTED
from solven_env.packages.locks import HELD_BACK, Remark
from solven_env.packages.steps import within
from solven_env.profile import pep508
from solven_env.system.at_once import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from solven_env.errors import BuildError
    from solven_env.packages.ecosystems.python import Python
    from solven_env.packages.ecosystems.python.file_lists import Machine
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.ecosystems.python.uv_questions import UvAnswer
    from solven_env.packages.toolchain import Toolchain

_UNIVERSAL = "--universal"
_MANYLINUX = ("--python-platform", "x86_64-manylinux_2_40")
"""The options for a resolution that one kind of Linux machine could install."""
_AT_ONCE = 4
_UNREACHED = "Failed to fetch"
"""uv's words about an index that does not answer."""
_T = TypeVar("_T")
_R = TypeVar("_R")


class ReleaseList(NamedTuple):
    """The releases that Linux machines get for some requirements, what they need left aside, with their files."""

    releases: Mapping[str, Release]
    """By name."""
    problem: str = ""
    is_about_packages: bool = True


class Examined(NamedTuple):
    """Findings about pins. With `limits`, constraints by which uv finds wheels for Linux, resolve again."""

    remarks: tuple[Remark, ...] = ()
    limits: tuple[str, ...] = ()


def examine(
    section: Python,
    pins: Sequence[Pin],
    host: Toolchain,
    *,
    is_new: bool,
    declared: Sequence[Declared] = (),
) -> Examined:
    """Find what is held back, and what some machines or all lack, in the pins that uv resolved with wheels alone.

    `is_new` says that no older lock's versions were preferred. BuildError for packages that no Linux machine can have.
    """
    python, wanted = section.version, with_pip(section.packages)
    within(host.progress, "comparing with newer versions that have no wheel")
    limits = held_back.at_least((pin.name, pin.version) for pin in pins)
    answer = uv_questions.with_sdists(wanted, python, host, _UNIVERSAL, *LISTED, declared=declared, limits=limits)
    free = _on_linux(answer, python)
    locked = _versions(file_lists.on_linux([Release(*pin[:3], (), has_sdist=True) for pin in pins], python))
    others = [f"{name}=={version}" for name, version in locked.items() if _versions(free).get(name) != version]
    listed = {**free, **_list(others, python, host).releases}
    needed = {name: each for name, each in listed.items() if name not in section.allow_builds}
    needed = {name: each for name, each in needed.items() if locked.get(name) == each.version}
    nowhere = {name: release for name, release in needed.items() if not machines(release.wheels, python)}
    if nowhere:
        return Examined(limits=_limits(section, nowhere, answer, free, host))
    remarks = held_back.on_some_machines(needed, python)
    lacking = _lacking(free, section)
    if answer.problem:
        return Examined((_unknown(answer), *remarks))
    if lacking and held_back.differing(locked, _versions(free)):
        built = (*_built(section), *declared)
        whole = _again(uv_questions.with_sdists, wanted, python, host, declared=answer.declared, limits=limits)
        bound = (_again if is_new else _anew)(uv_questions.with_wheels, wanted, python, host, declared=built)
        if bound.problem or whole.problem:
            return Examined((_unknown(bound if bound.problem else whole), *remarks))
        graphs = [held_back.graph(each.text, python) for each in (bound, whole)]
        remarks = (*held_back.remarks(locked, graphs[0], graphs[1], lacking, python), *remarks)
    return Examined(remarks)


def _unknown(answer: UvAnswer) -> Remark:
    return Remark(HELD_BACK, "", "", f"versions may be held back, uv cannot tell: {answer.problem}")


def explain(section: Python, host: Toolchain, error: BuildError, declared: Sequence[Declared] = ()) -> BuildError:
    """The error in the place of uv's for a profile that cannot be locked: it names all packages that cannot be had."""
    if _UNREACHED in error.message:  # to ask again would only wait again
        return error
    python, wanted = section.version, with_pip(section.packages)
    within(host.progress, "looking for packages that cannot be had")
    joint = _list(wanted, python, host)
    if joint.problem and not joint.is_about_packages:
        return error
    unfit = _unfit(wanted, python, host) if joint.problem else ()
    fitting = [each for each in wanted if each not in {one.requirement for one in unfit}]
    # An sdist can be half a gigabyte, and what has no wheel is known of these before uv fetches it.
    tops = _list(fitting, python, host) if unfit else joint
    known = (*declared, *(Declared(each.name, each.version) for each in tops.releases.values() if not each.wheels))
    free = uv_questions.with_sdists(fitting, python, host, _UNIVERSAL, *LISTED, declared=known)
    lacking = () if free.problem else _refused(section, fitting, _lacking(_on_linux(free, python), section), free, host)
    if unfit or lacking:
        refused = refusal(python, lacking, unfit)
        refused.details = (*refused.details, *error.details)
        return refused
    if free.problem and "Python" in free.problem:
        for other in _nearest(python):
            if not uv_questions.with_sdists(fitting, other, host, _UNIVERSAL, declared=known).problem:
                error.fix = f'Change python.packages, or write python.version: "{other}", for which versions fit.'
                break
    return error


def lacking_on(machine: Machine, requirements: Sequence[str], python: str, host: Toolchain) -> list[Release]:
    """The releases of requirements that have no wheel for a machine."""
    releases = _list(requirements, python, host).releases.values()
    return [release for release in releases if machine not in machines(release.wheels, python)]


def _limits(
    section: Python, nowhere: Mapping[str, Release], free: UvAnswer, releases: Mapping[str, Release], host: Toolchain
) -> tuple[str, ...]:
    """Constraints to other versions of packages that have wheels for Linux. BuildError where there are none."""
    python, wanted = section.version, with_pip(section.packages)
    suspects = {**_lacking(releases, section), **nowhere}
    refused = _refused(section, wanted, suspects, free, host, only=nowhere)
    if refused:
        raise refusal(python, refused, ())
    answer = uv_questions.with_wheels(wanted, python, host, *_MANYLINUX, *LISTED, declared=_built(section))
    versions = _versions(_on_linux(answer, python))
    if not versions.keys() >= nowhere.keys():
        raise refusal(python, [Lacking(release, (), ()) for release in nowhere.values()], ())
    return tuple(f"{name}=={versions[name]} ; sys_platform == 'linux'" for name in nowhere)


def _refused(
    section: Python,
    wanted: Sequence[str],
    suspects: Mapping[str, Release],
    free: UvAnswer,
    host: Toolchain,
    only: Collection[str] | None = None,
) -> tuple[Lacking, ...]:
    """The packages without which nothing can be resolved, though all other `suspects` were built or not there."""
    python = section.version

    def is_needed(name: str) -> bool:
        others = [each for each in suspects.values() if each.name != name]
        built = [Declared(each.name, "") for each in others if each.has_sdist]
        built += _built(section)
        gone = [each.name for each in others if not each.has_sdist]
        answer = uv_questions.with_wheels(wanted, python, host, *_MANYLINUX, declared=built, left_out=gone)
        return bool(answer.problem) and answer.is_about_packages

    names = [name for name in suspects if only is None or name in only]
    refused = [name for name, needed in zip(names, _at_once(is_needed, names), strict=True) if needed]
    if not refused:
        return ()
    annotated = _again(uv_questions.with_sdists, wanted, python, host, declared=free.declared)
    parents = held_back.graph(annotated.text, python).parents
    asked = {requirement.name for requirement in map(pep508.parse, wanted) if requirement}
    pythons = _pythons([suspects[name] for name in refused], python, host)
    return tuple(
        Lacking(suspects[name], () if name in asked else tuple(sorted(parents.get(name, ()))), pythons[name])
        for name in refused
    )


def _pythons(releases: Sequence[Release], python: str, host: Toolchain) -> dict[str, tuple[str, ...]]:
    """By name, the other Pythons that have a wheel of a release on Linux.

    uv lists no wheels that are for older Pythons than it is asked about, nor releases that are for newer ones alone.
    """
    found: dict[str, tuple[str, ...]] = {}
    for oldest in file_lists.pythons(file_lists.OLDEST, python):
        missing = [f"{release.name}=={release.version}" for release in releases if release.name not in found]
        for listing in _at_once(functools.partial(_list_one, python=oldest, host=host), missing):
            for name, release in listing.releases.items():
                found[name] = file_lists.other_pythons(release.wheels, NEWEST)
    return {release.name: found.get(release.name, ()) for release in releases}


def _unfit(wanted: Sequence[str], python: str, host: Toolchain) -> tuple[Unfit, ...]:
    """The requirements that cannot be met, whatever they need in their turn."""
    listings = _at_once(functools.partial(_list_one, python=python, host=host), wanted)
    known = file_lists.pythons(file_lists.OLDEST, NEWEST)
    has_wheel = functools.partial(_has_wheel, host=host)
    found = []
    for requirement, listing in zip(wanted, listings, strict=True):
        if listing.problem:
            # uv takes a package for all later Pythons, too: what neither end has is for none.
            ends = _at_once(functools.partial(_list_one, requirement, host=host), (known[0], known[-1]))
            others = [version for version in known if version != python and not all(end.problem for end in ends)]
            fit = _at_once(functools.partial(has_wheel, requirement), others)
            pythons = tuple(version for version, fits in zip(others, fit, strict=True) if fits)
            found.append(Unfit(requirement, pythons, listing.problem))
    return tuple(found)


def _has_wheel(requirement: str, python: str, host: Toolchain) -> bool:
    return any(machines(release.wheels, python) for release in _list_one(requirement, python, host).releases.values())


def _built(section: Python) -> list[Declared]:
    return [Declared(name, "") for name in section.allow_builds]


def _nearest(python: str) -> list[str]:
    """The other Pythons, newer ones first, then older ones, each from the nearest on."""
    others = [version for version in file_lists.pythons(file_lists.OLDEST, NEWEST) if version != python]
    newer = [version for version in others if file_lists.minor(version) > file_lists.minor(python)]
    return [*newer, *reversed(others[: len(others) - len(newer)])]


def _lacking(releases: Mapping[str, Release], section: Python) -> dict[str, Release]:
    """The releases without a wheel for Linux that the profile does not allow to be built."""
    return {
        name: release
        for name, release in releases.items()
        if name not in section.allow_builds and not machines(release.wheels, section.version)
    }


def _list(requirements: Sequence[str], python: str, host: Toolchain) -> ReleaseList:
    """The listing of requirements, each asked of its own index. uv needs no metadata then, and builds nothing."""
    named = [(found.name, text) for text in requirements if (found := pep508.parse(text))]
    answers = []
    for asking, share in indexes.shares([name for name, _ in named], host):
        asked = [text for name, text in named if name in share]
        answers.append(uv_questions.with_sdists(asked, python, asking, _UNIVERSAL, "--no-deps", *LISTED))
    releases = {name: release for answer in answers for name, release in _on_linux(answer, python).items()}
    problems = sorted((answer for answer in answers if answer.problem), key=lambda answer: answer.is_about_packages)
    return (
        ReleaseList(releases, problems[0].problem, problems[0].is_about_packages) if problems else ReleaseList(releases)
    )


def _list_one(requirement: str, python: str, host: Toolchain) -> ReleaseList:
    return _list([requirement], python, host)


def _again(ask: Callable[..., UvAnswer], *arguments: object, **more: Sequence[object]) -> UvAnswer:
    """The answer to a question that uv was just asked in another form: all that it needs is in uv's cache."""
    answer = ask(*arguments, _UNIVERSAL, *ANNOTATED, "--offline", **more)
    return _anew(ask, *arguments, **more) if answer.problem else answer


def _anew(ask: Callable[..., UvAnswer], *arguments: object, **more: Sequence[object]) -> UvAnswer:
    return ask(*arguments, _UNIVERSAL, *ANNOTATED, **more)


def _at_once(function: Callable[[_T], _R], arguments: Sequence[_T]) -> list[_R]:
    """The results of a question about each argument; a few are asked at the same time."""
    found: list[_R] = []
    for first in range(0, len(arguments), _AT_ONCE):
        calls = [functools.partial(function, argument) for argument in arguments[first : first + _AT_ONCE]]
        found += at_once(calls)
    return found


def _on_linux(answer: UvAnswer, python: str) -> dict[str, Release]:
    return file_lists.on_linux(file_lists.parse(answer.text), python)


def _versions(releases: Mapping[str, Release]) -> dict[str, str]:
    return {name: release.version for name, release in releases.items()}
