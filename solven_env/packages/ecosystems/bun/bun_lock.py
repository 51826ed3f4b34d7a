"""bun.lock by a grammar of its own: what the pinned Bun writes for packages of a registry, and nothing else. Pure.

The file is JSON with commas behind last items (https://bun.com/docs/pm/lockfile). Bun takes addresses, directories,
repositories, patches and overrides from it, whoever wrote them; so they are refused here, at their line, before Bun
sees the file. Bun writes its strings as plain ASCII, so that there are no escapes to read.
"""

from __future__ import annotations

import re
from typing import Any

from solven_env.documents.diagnostics import quoted
from solven_env.errors import LockError
from solven_env.profile.npm import NAME
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_BYTES = 16 << 20
MAX_PACKAGES = 20_000
_MAX_DEPTH = 8
_FORMATS = (2,)
"""Of the pinned Bun."""

_BLANKS = re.compile(r"[ \n]*+")
_TOKEN = re.compile(r'"[ !#-\[\]-~]*+"|-?[0-9]{1,9}|true|false|null|[{}\[\]:,]|\Z')
_WORDS = {"true": True, "false": False, "null": None}

_NAME = re.compile(NAME)
_KEY = re.compile(rf"{NAME}(?:/{NAME})*+")
_NUMBER = "(?:0|[1-9][0-9]{0,15})"
_VERSION = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_PIN = re.compile(rf"({NAME})@({_VERSION})")
_DIGEST = re.compile(r"sha512-[A-Za-z0-9+/]{85}[AQgw]==")  # of 64 bytes (https://www.w3.org/TR/SRI)
_RANGE = re.compile(r"(?!\.)(?!.*\.(?:tgz|tar|tar\.gz)\Z)[A-Za-z0-9 .*<>=~^|+_,-]*+")
_ALIAS = re.compile(rf"npm:{NAME}(?:@{_RANGE.pattern})?")
_PATH = re.compile(r"(?:\./)?(?!/)(?!(?:.*/)?\.\.(?:/|\Z))[ -~]+")
_WORD = re.compile(r"!?[a-z0-9_]+")


class LockedPackage(NamedTuple):
    """A package at one place of the tree. `key` is its names from the top, `a/b` for a b that only a has."""

    key: str
    name: str
    version: str
    digest: str
    """`sha512-` and the digest of its tarball, in base64."""
    needs: Mapping[str, str]
    """Ranges by name, of `dependencies`."""
    may_need: Mapping[str, str]
    """Ranges by name, of `optionalDependencies` and `peerDependencies`."""
    about: Mapping[str, object]
    """All that is noted of it, the two above included; `bundled` where the package above brings it in its tarball."""
    line: int


class BunLock(NamedTuple):
    """Contents of a bun.lock: the ranges that were asked for, and the packages by key."""

    asked: Mapping[str, str]
    packages: Mapping[str, LockedPackage]


