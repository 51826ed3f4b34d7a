"""Running commands in a thread: what was applied, this host's builds and the thread's layers, put into a sandbox.

What commands of a thread have in common is found once and kept by who starts several (`Commands`): each of them looks
only whether that still holds.
"""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from solven_env.config import common_uid
from solven_env.errors import SandboxError, SolvenError, StoreError, UsageError, WorkspaceError
from solven_env.packages import store
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.reconcile.model import parents
from solven_env.run import launch
from solven_env.run.launch import Site, Stacked
from solven_env.sandbox import backends
from solven_env.sandbox.request import Request, is_terminal
from solven_env.system import directories
from solven_env.system.effects import Blocking, drive
from solven_env.threads import noting, sessions, uids
from solven_env.threads.noting import Watched
from solven_env.threads.thread import Thread
from solven_env.workspace.root import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from solven_env.packages.about_layers import Begun, Fate
    from solven_env.packages.host_tools import Tools
    from solven_env.packages.layers import Home
    from solven_env.packages.store import Build
    from solven_env.run.explanation import Explanation, ToldBuild
    from solven_env.run.launch import Values
    from solven_env.run.witnesses import Witness
    from solven_env.sandbox.backends.protocol import Backend
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.launch_plan import LaunchPlan
    from solven_env.sandbox.request import Ended
    from solven_env.state.records import Record
    from solven_env.system.blocks import holding
    from solven_env.system.networks import Network

    _Reading: TypeAlias = Callable[[Thread, Record, Request], Values]
    """The function that reads the secrets of a command."""


class Launch(NamedTuple):
    """A command of a thread that is ready to start: what it sees, the planned request, and the backend.

    `directory` is the thread's own for the backend (`Backend.NEEDS_DIRECTORY`). As long as `turn` is open, the thread
    keeps its uid, and as long as `used` is, no build of it is removed.
    """

    plan: LaunchPlan
    request: Request
    backend: Backend
    runtime: str
    directory: str = ""
    workdir_of: str = ""
    """The thread, if the command starts in the directory that its profile names."""
    turn: holding | None = None
    used: tuple[holding, ...] = ()
    thread: Thread | None = None
    record: Record | None = None
    layers: tuple[Watched, ...] = ()
    """The layers that the command has. What it changes of them is noted in the thread's record."""

    def let_go(self) -> None:
        """Close `turn` and `used` now: an error that somebody keeps refers to all that its callers had."""
        for each in (self.turn, *self.used):
            if each is not None:
                each.close()


class _Had(NamedTuple):
    """The parts of this host that a command has: tools, builds with their layers, and what keeps all of them.

    `begun` are the layers, by kind, `directory` is the thread's own for the backend, and `trusted` are the files that
    say which certificate authorities the host trusts.
    """

    uid: int | None
    turn: holding | None
    tools: Tools
    stacks: tuple[Stacked, ...]
    used: tuple[holding, ...]
    begun: Mapping[str, tuple[Build, Begun]]
    layers: tuple[Watched, ...]
    directory: str
    trusted: tuple[Path, ...]


class _Chosen(NamedTuple):
    """The record, and the backend, its programs and the network for one command."""

    record: Record
    backend: Backend
    network: Network
    program: str
    slirp4netns: str = ""


class _Prepared(NamedTuple):
    """Everything that the commands of a thread have in common, with nothing held.

    It holds as long as its `witnesses` are as they were `seen`; None as long as nobody has looked at them.
    """

    thread: Thread
    chosen: _Chosen
    had: _Had
    plan: LaunchPlan
    defaults: launch.Defaults
    witnesses: tuple[Witness, ...] = ()
    seen: tuple[object, ...] | None = None


