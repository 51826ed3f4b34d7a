"""Questions about a thread, asked from outside its sandbox: its record, workspace, builds and layers."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solven_env.doctor import sockets, supplies
from solven_env.doctor.asked_for import (
    backend_answer,
    limits_answer,
    network_answer,
    programs_answer,
    secrets_answer,
)
from solven_env.documents.answers import Answer, Question, broken, limited, ok, run
from solven_env.errors import SolvenError, WorkspaceError, printable
from solven_env.packages import builds as needed
from solven_env.packages import host_tools, layers, store, verifying
from solven_env.reconcile import kinds
from solven_env.sandbox import backends
from solven_env.sandbox.launch_plan import Bind
from solven_env.state.records import lock_key
from solven_env.threads import planning, sessions, uids
from solven_env.workspace import storage as storages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.doctor.declared import AskedProfile
    from solven_env.doctor.host import Host
    from solven_env.packages.builds import Need
    from solven_env.packages.store import Build
    from solven_env.reconcile.model import Change, Plan
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread

_SECONDS = 2.0
"""Seconds for which the files of a build are compared, at most."""


class AskedThread:
    """A thread that is asked about, and what answers found on the way that others need."""

    def __init__(self, thread: Thread, host: Host, wanted: AskedProfile | None = None) -> None:
        """Look at nothing yet. `wanted` is a valid profile that the thread is held against."""
        self.thread = thread
        self.host = host
        self.wanted = wanted
        self.record: Record | None = None
        self.is_new = False
        self.drift: Plan | None = None
        self.builds: dict[str, Build] = {}
        self.lacks_builds = False
        """True if a command would have to make a build first, which doctor never does."""

    @property
    def settings(self) -> Any:
        """The settings for launches that the last apply recorded."""
        assert self.record is not None
        return self.record.settings

    @property
    def uid(self) -> int:
        """The host's uid that commands run as, and files belong to, now."""
        had = self.host.uid if self.record is None else uids.present(self.thread, self.record)
        return os.geteuid() if had is None else had

    @property
    def workspace(self) -> Path:
        """The path of the workspace, for messages and for its own owner. Its contents are looked at through `Root`."""
        return storages.workspace_path(self.thread.storage, self.thread.name)

    @property
    def apply(self) -> str:
        """The fix for what the next apply puts right: a command."""
        return run("solven-env", "apply", self.wanted.name if self.wanted else "PROFILE", self.thread.name)

    def reasons(self) -> dict[str, str]:
        """Reasons why rendered files differ from what was applied, by path; empty where that cannot be found out."""
        found = self.drift
        if found is None and self.record is not None:  # `drift` was not asked, or failed
            with suppress(SolvenError, OSError):
                found = planning.plan_drift(self.thread, self.record)
        return {change.name: change.reason for change in found.changes if kinds.is_file(change)} if found else {}

    def fresh_layer(self, kind: str) -> str:
        """The fix for what an agent did to its own packages: `apply` if `apply` sees it, else a layer set aside."""
        if self.thread.storage_id is None or self.record is None or kind not in self.builds:
            return self.apply
        if self.thread.lost(self.record, self.builds[kind], backends.find(self.record.settings["backend"])):
            return self.apply
        reset = run("solven-env", "layer", "reset", self.thread.name, "--kind", kind)
        return f"Begin with a fresh layer, without what was added. {reset}"


def record(asked: AskedThread) -> Answer:
    """The thread was applied, and what the last apply left can be read."""
    found = asked.thread.record()
    if found is None or not found.generation:
        asked.is_new = True
        what = "an apply began and did not end" if found else "never applied"
        return broken(f"thread {asked.thread.name}: {what}", fix=asked.apply)
    asked.record = found
    return ok(f"generation {found.generation} of {found.profile.get('name')} {found.profile.get('release')}")


def held(asked: AskedThread) -> Answer:
    """No apply holds the thread."""
    if asked.thread.state.is_held(asked.thread.name):
        return limited("another apply holds the thread", fix="Try again when it has ended.")
    return ok("no apply holds the thread")


def workspace(asked: AskedThread) -> Answer:
    """It is there, no link stands in its place, whom commands run as can write in it, and it can be read."""
    if asked.workspace.is_dir() and not asked.workspace.is_symlink():
        about = asked.workspace.lstat()
        if about.st_uid == asked.uid and about.st_mode & 0o700 != 0o700:
            what = f"its mode {stat.S_IMODE(about.st_mode):04o} keeps its own owner out"
            return limited(what, f"{asked.workspace}: the next command or apply lets him in again", asked.apply)
        writing = supplies.directory(asked.workspace, WorkspaceError, asked.uid)
        if writing.level == "broken":
            return writing
    root = asked.thread.open_root()
    if root is None:
        return broken("the workspace is not there", str(asked.workspace), asked.apply)
    with root:
        count = len(root.list(""))
        readers = asked.thread.config.sandbox.group
        if root.is_open_to_others(readers):
            wanted = "its owner alone" if readers is None else f"its owner and the group {readers}"
            cause = f"{asked.workspace}: they read what inputs put there, and run a set-uid file of the agent's"
            return limited(f"its mode or its group lets others in than {wanted}", cause, asked.apply)
    return ok(f"{asked.workspace}, {count} entries, of uid {asked.uid}")


