"""The lock of a profile's packages, as data: the files of `<profile>.lock/`. Pure.

They are python.txt with builds.txt and groups.txt, bun.lock, and lock.json. python.txt is a universal requirements file
with hashes, bun.lock is Bun's own; both name versions and digests and no host, so that every mirror can serve them.
lock.json ties them to the sections that they were resolved from. It stands beside them, so that it says who is out of
date, and nothing about who wrote them: each text is held to its grammar and to what the sections ask for, whatever
lock.json says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from solven_env.documents.diagnostics import closest, quoted
from solven_env.errors import LockError, UsageError, brief
from solven_env.packages import lock_text
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.system.lately import lately

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from solven_env.profile.sections import Section

FORMAT = 1
ABOUT = "lock.json"
AGAIN = "Lock the profile's packages again: solven-env lock PROFILE."
"""The fix of a lock that is found wrong where its profile is not known: a build, a record."""

Sections = Mapping[str, "Section | None"]
"""A profile's sections of packages, by the name of their ecosystem; None for one that is absent, and says so."""
Lock = Mapping[str, bytes]
"""The texts of a lock, by the name of their ecosystem: of those that have packages."""


class Remark(NamedTuple):
    """Something that `lock` says of a package beside its files. `kind` is one of REMARKS, or BEHIND."""

    kind: str
    package: str
    version: str
    """The version that is locked; empty for none."""
    message: str
    """All of it in one line, the package's name first."""


HELD_BACK, PLATFORMS, SCRIPTS, TRUSTED, UNNEEDED = "held-back", "platforms", "scripts", "trusted", "unneeded"
REMARKS = (HELD_BACK, PLATFORMS, SCRIPTS, TRUSTED, UNNEEDED)
"""The kinds of remarks, in the order in which they are told: a version below the newest that fits, one that some
machines cannot have, install scripts that did not run, a trusted package that has none, one that is allowed to be built
or bound to an index and that nothing needs."""
BEHIND = "lock-behind"
"""The kind of a remark about a lock in a workspace that does not say what its manifest asks for."""


def told(remarks: Sequence[Remark]) -> Iterator[str]:
    """The lines in which remarks are told: each in its own, but for packages of which the same is to be said."""
    alike: dict[str, list[Remark]] = {}
    for remark in remarks:
        said = remark.message.removeprefix(f"{remark.package} {remark.version} has ")
        alike.setdefault(SCRIPTS if remark.kind == SCRIPTS else said, []).append(remark)
    for said, each in alike.items():
        *first, last = (f"{remark.package} {remark.version}" for remark in each)
        if not first:
            yield each[0].message
        elif said == SCRIPTS:
            fix = each[0].message.rpartition(": ")[2]
            yield f"{', '.join(first)} and {last} have install scripts that did not run: {fix}"
        else:
            yield f"{len(each)} packages have {said}: {', '.join(first)} and {last}"


class Resolution(NamedTuple):
    """A new lock of one ecosystem, as one text (`lock_text`), and what there is to say of it."""

    text: bytes
    remarks: tuple[Remark, ...] = ()


def names() -> tuple[str, ...]:
    """The names of all files that a lock can have, lock.json last."""
    return (*(name for row in ECOSYSTEMS.values() for name in row.LOCKS), ABOUT)


def digest(sections: Sections) -> str:
    """Digest of the packages that a profile asks for: of its resolved sections of packages only, order aside."""
    asked = {name: section and section.asked() for name, section in sections.items()}
    return _digest(json.dumps(asked, sort_keys=True).encode())


def relock(profile: str) -> str:
    """The fix of a lock that is missing or wrong: make it again. `profile` is the name that the caller gave."""
    return f"Run: solven-env lock {profile}"


def to_lock(sections: Sections) -> dict[str, Section]:
    """The sections that there is anything to lock of."""
    return {name: section for name, section in sections.items() if section and section.packages}


def files(lock: Lock, sections: Sections) -> dict[str, bytes]:
    """The files of a lock that was just resolved for these sections; lock.json last, so that writers end with it."""
    texts = {
        file: content
        for name, text in lock.items()
        for file, content in lock_text.split(ECOSYSTEMS[name].LOCKS, text).items()
    }
    about = {
        "format": FORMAT,
        "asked": digest(sections),
        "files": {name: _digest(text) for name, text in texts.items()},
    }
    return {**texts, ABOUT: (json.dumps(about, indent=2) + "\n").encode()}


def check(found: Mapping[str, bytes], sections: Sections, *, profile: str, where: str) -> Lock:
    """The lock in the files that were found at `where`, if it is the one of these sections; else LockError."""
    return _check(found, sections, profile, where)


