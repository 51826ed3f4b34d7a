"""A profile made ready for one thread: its inputs chosen, its expressions expanded, its files rendered.

What is read from YAML and what is resolved are memoised in the process, by all that they are made from: reading takes
milliseconds, and platforms apply one profile to thousands of threads. Templates and sources are read anew each time.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from solven_env import profile as profiles
from solven_env import sources
from solven_env.diagnostics import Diagnostic, ordered
from solven_env.errors import ProfileError
from solven_env.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from solven_env.profile import Bun, Declaration, Profile, Python
    from solven_env.sources import ProfileSource


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
    chosen = profiles.choose(declaration.inputs, given=given, environ=environ, recorded=recorded, unset=unset)
    if not declaration.document.diagnostics:
        profiles.require(declaration.inputs, chosen.values)
    profile, files, mistakes = _render(source, chosen.values, thread)
    if mistakes:
        raise ProfileError(mistakes)
    return Prepared(profile, files, chosen.given)


def diagnose(
    source: ProfileSource, thread: str, *, given: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """Every mistake in a profile, in its order. A required input without a value gets a stand-in."""
    declaration = _declaration(source.text, source.name)
    chosen = profiles.choose(declaration.inputs, given=given, environ=environ, recorded={})
    stand_ins = dict.fromkeys(profiles.missing(declaration.inputs, chosen.values), "example")
    return _render(source, {**stand_ins, **chosen.values}, thread)[2]


def packages(source: ProfileSource, environ: Mapping[str, str]) -> tuple[Python | None, Bun | None]:
    """The two sections of packages of a valid profile, which no input changes."""
    declaration = _declaration(source.text, source.name)
    chosen = profiles.choose(declaration.inputs, given={}, environ=environ, recorded={})
    stand_ins = dict.fromkeys(profiles.missing(declaration.inputs, chosen.values), "example")
    values = {**stand_ins, **chosen.values}
    profile, mistakes = _resolved(source.text, source.name, tuple(sorted(values.items())), "example")
    if mistakes:
        raise ProfileError(ordered(mistakes))
    return profile.python, profile.bun


def _render(
    source: ProfileSource, values: Mapping[str, str], thread: str
) -> tuple[Profile, tuple[RenderedFile, ...], tuple[Diagnostic, ...]]:
    profile, mistakes = _resolved(source.text, source.name, tuple(sorted(values.items())), thread)
    files, more = render(profile, source.read_template, source.read_source)
    return profile, files, ordered((*mistakes, *more))


@functools.lru_cache(maxsize=32)
def _declaration(text: bytes, name: str) -> Declaration:
    return profiles.load(text, name, sources.schema("profile-v1.json"))


@functools.lru_cache(maxsize=1024)
def _resolved(
    text: bytes, name: str, values: tuple[tuple[str, str], ...], thread: str
) -> tuple[Profile, tuple[Diagnostic, ...]]:
    declared = _declaration(text, name)
    # resolving adds its mistakes to the document, and the declaration is shared
    document = replace(declared.document, diagnostics=list(declared.document.diagnostics))
    profile = profiles.resolve(declared._replace(document=document), dict(values), thread)
    return profile, tuple(document.diagnostics)