def uid(asked: AskedThread) -> Answer | None:
    """The thread has a uid of its own, or there is a reason why not."""
    assert asked.record is not None
    if asked.host.uid is None:
        return None
    has, (wanted, why) = asked.uid, uids.wanted(asked.thread, asked.record)
    if has == wanted:
        return ok(f"all threads here have uid {has}: {why}" if why else f"uid {has} is its own")
    cause = f"uid {wanted} is what it should have here"
    fix = f"{asked.apply} (when no command of it lives)"
    return limited(f"the workspace belongs to uid {has}", cause, fix)


def texts_of_locks(asked: AskedThread) -> Answer:
    """The locks that the record names are kept, with the bytes that it names."""
    assert asked.record is not None
    for kind, build in asked.record.builds.items():
        digest = build.get("lock")
        stored = asked.thread.state.get(lock_key(digest)) if digest else None
        if digest and (stored is None or hashlib.sha256(stored.value).hexdigest() != digest):
            where = asked.thread.storage / ".solven-env" / lock_key(digest)
            what = "is missing" if stored is None else "was changed"
            return broken(f"the recorded lock of the {kind} packages {what}", str(where), asked.apply)
    return ok("the recorded locks of packages are there")


def session(asked: AskedThread) -> Answer:
    """The holder of the thread's session answers, where there is one."""
    assert asked.record is not None
    found = sessions.look(asked.thread, asked.record)
    if found is None:
        backend = backends.find(asked.settings["backend"])
        has_none = f"none: the backend {backend.NAME} has no sessions"
        return ok("none is up; a command starts one" if backend.HAS_SESSIONS else has_none)
    if not found.answers:
        return broken("the session's holder does not answer", fix=run("solven-env", "stop", asked.thread.name))
    return ok(f"up for {found.age:.0f} s, {found.commands} commands in it")


def interpreter(asked: AskedThread) -> Answer | None:
    """The Python that the thread's build is for."""
    python = asked.settings["python"]
    return supplies.python(python["version"], asked.host, is_needed=True) if python else None


def builds(asked: AskedThread) -> Answer | None:
    """This host has the thread's builds, whole, with the bytes that their packages brought."""
    assert asked.record is not None
    told = []
    store.keys(asked.host.cache)
    for need in asked.thread.needs(asked.record):
        key = needed.known_key(need, asked.host.config)
        found = store.read(asked.host.cache, key) if key else None
        if found is None:
            asked.lacks_builds = True
            told.append(f"no {need.kind} build yet")
            continue
        seen = verifying.verify(found, _SECONDS)
        if seen.wrong:
            more = f" and {len(seen.wrong) - 3} more" if len(seen.wrong) > 3 else ""
            wrong = ", ".join(map(printable, seen.wrong[:3])) + more
            # Looked at by the next apply, which makes it anew beside what sessions use.
            fix = f"{run('touch', found.tree)} && {asked.apply.removeprefix('Run: ')}"
            return broken(f"the {need.kind} build is corrupted: {wrong}", f"changed since it was made: {key}", fix)
        asked.builds[need.kind] = found
        told.append(_verified(need, seen))
    if not told:
        return None
    detail = "; ".join(told)
    return limited(detail, "the next apply or run makes it", asked.apply) if asked.lacks_builds else ok(detail)


def layers_of(asked: AskedThread) -> Answer | None:
    """The thread's layers, and what it installed beside them, belong to whom commands run as."""
    assert asked.record is not None
    if asked.thread.storage_id is None:
        return None
    home = asked.thread.home(asked.record)
    names = layers.listed(home)
    for place in names:
        places_of = (home.path / place.name / name for name in ("upper", "work", "copy"))
        for path in filter(Path.exists, places_of):
            problem = supplies.rights(path, asked.uid)
            if problem:
                return problem._replace(detail=f"a layer of the {place.kind} packages: {problem.detail}")
    local = layers.where_local(home)
    problem = supplies.rights(local, asked.uid) if local.exists() else None
    if problem:
        return problem._replace(detail=f"what the thread sees at {host_tools.LOCAL}: {problem.detail}")
    return ok(f"{len(names)} in {home.path}") if names else None


