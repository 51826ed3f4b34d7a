"""Reports: what a verb found or did, as frozen data and as the JSON that `--format json` prints."""

from __future__ import annotations

from typing import Literal

from solven_env.errors import ChangesError, ConflictError
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from solven_env.doctor.questions import Finding
    from solven_env.errors import SolvenError
    from solven_env.packages.about_layers import Fate
    from solven_env.packages.added import Added
    from solven_env.packages.locks import OutdatedPackage, Remark, VersionChange
    from solven_env.packages.profile_edits import EditedPackage
    from solven_env.profile.render import RenderedFile
    from solven_env.profile.rendered_directory import Difference
    from solven_env.reconcile.keep import Kept
    from solven_env.reconcile.model import Change, Note, Plan, State
    from solven_env.run.missing_programs import MissingProgram
    from solven_env.sandbox.cgroups import Unenforced
    from solven_env.sandbox.runtime import SessionState
    from solven_env.state.records import Record
    from solven_env.threads.collecting import Collected, Unjudged
    from solven_env.threads.generations import Generation
    from solven_env.threads.own_layers import Differences
    from solven_env.threads.promoting import Promoted
    from solven_env.workspace.sizes import DiskUse

FORMAT = 1
"""The format of `--format json`. It changes when a program that reads the present one would fail."""

ThreadState = Literal["new", "in-sync", "pending", "drift", "conflict", "failed", "deleted"]


def told_error(error: SolvenError) -> dict[str, object]:
    """An error as plain data.

    >>> from solven_env.errors import UsageError
    >>> told_error(UsageError("there is no thread", fix="Name one."))
    {'message': 'there is no thread', 'fix': 'Name one.', 'location': ''}
    """
    return {"message": error.message, "fix": error.fix, "location": error.location}


def error_json(error: SolvenError, code: int) -> dict[str, object]:
    """The same with its exit code on the command line.

    >>> from solven_env.errors import UsageError
    >>> error_json(UsageError("there is no thread", fix="Name one."), 2)
    {'code': 2, 'message': 'there is no thread', 'fix': 'Name one.', 'location': ''}
    """
    return {"code": code, **told_error(error)}


class ThreadReport(NamedTuple):
    """One thread: its state before the verb did anything, the changes to make or made, and what was kept.

    `generation` is the last one that was applied, 0 for none.
    """

    thread: str
    state: ThreadState
    generation: int
    changes: tuple[Change, ...] = ()
    kept: tuple[Kept, ...] = ()
    kept_at: tuple[str, ...] = ()
    """For each of `kept`, the path of its bytes or of what was moved; empty for a link, which is told whole."""
    missing_programs: tuple[MissingProgram, ...] = ()
    """The programs that the profile needs of the host and commands would not find. Only `apply` fills it."""
    notes: tuple[Note, ...] = ()
    """Remarks about files that stay otherwise than the profile says: kept ones, links that are not followed."""
    remarks: tuple[Remark, ...] = ()
    """Remarks about the builds' packages, whose install scripts did not run (of `apply` and `status`), and about locks
    in the workspace that are behind their manifests (of `diff` too).
    """
    carried: tuple[Fate, ...] = ()
    """The fates of the thread's own packages above other builds, as far as they are still true."""
    to_carry: tuple[Fate, ...] = ()
    """Their fates with the next command, or, of `diff`, with an apply."""
    restored: int = 0
    """The generation that a rollback goes back to, or that kept what `recover` gives back; 0 of every other verb."""
    is_interrupted: bool = False
    """True if an earlier apply began and did not end. The next apply finishes it."""
    profile: str = ""
    """The name of the profile that was applied last. Only `status` fills it, and all below."""
    release: str = ""
    """The release of that profile."""
    builds: tuple[str, ...] = ()
    """The keys of the thread's builds that are complete on this host."""
    added: tuple[Added, ...] = ()
    """The packages that commands added to each build."""
    missing_links: tuple[str, ...] = ()
    """The optional links whose targets are missing: commands find nothing there."""
    unenforced: tuple[Unenforced, ...] = ()
    """The limits that this host does not enforce."""
    session: SessionState | None = None
    """The thread's session on this host."""
    error: SolvenError | None = None
    """The error that the verb met with this thread, where many have been given to it. All but the first three, and the
    changes of a conflict, are missing then.
    """
    freed: int = 0
    """Bytes on disks that were freed. Only `delete` fills it, and the next."""
    has_workspace: bool = False
    """True if the workspace was kept."""

    def to_json(self, describe: Callable[[SolvenError], Mapping[str, object]] = told_error) -> dict[str, object]:
        """The thread as plain data. `describe` gives its error as plain data."""
        return {
            "thread": self.thread,
            "state": self.state,
            "generation": self.generation,
            "error": None if self.error is None else dict(describe(self.error)),
            "changes": [
                {
                    "address": change.address,
                    "kind": change.kind,
                    "action": change.action,
                    "cause": change.cause,
                    "reason": change.reason,
                    "before": _state(change.before),
                    "after": _state(change.after),
                    **({"versions": [each._asdict() for each in change.versions]} if change.versions else {}),
                    **({"clashes": [each._asdict() for each in change.clashes]} if change.clashes else {}),
                    **({"choices": dict(change.choices)} if change.choices else {}),
                }
                for change in self.changes
            ],
            **({"notes": [each._asdict() for each in self.notes]} if self.notes else {}),
        }


