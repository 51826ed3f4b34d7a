"""Grammar of a record's JSON: one table of what each value may be. Pure.

A check is called with a value and where it stands. It raises `WrongError` for what no version ever wrote, and
`NewerError` for a word that a later one may have added. The kinds of resources are handed in: rooms above know them.
"""

from __future__ import annotations

import re

from solven_env.system import names
from solven_env.system.networks import NETWORKS
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any, TypeAlias

    Check: TypeAlias = Callable[[Any, str], None]


class WrongError(Exception):
    """Error for a value that no version writes; the message says which."""


class NewerError(Exception):
    """Error for a word that this version does not know; the message says which."""


class Vocabulary(NamedTuple):
    """Words that rooms above know: kinds of resources, each with a test of its names, ecosystems and backends."""

    kinds: Mapping[str, Callable[[str], bool]]
    ecosystems: Mapping[str, Check]
    """For each ecosystem, the grammar of its section in the settings."""
    stated: Collection[str]
    """The ecosystems of which the settings say so when there is no section."""
    backends: Collection[str]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def check_own(own: Mapping[str, Any]) -> None:
    """Hold the fields of `OWN` to the grammar, where the rest of the record was held to it before."""
    _OWN(own, "")


def check(fields: Mapping[str, Any], words: Vocabulary) -> None:
    """Hold a record's fields, `format` aside, to the grammar."""
    _record(words)(fields, "")
    if fields["generation"]:  # until the first apply has ended, there are none
        _settings(words)(fields["settings"], "settings")
        _PROFILE(fields["profile"], "profile")


def _that(is_so: Callable[[Any], bool], what: str) -> Check:
    def checked(value: Any, where: str) -> None:
        if not is_so(value):
            raise WrongError(f"{where} is no {what}")

    return checked


def text_that(is_so: Callable[[str], object], what: str) -> Check:
    return _that(lambda value: type(value) is str and bool(is_so(value)), what)


def count(least: int, most: int, what: str) -> Check:
    return _that(lambda value: type(value) is int and least <= value <= most, what)


def one_of(*words: str) -> Check:
    def checked(value: Any, where: str) -> None:
        text(value, where)
        if value not in words:
            raise NewerError(f"{where} {value!r}")

    return checked


def none_or(inner: Check) -> Check:
    def checked(value: Any, where: str) -> None:
        if value is not None:
            inner(value, where)

    return checked


def list_of(inner: Check) -> Check:
    def checked(value: Any, where: str) -> None:
        if type(value) is not list:
            raise WrongError(f"{where} is no list")
        for index, each in enumerate(value):
            inner(each, f"{where}[{index}]")

    return checked


def table_of(inner: Check, prefix: str | None = None) -> Check:
    """Any keys; `inner` is called with where each value stands, which begins with `prefix` in the place of `where`."""

    def checked(value: Any, where: str) -> None:
        table(value, where)
        for key, each in value.items():
            inner(each, f"{f'{where}.' if prefix is None else prefix}{key}")

    return checked


