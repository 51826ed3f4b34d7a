"""A profile made ready for one thread: its inputs chosen, its expressions expanded, its files rendered.

What is read from YAML, resolved and rendered is memoised in the process, by all that it is made from: reading takes
milliseconds, and platforms apply one profile to thousands of threads. Templates and sources are read anew each time,
and what they say is part of what a rendering is known by.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from solven_env.documents.diagnostics import Diagnostic, ordered
from solven_env.errors import ProfileError
from solven_env.profile.inputs import choose, missing, require
from solven_env.profile.load import load
from solven_env.profile.render import RenderedFile, SourceError, render
from solven_env.profile.resolve import resolve
from solven_env.profile.source import read_schema
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from solven_env.profile.model import Declaration, Profile
    from solven_env.profile.sections import Bun, Python
    from solven_env.profile.source import ProfileSource


class Prepared(NamedTuple):
    """A profile for one thread, its rendered files, and the inputs that were given (defaults are not among them)."""

    profile: Profile
    files: tuple[RenderedFile, ...]
    given: Mapping[str, str]


def prepare(
    source: ProfileSource,
    thread: str,
    *,
    given: Mapping[str, str],
    environ: Mapping[str, str],
    recorded: Mapping[str, str],
    unset: Collection[str] = (),
) -> Prepared:
    """The profile ready for `thread`. A `ProfileError` with every mistake, a `UsageError` for a missing input."""
    declaration = _declaration(source.text, source.name)
    chosen = choose(declaration.inputs, given=given, environ=environ, recorded=recorded, unset=unset)
    if not declaration.document.diagnostics:
        require(declaration.inputs, chosen.values)
    profile, files, mistakes = _render(source, chosen.values, thread)
    if mistakes:
        raise ProfileError(mistakes)
    return Prepared(profile, files, chosen.given)


def diagnose(
    source: ProfileSource, thread: str, *, given: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """Every mistake in a profile, in its order. A required input without a value gets a stand-in."""
    declaration = _declaration(source.text, source.name)
    chosen = choose(declaration.inputs, given=given, environ=environ, recorded={})
    stand_ins = dict.fromkeys(missing(declaration.inputs, chosen.values), "example")
    return _render(source, {**stand_ins, **chosen.values}, thread)[2]


def packages(source: ProfileSource, environ: Mapping[str, str]) -> tuple[Python | None, Bun | None]:
    """The two sections of packages of a valid profile, which no input changes."""
    profile = example(source, environ)
    return profile.python, profile.bun


def example(source: ProfileSource, environ: Mapping[str, str]) -> Profile:
    """A valid profile for a thread called `example`. A required input without a value gets a stand-in."""
    declaration = _declaration(source.text, source.name)
    chosen = choose(declaration.inputs, given={}, environ=environ, recorded={})
    stand_ins = dict.fromkeys(missing(declaration.inputs, chosen.values), "example")
    values = {**stand_ins, **chosen.values}
    profile, mistakes = _resolved(source.text, source.name, tuple(sorted(values.items())), "example")
    if mistakes:
        raise ProfileError(ordered(mistakes))
    return profile


def _render(
    source: ProfileSource, values: Mapping[str, str], thread: str
) -> tuple[Profile, tuple[RenderedFile, ...], tuple[Diagnostic, ...]]:
    key = (source.text, source.name, tuple(sorted(values.items())), thread)
    profile, mistakes = _resolved(*key)
    memo = _renderings(*key)
    if not (memo and all(_look(source, kind, name) == said for kind, name, said in memo[0].reads)):
        memo[:] = [_render_anew(profile, source)]
    return profile, memo[0].files, ordered((*mistakes, *memo[0].mistakes))


class _Rendering(NamedTuple):
    """What was rendered, and every template and source that was read for it: its kind, its name, what it said."""

    files: tuple[RenderedFile, ...]
    mistakes: tuple[Diagnostic, ...]
    reads: tuple[tuple[str, str, object], ...]


def _render_anew(profile: Profile, source: ProfileSource) -> _Rendering:
    reads: list[tuple[str, str, object]] = []

    def reading(kind: str) -> Callable[[str], Any]:
        def read(name: str) -> Any:
            said = _look(source, kind, name)
            reads.append((kind, name, said))
            if isinstance(said, _Unreadable):
                raise SourceError(said.why, said.fix)
            return said

        return read

    files, mistakes = render(profile, reading("template"), reading("source"))
    return _Rendering(files, mistakes, tuple(reads))


class _Unreadable(NamedTuple):
    why: str
    fix: str


def _look(source: ProfileSource, kind: str, name: str) -> object:
    try:
        return source.read_template(name) if kind == "template" else source.read_source(name)
    except SourceError as problem:
        return _Unreadable(str(problem), problem.fix)


@functools.lru_cache(maxsize=256)
def _renderings(_text: bytes, _name: str, _values: tuple[tuple[str, str], ...], _thread: str) -> list[_Rendering]:
    """Where the last rendering of a resolved profile is kept: none or one."""
    return []


@functools.lru_cache(maxsize=32)
def _declaration(text: bytes, name: str) -> Declaration:
    return load(text, name, read_schema("profile-v1.json"))


@functools.lru_cache(maxsize=1024)
def _resolved(
    text: bytes, name: str, values: tuple[tuple[str, str], ...], thread: str
) -> tuple[Profile, tuple[Diagnostic, ...]]:
    declared = _declaration(text, name)
    # resolving adds its mistakes to the document, and the declaration is shared
    document = replace(declared.document, diagnostics=list(declared.document.diagnostics))
    profile = resolve(declared._replace(document=document), dict(values), thread)
    return profile, tuple(document.diagnostics)
