"""Running commands in a thread: what was applied, this host's builds and the thread's layers, put into a sandbox."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from solven_env.errors import SandboxError, UsageError
from solven_env.launch import Place, Stacked, environment, launch_plan
from solven_env.sandbox import session
from solven_env.sandbox.plan import Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.builds.shape import Tools
    from solven_env.sandbox.plan import LaunchPlan
    from solven_env.threads import Thread

SHELL = ("/bin/bash", "--login", "-c")


class Launch(NamedTuple):
    """Everything that a command of a thread starts with."""

    plan: LaunchPlan
    command: Command
    runtime: str


def run(launch: Launch, *, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> int:
    """Run the command to its end, with these descriptors as its streams; its status, as `Running.wait` says."""
    return session.run(launch.plan, launch.command, launch.runtime, stdin=stdin, stdout=stdout, stderr=stderr)


def prepare(
    thread: Thread,
    argv: Sequence[str],
    *,
    cwd: str,
    timeout: float | None,
    env: Mapping[str, str],
    network: str | None,
    terminal: str = "",
) -> Launch:
    """Have the thread's builds on this host, and say how the command starts.

    `SandboxError` for a thread that was never applied, a network that the host does not allow, a workspace that is
    not there.
    """
    if not argv:
        raise UsageError("there is no command", fix="Write it behind --.")
    if timeout is not None and not timeout > 0:
        raise UsageError("a timeout is a number of seconds above 0", fix="Leave it out for none.")
    record = thread.record()
    if record is None or not record.generation:
        fix = f"Run: solven-env apply PROFILE {thread.name}."
        raise SandboxError(f"thread {thread.name} was never applied", fix=fix)
    settings = record.settings
    if settings["backend"] != "bubblewrap":
        raise SandboxError(f"the backend {settings['backend']} is not there yet", fix="Use bubblewrap in the profile.")
    chosen = network or settings["network"]
    if chosen not in thread.config.sandbox.networks:
        allowed = ", ".join(thread.config.sandbox.networks)
        raise SandboxError(f"the network {chosen} is not allowed here: the host allows {allowed}", fix="Ask for less.")
    from solven_env import packages
    from solven_env.builds import places
    from solven_env.state.identity import storage_id

    storage = storage_id(thread.state)
    tools, stacks = _packages(thread, storage, record.incarnation)
    place = Place(
        session=f"{storage}/{thread.name}/{record.incarnation}",
        workspace=str((thread.storage / "threads" / thread.name).absolute()),
        storage=str(thread.storage.absolute()),
        uid=thread.config.sandbox.uid if os.geteuid() == 0 else None,
        bwrap=packages.locate_bubblewrap(thread.config, os.environ),
    )
    plan = launch_plan(settings, place, stacks, tools, chosen)
    variables = environment(settings, tools, cwd, terminal, env)
    command = Command(tuple(argv), tuple(variables.items()), cwd, timeout, _limits(settings["limits"]))
    return Launch(plan, command, str(places.runtime()))


def _packages(thread: Thread, storage: str, incarnation: str) -> tuple[Tools, list[Stacked]]:
    from solven_env import packages
    from solven_env.builds import interpreters, layers, places, shape, toolchain, tools

    record = thread.record()
    assert record is not None
    builder = packages.builder(thread.config, os.environ)
    home = layers.Home(places.data(), storage, thread.name, incarnation)
    stacks = []
    interpreter, bun = None, None
    for need in thread.needs(record):
        build = packages.obtain(need, builder, thread.config, os.environ)
        stacks.append(Stacked(build, layers.layer(home, build, builder.uid)))
        if need.kind == "python":
            interpreter = interpreters.find_python(record.settings["python"]["version"], builder.host)
        else:
            bun = toolchain.find_bun(builder.host).path
    given = shape.Tools(tools.uv().path, bun, interpreter, builder.host.certificates)
    return given, stacks


def _limits(limits: Mapping[str, object]) -> tuple[tuple[str, int], ...]:
    processes = limits.get("processes")
    return (("nproc", processes),) if isinstance(processes, int) else ()
