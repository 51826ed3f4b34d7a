"""Plans as files: what is wanted, to the byte, and the changes that came of it when the plan was made.

Nobody has to believe such a file. It is held to the grammar of records and to digests, it is planned anew under the
thread's lock by the one planner, and nothing is done unless the same changes come out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from solven_env import __version__
from solven_env.errors import PlanError, StateError, UsageError
from solven_env.packages import builds
from solven_env.profile.model import Places
from solven_env.reconcile.desired import recorded_as_desired
from solven_env.reconcile.kinds import kind_of, lies_on_host
from solven_env.reconcile.model import Change, OnConflict, State, name_in, parents
from solven_env.state import grammar, records
from solven_env.state.records import Record, Recorded
from solven_env.system import names
from solven_env.system.durable import write_over
from solven_env.threads.known import known_storage_id
from solven_env.threads.planning import Wanted, check_mounts
from solven_env.threads.thread import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from solven_env.reconcile.model import Plan
    from solven_env.threads.thread import Thread

FORMAT = 1
LARGEST = 256 << 20
"""Bytes of a file that is read as a plan."""
_TO_BE_MADE = "made with "
"""Beginning of the digest of a file whose bytes are known once a build is made."""
_NOBODY = "0" * 32
_MODE = re.compile("0[0-7]{3}")
"""Modes of a profile's files: none with the bits of set-user-ID, set-group-ID or sticky."""


class SavedPlan(NamedTuple):
    """A plan that was read from a file at `where`. `wanted` is what is wanted, in the form of a record."""

    where: str
    thread: str
    storage: Mapping[str, Any]
    """Its `id` (None: it had none yet) and `path`."""
    incarnation: str
    """That of the thread; empty for one that was never applied."""
    generation: int
    is_interrupted: bool
    """True if an earlier apply had begun and not ended."""
    on_conflict: OnConflict
    wanted: Record
    files: Mapping[str, bytes]
    """The bytes of each file, by their `sha256:…`."""
    locks: Mapping[str, bytes]
    """The lock of each ecosystem of which packages are wanted."""
    reads: Mapping[str, frozenset[str]]
    places: Places
    changes: Mapping[str, Mapping[str, Any]]
    """The change that was to be made at each address."""


def dump(thread: Thread, record: Record | None, wanted: Wanted, computed: Plan) -> bytes:
    """The file of a plan for a thread of which this is recorded. It holds no secret, since what is wanted has none."""
    asked, config = wanted.desired, thread.config
    resources = {
        address: Recorded(address.partition(":")[0], asked.own.get(address, "whole"), state.digest, state.mode)
        for address, state in asked.states.items()
    }
    in_form = Record(_NOBODY, 1, asked.profile, asked.inputs, asked.settings, resources)
    files = {state.digest: state.data for state in asked.states.values() if state.data is not None}
    fields = {
        "format": FORMAT,
        "version": __version__,
        "thread": thread.name,
        "storage": {"id": known_storage_id(thread.state), "path": _place(thread)},
        "incarnation": record.incarnation if record else "",
        "generation": record.generation if record else 0,
        "is_interrupted": computed.is_interrupted,
        "on_conflict": computed.on_conflict,
        "wanted": json.loads(in_form.dump()),
        "files": {digest: base64.b64encode(data).decode() for digest, data in sorted(files.items())},
        "locks": {need.kind: base64.b64encode(need.lock).decode() for need in wanted.needs if need.lock is not None},
        "reads": {address: sorted(read) for address, read in asked.reads.items() if address in resources},
        "places": (asked.places or Places({}, {}))._asdict(),
        "builds": {need.kind: builds.known_key(need, config) for need in wanted.needs},
        "changes": {change.address: _told(change) for change in computed.changes if not lies_on_host(change)},
    }
    return (json.dumps({**fields, "sha256": _checksum(fields)}, sort_keys=True, indent=1) + "\n").encode()


def write(path: Path, data: bytes) -> None:
    """Have a plan at `path` in one step, for its owner alone (0600). UsageError where it cannot be written there."""
    fix = "Name a file in a directory that you can write."
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.stat(path.name, dir_fd=directory, follow_symlinks=False).st_mode):
                    raise UsageError(f"cannot write {path}: something else than a file is there", fix=fix)
            staged = f".{path.name}.{os.urandom(4).hex()}.tmp"
            write_over(directory, path.name, staged, data, mode=0o600)
        finally:
            os.close(directory)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", fix=fix) from error