class Commands:
    """The commands of one thread: what is found for the first of them serves the others as long as it holds.

        commands = Commands("thread-42", None)
        ended = run(commands.apply(Request(("true",))))

    Each command looks at the record, the layers, the host's configuration and the rest of `witnesses`, and anything
    that is not as it was has everything found anew. Its builds are looked at for it alone, while it holds them. Nothing
    is kept open between two commands. Several may be prepared at once.
    """

    def __init__(self, thread: str, storage: str | Path | None) -> None:
        """Nothing is looked at before the first command."""
        self.thread = thread
        self.storage = storage
        self._known: dict[tuple[str | None, str | None], _Prepared] = {}

    def apply(self, request: Request, progress: Callable[[str], None] = lambda _: None) -> Launch:
        """Prepare a checked request; see `apply`.

        What the second command found is kept: the first may be the only one. It is kept if its witnesses were the same
        before it looked and afterwards, so that nothing changed meanwhile.
        """
        return self._find(request, progress, _secrets)

    def apply_without_secrets(self, request: Request) -> Launch:
        """Prepare a request that starts nothing: somebody wants to reach the files, or a port."""
        return self._find(request, lambda _: None, _no_secrets)

    def _find(self, request: Request, progress: Callable[[str], None], read: _Reading) -> Launch:
        asked = request.backend, request.network
        known = self._known.get(asked)
        if known is not None and known.seen is not None:
            ready = _again(known, request, progress, read)
            if ready is not None:
                return ready
        before = _looked_at(known) if known is not None else None
        found, prepared = _apply(Thread.find(self.thread, self.storage), request, progress, read)
        if before is not None and _lasts(prepared):
            now = _looked_at(prepared)
            if now.seen is not None and now[-2:] == before[-2:]:
                prepared = now
        self._known[asked] = prepared
        return found


@functools.lru_cache(maxsize=64)
def commands_of(thread: str, storage: str | Path | None) -> Commands:
    """The commands of a thread that this process starts now and then."""
    return Commands(thread, storage)


def run(prepared: Launch, progress: Callable[[str], None] = lambda _: None) -> Ended:
    """Run the command to its end in this thread; see `running`."""
    return drive(running(prepared, progress))


async def running(prepared: Launch, progress: Callable[[str], None] = lambda _: None) -> Ended:
    """Start the command and wait for its end, and note what it changed of the thread's packages.

    `progress` is told of directories that are mounted upon, and of a network that a command which failed had lacked.
    """
    try:
        return await _running(prepared, progress)
    finally:
        prepared.let_go()


async def _running(prepared: Launch, progress: Callable[[str], None]) -> Ended:
    try:
        ended = await prepared.backend.run(
            prepared.plan,
            prepared.request,
            runtime_dir=prepared.runtime,
            directory=prepared.directory,
            progress=progress,
        )
    except UsageError as error:
        if prepared.workdir_of and error.message.startswith("cwd:"):  # the caller named none
            raise _no_workdir(prepared.workdir_of, prepared.request.directory) from error
        raise
    thread, record = prepared.thread, prepared.record
    if thread is not None and record is not None:
        await Blocking(lambda: noting.note(thread, record, prepared.layers))
    if ended.lacked_network:
        progress(
            "network: the command tried to reach a name or an address outside, and its network is none. Set "
            "sandbox.network in the profile, or use --network internet."
        )
    return ended


def apply(thread: Thread, request: Request, progress: Callable[[str], None] = lambda _: None) -> Launch:
    """Have the thread's builds and layers on this host, and plan how the checked request starts, without secrets.

    `progress` is told what is built and what becomes of the thread's own packages, a line at a time, and what the
    backend has to say. SandboxError for a thread that was never applied and for a network that is not to be had.
    """
    return _apply(thread, request, progress, _no_secrets)[0]


def _secrets(thread: Thread, record: Record, request: Request) -> Values:
    """The secrets of the record, read now."""
    if not record.settings["secrets"] and "environment" not in record.settings:
        return launch.NO_VALUES
    from solven_env.run import secrets  # few profiles have some

    return secrets.read(secrets.recorded(record.settings), thread.config.secrets, os.environ, request.env)


def _no_secrets(_: Thread, __: Record, ___: Request) -> Values:
    return launch.NO_VALUES


def _apply(
    thread: Thread, request: Request, progress: Callable[[str], None], read: _Reading
) -> tuple[Launch, _Prepared]:
    """The launch, and what it has in common with the thread's next one."""
    chosen = _find(thread, request)
    values = read(thread, chosen.record, request)
    _check_disk(thread, chosen.record, progress)
    _notice(chosen, request, progress)
    thread = thread.settled(progress)
    had = _have(thread, chosen, progress, progress)
    prepared = _Prepared(
        thread.anew(),
        chosen,
        had._replace(turn=None, used=()),
        _plan(thread, chosen, had.uid, had.tools, had.stacks),
        launch.defaults(chosen.record.settings, had.tools),
    )
    return _launch(prepared, thread, request, had, values), prepared


