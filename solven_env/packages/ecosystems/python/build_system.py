"""The build system of an sdist, read from its pyproject.toml as text (PEP 517, PEP 518), and requirements of strangers.

Pure: nothing of a package runs to learn it.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.version import InvalidVersion, Version

from solven_env.errors import BuildError
from solven_env.packages.ecosystems.python.pip_compile import Declared
from solven_env.profile import pep508

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEGACY = "setuptools.build_meta:__legacy__"
_DEFAULT = ("setuptools>=40.8.0",)
"""The requirements of an sdist that names none, as pip and uv have them. PEP 518 names setuptools and wheel, whose part
newer versions of setuptools have taken over."""
_OBJECT = re.compile(r"[\w.]+(?::[\w.]+)?")
_LONGEST = 8 << 10
_MOST = 1000


class BuildSystem(NamedTuple):
    """The static requirements of a build, the object that has its hooks, and where in the sdist that one is found."""

    requires: tuple[str, ...] = _DEFAULT
    backend: str = _LEGACY
    paths: tuple[str, ...] = ()


def parse(pyproject: bytes | None, what: str) -> BuildSystem:
    """The build system that a pyproject.toml names; None stands for an sdist that has none. BuildError about `what`."""
    if pyproject is None:
        return BuildSystem()
    try:
        document = tomllib.loads(pyproject.decode())
    except (ValueError, RecursionError):
        raise BuildError(f"{what} has a pyproject.toml that is not TOML") from None
    table = document.get("build-system")
    if table is None:
        return BuildSystem()
    requires = _texts(table, "requires", what)
    backend = table.get("build-backend", _LEGACY)
    if not isinstance(backend, str):
        raise BuildError(f"{what} has a [build-system] whose build-backend is no text")
    if len(backend) > _LONGEST or not _OBJECT.fullmatch(backend):
        raise BuildError(f"{what} has a [build-system] whose build-backend names no object: {backend[:200]!r}")
    paths = _texts(table, "backend-path", what)
    if sum(map(len, paths)) > _LONGEST or not all(map(_is_within, paths)):
        raise BuildError(f"{what} has a [build-system] whose backend-path is not within the source")
    return BuildSystem(checked(requires, f"the build of {what}"), backend, paths)


def _is_within(path: str) -> bool:
    return "\0" not in path and not posixpath.normpath(path).startswith(("/", ".."))


def _texts(table: Any, name: str, what: str) -> tuple[str, ...]:
    found = table.get(name, []) if isinstance(table, dict) else None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise BuildError(f"{what} has a [build-system] whose {name} is no list of texts")
    return tuple(found)


def checked(requirements: Iterable[str], asker: str) -> tuple[str, ...]:
    """The same requirements, each by name as PEP 508 writes it: uv would obey a line that holds an option or a path.

    BuildError about `asker` for anything else.
    """
    lines = tuple(dict.fromkeys(text.strip() for text in requirements))
    if len(lines) > _MOST:
        raise BuildError(f"{asker} has more than {_MOST} requirements")
    for line in lines:
        found = pep508.parse(line) if len(line) <= _LONGEST else None
        if found is None:
            raise BuildError(f"{asker} asks for what is no requirement: {line[:200]!r}")
        if found.has_address:
            raise BuildError(f"{asker} asks for {found.name} by its address, and a lock has none")
    return lines


def listed(said: bytes, asker: str) -> tuple[str, ...]:
    """The requirements that a hook listed as JSON, each as `checked` gives it. BuildError for anything else."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise BuildError(f"{asker} does not say what it needs")
    return checked(found, asker)


def declared(metadata: bytes, name: str, version: str) -> Declared:
    """The metadata that an sdist's own code has said. BuildError where it is another package's or version's."""
    what = f"{name} {version}"
    found = BytesParser().parsebytes(metadata, headersonly=True)
    said = (str(found.get("Name", "")), str(found.get("Version", "")))
    try:
        is_same = pep508.canonical(said[0]) == name and Version(said[1]) == Version(version)
    except InvalidVersion:
        is_same = False
    if not is_same:
        raise BuildError(f"the source of {what} says that it is another package: {said[0][:100]!r} {said[1][:100]!r}")
    requires = checked(map(str, found.get_all("Requires-Dist", ())), what)
    extras = tuple(map(str, found.get_all("Provides-Extra", ())))
    return Declared(name, version, requires, str(found.get("Requires-Python", "")), extras)