def read(path: Path) -> SavedPlan:
    """The plan in a file. UsageError where it cannot be read; PlanError where it is none, or a newer version's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path} is no file", fix="Name the file that solven-env plan --out wrote.")
            if status.st_size > LARGEST:
                raise _damaged(str(path), f"it has over {LARGEST >> 20} MiB")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return load(file.read(LARGEST + 1), str(path))
        finally:
            os.close(descriptor)
    except OSError as error:
        fix = "Name the file that solven-env plan --out wrote."
        raise UsageError(f"cannot read {path}: {error.strerror}", fix=fix) from error


def load(data: bytes, where: str) -> SavedPlan:
    """The plan in `data`, which is at `where`. PlanError where it is none, was edited, or a newer version wrote it."""
    try:
        fields = json.loads(data)
        found = fields.pop("format", None)
        if type(found) is int and found > FORMAT:
            raise grammar.NewerError(f"format {found}")
        if found != FORMAT:
            raise grammar.WrongError("format is none of a plan")
        if fields.pop("sha256", "") != _checksum({**fields, "format": found}):
            raise grammar.WrongError("it was edited, or cut off")
        _FIELDS(fields, "")
        wanted = records.load(json.dumps(fields.pop("wanted")).encode(), where, vocabulary())
        files = {digest: base64.b64decode(text, validate=True) for digest, text in fields["files"].items()}
        locks = {kind: base64.b64decode(text, validate=True) for kind, text in fields["locks"].items()}
        _check(wanted, files)
    except grammar.NewerError as error:
        raise PlanError(
            f"this plan has {error}, which this solven-env does not know",
            fix="A newer solven-env wrote it: install that one, or make the plan again.",
            location=where,
        ) from None
    except StateError as error:
        raise _damaged(where, error.message) from None
    except grammar.WrongError as error:
        raise _damaged(where, str(error)) from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise _damaged(where) from error
    reads = {address: frozenset(read) for address, read in fields["reads"].items()}
    taken = ("thread", "storage", "incarnation", "generation", "is_interrupted", "on_conflict", "changes")
    parts = {name: fields[name] for name in taken}
    places = Places(**fields.get("places", {"paths": {}, "settings": {}}))
    return SavedPlan(where, wanted=wanted, files=files, locks=locks, reads=reads, places=places, **parts)


def wanted(saved: SavedPlan, thread: Thread, record: Record | None) -> Wanted:
    """All that a saved plan starts from, for the thread of which this is recorded now.

    PlanError, which names each of them, where the thread, its storage or its generation is another one, and with every
    plan that comes of it where other changes come out.
    """
    moved = _moved_from(saved, thread, record or Record(""))
    if moved:
        raise _refusal(saved, moved)

    def check(computed: Plan) -> None:
        moved = tuple(_differences(saved.changes, computed.changes))
        if moved:
            raise _refusal(saved, moved)

    check_mounts(saved.wanted.settings["mounts"])
    asked = recorded_as_desired(saved.wanted)
    states = {
        address: _with_bytes(state, saved) if kind_of(address).TYPE == "file" else state
        for address, state in asked.states.items()
    }
    needs = builds.recorded_needs(saved.wanted.settings, lambda kind: _lock(saved, kind))
    return Wanted(asked._replace(states=states, reads=saved.reads, places=saved.places), needs, "plan", check)


def _with_bytes(state: State, saved: SavedPlan) -> State:
    data = saved.files[state.digest]
    return state._replace(size=len(data), data=data)


def _lock(saved: SavedPlan, kind: str) -> bytes:
    if kind not in saved.locks:
        raise _damaged(saved.where, f"the lock of the {kind} packages is missing")
    return saved.locks[kind]


def _moved_from(saved: SavedPlan, thread: Thread, now: Record) -> Sequence[str]:
    """Words about the thread as a whole, where it is not as it was when the plan was made."""
    if thread.name != saved.thread:
        return [f"it is a plan for thread {saved.thread}, not for {thread.name}"]
    moved = []
    own, was = known_storage_id(thread.state), saved.storage["id"]
    if (own != was) if was is not None else (_place(thread) != saved.storage["path"]):
        moved.append(f"it is a plan for the storage {saved.storage['path']}, and {_place(thread)} is another one")
    elif now.incarnation != saved.incarnation:
        moved.append("the thread was made anew since" if saved.incarnation else "the thread was applied since")
    elif now.generation != saved.generation:
        moved.append(f"the thread has generation {now.generation}, and had {saved.generation}")
    elif (now.intended is not None) != saved.is_interrupted:
        moved.append("an apply was interrupted, or finished, since")
    return moved


def _differences(expected: Mapping[str, Mapping[str, Any]], changes: Sequence[Change]) -> Sequence[str]:
    """Words, by address, about what is not as it was when the plan was made."""
    found = {change.address: change for change in changes if not lies_on_host(change)}
    moved = []
    for address in sorted({*expected, *found}):
        if address not in found:
            moved.append(f"{address}: there is nothing to change any more")
        elif address not in expected:
            moved.append(f"{address}: {found[address].reason}")
        elif not _is_same(expected[address], _told(found[address])):
            moved.append(f"{address}: it is not as it was, or other bytes come out")
    return moved


def _is_same(expected: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """True for the same change; a file whose bytes one of the two does not know yet counts as the same."""
    if {**expected, "after": None} != {**found, "after": None}:
        return False
    after = (expected["after"], found["after"])
    to_be_made = any(each and each["digest"].startswith(_TO_BE_MADE) for each in after)
    return after[0] == after[1] or (to_be_made and all(after))


def _told(change: Change) -> dict[str, Any]:
    """A change as a plan's file has it."""
    states = {"before": _state(change.before), "after": _state(change.after)}
    return {"action": change.action, "cause": change.cause, **states}


