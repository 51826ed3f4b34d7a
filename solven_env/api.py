"""The verbs, for programs and for the command line alike: typed, silent, with frozen results."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from solven_env import profile as profiles
from solven_env import sources
from solven_env.diagnostics import Diagnostic, ordered
from solven_env.errors import ProfileError
from solven_env.render import RenderedFile
from solven_env.render import render as render_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from solven_env.profile import Declaration, Profile

EXAMPLE_THREAD = "example"


def validate(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: Mapping[str, str] | None = None
) -> tuple[Diagnostic, ...]:
    """Every mistake in a profile, in its order; empty when it is valid. Required inputs get a stand-in value."""
    source = sources.find(profile)
    declaration = _load(source)
    chosen = profiles.choose(declaration.inputs, given=inputs or {}, environ=os.environ, recorded={})
    stand_ins = dict.fromkeys(profiles.missing(declaration.inputs, chosen.values), "example")
    return _render(source, declaration, {**stand_ins, **chosen.values}, thread)[2]


def render(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: Mapping[str, str] | None = None
) -> tuple[RenderedFile, ...]:
    """The rendered files, as `thread` would get them. Raises `ProfileError` with every mistake."""
    source = sources.find(profile)
    declaration = _load(source)
    chosen = profiles.choose(declaration.inputs, given=inputs or {}, environ=os.environ, recorded={})
    if not declaration.document.diagnostics:
        profiles.require(declaration.inputs, chosen.values)
    _, files, diagnostics = _render(source, declaration, chosen.values, thread)
    if diagnostics:
        raise ProfileError(diagnostics)
    return files


def _load(source: sources.ProfileSource) -> Declaration:
    return profiles.load(source.text, source.name, sources.schema("profile-v1.json"))


def _render(
    source: sources.ProfileSource, declaration: Declaration, values: Mapping[str, str], thread: str
) -> tuple[Profile, tuple[RenderedFile, ...], tuple[Diagnostic, ...]]:
    resolved = profiles.resolve(declaration, values, thread)
    files, diagnostics = render_files(resolved, source.read_template, source.read_source)
    return resolved, files, ordered((*declaration.document.diagnostics, *diagnostics))