class Report(NamedTuple):
    """The result of a verb for each thread."""

    command: str
    threads: tuple[ThreadReport, ...]

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        threads = [thread_json(self.command, thread) for thread in self.threads]
        return document(self.command, threads)


class ListedThread(NamedTuple):
    """One thread of a list: what its record says, and its state. An `error` says why no more is known of it.

    `generation` is the last one that was applied, 0 for none; `applied` its time (UTC), empty where that was not noted.
    """

    thread: str
    state: ThreadState
    generation: int = 0
    profile: str = ""
    release: str = ""
    applied: str = ""
    is_interrupted: bool = False
    """True if an apply began and did not end."""
    is_outdated: bool | None = None
    """True if its profile says something else now than the last apply left; None where that was not asked."""
    disk: DiskUse | None = None
    """The disk that its workspace and its layers take; None where that was not asked."""
    error: SolvenError | None = None

    def to_json(self, describe: Callable[[SolvenError], Mapping[str, object]]) -> dict[str, object]:
        """The thread as plain data. `describe` gives its error as plain data."""
        return {
            "thread": self.thread,
            "state": self.state,
            "generation": self.generation,
            "error": None if self.error is None else dict(describe(self.error)),
            "profile": {"name": self.profile, "release": self.release} if self.profile else None,
            "applied": self.applied or None,
            "interrupted": self.is_interrupted,
            "outdated": self.is_outdated,
            "disk": _disk(self.disk) if self.disk else None,
        }


class DiskReport(NamedTuple):
    """The disk that one thread takes on this host. An `error` says why it could not be measured."""

    thread: str
    workspace: DiskUse
    layers: DiskUse
    """All layers and copies, old ones too."""
    builds: DiskUse
    """The thread's share of its builds: the size of each, divided by the number of the threads that have it."""
    error: SolvenError | None = None

    @property
    def total(self) -> DiskUse:
        """All three together."""
        return self.workspace.plus(self.layers).plus(self.builds)

    def to_json(self, describe: Callable[[SolvenError], Mapping[str, object]]) -> dict[str, object]:
        """The thread as plain data. `describe` gives its error as plain data."""
        parts = {"workspace": self.workspace, "layers": self.layers, "builds": self.builds, "total": self.total}
        return {
            "thread": self.thread,
            "error": None if self.error is None else dict(describe(self.error)),
            **{name: _disk(each) for name, each in parts.items()},
        }


class HistoryReport(NamedTuple):
    """The generations of a thread, the newest first. `is_interrupted` as of `ThreadReport`."""

    thread: str
    generations: tuple[Generation, ...]
    is_interrupted: bool = False

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        described = {
            "thread": self.thread,
            "error": None,
            "interrupted": self.is_interrupted,
            "generations": [_generation(each) for each in self.generations],
        }
        return document("history", [described])


