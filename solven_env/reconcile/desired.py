"""Desired states of a thread, from a resolved profile with its rendered files or from a record. Pure."""

from __future__ import annotations

import hashlib
import json

from solven_env.documents.diagnostics import Diagnostic, Location
from solven_env.errors import ProfileError
from solven_env.reconcile.kinds import KINDS, kind_of, state_of
from solven_env.reconcile.model import Desired, State, name_in
from solven_env.reconcile.places import of_files
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.model import HostFacts
    from solven_env.state.records import Record


def desired(profile: Profile, files: Sequence[RenderedFile], given: Mapping[str, str]) -> Desired:
    """Desired states of a thread with these rendered files, whose inputs were `given`: the same on every host.

    The profile's digest is made from the states and the settings.
    """
    found = Desired(profile={}, inputs=dict(given), settings={}, states={}, own={})
    for kind in KINDS.values():
        found = kind.desired(found, profile, files)
    _check_paths(found, profile)
    states = {address: (state.digest, state.mode) for address, state in found.states.items()}
    described = json.dumps({"settings": found.settings, "files": states}, sort_keys=True)
    digest = f"sha256:{hashlib.sha256(described.encode()).hexdigest()}"
    about = {"name": profile.name, "release": profile.release, "digest": digest}
    return found._replace(profile=about, places=of_files(profile, files))


def _check_paths(wanted: Desired, profile: Profile) -> None:
    """Raise a ProfileError for two kinds at one path of the workspace. `profile` tells where the files of its own stand
    twice; what stands in the section of another kind only that kind knows.
    """
    taken: dict[str, str] = {}
    for address in sorted(wanted.states):
        name = name_in(address)
        if kind_of(address).LIES == "workspace" and taken.setdefault(name, address) != address:
            first, second = (each.partition(":")[0] for each in (taken[name], address))
            message = f"{name} is asked for twice, as {first} and as {second}"
            where = Location(profile.file, 1, 1)
            raise ProfileError((Diagnostic("SE504", where, message, "Remove one of the two, or choose another path."),))


def recorded_as_desired(record: Record) -> Desired:
    """Desired states that are those which the last apply left: planning them shows drift alone."""
    return Desired(
        profile=record.profile,
        inputs=record.inputs,
        settings=record.settings,
        states={address: state_of(entry) for address, entry in record.resources.items()},
        own={address: entry.own for address, entry in record.resources.items()},
        kept=kept_versions(record),
    )


def kept_versions(record: Record) -> dict[str, State]:
    """Versions of whole files that an apply kept in the place of what the profile asked for, by address."""
    return {
        address: State("file", entry.kept, entry.mode)
        for address, entry in record.resources.items()
        if entry.kept and entry.own == "whole"
    }


def desired_here(wanted: Desired, record: Record | None, host: HostFacts) -> Desired:
    """`wanted` with what it needs on this host: builds with the files that they bring, and mount points."""
    for kind in KINDS.values():
        wanted = kind.desired_here(wanted, record, host)
    return wanted
