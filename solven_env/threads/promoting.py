"""Promoting: a profile and its lock edited so that they bring what a thread added to its builds.

Names and versions come out of a layer or a record, and were an agent's: each is held to the grammar of its ecosystem.
Only packages that were asked for are promoted, by the manifest in the workspace or by whoever installed them: what they
need comes along by itself. What a profile says stays; nothing is taken from it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from solven_env.errors import SolvenError, UsageError, WorkspaceError
from solven_env.packages import added, builds, layers, lock_files, lock_text, locks, origins, resolving
from solven_env.packages.ecosystems import ECOSYSTEMS, bound, rows
from solven_env.packages.origins import Origin
from solven_env.profile.editing import Addition, add
from solven_env.profile.prepare import example
from solven_env.sandbox import backends
from solven_env.system.blocks import READ_DIRECTORY_ITSELF
from solven_env.threads import noting
from solven_env.workspace.root import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from solven_env.packages.additions import Additions
    from solven_env.packages.builds import Need
    from solven_env.packages.locks import Lock, Remark, Sections
    from solven_env.packages.making import Builder
    from solven_env.profile.source import ProfileSource
    from solven_env.state.records import Record
    from solven_env.threads.thread import Thread

Outcome = Literal["added", "pinned", "left"]


class Promoted(NamedTuple):
    """Result for one package: the profile asks for it now, only its lock gets another version, or neither."""

    kind: str
    name: str
    version: str
    """The thread's; empty where nobody knows it."""
    outcome: Outcome
    written: str = ""
    """The requirement or range that the profile gets."""
    why: str = ""
    """The reason why it is left as it is."""


class Promotion(NamedTuple):
    """The edit of a profile: its text before and after, and what becomes of each package."""

    before: bytes
    after: bytes
    packages: tuple[Promoted, ...]

    @property
    def moves(self) -> bool:
        """True if the profile or its lock has to be written."""
        return any(each.outcome != "left" for each in self.packages)


def plan(thread: Thread, source: ProfileSource) -> Promotion:
    """The edit that has the profile bring what the thread added. Nothing is written but what the thread has, in its
    record.

    `NeverAppliedError`, `ProfileError`; UsageError for a profile that is written in a way that is not edited.
    """
    with suppress(SolvenError):  # as far as this host has the layers
        noting.note_all(thread)
    record = thread.applied()
    sections = example(source, rows(), os.environ).locked
    found: list[Promoted] = []
    for kind in ECOSYSTEMS:
        additions = noting.recorded(record, kind)
        need = next((each for each in thread.needs(record) if each.kind == kind), None)
        words = need.ecosystem.asked_in(_manifest(thread, need.ecosystem.MANIFEST)) if need else {}
        asked = _asked(thread, record, need, additions, words) if need else frozenset[str]()
        found += _promoted(kind, sections, additions, {name: words.get(name, "") for name in asked})
    after = add(source.text, [*_additions(found, record, sections)])
    if after is None:
        listed = ", ".join(each.written or each.name for each in found if each.outcome == "added")
        fix = f"Add to it by hand: {listed}."
        raise UsageError("the profile is written in a way that is not edited by itself", fix=fix, location=source.name)
    return Promotion(source.text, after, tuple(found))


def lock(
    promotion: Promotion, source: ProfileSource, builder: Builder, progress: Callable[[str], None]
) -> tuple[dict[str, bytes], Lock, tuple[Remark, ...]]:
    """The files of the lock for the edited profile, its texts, and what there is to say of it.

    Versions of the present lock stay; those of promoted packages are the thread's, where they fit. BuildError.
    """
    assert source.lock is not None
    sections = example(source._replace(text=promotion.after), rows(), os.environ).locked
    known = lock_files.read(source.lock)
    preferred = _preferred(promotion.packages, sections, known, builder)
    texts, remarks = resolving.resolve(sections, preferred, builder, progress)
    return locks.files(texts, sections), texts, remarks


