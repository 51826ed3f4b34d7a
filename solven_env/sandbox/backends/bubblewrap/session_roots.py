"""The roots that a session has staged, one a shape, and when each goes."""

from __future__ import annotations

import os
import select

from solven_env.errors import SandboxError
from solven_env.sandbox import wire
from solven_env.sandbox.launch_plan import LaunchPlan, check_plan, decode_plan, shape
from solven_env.sandbox.network import slirp4netns
from solven_env.sandbox.roots import namespaces, sources, staging
from solven_env.sandbox.roots.targets import DIRECTORY
from solven_env.system import mounting, syscalls
from solven_env.system.blocks import holding
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

_MOST_DECODED = 8
_TRIES = 3


class StagedRoot(NamedTuple):
    """A staged root: the directory that holds it, its network (None: the host's), and the mounts that an agent may move
    (`staging.Staged`).
    """

    plan: LaunchPlan
    path: str
    network: slirp4netns.Network | None
    mounted: tuple[tuple[str, int], ...] = ()


class Roots:
    """The staged roots by their directories, and the mounts that they share.

    `names` tells the directory of a shape, and `helpers` the one of a network helper's pidfd, which `poll` watches.
    `decoded` are plans with their shapes, by what callers sent: a thread's commands mostly have one.
    """

    def __init__(self, poll: select.epoll, *, unprivileged: bool) -> None:
        self.poll = poll
        self.unprivileged = unprivileged
        self.shared = sources.Shared(f"{namespaces.STAGE}/shared")
        self.staged: dict[str, StagedRoot] = {}
        self.names: dict[str, str] = {}
        self.helpers: dict[int, str] = {}
        self.newest = ""
        self.made = 0
        self.decoded: dict[bytes, tuple[LaunchPlan, str]] = {}
        os.mkdir(self.shared.where)


def have(roots: Roots, told: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The directory of the root that shows what a plan, as plain data, says and what is there now, staged if there is
    none yet.

    One in which a mount is no longer at its target (an agent renamed a directory above it) is given to no command any
    more. The second value names, where a root was staged, the targets at which a directory of the agent's stood.
    """
    plan, text = _decode(roots, told)
    surroundings = slirp4netns.surroundings(plan)
    name = f"{text}{sources.present(plan)}{surroundings}"
    in_the_way: set[str] = set()
    for _ in range(_TRIES):
        if name not in roots.names:
            in_the_way |= _stage(roots, plan, name, surroundings)
        where = roots.names[name]
        with holding(os.open(where, DIRECTORY)) as root:
            syscalls.let_owner_in(root)
            moved = staging.find_moved(root, roots.staged[where].mounted)
        if not moved:
            roots.newest = where
            return where, tuple(sorted(in_the_way))
        in_the_way |= {target for target, is_replaced in moved.items() if is_replaced}
        _forget(roots, where)
    raise SandboxError(
        "a command that is running moves what is mounted away, as fast as it is mounted",
        location=min(moved),
        fix="End the thread's session with solven-env stop.",
    )


def _decode(roots: Roots, told: dict[str, Any]) -> tuple[LaunchPlan, str]:
    packed = wire.pack(told)
    if packed not in roots.decoded:
        if len(roots.decoded) >= _MOST_DECODED:
            roots.decoded.clear()
        plan = decode_plan({("program" if name == "bwrap" else name): value for name, value in told.items()})
        roots.decoded[packed] = plan, shape(plan)
    return roots.decoded[packed]


def _stage(roots: Roots, plan: LaunchPlan, name: str, surroundings: slirp4netns.Surroundings) -> set[str]:
    """Stage a root under `name`; the targets at which it hides what a directory of the agent's holds."""
    check_plan(plan)
    _check_owner(plan, unprivileged=roots.unprivileged)
    roots.made += 1
    where = f"{namespaces.STAGE}/{roots.made}"
    try:
        staged = staging.stage(plan, where, roots.shared)
        own = slirp4netns.make(plan, surroundings)
    except BaseException:
        _unstage(where)
        raise
    roots.staged[where] = StagedRoot(plan, where, own, staged.mounted)
    roots.names[name] = where
    if own is not None and own.helper is not None:
        roots.helpers[own.helper.pidfd] = where
        roots.poll.register(own.helper.pidfd, select.EPOLLIN)
    return set(staged.hidden)


def find_tmp(roots: Roots, name: str) -> sources.Memory | None:
    """The /tmp of a staged root, where it is the session's."""
    return sources.find_tmp(roots.staged[name].plan, roots.shared)


def overlay_devices(roots: Roots, where: str) -> set[int]:
    """The devices that files of a staged root's overlays show (stat(2))."""
    overlays = sources.find_overlays(roots.staged[where].plan, roots.shared)
    return {os.stat(place).st_dev for place in overlays}


def drop(roots: Roots, used: set[str]) -> None:
    """Take away the roots that no command uses any more, but for the newest, and the overlays that only they had."""
    for where in roots.staged.keys() - used - {roots.newest}:
        _forget(roots, where)
        root = roots.staged.pop(where)
        _unstage(root.path)
        _end_network(roots, root)
    sources.release(roots.shared, (mount for root in roots.staged.values() for mount in root.plan.mounts))


def lose_network(roots: Roots, helper: int) -> None:
    """A root's network helper is dead: its commands go on without, and the next one gets a root of its own."""
    where = roots.helpers.pop(helper)
    roots.poll.unregister(helper)
    _forget(roots, where)
    root = roots.staged[where]
    assert root.network is not None
    roots.staged[where] = root._replace(network=slirp4netns.lose_helper(root.network))


def _forget(roots: Roots, where: str) -> None:
    """Give the root to no command any more."""
    roots.names = {name: each for name, each in roots.names.items() if each != where}
    if roots.newest == where:
        roots.newest = ""


def _end_network(roots: Roots, root: StagedRoot) -> None:
    if root.network is None:
        return
    if root.network.helper is not None:
        roots.poll.unregister(root.network.helper.pidfd)
        del roots.helpers[root.network.helper.pidfd]
    slirp4netns.end(root.network)


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