class ShowReport(NamedTuple):
    """One generation that is whole, and what it has otherwise than the one before it."""

    thread: str
    generation: Generation
    before: int
    """The number of the whole generation before it; 0 for none."""
    changed: tuple[str, ...] = ()
    """The dotted names of the settings, inputs and facts of the profile that are others than before: `env.LANG`."""

    @property
    def record(self) -> Record:
        """The generation's record."""
        assert self.generation.record is not None
        return self.generation.record

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        described = {
            "thread": self.thread,
            "error": None,
            **_generation(self.generation),
            "before": self.before,
            "changed": list(self.changed),
            "inputs": dict(self.record.inputs),
            "settings": dict(self.record.settings),
            "resources": [
                {"address": address, **entry.plain()} for address, entry in sorted(self.record.resources.items())
            ],
            "builds": {kind: build["key"] for kind, build in sorted(self.record.builds.items())},
            "added": dict(self.record.added),
        }
        return document("show", [described])


class LayerDiffReport(NamedTuple):
    """The packages and files that a thread has over each of its builds on this host."""

    thread: str
    layers: tuple[Differences, ...]

    @property
    def is_empty(self) -> bool:
        """True if there is nothing, as far as it can be listed."""
        return not any(each.added or each.removed or each.files for each in self.layers)

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        layers = {
            each.kind: {
                "added": [{"name": name, "version": version} for name, version in each.added],
                "removed": list(each.removed),
                "files": [{"path": path, "change": how} for path, how in each.files],
                "complete": each.is_complete,
            }
            for each in self.layers
        }
        return document("layer", [{"thread": self.thread, "error": None, "layers": layers}])


class LayerResetReport(NamedTuple):
    """The kinds of packages that begin afresh, and where each old layer is kept; empty where there was none."""

    thread: str
    kept: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        return document("layer", [{"thread": self.thread, "error": None, "kept": dict(self.kept)}])


class LockReport(NamedTuple):
    """A profile's lock: its directory, the names of its files (none without packages), and which of them changed.

    What `lock --check` reports has no more than these.
    """

    path: Path
    files: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    """The lines that there are to say of single packages."""
    pinned: Mapping[str, int] = {}
    """The number of packages that a file pins, by its name."""
    versions: Mapping[str, tuple[VersionChange, ...]] = {}
    """The versions that changed, by the name of the file; those of a file that was not there before are all new."""

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        described = {
            "path": str(self.path),
            "files": list(self.files),
            "changed": list(self.changed),
            "remarks": [remark._asdict() for remark in self.remarks],
            "pinned": dict(self.pinned),
            "versions": {file: [each._asdict() for each in changes] for file, changes in self.versions.items()},
        }
        return document("lock", lock=described)


class OutdatedReport(NamedTuple):
    """The packages that `lock --upgrade` would move, or that the profile's own ranges keep from moving further."""

    path: Path
    packages: Mapping[str, tuple[OutdatedPackage, ...]] = {}
    """By the name of the lock's file; those that nothing is to be said of are left out."""
    remarks: tuple[Remark, ...] = ()
    """The remarks of `lock --upgrade` about versions that are held back for want of wheels."""

    @property
    def moving(self) -> int:
        """The number of packages that would move, be added or be removed."""
        return sum(each.locked != each.upgrade for packages in self.packages.values() for each in packages)

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        packages = {file: [each._asdict() for each in listed] for file, listed in self.packages.items()}
        described = {
            "path": str(self.path),
            "packages": packages,
            "remarks": [remark._asdict() for remark in self.remarks],
        }
        return document("outdated", outdated=described)


def unified_diff(name: str, before: str, after: str) -> str:
    """The edit of a profile's text as a unified diff, as patch(1) reads it; empty where the text stays."""
    import difflib
    import io

    # Only LF ends a line here: str.splitlines ends one at U+2028 and others, too.
    lines = difflib.unified_diff([*io.StringIO(before)], [*io.StringIO(after)], name, name)
    return "".join(each if each.endswith("\n") else f"{each}\n\\ No newline at end of file\n" for each in lines)


class PromoteReport(NamedTuple):
    """The edit of a profile that has it bring what a thread added: what becomes of each package, and the new lock.

    `lock` is None where nothing was to be written, or nothing should be.
    """

    thread: str
    path: Path
    before: str
    after: str
    packages: tuple[Promoted, ...]
    lock: LockReport | None = None

    @property
    def diff(self) -> str:
        """The edit as a unified diff; empty where the text stays."""
        return unified_diff(str(self.path), self.before, self.after)

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        described = {
            "path": str(self.path),
            "diff": self.diff,
            "packages": [each._asdict() for each in self.packages],
            "lock": self.lock.to_json()["lock"] if self.lock else None,
        }
        return document("layer", [{"thread": self.thread, "error": None, "promote": described}])


