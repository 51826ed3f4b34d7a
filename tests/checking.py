"""Profiles as text, checked without a file: what tests of the pure rooms share."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.documents.diagnostics import Diagnostic, ordered
from solven_env.packages.ecosystems import rows
from solven_env.profile import inputs as profile_inputs
from solven_env.profile import load as loading
from solven_env.profile import resolve as resolving
from solven_env.profile.render import RenderedFile, render
from solven_env.profile.source import ProfileSource, read_schema
from solven_env.system import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.profile.model import Declaration, Profile

HEAD = "version: 1\nname: x\nrelease: 1.0.0\n"
"""What every profile begins with; what a test adds begins in line 4."""

SCHEMA = read_schema("profile-v1.json")
SOLVEN = (shipped.directory("profiles") / "solven.yaml").read_bytes()


def source(text: str | bytes) -> ProfileSource:
    """A profile that no file holds, and that has none beside it."""
    return ProfileSource(text if isinstance(text, bytes) else text.encode(), "p.yaml", Path("nowhere"))


def load(text: str | bytes) -> Declaration:
    return loading.load(source(text), SCHEMA, rows())


def resolve(text: str | bytes, inputs: Mapping[str, str] | None = None) -> Profile:
    """A valid profile for the thread `t1`, with defaults for the inputs that are not given."""
    declaration = load(text)
    chosen = profile_inputs.choose(declaration.inputs, given=inputs or {}, environ={}, recorded={})
    profile = resolving.resolve(declaration, chosen.values, "t1")
    assert declaration.document.diagnostics == []
    return profile


def rendered(profile: Profile) -> dict[str, str]:
    """The files of a profile that uses shipped templates and content only."""
    files, diagnostics = render_shipped(profile)
    assert diagnostics == ()
    return {file.path: file.data.decode() for file in files}


def render_shipped(profile: Profile) -> tuple[tuple[RenderedFile, ...], tuple[Diagnostic, ...]]:
    beside = source("")
    return render(profile, lambda name, _: beside.read_template(name), lambda name, _: beside.read_source(name))


def diagnose(text: str | bytes, inputs: Mapping[str, str] | None = None) -> tuple[Diagnostic, ...]:
    """Every mistake in a profile, as `validate` finds them."""
    declaration = load(text)
    chosen = profile_inputs.choose(declaration.inputs, given=inputs or {}, environ={}, recorded={})
    profile = resolving.resolve(declaration, profile_inputs.with_stand_ins(declaration.inputs, chosen.values), "t1")
    return ordered((*declaration.document.diagnostics, *render_shipped(profile)[1]))


def mistakes(text: str | bytes, inputs: Mapping[str, str] | None = None) -> list[str]:
    """`line:column: message. Fix.` of every mistake. (`tests/profile/invalid` has their codes.)"""
    found = [uncoded(each) for each in diagnose(text, inputs)]
    assert all(each.startswith("p.yaml:") and each.isprintable() for each in found)
    return [each.removeprefix("p.yaml:") for each in found]


def uncoded(mistake: Diagnostic) -> str:
    """The text of a mistake without its code."""
    return str(mistake).replace(f": {mistake.code} ", ": ", 1)


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]