def _state(state: State | None) -> dict[str, str] | None:
    if state is None:
        return None
    names = hashlib.sha256("\0".join(state.names).encode(errors="surrogateescape")).hexdigest() if state.names else ""
    return {"type": state.type, "digest": state.digest, "mode": state.mode, "at": state.at, "names": names}


def _check(wanted: Record, files: Mapping[str, bytes]) -> None:
    """Hold the bytes of all files to their digests, and what is wanted to what a profile can ask for."""
    if not wanted.generation or wanted.intended is not None or wanted.builds:
        raise grammar.WrongError("what is wanted is no state of a thread")
    taken: dict[str, str] = {}
    for address, entry in wanted.resources.items():
        kind, name = kind_of(address), name_in(address)
        if kind.LIES != "workspace" or taken.setdefault(name, address) != address:
            raise grammar.WrongError(f"{address} is nothing that a profile can ask for")
        if entry.kept:
            raise grammar.WrongError(f"{address} says what an apply kept")
        if kind.TYPE == "file":
            if not _MODE.fullmatch(entry.mode):
                raise grammar.WrongError(f"{address} has no mode that a profile can ask for")
            data = files.get(entry.digest)
            if data is None or f"sha256:{hashlib.sha256(data).hexdigest()}" != entry.digest:
                raise grammar.WrongError(f"the bytes of {address} are others than it says")
    for name in taken:
        for above in parents(name) if name != "/" else ():
            if above in taken and kind_of(taken[above]).TYPE == "file":
                raise grammar.WrongError(f"{name} is in {above}, which is a file")


def _checksum(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _place(thread: Thread) -> str:
    return str(thread.storage.absolute())


def _refusal(saved: SavedPlan, moved: Sequence[str]) -> PlanError:
    return PlanError(
        f"the plan does not fit any more, and nothing was changed ({'; '.join(moved)})",
        fix="Make it again: solven-env plan PROFILE THREAD --out FILE.",
        location=saved.where,
    )


def _damaged(where: str, what: str = "") -> PlanError:
    told = f" ({what})" if what else ""
    fix = "Make it again: solven-env plan PROFILE THREAD --out FILE."
    return PlanError(f"this is no plan, or it is damaged{told}", fix=fix, location=where)


_STATE = grammar.none_or(grammar.table_with(dict.fromkeys(("type", "digest", "mode", "at", "names"), grammar.text)))
_FIELDS = grammar.table_with(
    {
        "version": grammar.text,
        "thread": grammar.text_that(names.ID.fullmatch, "id of a thread"),
        "storage": grammar.table_with({"id": grammar.none_or(grammar.text), "path": grammar.text}),
        "incarnation": grammar.text,
        "is_interrupted": grammar.flag,
        "generation": grammar.count(0, 2**53, "generation"),
        "on_conflict": grammar.one_of(*get_args(OnConflict)),
        "wanted": grammar.table,
        "files": grammar.table_of(grammar.text),
        "locks": grammar.table_of(grammar.text),
        "reads": grammar.table_of(grammar.list_of(grammar.text)),
        "builds": grammar.table_of(grammar.none_or(grammar.text)),
        "changes": grammar.table_of(
            grammar.table_with({"action": grammar.text, "cause": grammar.text, "before": _STATE, "after": _STATE})
        ),
    },
    # Of plans that are older than it, no place is told.
    {"places": grammar.table_with(dict.fromkeys(Places._fields, grammar.table_of(grammar.text)))},
)
