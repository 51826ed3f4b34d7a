"""The uv.lock of a workspace, held against the pyproject.toml beside it. Pure.

Both are an agent's and may hold anything, of any size: nothing raises, and the work is bounded. Of a lock that uv wrote
two short pieces are parsed, its head and the project's own block; all of it only where these say that it is behind.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from solven_env.profile import pep508
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_MOST_BYTES = 8 << 20
_MOST_REQUIREMENTS = 5_000
_MOST_DOTS = 16
"""Dots in one line outside of quotes. tomllib's work grows with the square of the parts of a key."""
_MOST_TABLES = 20_000
"""Headers of tables. tomllib's work grows with the square of their number."""

_QUOTED = re.compile(rb'"[^"\\\n]*"|\'[^\'\n]*\'')
_BLOCK = re.compile(r"^\[\[package\]\]\r?$", re.MULTILINE)
_NAMED = re.compile(r'\s*name = "([^"\n]{1,200})"')
_OF_PROJECT = re.compile(r'^source = \{ (?:virtual|editable) = "\." \}', re.MULTILINE)
_PROJECTS = ({"virtual": "."}, {"editable": "."})
_PLAIN = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([A-Za-z0-9._, -]*)\])?\s*([<>=!~][<>=!~0-9A-Za-z.*+, -]*)?\s*")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]{0,99}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
_MINORS, _PATCHES = range(40), (0, 1, 2, 5, 10, 99)
"""Versions of Python 3 at which two ranges that are written differently are compared."""


class _Asked(NamedTuple):
    """One requirement, as far as it is compared. `versions` are the parts of its specifier, each without blanks.

    `is_elsewhere`: it comes from an address or a source of its own, of which only the name is compared.
    """

    name: str
    extras: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    is_elsewhere: bool = False


def is_readable(lock: bytes) -> bool:
    """True if this is a lock as uv writes it: TOML with a version and packages. One of another format counts."""
    document = _parsed(lock)
    packages = document.get("package") if document else None
    return (
        document is not None
        and isinstance(document.get("version"), int)
        and (packages is None or (isinstance(packages, list) and all(isinstance(each, dict) for each in packages)))
    )


def is_behind(manifest: bytes, lock: bytes | None) -> bool:
    """True if a project's lock says other requirements than its manifest; None for no lock.

        >>> is_behind(b'[project]\\nname = "a"\\ndependencies = ["six"]\\n', None)
        True

    False where nothing can be said of a manifest: no TOML, no `project`, dependencies that only its build knows.
    Markers, constraints and sources are not compared.
    """
    project = _parsed(manifest)
    asked = _asked_by(project) if project is not None else None
    if project is None or asked is None:
        return False
    if lock is None:
        return True
    head, root = _pieces(lock)
    if root is None:
        return True
    return not (_same_python(project["project"], head) and _same(asked, _noted_in(root)))


def asked_in(manifest: bytes) -> dict[str, str]:
    """The requirements of a manifest by name, extras and groups too; none where nothing can be said of it."""
    project = _parsed(manifest)
    texts = _texts(project) if project is not None else None
    found: dict[str, str] = {}
    for text in (text for group in (texts or {}).values() for text in group):
        asked = _read(text, ())
        if asked is not None:
            found.setdefault(asked.name, text.strip())
    return found


def beginning(lock: bytes, agents: bytes) -> bytes:
    """A build's lock with the versions of the agent's further packages: uv keeps to those when it locks anew.

    Of a package only name, version and index are taken; what it needs uv asks the index again.
    """
    known = {found[1] for found in map(_NAMED.match, _blocks(lock)) if found}
    further: dict[str, str] = {}
    for block in _blocks(agents):
        package = _first(_parsed(b"[[package]]\n" + block.encode(errors="replace")))
        name, version, index = (
            package.get("name"),
            package.get("version"),
            _table(package.get("source")).get("registry"),
        )
        if not (isinstance(name, str) and isinstance(version, str) and isinstance(index, str)) or name in known:
            continue
        if _NAME.fullmatch(name) and _VERSION.fullmatch(version) and _is_plain(index):
            source = f"{{ registry = {json.dumps(index)} }}"
            further[name] = f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {source}\n'
    return lock + "".join(further.values()).encode()


