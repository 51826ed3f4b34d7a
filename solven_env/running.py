"""Running commands in a thread: what was applied, this host's builds and the thread's layers, put into a sandbox."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env import launch, sessions
from solven_env.config import NETWORKS
from solven_env.errors import SandboxError, UsageError
from solven_env.launch import Place, Stacked
from solven_env.sandbox import cgroups, proot, session
from solven_env.sandbox.plan import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from solven_env.builds.layers import Home
    from solven_env.builds.shape import Tools
    from solven_env.sandbox.limits import Limits
    from solven_env.sandbox.plan import LaunchPlan
    from solven_env.sandbox.session import Ended
    from solven_env.state.records import Record
    from solven_env.threads import Thread

BACKENDS = ("bubblewrap", "proot")
LOGIN = ("/bin/bash", "--login")
SHELL = (*LOGIN, "-c")


class Launch(NamedTuple):
    """Everything that a command of a thread starts with: in bubblewrap, or where one is named under a `proot`.

    `record` is then what `placeholders` keeps of the thread.
    """

    plan: LaunchPlan
    command: Command
    runtime: str
    proot: str = ""
    record: str = ""


def run(prepared: Launch, *, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> Ended:
    """Run the command to its end, with these descriptors as its streams; how it ended, as `Running.wait` says."""
    if prepared.proot:
        from solven_env.sandbox import supervised

        return supervised.run(
            prepared.plan,
            prepared.command,
            program=prepared.proot,
            record=prepared.record,
            runtime_dir=prepared.runtime,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
    return session.run(prepared.plan, prepared.command, prepared.runtime, stdin=stdin, stdout=stdout, stderr=stderr)


def prepare(
    thread: Thread,
    argv: Sequence[str],
    *,
    cwd: str,
    timeout: float | None,
    env: Mapping[str, str],
    network: str | None,
    backend: str | None = None,
    keep_alive: float = 0.0,
    terminal: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> Launch:
    """Have the thread's builds on this host, and say how the command starts.

    `progress` is told what is built, a line at a time, and which backend is used when that is not bubblewrap.
    `SandboxError` for a thread that was never applied and for a network that is not to be had.
    """
    if not argv:
        raise UsageError("there is no command", fix="Write it behind --.")
    if network is not None and network not in NETWORKS:
        raise UsageError(f"{network} is no network", fix=f"Use {', '.join(NETWORKS)}.")
    if backend not in (None, *BACKENDS):
        raise UsageError(f"{backend} is no backend", fix=f"Use {' or '.join(BACKENDS)}.")
    if timeout is not None and not timeout > 0:
        raise UsageError("a timeout is a number of seconds above 0", fix="Leave it out for none.")
    if not 0 <= keep_alive < math.inf:
        raise UsageError("keep-alive is a number of seconds, 0 or more", fix="Leave it out for 0.")
    record = thread.record()
    if record is None or not record.generation:
        fix = f"Run: solven-env apply PROFILE {thread.name}."
        raise SandboxError(f"thread {thread.name} was never applied", fix=fix)
    settings = record.settings
    limits = launch.limits(settings["limits"])
    chosen = _choose(thread, settings, backend or settings["backend"], network or settings["network"], limits)
    if chosen.proot:
        if keep_alive:
            raise UsageError("the backend proot has no session to keep", fix="Leave --keep-alive out.")
        progress(proot.notice(network or settings["network"]))
    from solven_env.builds import layers, places
    from solven_env.state.identity import storage_id

    storage = storage_id(thread.state)
    home = layers.Home(places.data(), storage, thread.name, record.incarnation)
    tools, stacks = _packages(thread, record, home, chosen.proot, progress)
    place = Place(
        session=sessions.name(thread, record, storage),
        workspace=str((thread.storage / "threads" / thread.name).absolute()),
        storage=str(thread.storage.absolute()),
        uid=thread.config.sandbox.uid if os.geteuid() == 0 else None,
        bwrap=chosen.bwrap,
        slirp4netns=chosen.slirp4netns,
    )
    plan = launch.launch_plan(settings, place, stacks, tools, chosen.network)
    variables = launch.environment(settings, tools, cwd, terminal, env)
    command = Command(tuple(argv), tuple(variables.items()), cwd, timeout, limits, keep_alive)
    kept = str(layers.mount_points(home)) if chosen.proot else ""
    return Launch(plan, command, str(places.runtime()), chosen.proot, kept)


class _Chosen(NamedTuple):
    """The programs that a command is started with, and the network that it gets."""

    network: launch.Network
    bwrap: str = ""
    slirp4netns: str = ""
    proot: str = ""


def _choose(thread: Thread, settings: Mapping[str, Any], backend: str, network: str, limits: Limits) -> _Chosen:
    """All are looked for before anything is built."""
    from solven_env import packages
    from solven_env.sandbox import program

    allowed, search = thread.config.sandbox.networks, os.environ.get("PATH")
    if backend == "proot":
        launch.check_for_proot(network, allowed, settings["limits"])
        return _Chosen("host", proot=packages.locate_proot(os.environ))
    if limits.strict:
        for each in cgroups.unenforced(limits):
            fix = f"{each.fix} Or write 'enforce: best-effort' in the profile."
            raise SandboxError(f"the limit of {each.limit} cannot be enforced: {each.why}", fix=fix)
    chosen = launch.network(network, allowed)
    bwrap = packages.locate_bubblewrap(thread.config, os.environ)
    return _Chosen(chosen, bwrap, program.locate_slirp4netns(search=search) if chosen == "internet" else "")


def _packages(
    thread: Thread, record: Record, home: Home, proot: str, progress: Callable[[str], None]
) -> tuple[Tools, list[Stacked]]:
    from solven_env import packages
    from solven_env.builds import copies, interpreters, layers, shape, toolchain, tools

    builder = packages.builder(thread.config, os.environ, proot)
    stacks = []
    interpreter, bun = None, None
    for need in thread.needs(record):
        build = packages.obtain(need, builder, thread.config, os.environ, progress)
        own = str(copies.copy(home, build, builder.uid, progress)) if proot else layers.layer(home, build, builder.uid)
        stacks.append(Stacked(build, own))
        if need.kind == "python":
            interpreter = interpreters.find_python(record.settings["python"]["version"], builder.host)
        else:
            bun = toolchain.find_bun(builder.host).path
    given = shape.Tools(tools.uv().path, bun, interpreter, builder.host.certificates, shape.host_has_node())
    return given, stacks
