"""Questions about a profile on this host: can a thread be applied from it, and run?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from solven_env.doctor import sockets, supplies
from solven_env.doctor.asked_for import (
    backend_answer,
    limits_answer,
    network_answer,
    programs_answer,
    secrets_answer,
)
from solven_env.documents.answers import Answer, Question, broken, limited, ok, run
from solven_env.errors import LockError, counted
from solven_env.packages import builds
from solven_env.packages.asking import host_away
from solven_env.packages.ecosystems import bound, rows
from solven_env.packages.ecosystems import python as python_row
from solven_env.packages.making import Builder
from solven_env.profile import prepare
from solven_env.reconcile.kinds.settings import settings
from solven_env.sandbox import backends
from solven_env.sandbox.launch_plan import Bind
from solven_env.threads import planning

if TYPE_CHECKING:
    from solven_env.doctor.host import Host
    from solven_env.profile.model import Profile
    from solven_env.profile.source import ProfileSource


class AskedProfile(NamedTuple):
    """A profile that is asked about. `name` is how the caller called it."""

    name: str
    source: ProfileSource
    host: Host

    def resolved(self) -> Profile:
        """The profile for a thread called `example`, required inputs with a stand-in."""
        return prepare.example(self.source, rows(), os.environ)


def validity(asked: AskedProfile) -> Answer:
    """Everything that `validate` finds."""
    mistakes = prepare.diagnose(asked.source, "example", rows(), given={}, environ=os.environ)
    if mistakes:
        count = counted(len(mistakes), "mistake")
        return broken(f"{count} in {asked.name}", str(mistakes[0]), run("solven-env", "validate", asked.name))
    profile = asked.resolved()
    return ok(f"{asked.name} is valid: {profile.name} {profile.release}")


def lock(asked: AskedProfile) -> Answer:
    """The lock beside it is the one of its packages."""
    profile = asked.resolved()
    builds.read_lock(profile.locked, asked.source.lock, asked.name)
    return ok("its lock is up to date")


def interpreter(asked: AskedProfile) -> Answer | None:
    """This host has a Python of its version."""
    python = asked.resolved().packages[python_row.NAME]
    return supplies.python(python.recorded()["version"], asked.host, is_needed=True) if python else None


def named_sources(asked: AskedProfile) -> Answer | None:
    """This host's configuration has the indexes and scopes that it names, and their secrets are to be had."""
    profile = asked.resolved()
    with host_away() as (about, _):
        host = about.configured(asked.host.config)
        builder = Builder(host, asked.host.uid, str(asked.host.runtime), backends.find(profile.sandbox.backend))
        able = bound({name: section for name, section in profile.locked.items() if section}, builder)
    names = [name for each in able.values() for name in each.host.bindings.names]
    return ok(f"this host has {', '.join(dict.fromkeys(names))}") if names else None


def sources(asked: AskedProfile) -> Answer:
    """The sources of its mounts are on this host."""
    mounts = [mount for mount in asked.resolved().mounts if mount.kind == "bind"]
    lost = planning.missing_sources(mounts)
    for mount in lost:
        if not mount.optional:
            cause = f"it is mounted at {mount.target} for: {mount.why or 'the profile'}"
            return broken(f"{mount.source} is not on this host", cause, run("mkdir", "-p", mount.source))
    if lost:
        return limited(f"{lost[0].source} is not on this host", "the mount is optional, and left out")
    return ok(f"the sources of {len(mounts)} mounts are here")


def shown_sockets(asked: AskedProfile) -> Answer | None:
    """Sockets and FIFOs in what its mounts show. (What its links show depends on the storage: see the thread's.)"""
    mounts = [each._asdict() for each in asked.resolved().mounts]
    return sockets.answer([Bind(each["target"], each["source"], optional=True) for each in sockets.own(mounts)])


def network(asked: AskedProfile) -> Answer | None:
    """Its network is allowed on this host, and can be made."""
    return network_answer(settings(asked.resolved()), asked.host)


def limits(asked: AskedProfile) -> Answer | None:
    """Its limits hold here."""
    return limits_answer(settings(asked.resolved()))


def secrets(asked: AskedProfile) -> Answer | None:
    """Its secrets can be read here."""
    return secrets_answer(settings(asked.resolved()), asked.host)


def programs(asked: AskedProfile) -> Answer | None:
    """Its commands will find the programs that its packages need of the host."""
    profile = asked.resolved()
    try:
        needs = builds.needs(profile.packages, builds.read_lock(profile.locked, asked.source.lock, asked.name))
    except LockError:  # which has a question of its own
        needs = ()
    keys = filter(None, (builds.known_key(need, asked.host.config) for need in needs))
    return programs_answer(settings(profile), None, keys)


def backend(asked: AskedProfile) -> Answer:
    """Its backend is here."""
    return backend_answer(settings(asked.resolved()), asked.host)


QUESTIONS: tuple[Question[AskedProfile], ...] = (
    Question("profile", validity),
    Question("profile's lock", lock, ("profile",)),
    Question("profile's python", interpreter, ("profile", "uv")),
    Question("profile's sources", named_sources, ("profile", "configuration", "uv")),
    Question("profile's mounts", sources, ("profile",)),
    Question("profile's sockets", shown_sockets, ("profile's mounts",)),
    Question("profile's programs", programs, ("profile",)),
    Question("profile's backend", backend, ("profile",)),
    Question("profile's network", network, ("profile",)),
    Question("profile's limits", limits, ("profile",)),
    Question("profile's secrets", secrets, ("profile", "configuration")),
)
