"""Commands of `setup`, `setup:npm ci`: each runs once inside, in the order of the profile, when all else is applied.

A command is known by its text. It is in sync where the record says that it ran to a good end, in the layers that the
thread has above the builds that it needs now, with what stands at its inputs now. What is looked at there is bounded: a
workspace is an agent's.
"""

from __future__ import annotations

import hashlib

from solven_env.errors import WorkspaceError
from solven_env.reconcile import places
from solven_env.reconcile.kinds import build, directory, kind
from solven_env.reconcile.model import Change, State
from solven_env.reconcile.replacing import LARGEST, digest
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from solven_env.reconcile.model import Desired, Plan
    from solven_env.state.records import Record
    from solven_env.workspace.root import Root

LIES = "sandbox"
TYPE = "setup"
IS_RECORDED = False  # as a resource: a record has a field of its own for them

MOST_FILES = 4096
"""The files and directories of all inputs of a thread that are looked at."""
MOST_BYTES = 64 << 20
"""The bytes of all these files that are read; `replacing.LARGEST` of one."""
TOO_MUCH = ""
"""The digest of an input that has more: it counts as unchanged as long as it has."""

_NEW_LAYER = "a new layer begins"
_FILES = ("file", "symlink", "other")
"""Types of what counts in a tree: object storage keeps no empty directories."""

is_name = kind.no_names
desired = kind.basic_desired
desired_here = kind.basic_desired_here
observe = kind.no_observe
observe_host = kind.basic_observe_host
look = kind.basic_look
judge = kind.basic_judge
removals = kind.no_removals
reason = kind.basic_reason
entry = kind.no_entry
apply = kind.no_apply


def further_changes(plan: Plan, changed: Sequence[str]) -> Iterator[Change]:
    """The commands that have to run, in their order."""
    if not _commands(plan.desired.settings):
        return
    base = plan.base
    ran = base.setup if base else {}
    known = {each["run"] for each in base.settings.get("setup", ())} if base and base.generation else set()
    layer, after = _layer(plan.desired), State(TYPE)
    anew = _anew(plan)
    for command in _commands(plan.desired.settings):
        address, done = _address(command), ran.get(name_of(command))
        if done is None:
            asks = f"the profile asks for it{places.of_setup(command['run'], plan.desired)}"
            why = "it has not run to its end" if command["run"] in known else asks
            yield Change(address, "create", "pending", why, None, after)
        elif why := _why(plan, command, done, layer, anew):
            yield Change(address, "replace", "pending", why, after, after)


def _anew(plan: Plan) -> str:
    """The reason for which all commands have to run again; empty for none."""
    if any(change.address == directory.WORKSPACE and change.before is None for change in plan.changes):
        return "the workspace begins anew"
    has_builds = any(_is_of_build(change, plan.desired) for change in plan.changes)
    return _NEW_LAYER if has_builds or plan.desired.unbegun else ""


def _why(plan: Plan, command: Mapping[str, Any], done: Mapping[str, Any], layer: str, anew: str) -> str:
    """The reason for which a command that ran has to run again; empty for none."""
    if done["status"]:
        return f"it ended with status {done['status']}"
    if anew or done["layer"] != layer:
        return anew or _NEW_LAYER
    if set(command["inputs"]) != done["inputs"].keys():
        return f"the profile changed its inputs{places.of_setup(command['run'], plan.desired)}"
    coming = [path for path in command["inputs"] if any(_changes(each, path) for each in plan.changes)]
    here = [path for path in command["inputs"] if plan.inputs.get(path, TOO_MUCH) != done["inputs"][path]]
    return f"{', '.join(sorted({*coming, *here}))} changed" if coming or here else ""


def _is_of_build(change: Change, wanted: Desired) -> bool:
    state = wanted.states.get(change.address)
    return state is not None and state.type == build.TYPE


def _changes(change: Change, path: str) -> bool:
    """True if a change makes other content at a path of the workspace, or beneath it."""
    states = (change.before, change.after)
    contents = [(state.type, state.digest) if state and state.type in _FILES else None for state in states]
    is_there = change.place == path or change.place.startswith(f"{path}/") or path.startswith(f"{change.place}/")
    return is_there and contents[0] != contents[1]


def _layer(wanted: Desired) -> str:
    """The digest of the builds below the layers in which commands run: other ones have new layers begin."""
    builds = ((address, state.digest) for address, state in wanted.states.items() if state.type == build.TYPE)
    return digest("".join(f"{address} {of_it}\n" for address, of_it in sorted(builds)).encode())