def _again(known: _Prepared, request: Request, progress: Callable[[str], None], read: _Reading) -> Launch | None:
    """The launch of a request by what a former one has found; None where that does not hold any more."""
    from solven_env.run import witnesses  # of which a process that starts one command has no use

    thread, chosen = known.thread.anew(), known.chosen
    record = chosen.record
    try:
        if witnesses.see(thread, known.witnesses) != known.seen:
            return None
    except (OSError, SolvenError):  # told by whoever finds everything anew
        return None
    _check(chosen.backend, record, request)
    values = read(thread, record, request)
    _check_disk(thread, record, progress)
    uid, turn = uids.for_command(thread, record, thread.home(record))
    builds = [layer.build for layer in known.had.layers]
    used = tuple(map(store.use, builds))
    if uid != known.had.uid or None in used or not all(map(store.is_whole, builds)):
        return None
    _notice(chosen, request, progress)
    for layer in known.had.layers:
        _tell_lost(thread.name, layer, progress)
    return _launch(known, thread, request, known.had._replace(turn=turn, used=tuple(filter(None, used))), values)


def _launch(prepared: _Prepared, thread: Thread, request: Request, had: _Had, values: Values) -> Launch:
    """The launch of a request, with the workspace's working directory made if it is missing."""
    chosen, planned = prepared.chosen, launch.planned(request, prepared.defaults, values)
    if planned.processes == "session" and not chosen.backend.HAS_SESSIONS:
        raise UsageError(
            f"processes: the backend {chosen.backend.NAME} has no session that processes could live in",
            fix="Use processes: command, or the backend bubblewrap.",
        )
    has_workdir = planned.directory == prepared.defaults.workdir != "/"
    if has_workdir:
        launch.check_workdir(planned.directory, prepared.plan)
        _have_workdir(thread, planned.directory[1:], had.uid)
    named = thread.name if has_workdir and request.cwd is None else ""
    runtime = str(directories.runtime())
    return Launch(
        *(prepared.plan, planned, chosen.backend, runtime, had.directory, named, had.turn, had.used),
        *(thread, chosen.record, had.layers),
    )


def _lasts(prepared: _Prepared) -> bool:
    """False while a layer has just been begun, or still wants packages: the next command finds something else."""
    return not any(layer.is_new or layer.to_install for _, layer in prepared.had.begun.values())


def _looked_at(prepared: _Prepared) -> _Prepared:
    """The same with its witnesses as they are now; unseen if they cannot be looked at."""
    from solven_env.run import witnesses

    found = prepared._replace(witnesses=_witnesses(prepared), seen=None)
    with suppress(OSError, SolvenError):
        return found._replace(seen=witnesses.see(found.thread.anew(), found.witnesses))
    return found


def _witnesses(prepared: _Prepared) -> tuple[Witness, ...]:
    """The facts that it was made from, beside the record and the storage."""
    from solven_env.run import witnesses

    thread, chosen, had = prepared.thread, prepared.chosen, prepared.had
    return (
        *witnesses.of_thread(thread),
        *witnesses.of_program(chosen.program),
        *(witnesses.of_slirp4netns(chosen.slirp4netns) if chosen.slirp4netns else ()),
        *witnesses.of_packages([each.need for each in had.layers], had.trusted),
        *witnesses.of_layers(thread.home(chosen.record), [each.own for each in had.layers], had.directory),
    )


def begin(thread: Thread, progress: Callable[[str], None]) -> tuple[Fate, ...] | None:
    """Begin the layers of an applied thread, as its next command would; what became of the thread's own packages.

    None where this host cannot do it now, for want of the backend's program say: that is told, and left to the command.
    """
    try:
        chosen = _find(thread, Request(("true",)))
        had = _have(thread, chosen, progress, lambda _: None)
    except SolvenError as error:
        progress(f"packages: what the thread added is carried by its next command: {error.message}")
        return None
    from solven_env.packages import carrying

    home, backend = thread.home(chosen.record), chosen.backend
    return tuple(each for build, _ in had.begun.values() for each in carrying.fates(home, build, backend))


def tell(thread: Thread, request: Request) -> Explanation:
    """Tell what `apply` and `run` would do with the checked request. Nothing is built, made or started."""
    from solven_env.run import explanation

    chosen = _find(thread, request)
    record = chosen.record
    if thread.storage_id is None:
        thread = thread._replace(storage_id="drawn-at-the-first-run")
    tools, stacks, builds = _known_packages(thread, chosen, thread.home(record))
    plan = _plan(thread, chosen, uids.foreseen(thread, record), tools, stacks)
    planned = launch.planned(request, launch.defaults(record.settings, tools))
    lacking = launch.unenforced(record.settings["limits"], chosen.backend)
    facts = explanation.Facts(thread.name, record, builds, lacking, request.env.keys())
    return explanation.tell(facts, plan, planned, chosen.backend, controlled=is_terminal(request.streams[0]))