class EditReport(NamedTuple):
    """The edit of a profile's packages: its text before and after, what became of each package, and the new lock.

    `lock` is None where none was made.
    """

    path: Path
    before: str
    after: str
    packages: tuple[EditedPackage, ...]
    lock: LockReport | None = None

    @property
    def diff(self) -> str:
        """The edit as a unified diff; empty where the text stays."""
        return unified_diff(str(self.path), self.before, self.after)

    def to_json(self, command: str) -> dict[str, object]:
        """The report as plain data, in the format that users rely on. `command` is `add` or `remove`."""
        named = ("kind", "name", "outcome", "before", "written", "still")
        described = {
            "path": str(self.path),
            "diff": self.diff,
            "packages": [{name: getattr(each, name) for name in named} for each in self.packages],
            "lock": self.lock.to_json()["lock"] if self.lock else None,
        }
        return document(command, edit=described)


class FormatReport(NamedTuple):
    """The text of a profile as it was, and in its one form. `name` is that of the profile in messages."""

    name: str
    before: bytes
    after: bytes

    @property
    def is_formatted(self) -> bool:
        """True if the text had that form."""
        return self.before == self.after

    @property
    def diff(self) -> str:
        """The edit as a unified diff; empty where the text stays."""
        return unified_diff(self.name, self.before.decode(), self.after.decode())

    def to_json(self) -> dict[str, object]:
        """The report as plain data, for `--format json`."""
        return {"profile": self.name, "formatted": self.is_formatted, "diff": self.diff, "error": None}


class RenderReport(NamedTuple):
    """A directory of rendered files: how it differed from them before anything was written."""

    path: Path
    files: tuple[RenderedFile, ...]
    differences: tuple[Difference, ...] = ()


class GcReport(NamedTuple):
    """The result of a collection, or with `is_dry_run` what one would do: what went, and what could not be judged.

    `has_failed` is true where something could not be removed.
    """

    collected: tuple[Collected, ...]
    unjudged: tuple[Unjudged, ...]
    has_failed: bool = False
    is_dry_run: bool = False

    @property
    def freed(self) -> int:
        """The bytes on disks of all that went."""
        return sum(each.freed for each in self.collected)

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        return document(
            "gc",
            dry_run=self.is_dry_run,
            freed=self.freed,
            collected=[each._asdict() for each in self.collected],
            unjudged=[each._asdict() for each in self.unjudged],
        )


