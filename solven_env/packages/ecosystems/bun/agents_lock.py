"""The bun.lock of a workspace, held against the package.json beside it. Pure.

Both are an agent's and may hold anything, of any size: nothing raises, and the work is bounded. An agent's lock may
have more than a profile's (addresses, workspaces), so that it is read by another grammar than `bun_lock`'s: as JSON
with commas behind last items (https://bun.com/docs/pm/lockfile).
"""

from __future__ import annotations

import json
import re
from typing import Any

from solven_env.packages.ecosystems.bun.bun_lock import split_key
from solven_env.profile import npm
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 8 << 20
_FIELDS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
# A string without its end counts: else a search would begin anew at each quote in it.
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=\s*+[}\]])', re.DOTALL)
_PACKAGE = re.compile(r'^    "([^"\\\n]{1,1000})": \["([^"\\\n]{1,1000})", [^\n]{1,20000}\],?$', re.MULTILINE)
"""A package of a lock, as Bun writes it: one line each."""
_END = "\n  }\n}\n"


def is_readable(lock: bytes) -> bool:
    """True if this is a lock as Bun writes it. One of another format counts."""
    return _workspace(_parsed(lock)) is not None


def is_behind(manifest: bytes, lock: bytes | None) -> bool:
    """True if a project's lock says other dependencies than its manifest; None for no lock.

        >>> is_behind(b'{"dependencies": {"ms": "^2.1.0"}}', None)
        True

    False where nothing can be said of a manifest, and for one that asks for nothing: Bun keeps no lock then.
    """
    asked = _parsed(manifest)
    if not isinstance(asked, dict) or not all(isinstance(asked.get(field, {}), dict) for field in _FIELDS):
        return False
    if lock is None:
        return any(asked.get(field) for field in _FIELDS)
    document = _parsed(lock)
    noted = _workspace(document)
    if noted is None:
        return True
    packages = document.get("packages")
    pinned = packages if isinstance(packages, dict) else {}
    return any(_differ(asked.get(field, {}), noted.get(field, {}), pinned) for field in _FIELDS)


def asked_in(manifest: bytes) -> dict[str, str]:
    """The ranges of a manifest's dependencies of all kinds; none where nothing can be said of it."""
    asked = _parsed(manifest)
    found = [asked.get(field) for field in _FIELDS] if isinstance(asked, dict) else []
    tables = [each for each in found if isinstance(each, dict)]
    return {name: text for table in reversed(tables) for name, text in table.items() if isinstance(text, str)}


def beginning(lock: bytes, agents: bytes) -> bytes:
    """A build's lock with the agent's further packages: Bun keeps to their versions when it locks anew."""
    text = lock.decode(errors="replace")
    if len(agents) > _MOST_BYTES or not text.endswith(_END):
        return lock
    known = {found[1] for found in _PACKAGE.finditer(text)}
    further = [
        found[0].rstrip(",")
        for found in _PACKAGE.finditer(agents.decode(errors="replace"))
        if split_key(found[1])[:1] and split_key(found[1])[0] not in known and _is_package(found[0])
    ]
    return (text.removesuffix(_END) + "".join(f"\n\n{line}," for line in further) + _END).encode() if further else lock


def _is_package(line: str) -> bool:
    found = _parsed(f"{{{line.rstrip(',')}}}".encode())
    return isinstance(found, dict) and len(found) == 1


def _parsed(text: bytes) -> Any:
    """The document; None for what is no JSON, commas behind last items aside, or too large to be a project's."""
    if len(text) > _MOST_BYTES:
        return None
    try:
        return json.loads(_LAST_COMMA.sub(r"\1", text.decode()))
    except (ValueError, RecursionError):
        return None


def _workspace(document: object) -> dict[str, Any] | None:
    """The part of a lock about the project itself; None for no lock."""
    workspaces = document.get("workspaces") if isinstance(document, dict) else None
    own = workspaces.get("") if isinstance(workspaces, dict) else None
    return own if isinstance(own, dict) else None


def _differ(asked: Mapping[str, object], noted: object, pinned: Mapping[str, object]) -> bool:
    if not isinstance(noted, dict) or asked.keys() != noted.keys():
        return True
    return any(not _agrees(wanted, noted[name], pinned.get(name)) for name, wanted in asked.items())


def _agrees(wanted: object, noted: object, pin: object) -> bool:
    """True if a lock is one for this range. `bun add` notes none: then the version that it pins has to be in it."""
    if wanted == noted:
        return True
    named = pin[0] if isinstance(pin, list) and pin else None
    if noted != "" or not isinstance(wanted, str) or not isinstance(named, str):
        return noted == ""
    try:
        return bool(npm.range_problem(wanted)) or npm.satisfies(named.rpartition("@")[2], wanted)
    except ValueError:  # pinned to an address
        return True