def unenforced(record: Record) -> tuple[Unenforced, ...]:
    """The recorded limits that this host does not enforce for the thread's commands."""
    return launch.unenforced(record.settings["limits"], backends.find(record.settings["backend"]))


def _find(thread: Thread, request: Request) -> _Chosen:
    """The record, the programs and the network for a command. Raises an error if it cannot be started.

    All are looked for before anything is built.
    """
    record = thread.applied()
    settings, host = record.settings, thread.config.sandbox
    backend = backends.find(request.backend or settings["backend"])
    _check(backend, record, request)
    network = launch.network(request.network or settings["network"], backend, host.networks)
    program, slirp4netns = backend.locate(host, os.environ), ""
    if network == "internet":
        from solven_env.sandbox.network import locate_slirp4netns

        slirp4netns = locate_slirp4netns(search=os.environ.get("PATH"))
    return _Chosen(record, backend, network, program, slirp4netns)


def _check_disk(thread: Thread, record: Record, progress: Callable[[str], None]) -> None:
    """Refuse (StoreError) to begin a session where all threads of this host take more disk than it allows."""
    if thread.config.sandbox.disk is None:
        return
    from solven_env.threads import host_disk  # most hosts have no such bound

    try:
        host_disk.check(thread.config.sandbox.disk, directories.data(), progress)
    except StoreError:
        if sessions.look(thread, record) is None:  # in one that goes on, an agent may tidy up
            raise


def _check(backend: Backend, record: Record, request: Request) -> None:
    """Refuse limits that are not enforced here (SandboxError), and a session to keep where there is none."""
    launch.check_limits(record.settings["limits"], backend)
    if request.keep_alive and not backend.HAS_SESSIONS:
        fix = "Leave --keep-alive out."
        raise UsageError(f"keep_alive: the backend {backend.NAME} has no session to keep", fix=fix)


def _notice(chosen: _Chosen, request: Request, progress: Callable[[str], None]) -> None:
    notice = chosen.backend.notice(request.network or chosen.record.settings["network"])
    if notice:
        progress(notice)


def _plan(thread: Thread, chosen: _Chosen, uid: int | None, tools: Tools, stacks: Sequence[Stacked]) -> LaunchPlan:
    site = Site(
        session=sessions.name(thread, chosen.record),
        workspace=str((thread.storage / "threads" / thread.name).absolute()),
        storage=str(thread.storage.absolute()),
        uid=uid,
        program=chosen.program,
        slirp4netns=chosen.slirp4netns,
        builder=common_uid(thread.config),
        owners=uids.owners(thread),
    )
    return launch.launch_plan(chosen.record.settings, site, stacks, tools, chosen.network)


def _have_workdir(thread: Thread, path: str, uid: int | None) -> None:
    """Make the profile's working directory in the workspace where it is missing: object storage keeps no empty ones.

    SandboxError for a link or a file in its place, and for a directory that keeps us out: nothing is followed.
    """
    root = thread._replace(owner=None if uid is None else Owner(uid, uid)).open_root()
    if root is None:  # staging says it
        return
    with root:
        for directory in (*parents(path), path):
            try:
                with suppress(FileExistsError):
                    root.mkdir(directory)
                found = root.stat(directory)
            except WorkspaceError as error:
                raise _no_workdir(thread.name, f"/{path}") from error
            if found is None or found.kind != "directory":
                raise SandboxError(
                    "not a directory, where the profile has its working directory",
                    fix=f"solven-env apply PROFILE {thread.name} keeps it and puts it right; --cwd / starts elsewhere.",
                    location=f"/{directory}",
                )


def _no_workdir(thread: str, path: str) -> SandboxError:
    """The error for a working directory of the profile that a command cannot enter: a command closed it."""
    fix = f"solven-env apply PROFILE {thread} opens what apply made; --cwd / starts elsewhere, to open the rest."
    return SandboxError("the profile's working directory cannot be entered", fix=fix, location=path)


