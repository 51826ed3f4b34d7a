"""Questions about a profile's settings on this host: backend, network, limits, programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from solven_env.documents.answers import Answer, broken, limited, ok
from solven_env.errors import SandboxError
from solven_env.packages import store
from solven_env.run import launch, missing_programs, secrets
from solven_env.sandbox import backends
from solven_env.sandbox.network import locate_slirp4netns
from solven_env.system import directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from solven_env.doctor.host import Host


def backend_answer(settings: Mapping[str, Any], host: Host) -> Answer:
    """Commands can run in the backend that a profile's `settings` name."""
    backend = backends.find(settings["backend"])
    if not backend.LACKS:
        return ok(backend.NAME)
    launch.check_limits(settings["limits"], backend)
    launch.network(settings["network"], backend, host.config.sandbox.networks)
    backend.locate(host.config.sandbox, os.environ)
    return limited(backend.LACKS, backend.STATEMENT)


def network_answer(settings: Mapping[str, Any], host: Host) -> Answer | None:
    """Commands can have the network that a profile's `settings` name; None in a backend that makes none."""
    wanted, backend = settings["network"], backends.find(settings["backend"])
    if backend.LACKS:
        return None
    launch.network(wanted, backend, host.config.sandbox.networks)
    if wanted == "internet":
        locate_slirp4netns(search=os.environ.get("PATH"))
    if wanted == "host":
        return limited("network host isolates no socket", "commands reach all that this host reaches")
    return ok(f"network {wanted}")


def programs_answer(settings: Mapping[str, Any], storage: Path | None, keys: Iterable[str]) -> Answer | None:
    """Commands find the programs that a profile's `settings` say it needs of the host; None where it names none.

    `keys` are those of its builds. Without a `storage` no link counts.
    """
    had = [store.read(directories.cache(), key) for key in keys]
    missing = missing_programs.find(settings, storage, had)
    if missing:
        return limited(missing_programs.told(missing), fix=missing_programs.fix(missing))
    names = ", ".join(settings.get("programs", ()))
    return ok(f"{names}: found where commands look") if names else None


def secrets_answer(settings: Mapping[str, Any], host: Host) -> Answer | None:
    """Each secret, and variable of the caller's, that `settings` name can be read here; None where they name none.

    The values are read, and dropped.
    """
    told, wrong = list[str](), list[SandboxError]()
    for secret in secrets.recorded(settings):
        try:
            state = "ok" if secrets.read_one(secret, host.config.secrets, os.environ) else "missing, left out"
        except SandboxError as error:
            wrong.append(error)
            state = "not to be had"
        told.append(f"{secrets.called(secret)} from {secrets.source(secret)}: {state}")
    if any(secret["as"] == "file" for secret in settings["secrets"]):
        wrong += filter(None, [backends.find(settings["backend"]).refuses_files()])
    if wrong:
        return broken("; ".join(told), "; ".join(each.message for each in wrong), wrong[0].fix)
    return ok("; ".join(told)) if told else None


def limits_answer(settings: Mapping[str, Any]) -> Answer | None:
    """The limits that a profile's `settings` name are enforced; None in a backend that enforces none."""
    names, backend = launch.stated(settings["limits"]), backends.find(settings["backend"])
    if not names or backend.LACKS:
        return None
    for each in backend.unenforced(names):
        answer = broken if settings["limits"].get("enforce") == "strict" else limited
        return answer(f"the limit of {each.limit} is not enforced on this host", each.why, each.fix)
    return ok(f"enforced: {', '.join(names)}")
