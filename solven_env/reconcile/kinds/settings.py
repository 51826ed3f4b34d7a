"""Settings that only a launch needs (variables, mounts, limits, …), `settings:launch`: recorded, and made nowhere."""

from __future__ import annotations

from solven_env.profile.model import SandboxSection
from solven_env.reconcile.kinds import kind
from solven_env.reconcile.model import Change, State
from solven_env.reconcile.places import cited
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from solven_env.profile.model import Profile, Program, SetupCommand
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.model import Desired, Plan

LIES = "record"
TYPE = "settings"
IS_RECORDED = False  # as a resource: a record has a field of its own for them

ADDRESS = "settings:launch"

_ALWAYS = ("backend", "network", "limits")
"""The fields of `sandbox` that every record has."""

is_name = kind.no_names
desired_here = kind.basic_desired_here
observe = kind.no_observe
observe_host = kind.basic_observe_host
look = kind.basic_look
judge = kind.basic_judge
removals = kind.no_removals
reason = kind.basic_reason
entry = kind.no_entry
apply = kind.no_apply


def desired(desired: Desired, profile: Profile, files: Sequence[RenderedFile]) -> Desired:
    """Settings of the profile."""
    return desired._replace(settings=settings(profile))


def settings(profile: Profile) -> dict[str, Any]:
    """Settings for a launch, as plain JSON data, equal to itself after a round trip through a record."""
    return {
        "env": dict(profile.env),
        "path": list(profile.path),
        **_sandbox(profile.sandbox),
        "mounts": [mount._asdict() for mount in profile.mounts],
        "links": [link._asdict() for link in profile.links],
        **{name: section and section.recorded() for name, section in profile.packages.items()},
        "secrets": [secret.recorded() for secret in profile.secrets],
        **_passed(profile.passed),
        **_programs(profile.programs),
        **_setup(profile.setup),
    }


def _passed(variables: Mapping[str, bool]) -> dict[str, Any]:
    """The field `environment`: names of variables alone. Absent without any, as in records made before it."""
    named = {name: {"optional": is_optional} for name, is_optional in variables.items()}
    return {"environment": named} if named else {}


def _programs(programs: Sequence[Program]) -> dict[str, Any]:
    """The field `programs`; absent without any, as in records made before it."""
    named = {each.name: {"why": each.why, "package": each.package} for each in programs}
    return {"programs": named} if named else {}


def _setup(commands: Sequence[SetupCommand]) -> dict[str, Any]:
    """The field `setup`; absent without any, as in records made before it."""
    return {"setup": [{"run": each.run, "inputs": list(each.inputs)} for each in commands]} if commands else {}


def _sandbox(section: SandboxSection) -> dict[str, Any]:
    """The fields of `sandbox`. A newer one is absent while it has its default, as in records made before it."""
    fields = section._asdict() | {"allow": list(section.allow), "limits": section.limits._asdict()}
    default = {**SandboxSection._field_defaults, "allow": []}
    return {name: value for name, value in fields.items() if name in _ALWAYS or value != default[name]}


def further_changes(plan: Plan, changed: Sequence[str]) -> Iterator[Change]:
    """The change that stands for all that is recorded and makes no other change."""
    state = State(TYPE)
    if plan.base is None or not plan.base.generation:
        yield Change(ADDRESS, "create", "pending", "the profile asks for it", None, state)
    elif changed or not (plan.changes or plan.says_the_same):
        why = cited(changed, changed, plan.desired) or "the profile changed, and the workspace is so already"
        yield Change(ADDRESS, "replace", "pending", why, state, state)