def _commands(settings: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = settings.get("setup", ())
    return found


def _address(command: Mapping[str, Any]) -> str:
    return f"{TYPE}:{command['run']}"


def name_of(command: Mapping[str, Any]) -> str:
    """The name of a command in a record: the SHA-256 of its text."""
    return hashlib.sha256(command["run"].encode(errors="surrogatepass")).hexdigest()


def to_run(plan: Plan) -> tuple[Mapping[str, Any], ...]:
    """The commands of a plan that have to run, as settings have them, in their order."""
    addresses = {change.address for change in plan.changes}
    return tuple(each for each in _commands(plan.desired.settings) if _address(each) in addresses)


def without(changes: Iterable[Change], commands: Iterable[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The changes but for these commands."""
    addresses = set(map(_address, commands))
    return tuple(each for each in changes if each.address not in addresses)


def left(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """The record's field before the commands of a plan run: without these and those that the profile dropped."""
    going = set(map(name_of, to_run(plan)))
    staying = (name_of(each) for each in _commands(plan.desired.settings))
    ran = plan.base.setup if plan.base else {}
    return {name: ran[name] for name in staying if name in ran and name not in going}


def after_run(
    plan: Plan, record: Record, command: Mapping[str, Any], status: int, inputs: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """The record's field once a command has ended, with what is at the `inputs` of all of them now.

    So a command that changes its own inputs, or those of another one, has nothing run again.
    """
    ran = {**record.setup, name_of(command): {"status": status, "layer": _layer(plan.desired), "inputs": {}}}
    return {
        name: {**ran[name], "inputs": {path: inputs.get(path, TOO_MUCH) for path in each["inputs"]}}
        for each in _commands(plan.desired.settings)
        if (name := name_of(each)) in ran
    }


def observe_inputs(root: Root, settings: Mapping[str, Any]) -> dict[str, str]:
    """The digest of what stands at each input of the commands, by path; `TOO_MUCH` for more than is looked at."""
    paths = sorted({path for each in _commands(settings) for path in each["inputs"]})
    bounds = _Bounds()
    return {path: bounds.digest(root, path) for path in paths}


def beyond(plan: Plan) -> tuple[str, ...]:
    """The inputs that have more than is looked at."""
    return tuple(path for path, digest in sorted(plan.inputs.items()) if digest == TOO_MUCH)


class _TooMuchError(Exception):
    """There is more than is looked at."""


class _Bounds:
    """Files and bytes that may still be looked at."""

    def __init__(self) -> None:
        self.files = MOST_FILES
        self.bytes = MOST_BYTES

    def digest(self, root: Root, path: str) -> str:
        """The digest of a file, or of all files beneath a directory, by their paths; links are not followed."""
        found = hashlib.sha256()
        try:
            for part in self._parts(root, path):
                found.update(part)
        except _TooMuchError:
            return TOO_MUCH
        return f"sha256:{found.hexdigest()}"

    def _parts(self, root: Root, path: str) -> Iterable[bytes]:
        todo = [path]
        while todo:
            place = todo.pop()
            self.files -= 1
            if self.files < 0:
                raise _TooMuchError
            try:
                names, content = self._look(root, place)
            except (WorkspaceError, OSError):  # closed to us, or taken away meanwhile
                names, content = (), b"closed"
            # In reverse: the last one is the next.
            todo += [f"{place}/{name}" for name in reversed(names)]
            if content is not None:
                told = place.encode(errors="surrogateescape")
                yield b"%d %d\0" % (len(told), len(content)) + told + content

    def _look(self, root: Root, place: str) -> tuple[Sequence[str], bytes | None]:
        """The names in a directory, or what stands for what else is there; None for nothing."""
        most = min(self.bytes, LARGEST)
        found = root.look(place, most)
        if found is None:
            return (), None
        entry, data = found
        if entry.kind == "directory":
            names = root.list(place, self.files + 1)
            if len(names) > self.files:
                raise _TooMuchError
            return names, None
        if entry.kind == "symlink":
            return (), b"symlink " + root.read_link(place).encode(errors="surrogateescape")
        if data is None:
            if entry.kind == "file" and entry.size > most:
                raise _TooMuchError
            return (), entry.kind.encode()
        if len(data) > most:
            raise _TooMuchError
        self.bytes -= len(data)
        return (), b"file " + hashlib.sha256(data).digest()
