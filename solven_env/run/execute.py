"""Running commands in a thread: what was applied, this host's builds and the thread's layers, put into a sandbox."""

from __future__ import annotations

import math
import os
from types import MappingProxyType
from typing import Any

from solven_env.config import NETWORKS
from solven_env.errors import SandboxError, UsageError
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.run import launch
from solven_env.run.launch import Place, Stacked
from solven_env.sandbox import cgroups
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.backends.proot import tracer
from solven_env.sandbox.launch_plan import Command
from solven_env.system import directories
from solven_env.threads import sessions, uids
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from solven_env.packages.host_tools import Tools
    from solven_env.packages.layers import Home
    from solven_env.run.explanation import Explanation, ToldBuild
    from solven_env.sandbox.backends.bubblewrap.session import Ended
    from solven_env.sandbox.backends.proot.tracer import Binding
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.launch_plan import LaunchPlan
    from solven_env.state.records import Record
    from solven_env.system.blocks import holding
    from solven_env.threads.thread import Thread

BACKENDS = ("bubblewrap", "proot")
LOGIN = ("/bin/bash", "--login")
SHELL = (*LOGIN, "-c")


class Launch(NamedTuple):
    """Everything that a command of a thread starts with: in bubblewrap, or where one is named under a `proot`.

    `record` is then what `placeholders` keeps of the thread. As long as `turn` is open, the thread keeps its uid, and
    as long as `used` is, no build of it is removed.
    """

    plan: LaunchPlan
    command: Command
    runtime: str
    proot: str = ""
    record: str = ""
    turn: holding | None = None
    used: tuple[holding, ...] = ()


