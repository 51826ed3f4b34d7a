"""Profiles: YAML text in, a resolved profile or located mistakes out. Pure: no file, clock or environment is read."""

from solven_env.profile.expressions import explain
from solven_env.profile.inputs import Inputs, choose, missing, require
from solven_env.profile.load import load
from solven_env.profile.model import Bun, Declaration, Dotfile, Profile, Python
from solven_env.profile.resolve import resolve

__all__ = [
    "Bun",
    "Declaration",
    "Dotfile",
    "Inputs",
    "Profile",
    "Python",
    "choose",
    "explain",
    "load",
    "missing",
    "require",
    "resolve",
]