class DoctorReport(NamedTuple):
    """The findings of `doctor`, and the names of the questions that it could not ask because another one is broken."""

    threads: tuple[ThreadReport, ...]
    findings: tuple[Finding, ...]
    not_asked: tuple[str, ...] = ()

    @property
    def is_broken(self) -> bool:
        """True if a finding is `broken`; a `limited` one does not count."""
        return any(finding.answer.level == "broken" for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """The report as plain data, in the format that users rely on."""
        probes = [
            {"subject": finding.subject, "question": finding.question, **finding.answer._asdict()}
            for finding in self.findings
        ]
        threads = [thread.to_json() for thread in self.threads]
        return document("doctor", threads, probes=probes, not_asked=list(self.not_asked))


def document(command: str, threads: Iterable[Mapping[str, object]] = (), /, **more: object) -> dict[str, object]:
    """The one document of `--format json`: format, command, threads, and what the command adds.

    >>> document("lock", lock={"path": "team.lock"})
    {'format': 1, 'command': 'lock', 'threads': [], 'lock': {'path': 'team.lock'}}
    """
    return {"format": FORMAT, "command": command, "threads": list(threads), **more}


def line_document(command: str, thread: Mapping[str, object]) -> dict[str, object]:
    """One line of `--format jsonl`: format, command, and what there is to say of one thread.

    >>> line_document("stop", {"thread": "thread-42"})
    {'format': 1, 'command': 'stop', 'thread': 'thread-42'}
    """
    return {"format": FORMAT, "command": command, **thread}


def thread_json(
    command: str, thread: ThreadReport, describe: Callable[[SolvenError], Mapping[str, object]] = told_error
) -> dict[str, object]:
    """One thread as the documents of a command have it, as plain data. `describe` as of `ThreadReport.to_json`."""
    described = thread.to_json(describe)
    if thread.error is not None:
        return described
    described["carried"] = _by_kind((*thread.carried, *thread.to_carry))
    if command in ("diff", "plan", "status", "apply", "rollback", "recover"):
        described["remarks"] = [each._asdict() for each in thread.remarks]
    if command == "status":
        described["profile"] = {"name": thread.profile, "release": thread.release}
        described["builds"] = list(thread.builds)
        described["added"] = {each.kind: _added(each) for each in thread.added}
        described["missing_links"] = list(thread.missing_links)
        described["interrupted"] = thread.is_interrupted
        described["unenforced"] = [each._asdict() for each in thread.unenforced]
        described["session"] = thread.session._asdict() if thread.session else None
    if command == "delete":
        described |= {"freed": thread.freed, "workspace": "kept" if thread.has_workspace else "removed"}
    if command in ("rollback", "recover"):
        described["restored"] = thread.restored
    if command in ("apply", "rollback", "recover"):
        described["kept"] = _kept(thread.kept, thread.kept_at)
        described["missing_programs"] = [each._asdict() for each in thread.missing_programs]
    return described


def failure_report(thread: str, error: SolvenError) -> ThreadReport:
    """The report of a thread with which a verb met an error; a conflict's has the plan.

    >>> from solven_env.errors import HeldError
    >>> failure_report("t1", HeldError("thread t1 is held")).state
    'failed'
    """
    state: ThreadState = "conflict" if isinstance(error, ConflictError) else "failed"
    if isinstance(error, ChangesError):
        return ThreadReport(thread, state, error.generation, error.changes, error=error)
    return ThreadReport(thread, state, 0, error=error)


def is_failure(thread: ThreadReport) -> bool:
    """True where nothing was done of what was asked."""
    return thread.error is not None


def thread_report(computed: Plan) -> ThreadReport:
    """The report of a plan, before anything is done."""
    generation = computed.base.generation if computed.base else 0
    return ThreadReport(
        computed.thread,
        _thread_state(computed, generation),
        generation,
        computed.changes,
        notes=computed.notes,
        is_interrupted=computed.is_interrupted,
    )


def _thread_state(computed: Plan, generation: int) -> ThreadState:
    causes = {change.cause for change in computed.changes}
    if "conflict" in causes:
        return "conflict"
    if not generation:
        return "new"
    if "drift" in causes:
        return "drift"
    return "pending" if causes or computed.is_interrupted else "in-sync"


def _generation(generation: Generation) -> dict[str, object]:
    record = generation.record
    return {
        "generation": generation.number,
        "present": generation.is_present,
        **{name: generation.about(name) or None for name in ("time", "host", "version", "cause")},
        "profile": {name: record.profile[name] for name in ("name", "release")} if record else None,
        "kept": _kept(generation.kept, generation.kept_at),
        "damaged": generation.error or None,
    }


def _disk(use: DiskUse) -> dict[str, object]:
    return {"bytes": use.bytes, "complete": use.is_complete}


def _kept(kept: Iterable[Kept], places: Iterable[str]) -> list[dict[str, object]]:
    return [{**each._asdict(), "location": place} for each, place in zip(kept, places, strict=True)]


def _added(added: Added) -> dict[str, object]:
    return {"packages": [package._asdict() for package in added.packages], "complete": added.is_complete}


def _by_kind(fates: Iterable[Fate]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for kind, *values in fates:
        found.setdefault(kind, []).append(dict(zip(("name", "version", "fate", "why", "command"), values, strict=True)))
    return found


def _state(state: State | None) -> dict[str, object] | None:
    if state is None:
        return None
    fields: dict[str, object] = {} if state.type == "file" else {"type": state.type}
    if state.digest == "closed":
        fields["closed"] = True
    elif state.type == "directory" and state.digest:
        fields["entries"] = len(state.names)
    elif state.digest:
        fields |= {"digest": state.digest, "size": state.size}
    if state.mode:
        fields["mode"] = state.mode
    return fields
