"""The roots that a session has staged, one a shape, and when each goes."""

from __future__ import annotations

import os

from solven_env.errors import SandboxError
from solven_env.sandbox import mounting, namespaces, sources, staging
from solven_env.sandbox.launching import Root
from solven_env.sandbox.plan import LaunchPlan, check_plan, shape


class Roots:
    """The staged roots under their shapes' names, and the mounts that they share."""

    def __init__(self, *, unprivileged: bool) -> None:
        self.unprivileged = unprivileged
        self.shared = sources.Shared(f"{namespaces.STAGE}/shared")
        self.staged: dict[str, Root] = {}
        self.newest = ""
        self.made = 0
        os.mkdir(self.shared.where)


def have(roots: Roots, plan: LaunchPlan) -> str:
    """The name of the root that shows what `plan` says and what stands there now; staged if there is none yet."""
    name = shape(plan) + sources.present(plan)
    if name not in roots.staged:
        check_plan(plan)
        _check_owner(plan, unprivileged=roots.unprivileged)
        roots.made += 1
        where = f"{namespaces.STAGE}/{roots.made}"
        try:
            staging.stage(plan, where, roots.shared)
            network = namespaces.new_network() if plan.network == "none" else None
        except BaseException:
            _unstage(where)
            raise
        roots.staged[name] = Root(plan, where, network)
    roots.newest = name
    return name


def drop(roots: Roots, used: set[str]) -> None:
    """Take away the roots that no command uses any more, but for the newest, and the overlays that only they had."""
    for name in roots.staged.keys() - used - {roots.newest}:
        root = roots.staged.pop(name)
        _unstage(root.path)
        if root.network is not None:
            os.close(root.network)
    sources.release(roots.shared, (mount for root in roots.staged.values() for mount in root.plan.mounts))


def _check_owner(plan: LaunchPlan, *, unprivileged: bool) -> None:
    """Root must drop to another host uid and gid; without privilege there is none to drop to."""
    if unprivileged:
        if (plan.uid, plan.gid) != (None, None):
            raise SandboxError("only root can give the sandbox another host uid")
    elif not (plan.uid and plan.gid):
        raise SandboxError(
            "started as root, the sandbox needs a host uid and gid that are not root's",
            fix="Set sandbox.uid in the host configuration.",
        )


def _unstage(where: str) -> None:
    if os.path.isdir(where):
        if os.path.ismount(where):
            mounting.detach(where)
        os.rmdir(where)