@lately(16)
def _check(found: Mapping[str, bytes], sections: Sections, profile: str, where: str) -> Lock:
    wanted = to_lock(sections)
    if not wanted:
        return {}
    fix = relock(profile)
    if ABOUT not in found:
        raise LockError("the lock of the profile's packages is missing", fix=fix, location=where)
    try:
        about = json.loads(found[ABOUT])
        stated, asked, written = about["format"], about["asked"], dict(about["files"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise LockError(f"{ABOUT} is damaged", fix=fix, location=where) from None
    if stated != FORMAT:
        message = f"the lock has format {brief(str(stated), 20)}, this solven-env reads {FORMAT}"
        raise LockError(message, fix=fix, location=where)
    if asked != digest(sections):
        raise LockError("the lock is out of date: the profile's packages changed", fix=fix, location=where)
    needed = {each: ECOSYSTEMS[each].LOCKS for each in wanted}
    needed = {each: (first, *(name for name in others if name in written)) for each, (first, *others) in needed.items()}
    for name in sorted(name for each in needed.values() for name in each):
        if name not in found:
            raise LockError(f"the lock has no {name}", fix=fix, location=where)
        if written.get(name) != _digest(found[name]):
            raise LockError(f"{name} was changed since it was locked: restore it or lock anew", fix=fix, location=where)
    lock = {}
    for name, section in wanted.items():
        row = ECOSYSTEMS[name]
        lock[name] = lock_text.join(row.LOCKS, {file: found[file] for file in needed[name]})
        row.believe(lock[name], section, f"{where}/{row.LOCKS[0]}", fix=fix)
    return lock


class VersionChange(NamedTuple):
    """One package that two locks pin differently: its versions in each, empty for none."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"+ {self.name} {self.after}"
        return f"{self.name} {self.before} → {self.after}" if self.after else f"- {self.name} {self.before}"


class NewestVersion(NamedTuple):
    """The newest version that there is of a package, where the profile's own range keeps it out of the lock."""

    name: str
    version: str
    held_by: str
    """The range, as the profile has it."""


class OutdatedPackage(NamedTuple):
    """One package: its version in the lock, and the one that `lock --upgrade` would have; empty for none."""

    name: str
    locked: str
    upgrade: str
    newest: str = ""
    """The newest version that there is, if the profile's own range keeps it out."""
    held_by: str = ""
    """That range, as the profile has it."""


def version_changes(kind: str, before: bytes, after: bytes) -> tuple[VersionChange, ...]:
    """The differences between two locks of the ecosystem called `kind`; empty texts pin nothing.

    Changed versions come first, then added packages, then removed ones. LockError for a text that is no lock.
    """
    return _differences(*(_versions(kind, text) for text in (before, after)))


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[VersionChange, ...]:
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    names.sort(key=lambda name: (name not in old, name not in new) if name in new else (True, True))
    return tuple(VersionChange(name, old.get(name, ""), new.get(name, "")) for name in names)


def changes(before: Lock, after: Lock) -> dict[str, tuple[VersionChange, ...]]:
    """The differences between two locks, by the name of the file; files without any are left out."""
    old, new = _by_file(before), _by_file(after)
    found = {file: _differences(old.get(file, {}), new.get(file, {})) for file in names()}
    return {file: versions for file, versions in found.items() if versions}


def outdated(
    before: Lock, after: Lock, held: Mapping[str, Sequence[NewestVersion]]
) -> dict[str, tuple[OutdatedPackage, ...]]:
    """Differences between a lock and one that was resolved without it, and the versions held out, by file."""
    found = {}
    for kind, text in after.items():
        old, new = _versions(kind, before.get(kind, b"")), _versions(kind, text)
        newest = {each.name: each for each in held.get(kind, ())}
        changed = [change.name for change in version_changes(kind, before.get(kind, b""), text)]
        found[ECOSYSTEMS[kind].LOCKS[0]] = tuple(
            OutdatedPackage(name, old.get(name, ""), new.get(name, ""), *(newest[name][1:] if name in newest else ()))
            for name in dict.fromkeys((*changed, *newest))
        )
    return {file: packages for file, packages in found.items() if packages}


def readable(found: Mapping[str, bytes]) -> Lock:
    """The texts of the lock files that were found, without those that are no lock of ours. Nothing is believed."""
    lock = {}
    for kind, row in ECOSYSTEMS.items():
        text = lock_text.join(row.LOCKS, found)
        with suppress(LockError):
            if text and row.names_in(text):
                lock[kind] = text
    return lock


def named(texts: Iterable[str], lock: Lock) -> dict[str, frozenset[str]]:
    """The packages of a lock that `texts` name, by ecosystem.

    A text is a name as people write it, or an ecosystem and a name (`python:httpx`) where only one is meant. UsageError
    for a package that the lock does not have.
    """
    chosen: dict[str, set[str]] = {}
    for text in texts:
        kind, colon, name = text.partition(":")
        kinds, name = ((kind,), name) if colon and kind in ECOSYSTEMS else (tuple(ECOSYSTEMS), text)
        known = {kind: ECOSYSTEMS[kind].names_in(lock[kind]) for kind in kinds if kind in lock}
        hits = [kind for kind, theirs in known.items() if ECOSYSTEMS[kind].canonical(name) in theirs]
        if not hits:
            near = closest(name, {each for theirs in known.values() for each in theirs})
            files = " and ".join(ECOSYSTEMS[kind].LOCKS[0] for kind in known)
            others = f"Its packages stand in {files}." if files else "There is none yet: lock the profile first."
            fix = f"Did you mean '{near}'?" if near else others
            raise UsageError(f"the lock has no package {quoted(text)}", fix=fix)
        for kind in hits:
            chosen.setdefault(kind, set()).add(ECOSYSTEMS[kind].canonical(name))
    return {kind: frozenset(names) for kind, names in chosen.items()}


def counts(lock: Lock) -> dict[str, int]:
    """The number of packages that a lock pins, by the name of the file; files that pin none are left out."""
    return {file: len(versions) for file, versions in _by_file(lock).items() if versions}


def _by_file(lock: Lock) -> dict[str, dict[str, str]]:
    found = {}
    for kind, text in lock.items():
        row = ECOSYSTEMS[kind]
        found[row.LOCKS[0]] = _versions(kind, text)
        found |= {file: _joined(pins) for file, pins in row.further_pins(text).items()}
    return found


def _versions(kind: str, lock: bytes) -> dict[str, str]:
    return _joined(ECOSYSTEMS[kind].pinned(lock) if lock else ())


def _joined(pins: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The version of each package; several, of which each is for other machines, are joined."""
    found: dict[str, list[str]] = {}
    for name, version in pins:
        found.setdefault(name, []).append(version)
    return {name: " and ".join(versions) for name, versions in found.items()}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