def _have(thread: Thread, chosen: _Chosen, progress: Callable[[str], None], tell: Callable[[str], None]) -> _Had:
    """Have the thread's builds and layers on this host, with what it added; `tell` is told what became of that."""
    from solven_env.packages import about_layers, builds, host_tools, layers

    record, backend = chosen.record, chosen.backend
    home = thread.home(record)
    uid, turn = uids.for_command(thread, record, home)
    builder = builds.builder(thread.config, os.environ, backend, chosen.program)
    host = builder.host.telling(progress)
    needs = thread.needs(record)
    found = builds.obtain_to_use(needs, builder, thread.config, os.environ, progress)
    stacks, begun, watched = [], {}, []
    for need, (build, _) in zip(needs, found, strict=True):
        recorded = noting.recorded(record, need.kind)
        layer = about_layers.find(home, build, backend, uid)
        if layer is None or layer.noted != recorded:
            from solven_env.packages import carrying  # 10 ms, and most commands find their layers as they left them

            layer = carrying.begin(home, build, backend, uid, recorded, progress)
        begun[need.kind] = build, layer
        stacks.append(Stacked(build, layer.own))
        watched.append(Watched(need, build, layer.path, layer.noted, layer.noted_stamp))
        if layer.is_new:
            _tell([each for each in layer.fates if each.name not in layer.to_install], tell)
        _tell_lost(thread.name, watched[-1], progress)
    sections = {need.kind: need.section for need in needs}
    tools = [row.tools(sections.get(name), host) for name, row in ECOSYSTEMS.items()]
    tools += [host_tools.local(layers.local(home, uid)), host_tools.trusting(builder.host.certificates)]
    directory = str(layers.kept_by(home, backend)) if backend.NEEDS_DIRECTORY else ""
    used = tuple(held for _, held in found)
    had = _Had(
        *(uid, turn, host_tools.joined(tools), tuple(stacks), used, begun, tuple(watched), directory),
        trusted=builder.host.trusted_files,
    )
    if any(layer.to_install for _, layer in begun.values()):
        _install(thread, chosen, had, progress, tell)
    return had


def _tell_lost(thread: str, layer: Watched, progress: Callable[[str], None]) -> None:
    from solven_env.packages import lost

    path = lost.find(layer.build, layer.own)
    if path:
        need = layer.need
        fix = f"solven-env apply PROFILE {thread} begins anew"
        progress(f"{need.kind}: {need.ecosystem.TARGET} is broken, since commands removed {path} of it; {fix}")


def _tell(fates: Sequence[Fate], tell: Callable[[str], None]) -> None:
    if fates:
        from solven_env.run import beginning

        for line in beginning.told(fates, is_done=True):
            tell(line)


def _install(
    thread: Thread, chosen: _Chosen, had: _Had, progress: Callable[[str], None], tell: Callable[[str], None]
) -> None:
    """Install by name, inside, what the layers still want, before the command that is asked for starts."""
    from solven_env.run import beginning

    settings, backend = chosen.record.settings, chosen.backend
    try:
        network = launch.network(settings["network"], backend, thread.config.sandbox.networks)
        why_not = "" if network != "none" else "the thread has no network"
    except SandboxError as error:
        why_not = error.message

    def start(request: Request) -> Ended:
        own = _find(thread, request._replace(backend=backend.NAME))
        plan = _plan(thread, own, had.uid, had.tools, had.stacks)
        planned = launch.planned(request, launch.defaults(settings, had.tools))
        return drive(backend.run(plan, planned, runtime_dir=str(directories.runtime()), directory=had.directory))

    beginning.install(thread.home(chosen.record), had.begun, start, why_not, progress, tell)


def _known_packages(thread: Thread, chosen: _Chosen, home: Home) -> tuple[Tools, list[Stacked], tuple[ToldBuild, ...]]:
    """The same as it is now: what is not there yet is left out of the sandbox, and told as what is to be made."""
    from solven_env.packages import builds, host_tools, layers
    from solven_env.run.explanation import ToldBuild

    record, backend = chosen.record, chosen.backend
    stacks, told = [], []
    needs = thread.needs(record)
    for need in needs:
        build = builds.find(need, thread.config)
        if build is None:
            told.append(ToldBuild(need.kind))
            continue
        own = layers.own(home, build, backend)
        stacks.append(Stacked(build, layers.where(home, build) if backend.HAS_MOUNTS else str(own)))
        told.append(ToldBuild(need.kind, build.key, build.instance, str(own)))
    certificates = builds.builder(thread.config, os.environ, backend).host.certificates
    sections = {need.kind: need.section for need in needs}
    tools = [row.known_tools(sections.get(name), directories.cache()) for name, row in ECOSYSTEMS.items()]
    tools += [host_tools.local(layers.where_local(home)), host_tools.trusting(certificates)]
    return host_tools.joined(tools), stacks, tuple(told)