def _is_plain(text: str) -> bool:
    return text.isprintable() and text.isascii() and len(text) < 1000


def _parsed(text: bytes) -> dict[str, Any] | None:
    """The document; None for what is no TOML, or too large or too deep to be a project's."""
    if len(text) > _MOST_BYTES or text.count(b"\n[") > _MOST_TABLES:
        return None
    if any(line.count(b".") > _MOST_DOTS for line in _QUOTED.sub(b"", text).split(b"\n")):
        return None
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError):  # TOMLDecodeError, UnicodeDecodeError, an integer of too many digits
        return None


def _blocks(lock: bytes) -> Iterator[str]:
    """The texts below each `[[package]]` of a lock, as uv writes it."""
    if len(lock) <= _MOST_BYTES:
        yield from _BLOCK.split(lock.decode(errors="replace"))[1:]


def _first(document: Mapping[str, Any] | None) -> dict[str, Any]:
    """The first package of a document; empty without one."""
    packages = document.get("package") if document else None
    found = packages[0] if isinstance(packages, list) and packages else None
    return found if isinstance(found, dict) else {}


def _pieces(lock: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The head of a lock, and the package that is the project itself; None where it has none, or is no lock."""
    if len(lock) > _MOST_BYTES:
        return {}, None
    text = lock.decode(errors="replace")
    head, *blocks = _BLOCK.split(text)
    own = [block for block in blocks if _OF_PROJECT.search(block)]
    top = _parsed(head.encode())
    root = _first(_parsed(b"[[package]]\n" + own[0].encode())) if len(own) == 1 else {}
    if top is not None and root.get("source") in _PROJECTS:
        return top, root
    document = _parsed(lock) or {}
    packages = document.get("package")
    found = [each for each in packages if isinstance(each, dict)] if isinstance(packages, list) else []
    return document, next((each for each in found if each.get("source") in _PROJECTS), None)


def _asked_by(manifest: Mapping[str, Any]) -> dict[str, set[_Asked]] | None:
    """The requirements of a manifest, by group: "" for its dependencies and extras. None where nobody can tell them."""
    texts = _texts(manifest)
    if texts is None:
        return None
    tool = _table(_table(manifest.get("tool")).get("uv"))
    elsewhere = {pep508.canonical(name) for name in _table(tool.get("sources"))}
    found: dict[str, set[_Asked]] = {}
    for group, written in texts.items():
        read = {_read(text, elsewhere) for text in written}
        if None in read:
            return None
        found[group] = {each for each in read if each is not None}
    return found


def _texts(manifest: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """The requirements as they are written."""
    project = manifest.get("project")
    if not isinstance(project, dict) or not isinstance(project.get("name"), str):
        return None
    if "dependencies" in _list(project.get("dynamic")):
        return None
    tool = _table(_table(manifest.get("tool")).get("uv"))
    extras = _table(project.get("optional-dependencies"))
    texts = {"": [*_list(project.get("dependencies")), *(text for extra in extras.values() for text in _list(extra))]}
    texts |= _groups(_table(manifest.get("dependency-groups")))
    if tool.get("dev-dependencies"):
        texts["dev"] = [*texts.get("dev", []), *_list(tool.get("dev-dependencies"))]
    return texts if sum(map(len, texts.values())) <= _MOST_REQUIREMENTS else None


def _groups(written: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The requirements of each dependency group (PEP 735), with those of the groups that it includes."""
    named = {pep508.canonical(name): _list(group) for name, group in written.items()}
    found: dict[str, list[Any]] = {}
    for name in named:
        waiting, met, texts = [name], set[str](), list[Any]()
        while waiting and len(texts) <= _MOST_REQUIREMENTS:
            group = waiting.pop()
            if group in met:
                continue
            met.add(group)
            for item in named.get(group, []):
                included = item.get("include-group") if isinstance(item, dict) else None
                if isinstance(included, str):
                    waiting.append(pep508.canonical(included))
                else:
                    texts.append(item)
        found[name] = texts
    return found


def _read(text: object, elsewhere: Collection[str]) -> _Asked | None:
    """One requirement of a manifest; None for what is none."""
    if not isinstance(text, str):
        return None
    plain = _PLAIN.fullmatch(text)
    if plain:
        name, extras, versions = pep508.canonical(plain[1]), (plain[2] or "").split(","), plain[3] or ""
    else:
        parsed = pep508.parse(text)
        if parsed is None:
            return None
        name, extras, versions = parsed.name, [*parsed.extras], parsed.specifier
        if parsed.has_address:
            return _Asked(name, is_elsewhere=True)
    if name in elsewhere:
        return _Asked(name, is_elsewhere=True)
    return _Asked(name, frozenset(pep508.canonical(each.strip()) for each in extras if each.strip()), _parts(versions))


def _noted_in(root: Mapping[str, Any]) -> dict[str, set[_Asked]]:
    """The requirements that a lock notes of its project, by group."""
    metadata = _table(root.get("metadata"))
    groups = {"": metadata.get("requires-dist"), **_table(metadata.get("requires-dev"))}
    return {group: {_noted(each) for each in _list(entries)} for group, entries in groups.items()}


def _noted(entry: object) -> _Asked:
    table = _table(entry)
    name, versions = table.get("name"), table.get("specifier", "")
    if not isinstance(name, str) or not isinstance(versions, str):
        return _Asked("")
    if table.keys() - {"name", "specifier", "extras", "marker"}:
        return _Asked(name, is_elsewhere=True)
    extras = frozenset(each for each in _list(table.get("extras")) if isinstance(each, str))
    return _Asked(name, extras, _parts(versions))


def _parts(specifier: str) -> frozenset[str]:
    """The parts of a specifier without blanks: two that are written alike are equal."""
    return frozenset(filter(None, "".join(specifier.split()).split(",")))


def _same(asked: Mapping[str, Collection[_Asked]], noted: Mapping[str, Collection[_Asked]]) -> bool:
    """True if the requirements of each group are the same. Groups without any do not count."""
    for group in {*asked, *noted}:
        ours, theirs = asked.get(group, ()), noted.get(group, ())
        if {each.name for each in ours} != {each.name for each in theirs}:
            return False
        elsewhere = {each.name for each in (*ours, *theirs) if each.is_elsewhere}
        one, other = ({each for each in both if each.name not in elsewhere} for both in (ours, theirs))
        if one != other and set(map(_comparable, one)) != set(map(_comparable, other)):
            return False
    return True


def _comparable(asked: _Asked) -> tuple[object, ...]:
    """The requirement with its versions as PEP 440 compares them: `2.0-beta1` is `2.0b1`."""
    return asked.name, asked.extras, pep508.comparable(",".join(asked.versions))


def _same_python(project: Mapping[str, Any], head: Mapping[str, Any]) -> bool:
    """True if the ranges of Python are the same: uv writes `~=3.12` as `>=3.12, <4`."""
    asked, noted = project.get("requires-python"), head.get("requires-python")
    if not isinstance(asked, str) or not isinstance(noted, str):
        return True  # uv takes the interpreter's
    if _parts(asked) == _parts(noted):
        return True
    try:
        versions = [f"3.{minor}.{patch}" for minor in _MINORS for patch in _PATCHES]
        return list(pep508.accepted(versions, asked)) == list(pep508.accepted(versions, noted))
    except ValueError:
        return False


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