def drift(asked: AskedThread) -> Answer:
    """The workspace is as the last apply left it."""
    assert asked.record is not None
    asked.drift = planning.plan_drift(asked.thread, asked.record)
    changes = [change for change in asked.drift.changes if not kinds.lies_on_host(change)]
    if not changes:
        return ok("the workspace is as it was applied")
    see = run("solven-env", "status", asked.thread.name)
    return limited(f"differs from what was applied: {_named(changes)}", "the next apply puts it right", see)


def pending(asked: AskedThread) -> Answer | None:
    """The changes that the named profile asks for and that were not applied, as `status --profile` shows them."""
    if asked.wanted is None:
        return None
    wanted = planning.wanted_by_profile(asked.thread, asked.record, asked.wanted.source, {})
    computed = planning.plan(asked.thread, wanted, asked.record)[0]
    changes = [change for change in computed.changes if change.cause != "drift"]
    if not changes:
        return ok(f"nothing is pending for {asked.wanted.name}")
    state = "conflict" if any(change.cause == "conflict" for change in changes) else "pending"
    detail = f"{state}: {_named(changes)} for {asked.wanted.name}"
    if state == "conflict":
        see = run("solven-env", "diff", asked.wanted.name, asked.thread.name)
        return limited(detail, "apply would stop, since the workspace holds changes that would be lost", see)
    return limited(detail, "the thread was not applied from this profile as it is now", asked.apply)


def links(asked: AskedThread) -> Answer | None:
    """The targets of the profile's links exist."""
    declared = asked.settings["links"]
    lost = [link for link in declared if storages.is_missing(asked.thread.root, link["to"])]
    needed = [link for link in lost if not link["optional"]]
    for link in needed or lost:
        what = f"the link /{printable(link['path'])} leads nowhere"
        target = asked.thread.storage / link["to"]
        fix = run("mkdir", "-p", target)
        if link in needed:
            return broken(what, f"{printable(link['to'])} is not on the storage, and the link is not optional", fix)
        return limited(what, f"{printable(link['to'])} is not on the storage; commands do without it", fix)
    return ok(f"{len(declared)} lead where they should") if declared else None


def shown_sockets(asked: AskedThread) -> Answer | None:
    """Sockets and FIFOs in what the profile's mounts and links show: read-only stops nobody from using one."""
    binds = [Bind(each["target"], each["source"], optional=True) for each in sockets.own(asked.settings["mounts"])]
    storage = str(asked.thread.storage.absolute())
    binds += [Bind(f"/{each['path']}", storage, each["to"], optional=True) for each in asked.settings["links"]]
    return sockets.answer(binds)


def backend(asked: AskedThread) -> Answer:
    """The program that the profile's commands run in."""
    return backend_answer(asked.settings, asked.host)


def network(asked: AskedThread) -> Answer | None:
    """The network that the profile asks for is allowed here, and can be made."""
    return network_answer(asked.settings, asked.host)


def limits(asked: AskedThread) -> Answer | None:
    """The profile's limits hold."""
    return limits_answer(asked.settings)


def secrets(asked: AskedThread) -> Answer | None:
    """The profile's secrets can be read here."""
    return secrets_answer(asked.settings, asked.host)


def programs(asked: AskedThread) -> Answer | None:
    """The programs that the profile's packages need of the host."""
    assert asked.record is not None
    return programs_answer(asked.settings, asked.thread.storage, [each["key"] for each in asked.record.builds.values()])


def _named(changes: Sequence[Change]) -> str:
    """The first three by name."""
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    return ", ".join(f"{change.kind} {printable(change.name)}" for change in changes[:3]) + more


def _verified(need: Need, seen: verifying.Verified) -> str:
    if not seen.known:
        return f"{need.kind} whole (its directories; no digests are known of its files)"
    if seen.seen < seen.known:
        return f"{need.kind} whole ({seen.seen} of {seen.known} files compared in {_SECONDS:.0f} s)"
    return f"{need.kind} whole ({seen.known} files compared)"


DRIFT = Question("drift", drift, ("workspace",))
QUESTIONS: tuple[Question[AskedThread], ...] = (
    Question("record", record, ("storage",)),
    Question("held", held, ("storage",)),
    Question("workspace", workspace, ("record",)),
    Question("uid", uid, ("workspace", "uids")),
    DRIFT,
    Question("pending", pending, ("workspace", "profile", "profile's lock", "profile's mounts")),
    Question("backend", backend, ("record",)),
    Question("network", network, ("record",)),
    Question("limits", limits, ("record",)),
    Question("secrets", secrets, ("record", "configuration")),
    Question("host programs", programs, ("record",)),
    Question("python", interpreter, ("record", "uv")),
    Question("locks", texts_of_locks, ("record",)),
    Question("builds", builds, ("locks", "cache", "python")),
    Question("layers", layers_of, ("workspace", "data")),
    Question("session", session, ("record", "runtime directory")),
    Question("links", links, ("record",)),
    Question("sockets", shown_sockets, ("record",)),
)
