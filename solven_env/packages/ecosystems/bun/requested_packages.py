"""Packages that were asked for inside: what their package.json says of them, and how a profile asks for the same."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from solven_env.documents.diagnostics import quoted
from solven_env.errors import BuildError, LockError, UsageError, WorkspaceError
from solven_env.packages.origins import Origin
from solven_env.profile import npm
from solven_env.profile.sections import RequestedPackage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.packages.additions import Installed
    from solven_env.packages.ecosystems.bun import Bun
    from solven_env.packages.making import Builder
    from solven_env.workspace.root import Root

_MOST_BYTES = 4 << 20
_MOST_NESTED = 200
_LONGEST = 200
_FIELDS = ("dependencies", "optionalDependencies", "peerDependencies")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")


def origin(root: Root, package: Installed) -> Origin:
    """The origin of a package by its package.json, and by those of the packages that it has in its own node_modules.

    An agent may have written them: nothing raises, and no more than a few are read.
    """
    needs, waiting = set[str](), [package.path]
    for _ in range(_MOST_NESTED):
        if not waiting:
            break
        path = waiting.pop()
        with suppress(OSError, WorkspaceError, ValueError, RecursionError):
            manifest = json.loads(root.read(f"{path}/package.json", _MOST_BYTES))
            found = [manifest.get(field) for field in _FIELDS] if isinstance(manifest, dict) else []
            needs |= {name for each in found if isinstance(each, dict) for name in each}
        with suppress(OSError, WorkspaceError):
            waiting += _nested(root, f"{path}/node_modules")
    return Origin(frozenset(needs))


def _nested(root: Root, path: str) -> list[str]:
    """The packages in a node_modules below the top."""
    entry = root.stat(path)
    if entry is None or entry.kind != "directory":
        return []
    names = root.list(path, _MOST_NESTED)
    scoped = [
        f"{scope}/{name}" for scope in names if scope.startswith("@") for name in root.list(f"{path}/{scope}", 99)
    ]
    return [f"{path}/{name}" for name in (*names, *scoped) if npm.is_name(name)]


def asking(name: str, version: str, words: str = "") -> str | None:
    """The range that `bun add` writes for a package of that version; None for what is no package of a registry.

    `words` are those of a manifest, which stay if they are a range that has the version.

    >>> asking("ms", "2.1.3"), asking("width", "npm:string-width@4.2.3"), asking("ms", "")
    ('^2.1.3', 'npm:string-width@^4.2.3', None)
    """
    other, version = npm.alias(version) or ("", version)
    if not npm.is_name(name) or not _VERSION.fullmatch(version) or (other and not npm.is_name(other)):
        return None
    is_range = bool(words) and not npm.range_problem(words) and (npm.alias(words) or ("",))[0] == other
    if is_range and npm.satisfies(version, words):
        return words
    return f"npm:{other}@^{version}" if other else f"^{version}"


def request(words: str) -> RequestedPackage:
    """The package that `name@range` means; a name alone stands for any version. UsageError for what is none.

    >>> request("@types/node@^20.0.0").written, request("width@npm:string-width@^4").name, request("ms").is_open
    ('^20.0.0', 'width', True)
    """
    name, at, wanted = words[1:].partition("@")
    name = words[:1] + name
    if not npm.is_name(name):
        raise UsageError(f"{quoted(name)} is not the name of an npm package", fix="Write, for example, docx@^8.0.0.")
    problem = npm.range_problem(wanted) if at else ""
    if problem:
        fix = f"Write, for example, {name}@{npm.example(wanted)}."
        raise UsageError(f"{name}: {quoted(wanted)} {problem}", fix=fix)
    return RequestedPackage(name, wanted or "*", is_open=not at)


def drafted(manifest: bytes) -> tuple[dict[str, Any], list[str]]:
    """The section with the dependencies of a package.json, and why it has not the rest.

    >>> drafted(b'{"dependencies": {"docx": "^8.0.0", "own": "file:../own"}}')
    ({'packages': {'docx': '^8.0.0'}}, ["own: 'file:../own' is an address, not a range of versions"])
    """
    try:
        written = json.loads(manifest)
    except (ValueError, RecursionError):
        return {"packages": {}}, ["it is no JSON"]
    asked = written.get("dependencies", {}) if isinstance(written, dict) else None
    if not isinstance(asked, dict):
        return {"packages": {}}, ["it has no dependencies that can be read"]
    packages, remarks = dict[str, str](), list[str]()
    for name, wanted in asked.items():
        if not npm.is_name(name) or not isinstance(wanted, str) or len(wanted) > _LONGEST:
            remarks.append(f"{quoted(name)} is not the name of an npm package with a range")
        elif problem := npm.range_problem(wanted):
            remarks.append(f"{name}: {quoted(wanted)} {problem}")
        else:
            packages[name] = wanted
    remarks += [
        f"{field}: only dependencies are read" for field in ("devDependencies", *_FIELDS[1:]) if written.get(field)
    ]
    return {"packages": packages}, remarks


def accepts(section: Bun, name: str, version: str) -> bool | None:
    """True if the section's range of a package accepts a version; None where it has none."""
    wanted = section.packages.get(name)
    return None if wanted is None else npm.satisfies((npm.alias(version) or ("", version))[1], wanted)


def preferring(section: Bun, known: bytes, versions: Mapping[str, str], builder: Builder) -> bytes:
    """The text of a lock with these versions, as the registry has them; what is known where it has them not."""
    from solven_env.packages.ecosystems.bun import locking

    exact = section._replace(packages={**section.packages, **versions}, trusted=())
    try:
        return locking.resolve(exact, known, builder.host)
    except (BuildError, LockError):
        return known