def _asked(
    thread: Thread, record: Record, need: Need, additions: Additions, named: Mapping[str, str]
) -> frozenset[str]:
    """The added packages that somebody asked for: `named` in the workspace's manifest, or by this host's layer."""
    found = {name: origin for name, origin in _origins(thread, record, need).items() if name in additions.packages}
    return origins.asked({**dict.fromkeys(named.keys() & additions.packages.keys(), Origin()), **found}, named)


def _manifest(thread: Thread, name: str) -> bytes:
    """The manifest in the workspace, also behind a link within it; empty where there is none that can be read."""
    root = thread.open_root()
    if root is None:
        return b""
    with root, suppress(WorkspaceError, OSError):
        entry = root.stat(name)
        place = root.follow(name) if entry is not None and entry.kind == "symlink" else name
        return root.read(place) if place else b""
    return b""


def _origins(thread: Thread, record: Record, need: Need) -> dict[str, Origin]:
    """The origins of the packages in this host's layer, by name; none where it was never begun."""
    build = builds.find(need, thread.config)
    if build is None or thread.storage_id is None:
        return {}
    own = layers.own(thread.home(record), build, backends.find(record.settings["backend"]))
    brings = {package.path: (package.name, package.version) for package in added.brought(build)}
    packages = added.find(need.ecosystem, own, brings).by_name
    with ExitStack() as stack:
        try:
            root = stack.enter_context(Root(os.open(own, READ_DIRECTORY_ITSELF), None))
        except OSError:
            return {}
        return {name: need.ecosystem.origin(root, package) for name, package in packages.items()}


def _promoted(kind: str, sections: Sections, additions: Additions, asked: Mapping[str, str]) -> Iterator[Promoted]:
    """Results for the additions; `asked` has the manifest's words, or none, for those that are asked for."""
    row, section = ECOSYSTEMS[kind], sections.get(kind)
    for name, version in sorted(additions.packages.items()):
        if name not in asked:
            continue
        written = row.asking(name, version, asked[name])
        fits = row.accepts(section, name, version) if section and written else None
        if written is None:
            why = "it came from a file or an address, and no index has it"
            yield Promoted(kind, name, version, "left", why=why)
        elif fits is None:
            yield Promoted(kind, name, version, "added", written)
        elif fits:
            yield Promoted(kind, name, version, "pinned")
        else:
            yield Promoted(kind, name, version, "left", why="the profile asks for another version")
    for name in additions.removed:
        yield Promoted(kind, name, "", "left", why="the thread removed it, and the profile keeps it")


def _additions(found: Iterable[Promoted], record: Record, sections: Sections) -> Iterator[Addition]:
    new = [each for each in found if each.outcome == "added"]
    for kind in dict.fromkeys(each.kind for each in new):
        own = [each for each in new if each.kind == kind]
        is_list = isinstance(record.settings[kind]["packages"], list)
        beside = {} if sections.get(kind) else {name: record.settings[kind][name] for name in ("version",) if is_list}
        packages = [each.written for each in own] if is_list else {each.name: each.written for each in own}
        yield Addition(kind, packages, beside)


def _preferred(
    packages: Sequence[Promoted], sections: Sections, known: Mapping[str, bytes], builder: Builder
) -> dict[str, bytes]:
    """The files of the present lock, with the thread's versions of what is promoted."""
    preferred = dict(known)
    asked = locks.to_lock(sections)
    able = bound(asked, builder)
    for kind, section in asked.items():
        row = ECOSYSTEMS[kind]
        versions = {each.name: each.version for each in packages if each.kind == kind and each.outcome != "left"}
        if versions:
            text = locks.readable(known).get(kind, b"")
            with able[kind].host.hiding():
                preferred |= lock_text.split(row.LOCKS, row.preferring(section, text, versions, able[kind]))
    return preferred
