"""What is asked about a profile on this host: whether a thread could be applied from it and run."""

from __future__ import annotations

import os
from pathlib import Path

from solven_env.doctor import doors, supplies
from solven_env.doctor.asked_for import backend_answer, limits_answer, network_answer
from solven_env.doctor.questions import Answer, Question, broken, limited, ok, run
from solven_env.packages import builds
from solven_env.profile import prepare
from solven_env.reconcile.kinds.settings import settings
from solven_env.sandbox.launch_plan import Bind
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from solven_env.doctor.host import Host
    from solven_env.profile.model import Profile
    from solven_env.profile.source import ProfileSource


class Sought(NamedTuple):
    """A profile that is asked about. `name` is how the caller called it."""

    name: str
    source: ProfileSource
    host: Host

    def resolved(self) -> Profile:
        """The profile for a thread called `example`, required inputs with a stand-in."""
        return prepare.example(self.source, os.environ)


def validity(sought: Sought) -> Answer:
    """Everything that `validate` finds."""
    mistakes = prepare.diagnose(sought.source, "example", given={}, environ=os.environ)
    if mistakes:
        count = f"{len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}"
        return broken(f"{count} in {sought.name}", str(mistakes[0]), run("solven-env", "validate", sought.name))
    profile = sought.resolved()
    return ok(f"{sought.name} is valid: {profile.name} {profile.release}")


def lock(sought: Sought) -> Answer:
    """The lock beside it is the one of its packages."""
    profile = sought.resolved()
    builds.read_lock(profile.python, profile.bun, sought.source.lock, sought.name)
    return ok("its lock is up to date")


def interpreter(sought: Sought) -> Answer | None:
    """This host has a Python of its version."""
    python = sought.resolved().python
    return supplies.python(python.version, sought.host, is_needed=True) if python else None


def sources(sought: Sought) -> Answer:
    """What its mounts show is on this host."""
    mounts = [mount for mount in sought.resolved().mounts if mount.kind == "bind"]
    lost = [mount for mount in mounts if not Path(mount.source).exists()]
    for mount in lost:
        if not mount.optional:
            cause = f"it is mounted at {mount.target} for: {mount.why or 'the profile'}"
            return broken(f"{mount.source} is not on this host", cause, run("mkdir", "-p", mount.source))
    if lost:
        return limited(f"{lost[0].source} is not on this host", "the mount is optional, and left out")
    return ok(f"the sources of {len(mounts)} mounts are here")


def shown_doors(sought: Sought) -> Answer | None:
    """Sockets and FIFOs in what its mounts show. (What its links show depends on the storage: see the thread's.)"""
    mounts = [each._asdict() for each in sought.resolved().mounts]
    return doors.answer([Bind(each["target"], each["source"], optional=True) for each in doors.own(mounts)])


def network(sought: Sought) -> Answer | None:
    """Its network is allowed on this host, and can be made."""
    return network_answer(settings(sought.resolved()), sought.host)


def limits(sought: Sought) -> Answer | None:
    """Its limits hold here."""
    return limits_answer(settings(sought.resolved()))


def backend(sought: Sought) -> Answer:
    """Its backend is here."""
    return backend_answer(settings(sought.resolved()), sought.host)


QUESTIONS: tuple[Question[Sought], ...] = (
    Question("profile", validity),
    Question("profile's lock", lock, ("profile",)),
    Question("profile's python", interpreter, ("profile", "uv")),
    Question("profile's mounts", sources, ("profile",)),
    Question("profile's sockets", shown_doors, ("profile's mounts",)),
    Question("profile's backend", backend, ("profile",)),
    Question("profile's network", network, ("profile",)),
    Question("profile's limits", limits, ("profile",)),
)
