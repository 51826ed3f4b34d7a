"""What a profile's settings ask of this host: its backend, its network, its limits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from solven_env.documents.answers import Answer, broken, limited, ok
from solven_env.packages import builds
from solven_env.run import launch
from solven_env.sandbox import cgroups, host_programs
from solven_env.sandbox.backends.proot.tracer import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.doctor.host import Host


def backend_answer(settings: Mapping[str, Any], host: Host) -> Answer:
    """Whether commands can run in the backend that a profile's `settings` name."""
    if settings["backend"] == "bubblewrap":
        return ok("bubblewrap")
    launch.check_for_proot(settings["network"], host.config.sandbox.networks, settings["limits"])
    builds.locate_proot(os.environ)
    return limited("proot, which enforces neither network nor limits nor namespaces", STATEMENT)


def network_answer(settings: Mapping[str, Any], host: Host) -> Answer | None:
    """Whether commands can have the network that a profile's `settings` name; the backend proot makes none."""
    wanted = settings["network"]
    if settings["backend"] != "bubblewrap":
        return None
    launch.network(wanted, host.config.sandbox.networks)
    if wanted == "internet":
        host_programs.locate_slirp4netns(search=os.environ.get("PATH"))
    if wanted == "host":
        return limited("network host isolates no socket", "commands reach all that this host reaches")
    return ok(f"network {wanted}")


def limits_answer(settings: Mapping[str, Any]) -> Answer | None:
    """Whether the limits that a profile's `settings` name can be enforced; the backend proot enforces none."""
    wanted = settings["limits"]
    names = [name for name, value in wanted.items() if value and name != "enforce"]
    if not names or settings["backend"] != "bubblewrap":
        return None
    asked = launch.limits(wanted)
    for each in cgroups.unenforced(asked):
        answer = broken if asked.strict else limited
        return answer(f"the limit of {each.limit} is not enforced on this host", each.why, each.fix)
    return ok(f"enforced: {', '.join(names)}")
