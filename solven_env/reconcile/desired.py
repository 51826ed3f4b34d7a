"""From a resolved profile and its rendered files to the states that a workspace must have. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from solven_env.profile.sections import TARGETS
from solven_env.reconcile.model import BUILD, DIRECTORY, MOUNT, WORKSPACE, Desired, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from solven_env.profile.model import Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.model import Observed
    from solven_env.state.records import Record

LOCK_FILES = {"uv.lock": "python", "bun.lock": "bun"}
"""The lock files of a workspace, and the kind of build that each belongs to."""


def desired(profile: Profile, files: Iterable[RenderedFile], given: Mapping[str, str]) -> Desired:
    """What `profile` asks of a thread whose rendered files are `files` and whose inputs were `given`."""
    states: dict[str, State] = {WORKSPACE: DIRECTORY}
    own: dict[str, str] = {}
    for file in sorted(files, key=lambda file: file.path):
        for parent in parents(file.path):
            states[f"directory:{parent}"] = DIRECTORY
        states[f"file:{file.path}"] = State("file", file.digest, file.mode, len(file.data), file.data)
        own[f"file:{file.path}"] = file.own
    launch = settings(profile)
    described = {"settings": launch, "files": {name: (state.digest, state.mode) for name, state in states.items()}}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return Desired(
        profile={"name": profile.name, "release": profile.release, "digest": f"sha256:{digest}"},
        inputs=dict(given),
        settings=launch,
        states=states,
        own=own,
    )


def with_builds(
    wanted: Desired,
    identities: Mapping[str, str],
    files: Mapping[str, bytes | None],
    observed: Observed,
    record: Record | None,
) -> Desired:
    """`wanted` and the builds that it needs, by kind, with the lock files that a workspace of these begins with.

    A lock file's bytes are None while the build that brings them is still to be made. A workspace that has one of the
    same build keeps it: a build made again may say the same in other bytes.
    """
    states, own = dict(wanted.states), dict(wanted.own)
    for kind, identity in identities.items():
        states[f"{BUILD}:{kind}"] = State("build", identity)
    for name, data in files.items():
        address = f"file:{name}"
        if address in states:
            continue  # the profile brings its own
        kind = LOCK_FILES[name]
        entry, before = (record.resources.get(each) if record else None for each in (address, f"{BUILD}:{kind}"))
        found = observed.states.get(address)
        if entry and before and before.digest == identities[kind] and found is not None and found.type == "file":
            states[address] = State("file", entry.digest, entry.mode)
        elif data is None:
            states[address] = State("file", f"made with build:{kind}", "0644")
        else:
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            states[address] = State("file", digest, "0644", len(data), data)
        own[address] = "keys"
    return wanted._replace(states=states, own=own)


def with_mount_points(wanted: Desired, record: Record | None, stands: Callable[[str], State | None]) -> Desired:
    """`wanted` and the places in the workspace that its settings mount something upon, with the directories above them.

    `stands` tells of a path of the host what can be mounted upon: a directory or a file, or that nothing is there.
    """
    own = _targets(wanted.settings, stands)
    known = _targets(record.settings, stands) if record and record.generation else {}
    points = {parent: DIRECTORY for target in own for parent in parents(target[1:])}
    points |= {target[1:]: state for target, state in own.items()}
    added = {f"{MOUNT}:{path}": state for path, state in points.items() if f"directory:{path}" not in wanted.states}
    hiding = frozenset(f"{MOUNT}:{target[1:]}" for target in own.keys() - known)
    return wanted._replace(states={**wanted.states, **added}, hiding=hiding)


def _targets(launch: Mapping[str, Any], stands: Callable[[str], State | None]) -> dict[str, State]:
    """Where settings mount upon the workspace, and upon what. What lies beneath another mount point is not its own."""
    mounts, links = launch["mounts"], launch["links"]
    targets = {each["target"]: stands(each["source"]) if each["kind"] == "bind" else DIRECTORY for each in mounts}
    targets |= {f"/{each['path']}": DIRECTORY for each in links}
    targets |= {target: DIRECTORY for kind, target in TARGETS.items() if launch[kind]}
    is_beneath = {target for target in targets if any(target.startswith(f"{other}/") for other in targets)}
    return {target: state for target, state in targets.items() if state is not None and target not in is_beneath}


def settings(profile: Profile) -> dict[str, Any]:
    """What only a launch needs, as plain JSON data, equal to itself after a round trip through a record."""
    return {
        "env": dict(profile.env),
        "path": list(profile.path),
        "backend": profile.sandbox.backend,
        "network": profile.sandbox.network,
        # Absent where it is empty, as in records that were made before there was one.
        **({"allow": list(profile.sandbox.allow)} if profile.sandbox.allow else {}),
        "limits": profile.sandbox.limits._asdict(),
        "mounts": [mount._asdict() for mount in profile.mounts],
        "links": [link._asdict() for link in profile.links],
        "python": {"version": profile.python.version, "packages": list(profile.python.packages)}
        if profile.python
        else None,
        "bun": {"packages": dict(profile.bun.packages)} if profile.bun else None,
        "secrets": [],
    }


def parents(path: str) -> list[str]:
    """The directories that hold `path`, the uppermost first, without the workspace itself."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