def table_with(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    known = {**required, **(optional or {})}

    def checked(value: Any, where: str) -> None:
        _keys(value, where, required)
        for key, each in value.items():
            place = f"{where}.{key}".removeprefix(".")
            if key not in known:
                raise NewerError(place)
            known[key](each, place)

    return checked


def _keys(value: Any, where: str, needed: Iterable[str]) -> None:
    table(value, where)
    for key in needed:
        if key not in value:
            place = f"{where}.{key}".removeprefix(".")
            raise WrongError(f"{place} is missing")


def _resource(words: Vocabulary) -> Check:
    """One resource, at an address that its kind can have."""

    def checked(entry: Any, address: str) -> None:
        kind, _, name = address.partition(":")
        _keys(entry, address, ("kind",))
        if entry["kind"] != kind:
            raise WrongError(f"{address} is no address of its kind")
        if kind not in words.kinds:
            raise NewerError(address)
        if not words.kinds[kind](name):
            raise WrongError(f"{address} names nothing that can be there")
        _RECORDED(entry, address)

    return checked


def _versions(resource: Check) -> Check:
    """The entries that interrupted applies may have left at one address."""

    def checked(entries: Any, address: str) -> None:
        if type(entries) is not list:
            raise WrongError(f"{address} is no list")
        for entry in entries:
            resource(entry, address)

    return checked


def _build(words: Vocabulary) -> Check:
    """A build, whose key begins with the ecosystem that it is recorded under."""

    def checked(build: Any, where: str) -> None:
        name = where.partition(".")[2]
        if name not in words.ecosystems:
            raise NewerError(where)
        _BUILD(build, where)
        if not build["key"].startswith(f"{name}-"):
            raise WrongError(f"{where}.key is no key of such a build")

    return checked


def _is_shown(to: str) -> bool:
    """True for what a link can show of the storage: skills, or a thread's workspace."""
    home, _, thread = to.partition("/")
    return names.is_relative(to) and (home == "skills" or (home == "threads" and bool(names.ID.fullmatch(thread))))


def _is_path(text: str) -> bool:
    return names.is_absolute(text) or not text


table = _that(lambda value: type(value) is dict, "table")
flag = _that(lambda value: type(value) is bool, "true or false")
_limit = none_or(count(1, 2**63 - 1, "count"))
text = text_that(lambda _: True, "text")
_size = text_that(re.compile(r"([1-9][0-9]{0,14}[KMGT]iB)?").fullmatch, "size")
_drawn = text_that(names.DRAWN.fullmatch, "random id")
_sha256 = text_that(lambda text: not text or names.DIGEST.fullmatch(text), "digest")
_tagged = text_that(re.compile(rf"(sha256:{names.DIGEST.pattern})?").fullmatch, "digest")
_named = text_that(names.DIGEST.fullmatch, "digest")
_target = text_that(names.is_absolute, "absolute path")

OWN: Mapping[str, Check] = {
    "incarnation": _drawn,
    "generation": count(0, 2**53, "generation"),
    "uid": none_or(count(1, 2**32 - 2, "uid of a thread")),
}
"""The fields in which the records of threads with one profile differ."""
_OWN = table_with({name: OWN[name] for name in ("incarnation", "generation")}, OWN)

_RECORDED = table_with(
    {"kind": text},
    {
        "own": one_of("whole", "keys", "block", "seed"),
        "digest": _tagged,
        "kept": _tagged,
        "mode": text_that(re.compile("([0-7]{4})?").fullmatch, "mode"),
    },
)
_BUILD = table_with(
    {
        "key": text_that(re.compile("[a-z]+-[0-9a-f]{40}").fullmatch, "key of a build"),
        "instance": _drawn,
        "lock": _sha256,
    }
)
_PROFILE = table_with({"digest": text, "name": text, "release": text})
_MOUNT = table_with(
    {
        "target": _target,
        "kind": one_of("bind", "proc", "dev", "tmpfs"),
        "source": text_that(_is_path, "absolute path"),
        "optional": flag,
        "size": _size,
        "why": text,
    }
)
_LINK = table_with(
    {
        "path": text_that(names.is_relative, "path beneath the workspace"),
        "to": text_that(_is_shown, "path that a link can show"),
        "access": one_of("read-only", "read-write"),
        "optional": flag,
    }
)
_SETUP = table_with({"run": text, "inputs": list_of(text_that(names.is_relative, "path beneath the workspace"))})
_PROGRAM = table_with({"why": text, "package": text})

_SECRET = table_with(
    {
        "name": text,
        "from": one_of("environment", "file", "command"),
        "as": one_of("environment", "file"),
        "optional": flag,
    },
    {"variable": text, "path": _target, "command": list_of(text)},
)


_ADDED = table_with({}, {"packages": table_of(text), "removed": list_of(text)})
_ABOUT = table_with({}, {**dict.fromkeys(("time", "host", "version", "cause"), text), "kept": list_of(table)})


_RAN = table_with({"status": count(0, 2**31 - 1, "status"), "layer": _tagged, "inputs": table_of(_tagged)})


def _ran(value: Any, where: str) -> None:
    """The commands of `setup` that ran, each by the digest of its text."""
    table_of(_RAN)(value, where)
    for name in value:
        _named(name, f"{where}.{name}")


def _added(words: Vocabulary) -> Check:
    return table_with({}, dict.fromkeys(words.ecosystems, _ADDED))


def _settings(words: Vocabulary) -> Check:
    sections = {name: none_or(check) for name, check in words.ecosystems.items()}
    return table_with(
        {
            "env": table_of(text),
            "path": list_of(text),
            "backend": one_of(*words.backends),
            "network": one_of(*NETWORKS),
            "limits": table_with(
                {},  # each version has added some
                {
                    **dict.fromkeys(("processes", "open_files", "cpu_time", "wall_time"), _limit),
                    **dict.fromkeys(("file_size", "tmp_size", "memory", "disk"), none_or(_size)),
                    "enforce": one_of("best-effort", "strict"),
                },
            ),
            "mounts": list_of(_MOUNT),
            "links": list_of(_LINK),
            "secrets": list_of(_SECRET),
            **{name: sections[name] for name in words.stated},
        },
        {
            "allow": list_of(text),
            "workdir": _target,
            "processes": one_of("command", "session"),
            "programs": table_of(_PROGRAM),
            "setup": list_of(_SETUP),
            "environment": table_of(table_with({"optional": flag})),
            **sections,
        },
    )


def _record(words: Vocabulary) -> Check:
    resource = _resource(words)
    return table_with(
        {
            **{name: OWN[name] for name in ("incarnation", "generation")},
            "profile": table_of(text),
            "inputs": table_of(text),
            "settings": table,
            "resources": table_of(resource, prefix=""),
            "builds": table_of(_build(words)),
            "intended": none_or(table_of(_versions(resource), prefix="")),
        },
        {
            "uid": OWN["uid"],
            "added": _added(words),
            "setup": _ran,
            "about": _ABOUT,
        },
    )
