"""Packages that were asked for inside: what a dist-info says of them, and how a profile asks for the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from solven_env.documents.diagnostics import quoted
from solven_env.errors import UsageError, WorkspaceError
from solven_env.packages import lock_text
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import file_lists, requirements_txt
from solven_env.packages.ecosystems.python.requirements_txt import Pin
from solven_env.packages.origins import Origin
from solven_env.profile import pep508
from solven_env.profile.sections import RequestedPackage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.packages.additions import Installed
    from solven_env.workspace.root import Root

_MOST_BYTES = 1 << 20
_MOST_NEEDS = 2_000
_LONGEST = 200
_NEED = re.compile(r"^Requires-Dist:[ \t]*([^\r\n]{1,1000})\r?$", re.MULTILINE)
_OF_EXTRA = re.compile(r"\bextra\b")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+-]{0,99}")
_LOCAL = re.compile(r"\+.*")
_NO_DIGEST = "0" * 64


def origin(root: Root, package: Installed) -> Origin:
    """The origin of a package by its METADATA and REQUESTED (packaging.python.org, "Recording installed projects").

    An agent may have written both: nothing raises.
    """
    try:
        text = root.read(f"{package.path}/METADATA", _MOST_BYTES).decode(errors="replace")
        is_requested = root.stat(f"{package.path}/REQUESTED") is not None
    except (OSError, WorkspaceError):
        return Origin()
    headers = text.replace("\r\n", "\n").partition("\n\n")[0]
    found = map(pep508.parse, _NEED.findall(headers)[:_MOST_NEEDS])
    needs = (each.name for each in found if each is not None and not _OF_EXTRA.search(each.marker))
    return Origin(frozenset(needs), is_requested)


def asking(name: str, version: str, words: str = "") -> str | None:
    """The requirement that `uv add` writes for a package of that version; None for what is no package of an index.

    `words` are those of a manifest, which stay if they are a requirement of that package and accept the version.

    >>> asking("torch", "2.0.0+cpu"), asking("httpx", "0.28.1", "httpx[http2]>=0.27"), asking("rich", "")
    ('torch>=2.0.0', 'httpx[http2]>=0.27', None)
    """
    text = f"{name}>={_LOCAL.sub('', version)}"
    found = pep508.parse(text) if _VERSION.fullmatch(version) else None
    if found is None or found.name != name or found.has_address:
        return None
    written = pep508.parse(words) if len(words) <= _LONGEST else None
    is_its = written is not None and written.name == name and bool(written.specifier) and not written.has_address
    return words if written is not None and is_its and pep508.satisfies(version, written.specifier) else text


def request(words: str) -> RequestedPackage:
    """The package of a requirement. UsageError for what is none.

    >>> request("HTTPX[http2]>=0.27").name
    'httpx'
    """
    found = pep508.parse(words)
    if found is None:
        message = f"{quoted(words)} is not a requirement as PEP 508 writes it"
        raise UsageError(message, fix="Write, for example, httpx>=0.27.")
    if found.has_address:
        raise UsageError(f"'{found.name}' is given by its address", fix="Write its name and a range of versions.")
    return RequestedPackage(found.name, words, found.marker)


def drafted(manifest: bytes) -> tuple[dict[str, Any], list[str]]:
    """The section with the dependencies of a pyproject.toml, and why it has not the rest.

    The version is the usual one if `requires-python` accepts it, else the next one up or down that it accepts.

    >>> drafted(b'[project]\\nrequires-python = ">=3.13"\\ndependencies = ["six", "own @ file:///own"]')
    ({'version': '3.13', 'packages': ['six']}, ["'own @ file:///own' is given by its address"])
    """
    import tomllib

    section: dict[str, Any] = {**row.NEW_SECTION, "packages": []}
    try:
        project = tomllib.loads(manifest.decode()).get("project", {})
    except (ValueError, RecursionError):
        return section, ["it is no TOML"]
    if not isinstance(project, dict) or not isinstance(project.get("dependencies", []), list):
        return section, ["it has no dependencies that can be read"]
    remarks: list[str] = []
    for each in dict.fromkeys(map(str, project.get("dependencies", []))):
        found = pep508.parse(each) if len(each) <= _LONGEST else None
        if found is None or found.has_address:
            remarks.append(f"{quoted(each)} {'is given by its address' if found else 'is no requirement'}")
        elif found not in map(pep508.parse, section["packages"]):
            section["packages"].append(each)
    wanted = str(project.get("requires-python", ""))
    version = _version(wanted)
    if version is None:
        remarks.append(f"requires-python: {quoted(wanted)} accepts no version that can be had")
    section["version"] = version or section["version"]
    if project.get("optional-dependencies"):
        remarks.append("optional-dependencies: only dependencies are read")
    return section, remarks


def _version(specifier: str) -> str | None:
    later = file_lists.pythons(row.DEFAULT_VERSION, row.NEWEST)
    earlier = file_lists.pythons(file_lists.OLDEST, row.DEFAULT_VERSION)[::-1]
    try:
        # Of a minor version the last patch is meant: '>=3.12.4' accepts 3.12.
        accepted = (each for each in (*later, *earlier) if pep508.accepted([each, f"{each}.99"], specifier))
        return next(accepted, None)
    except ValueError:
        return None


def accepts(section: row.Python, name: str, version: str) -> bool | None:
    """True if the section's requirement of a package accepts a version; None where it has none."""
    found = [each for each in map(pep508.parse, section.packages) if each is not None and each.name == name]
    return all(pep508.satisfies(version, each.specifier) for each in found) if found else None


def preferring(known: bytes, versions: Mapping[str, str]) -> bytes:
    """The text of a lock in which uv finds these versions; of what is known it takes no digests."""
    files = lock_text.split(row.LOCKS, known)
    before = requirements_txt.parse(files[row.LOCK], row.LOCK) if known else ()
    pins = [pin for pin in before if pin.name not in versions]
    pins += [Pin(name, version, None, (_NO_DIGEST,), 0) for name, version in versions.items()]
    return lock_text.join(row.LOCKS, {**files, row.LOCK: requirements_txt.print_pins(pins).encode()})