def run(
    prepared: Launch,
    *,
    stdin: int = 0,
    stdout: int = 1,
    stderr: int = 2,
    progress: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Run the command to its end, with these descriptors as its streams; how it ended, as `Running.wait` says.

    `progress` is told of directories of the thread's own that are mounted upon.
    """
    if prepared.proot:
        from solven_env.sandbox.backends.proot import client

        return client.run(
            prepared.plan,
            prepared.command,
            progress,
            program=prepared.proot,
            record=prepared.record,
            runtime_dir=prepared.runtime,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
    return session.run(
        prepared.plan, prepared.command, prepared.runtime, progress, stdin=stdin, stdout=stdout, stderr=stderr
    )


class Asked(NamedTuple):
    """A command as its caller asks for it: see `solven_env.run`. None is what the profile says."""

    argv: Sequence[str]
    cwd: str = "/"
    timeout: float | None = None
    env: Mapping[str, str] = MappingProxyType({})
    network: str | None = None
    backend: str | None = None
    keep_alive: float = 0.0
    terminal: str = ""
    """TERM where it has a terminal, else empty."""


def words(command: Sequence[str], shell: str | None) -> Sequence[str]:
    """The words of a command, which is given as such or as a text for a login shell."""
    if isinstance(command, str):
        raise UsageError("a command is a sequence of words, not text", fix="Pass a list, or the text as shell=….")
    if (shell is None) == (not command):
        raise UsageError("there is no command, or there are two", fix="Give the command's words or a text for a shell.")
    return command if shell is None else (*SHELL, shell)


def prepare(thread: Thread, asked: Asked, progress: Callable[[str], None] = lambda _: None) -> Launch:
    """Have the thread's builds on this host, and say how the command starts.

    `progress` is told what is built, a line at a time, and which backend is used when that is not bubblewrap.
    `SandboxError` for a thread that was never applied and for a network that is not to be had.
    """
    record, chosen = _settle(thread, asked)
    if chosen.proot:
        progress(tracer.notice(asked.network or record.settings["network"]))
    from solven_env.packages import layers

    thread = thread.settled(progress)
    home = thread.home(record)
    had = uids.for_command(thread, record, home)
    tools, stacks, used = _packages(thread, record, home, had.uid, chosen.proot, progress)
    prepared = _launch(thread, record, chosen, asked, had.uid, tools, stacks)._replace(turn=had.turn, used=used)
    return prepared._replace(record=str(layers.mount_points(home))) if chosen.proot else prepared


def explain(thread: Thread, asked: Asked, *, controlled: bool = False) -> Explanation:
    """What `prepare` and `run` would do. Nothing is built, made or started.

    `controlled`: the caller's standard input is a terminal.
    """
    from solven_env.run import explanation

    record, chosen = _settle(thread, asked)
    if thread.storage_id is None:
        thread = thread._replace(storage_id="drawn-at-the-first-run")
    home = thread.home(record)
    tools, stacks, builds = _known_packages(thread, record, home, chosen.proot)
    uid = uids.foreseen(thread, record)
    prepared = _launch(thread, record, chosen, asked, uid, tools, stacks)
    lacking = unenforced(record.settings["limits"], "proot" if chosen.proot else "bubblewrap")
    bound: Sequence[Binding] = ()
    if chosen.proot:
        from solven_env.sandbox.backends.proot import bindings

        bound = bindings.foreseen(prepared.plan, tracer.STAGE)
    told = explanation.Told(thread.name, record, builds, lacking, asked.env.keys(), bound)
    return explanation.explain(told, prepared.plan, prepared.command, chosen.proot, controlled=controlled)


def unenforced(limits: Mapping[str, Any], backend: str) -> tuple[Unenforced, ...]:
    """Which of the recorded `limits` commands in `backend` are not held to on this host."""
    if backend == "proot":
        why, fix = "the backend is proot", "Use the backend bubblewrap."
        return tuple(cgroups.Unenforced(name, why, fix) for name in launch.beyond_proot(limits))
    return cgroups.unenforced(launch.limits(limits))


def _settle(thread: Thread, asked: Asked) -> tuple[Record, _Chosen]:
    """What was applied, and the programs and the network for the command, or why it cannot be started."""
    _check(asked)
    record = thread.record()
    if record is None or not record.generation:
        fix = f"Run: solven-env apply PROFILE {thread.name}"
        raise SandboxError(f"thread {thread.name} was never applied", fix=fix)
    settings = record.settings
    chosen = _choose(thread, settings, asked.backend or settings["backend"], asked.network or settings["network"])
    if chosen.proot and asked.keep_alive:
        raise UsageError("the backend proot has no session to keep", fix="Leave --keep-alive out.")
    return record, chosen


def _check(asked: Asked) -> None:
    """Refuse what no command can be: UsageError."""
    if not asked.argv:
        raise UsageError("there is no command", fix="Write it behind --.")
    texts = (*asked.argv, asked.cwd, *asked.env.keys(), *asked.env.values())
    wrong = [type(text).__name__ for text in texts if not isinstance(text, str)]
    if wrong:
        raise UsageError(
            f"words, directory and variables of a command are text, and one is {wrong[0]}", fix="Pass str."
        )
    if not asked.cwd.startswith("/"):
        raise UsageError(
            f"the working directory {asked.cwd!r} is not absolute", fix="It is a path inside: begin it with /."
        )
    if asked.network not in (None, *NETWORKS):
        raise UsageError(f"{asked.network} is no network", fix=f"Use {', '.join(NETWORKS)}.")
    if asked.backend not in (None, *BACKENDS):
        raise UsageError(f"{asked.backend} is no backend", fix=f"Use {' or '.join(BACKENDS)}.")
    if asked.timeout is not None and not (_is_number(asked.timeout) and 0 < asked.timeout < math.inf):
        raise UsageError("a timeout is a number of seconds above 0", fix="Leave it out for none.")
    if not (_is_number(asked.keep_alive) and 0 <= asked.keep_alive < math.inf):
        raise UsageError("keep-alive is a number of seconds, 0 or more", fix="Leave it out for 0.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _launch(
    thread: Thread,
    record: Record,
    chosen: _Chosen,
    asked: Asked,
    uid: int | None,
    tools: Tools,
    stacks: Sequence[Stacked],
) -> Launch:
    from solven_env.packages import builds

    settings = record.settings
    place = Place(
        session=sessions.name(thread, record),
        workspace=str((thread.storage / "threads" / thread.name).absolute()),
        storage=str(thread.storage.absolute()),
        uid=uid,
        bwrap=chosen.bwrap,
        slirp4netns=chosen.slirp4netns,
        builder=builds.build_uid(thread.config),
        owners=uids.owners(thread),
    )
    plan = launch.launch_plan(settings, place, stacks, tools, chosen.network)
    variables = launch.environment(settings, tools, asked.cwd, asked.terminal, asked.env)
    limits = launch.limits(settings["limits"])
    command = Command(tuple(asked.argv), tuple(variables.items()), asked.cwd, asked.timeout, limits, asked.keep_alive)
    return Launch(plan, command, str(directories.runtime()), chosen.proot)


class _Chosen(NamedTuple):
    """The programs that a command is started with, and the network that it gets."""

    network: launch.Network
    bwrap: str = ""
    slirp4netns: str = ""
    proot: str = ""


def _choose(thread: Thread, settings: Mapping[str, Any], backend: str, network: str) -> _Chosen:
    """All are looked for before anything is built."""
    from solven_env.packages import builds
    from solven_env.sandbox import host_programs

    allowed, search = thread.config.sandbox.networks, os.environ.get("PATH")
    if backend == "proot":
        launch.check_for_proot(network, allowed, settings["limits"])
        return _Chosen("host", proot=builds.locate_proot(os.environ))
    limits = launch.limits(settings["limits"])
    if limits.strict:
        for each in cgroups.unenforced(limits):
            fix = f"{each.fix} Or write 'enforce: best-effort' in the profile."
            raise SandboxError(f"the limit of {each.limit} cannot be enforced: {each.why}", fix=fix)
    chosen = launch.network(network, allowed)
    bwrap = builds.locate_bubblewrap(thread.config, os.environ)
    return _Chosen(chosen, bwrap, host_programs.locate_slirp4netns(search=search) if chosen == "internet" else "")


def _packages(
    thread: Thread, record: Record, home: Home, uid: int | None, proot: str, progress: Callable[[str], None]
) -> tuple[Tools, list[Stacked], tuple[holding, ...]]:
    from solven_env.packages import builds, copies, host_tools, layers

    builder = builds.builder(thread.config, os.environ, proot)
    stacks, used = [], []
    needs = thread.needs(record)
    for need in needs:
        build, held = builds.obtain_to_use(need, builder, thread.config, os.environ, progress)
        used.append(held)
        own = str(copies.copy(home, build, uid, progress)) if proot else layers.layer(home, build, uid)
        stacks.append(Stacked(build, own))
        lost = thread.lost(record, build, "proot" if proot else "bubblewrap")
        if lost:
            mend = f"solven-env apply PROFILE {thread.name} begins anew"
            progress(f"{need.kind}: {need.ecosystem.TARGET} is broken, since commands removed {lost} of it; {mend}")
    sections = {need.kind: need.section for need in needs}
    tools = [row.tools(sections.get(name), builder.host) for name, row in ECOSYSTEMS.items()]
    return host_tools.joined([*tools, host_tools.trusting(builder.host.certificates)]), stacks, tuple(used)


def _known_packages(
    thread: Thread, record: Record, home: Home, proot: str
) -> tuple[Tools, list[Stacked], tuple[ToldBuild, ...]]:
    """The same as it is now: what is not there yet is left out of the sandbox, and told as what is to be made."""
    from solven_env.packages import builds, host_tools, layers
    from solven_env.run.explanation import ToldBuild

    stacks, told = [], []
    needs = thread.needs(record)
    for need in needs:
        build = builds.find(need, thread.config)
        if build is None:
            told.append(ToldBuild(need.kind))
            continue
        own = layers.own(home, build, "proot" if proot else "bubblewrap")
        stacks.append(Stacked(build, str(own) if proot else layers.where(home, build)))
        told.append(ToldBuild(need.kind, build.key, build.instance, str(own)))
    certificates = builds.builder(thread.config, os.environ).host.certificates
    sections = {need.kind: need.section for need in needs}
    tools = [row.known_tools(sections.get(name), directories.cache()) for name, row in ECOSYSTEMS.items()]
    return host_tools.joined([*tools, host_tools.trusting(certificates)]), stacks, tuple(told)