class _RefusedError(Exception):
    """A mistake in a bun.lock, and its line."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what, self.line = what, line


class _Node(NamedTuple):
    """A value of the document and the line at which it begins. Mappings and lists hold nodes."""

    value: Any
    line: int


def parse(text: bytes, file: str, *, field: str = "dependencies", fix: str = "") -> BunLock:
    """Parse a bun.lock whose project asks for its packages in `field`.

    LockError at `file:line` with `fix` for anything that the grammar has not.
    """
    try:
        return _lock(_document(text), field)
    except _RefusedError as refused:
        raise LockError(refused.what, fix=fix, location=f"{file}:{refused.line}") from None


def split_key(key: str) -> tuple[str, ...]:
    """The names that a key consists of, from the top."""
    return tuple(_NAME.findall(key))


def _lock(document: _Node, field: str) -> BunLock:
    top = _fields(document, ("lockfileVersion", "workspaces", "packages"), ("configVersion",))
    if top["lockfileVersion"].value not in _FORMATS:
        raise _RefusedError("the pinned Bun writes locks of another format", top["lockfileVersion"].line)
    workspace = _fields(_fields(top["workspaces"], ("",))[""], ("name", field))
    packages = _mapping(top["packages"])
    if len(packages) > MAX_PACKAGES:
        raise _RefusedError(f"the lock has more than {MAX_PACKAGES} packages", top["packages"].line)
    asked = _ranges(workspace[field])
    return BunLock(asked, {key: _package(key, entry) for key, entry in packages.items()})


def _package(key: str, entry: _Node) -> LockedPackage:
    if not _KEY.fullmatch(key):
        raise _RefusedError("this is not the name of a package", entry.line)
    if not isinstance(entry.value, list) or len(entry.value) != 4:
        raise _RefusedError(f"{key} is not a package of a registry", entry.line)
    pin, address, about, digest = entry.value
    named = _PIN.fullmatch(_text(pin))
    if not named:
        raise _RefusedError(f"{key} has no exact version of a registry's package", pin.line)
    if address.value != "":
        raise _RefusedError(f"{key} has an address, and a lock has none", address.line)
    if not _DIGEST.fullmatch(_text(digest)):
        raise _RefusedError(f"{key} has a digest that is not SHA-512", digest.line)
    fields = _fields(about, (), tuple(_ABOUT))
    told = {name: _ABOUT[name](node) for name, node in fields.items()}
    optional = {**told.get("peerDependencies", {}), **told.get("optionalDependencies", {})}
    return LockedPackage(
        key, named[1], named[2], digest.value, told.get("dependencies", {}), optional, told, entry.line
    )


def _ranges(node: _Node) -> dict[str, str]:
    found = {}
    for name, item in _mapping(node).items():
        text = _text(item)
        if not _NAME.fullmatch(name):
            raise _RefusedError("this is not the name of a package", item.line)
        if not _RANGE.fullmatch(text) and not _ALIAS.fullmatch(text):
            raise _RefusedError(f"{name} is asked for by something else than a range of versions", item.line)
        found[name] = text
    return found


def _names(node: _Node) -> list[str]:
    if not isinstance(node.value, list) or not all(_NAME.fullmatch(_text(item)) for item in node.value):
        raise _RefusedError("this is not a list of packages", node.line)
    return [item.value for item in node.value]


def _programs(node: _Node) -> str | dict[str, str]:
    if isinstance(node.value, str):
        return _path(node)
    for name, item in _mapping(node).items():
        if not _NAME.fullmatch(name):
            raise _RefusedError("this is not the name of a program", item.line)
    return {name: _path(item) for name, item in _mapping(node).items()}


def _path(node: _Node) -> str:
    if not _PATH.fullmatch(_text(node)):
        raise _RefusedError("this is not a path in the package", node.line)
    return _text(node)


def _systems(node: _Node) -> list[str]:
    words = node.value if isinstance(node.value, list) else [node]
    if not all(_WORD.fullmatch(_text(item)) for item in words):
        raise _RefusedError("this is not a list of systems", node.line)
    return [item.value for item in words]


def _true(node: _Node) -> bool:
    if node.value is not True:
        raise _RefusedError("this can be true alone", node.line)
    return True


_ABOUT: Mapping[str, Callable[[_Node], Any]] = {
    "dependencies": _ranges,
    "optionalDependencies": _ranges,
    "peerDependencies": _ranges,
    "optionalPeers": _names,
    "bin": _programs,
    "binDir": _path,
    "os": _systems,
    "cpu": _systems,
    "libc": _systems,
    "bundled": _true,
    "hasInstallScript": _true,
}
"""Fields that Bun notes of a package, each with its reader."""


def _fields(node: _Node, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, _Node]:
    fields = _mapping(node)
    for name, item in fields.items():
        if name not in required and name not in optional:
            raise _RefusedError(f"{quoted(name)} is nothing that a lock has", item.line)
    for name in required:
        if name not in fields:
            raise _RefusedError(f"'{name}' is missing", node.line)
    return fields


def _mapping(node: _Node) -> dict[str, _Node]:
    if not isinstance(node.value, dict):
        raise _RefusedError("a mapping should stand here", node.line)
    return node.value


def _text(node: _Node) -> str:
    if not isinstance(node.value, str):
        raise _RefusedError("text should stand here", node.line)
    return node.value


def _document(text: bytes) -> _Node:
    if len(text) > MAX_BYTES:
        raise _RefusedError(f"the lock has more than {MAX_BYTES >> 20} MiB", 1)
    tokens = _tokens(text.decode("ascii", errors="replace"))
    document = _value(tokens, next(tokens), 0)
    word, line = next(tokens)
    if word:
        raise _RefusedError("something stands behind the end of the document", line)
    return document


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """The tokens and their lines; the last one, again and again, is empty."""
    position, line = 0, 1
    while True:
        blanks = _BLANKS.match(text, position)
        begin = blanks.end() if blanks else position
        line += text.count("\n", position, begin)
        found = _TOKEN.match(text, begin)
        if not found:
            raise _RefusedError("this is not the JSON that Bun writes", line)
        yield found[0], line
        position = found.end()


def _value(tokens: Iterator[tuple[str, int]], first: tuple[str, int], depth: int) -> _Node:
    word, line = first
    if depth > _MAX_DEPTH:
        raise _RefusedError(f"the lock is more than {_MAX_DEPTH} levels deep", line)
    if word.startswith('"'):
        return _Node(word[1:-1], line)
    if word in _WORDS:
        return _Node(_WORDS[word], line)
    if word == "{":
        return _Node(_members(tokens, depth), line)
    if word == "[":
        return _Node(list(_items(tokens, depth)), line)
    if word and word not in "]}:,":
        return _Node(int(word), line)
    raise _RefusedError("a value should stand here", line)


def _members(tokens: Iterator[tuple[str, int]], depth: int) -> dict[str, _Node]:
    members: dict[str, _Node] = {}
    while True:
        word, line = next(tokens)
        if word == "}":
            return members
        if not word.startswith('"'):
            raise _RefusedError("a name in quotes should stand here", line)
        name = word[1:-1]
        if name in members:
            raise _RefusedError(f"{quoted(name)} stands here twice", line)
        _expect(tokens, ":")
        members[name] = _value(tokens, next(tokens), depth + 1)
        if _expect(tokens, ",", "}") == "}":
            return members


def _items(tokens: Iterator[tuple[str, int]], depth: int) -> Iterator[_Node]:
    first = next(tokens)
    while first[0] != "]":
        yield _value(tokens, first, depth + 1)
        if _expect(tokens, ",", "]") == "]":
            return
        first = next(tokens)


def _expect(tokens: Iterator[tuple[str, int]], *wanted: str) -> str:
    word, line = next(tokens)
    if word not in wanted:
        raise _RefusedError(f"'{wanted[0]}' should stand here", line)
    return word
