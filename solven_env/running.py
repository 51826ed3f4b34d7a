"""Running commands in a thread: what was applied, this host's builds and the thread's layers, put into a sandbox."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NamedTuple

from solven_env import launch, sessions
from solven_env.config import NETWORKS
from solven_env.errors import SandboxError, UsageError
from solven_env.launch import Place, Stacked
from solven_env.sandbox import cgroups, session
from solven_env.sandbox.plan import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from solven_env.builds.shape import Tools
    from solven_env.sandbox.plan import LaunchPlan
    from solven_env.sandbox.session import Ended
    from solven_env.state.records import Record
    from solven_env.threads import Thread

LOGIN = ("/bin/bash", "--login")
SHELL = (*LOGIN, "-c")


class Launch(NamedTuple):
    """Everything that a command of a thread starts with."""

    plan: LaunchPlan
    command: Command
    runtime: str


def run(prepared: Launch, *, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> Ended:
    """Run the command to its end, with these descriptors as its streams; how it ended, as `Running.wait` says."""
    return session.run(prepared.plan, prepared.command, prepared.runtime, stdin=stdin, stdout=stdout, stderr=stderr)


def prepare(
    thread: Thread,
    argv: Sequence[str],
    *,
    cwd: str,
    timeout: float | None,
    env: Mapping[str, str],
    network: str | None,
    keep_alive: float = 0.0,
    terminal: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> Launch:
    """Have the thread's builds on this host, and say how the command starts.

    `progress` is told what is built, a line at a time. `SandboxError` for a thread that was never applied and for a
    network that is not to be had.
    """
    if not argv:
        raise UsageError("there is no command", fix="Write it behind --.")
    if network is not None and network not in NETWORKS:
        raise UsageError(f"{network} is no network", fix=f"Use {', '.join(NETWORKS)}.")
    if timeout is not None and not timeout > 0:
        raise UsageError("a timeout is a number of seconds above 0", fix="Leave it out for none.")
    if not 0 <= keep_alive < math.inf:
        raise UsageError("keep-alive is a number of seconds, 0 or more", fix="Leave it out for 0.")
    record = thread.record()
    if record is None or not record.generation:
        fix = f"Run: solven-env apply PROFILE {thread.name}."
        raise SandboxError(f"thread {thread.name} was never applied", fix=fix)
    settings = record.settings
    if settings["backend"] != "bubblewrap":
        raise SandboxError(f"the backend {settings['backend']} is not there yet", fix="Use bubblewrap in the profile.")
    limits = launch.limits(settings["limits"])
    if limits.strict:
        for each in cgroups.unenforced(limits):
            fix = f"{each.fix} Or write 'enforce: best-effort' in the profile."
            raise SandboxError(f"the limit of {each.limit} cannot be enforced: {each.why}", fix=fix)
    chosen = launch.network(network or settings["network"], thread.config.sandbox.networks)
    from solven_env import packages
    from solven_env.builds import places
    from solven_env.sandbox import program
    from solven_env.state.identity import storage_id

    storage = storage_id(thread.state)
    # Both are looked for before anything is built.
    bwrap = packages.locate_bubblewrap(thread.config, os.environ)
    slirp4netns = program.locate_slirp4netns(search=os.environ.get("PATH")) if chosen == "internet" else ""
    tools, stacks = _packages(thread, record, storage, progress)
    place = Place(
        session=sessions.name(thread, record, storage),
        workspace=str((thread.storage / "threads" / thread.name).absolute()),
        storage=str(thread.storage.absolute()),
        uid=thread.config.sandbox.uid if os.geteuid() == 0 else None,
        bwrap=bwrap,
        slirp4netns=slirp4netns,
    )
    plan = launch.launch_plan(settings, place, stacks, tools, chosen)
    variables = launch.environment(settings, tools, cwd, terminal, env)
    command = Command(tuple(argv), tuple(variables.items()), cwd, timeout, limits, keep_alive)
    return Launch(plan, command, str(places.runtime()))


def _packages(
    thread: Thread, record: Record, storage: str, progress: Callable[[str], None]
) -> tuple[Tools, list[Stacked]]:
    from solven_env import packages
    from solven_env.builds import interpreters, layers, places, shape, toolchain, tools

    builder = packages.builder(thread.config, os.environ)
    home = layers.Home(places.data(), storage, thread.name, record.incarnation)
    stacks = []
    interpreter, bun = None, None
    for need in thread.needs(record):
        build = packages.obtain(need, builder, thread.config, os.environ, progress)
        stacks.append(Stacked(build, layers.layer(home, build, builder.uid)))
        if need.kind == "python":
            interpreter = interpreters.find_python(record.settings["python"]["version"], builder.host)
        else:
            bun = toolchain.find_bun(builder.host).path
    given = shape.Tools(tools.uv().path, bun, interpreter, builder.host.certificates, shape.host_has_node())
    return given, stacks
