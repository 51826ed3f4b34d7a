"""Packages that a person adds to a profile or removes from it: the edit of its own text. Nothing is written here.

The text that is edited is that of the profile's own file: what it takes from others is theirs.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from solven_env.documents.diagnostics import did_you_mean, quoted
from solven_env.documents.parsing import parse
from solven_env.documents.schema import inline
from solven_env.errors import UsageError
from solven_env.packages.ecosystems import ECOSYSTEMS, rows
from solven_env.profile import editing
from solven_env.profile.prepare import declared
from solven_env.profile.sections import RequestedPackage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solven_env.documents.document import Document
    from solven_env.packages.locks import Lock
    from solven_env.profile.source import ProfileSource


class EditedPackage(NamedTuple):
    """A package and what became of it; `before` and `written` are its words in the profile, empty without any."""

    kind: str
    name: str
    outcome: Literal["added", "replaced", "removed", "unchanged"]
    before: str = ""
    written: str = ""
    is_open: bool = False
    """True if nobody gave a range, and the section needs one: that of the version that is locked."""
    still: str = ""
    """The place that asks for a removed package all the same, in a profile that this one extends; empty without."""


class SectionEdit(NamedTuple):
    """The edit of a profile's text."""

    before: bytes
    after: bytes
    packages: tuple[EditedPackage, ...]


def _row(kind: str) -> Any:
    """The row of an ecosystem. UsageError for another word."""
    if kind not in ECOSYSTEMS:
        raise UsageError(f"there are no packages of {quoted(kind)}", fix=did_you_mean(kind, ECOSYSTEMS))
    return ECOSYSTEMS[kind]


def add(
    source: ProfileSource, kind: str, words: Sequence[str], ranges: Mapping[str, str] = MappingProxyType({})
) -> SectionEdit:
    """The edit that has a valid profile ask for these packages, in the words of its section.

    `ranges` are for those that nobody gave one, by name: of the versions that a lock of the first edit has. One that is
    there in other words is replaced; one that is asked for by its name alone stays as it is. UsageError for what is no
    package, and for a text that is written in a way that is not edited.
    """
    row = _row(kind)
    asked = {(each.name, each.marker): _ranged(each, ranges) for each in map(row.request, words)}
    present = _present(source, kind)
    new, changed, found = list[RequestedPackage](), dict[int | str, str | None](), list[EditedPackage]()
    for each in asked.values():
        same = [at for at, known in present.items() if (known.name, known.marker) == (each.name, each.marker)]
        if len(same) > 1:
            message = f"{each.name} stands in {len(same)} entries of {kind}.packages"
            raise UsageError(message, fix="Edit it by hand.", location=source.name)
        before = present[same[0]].written if same else ""
        is_bare = each.is_open or row.canonical(each.written) == each.name
        if same and (is_bare or before == each.written):
            found.append(EditedPackage(kind, each.name, "unchanged", before, before))
        elif same:
            changed[same[0]] = each.written
            found.append(EditedPackage(kind, each.name, "replaced", before, each.written))
        else:
            new.append(each)
            found.append(EditedPackage(kind, each.name, "added", "", each.written, each.is_open))
    text = editing.change(source.text, [editing.Rewording(kind, changed)]) if changed else source.text
    if text is not None and new:
        text = editing.add(text, [_addition(source, kind, new)])
    return SectionEdit(source.text, _edited(text, source, found), tuple(found))


def remove(source: ProfileSource, kind: str, names: Sequence[str]) -> SectionEdit:
    """The edit that takes packages out of a valid profile. UsageError for one that its own text does not ask for."""
    row = _row(kind)
    present = _present(source, kind)
    dropped, found = dict[int | str, str | None](), list[EditedPackage]()
    for name in dict.fromkeys(map(row.canonical, names)):
        places = [at for at, known in present.items() if known.name == name]
        if not places:
            raise _no_package(source, kind, name, present)
        dropped |= dict.fromkeys(places)
        before = ", ".join(present[at].written for at in places)
        found.append(EditedPackage(kind, name, "removed", before))
    text = editing.change(source.text, [editing.Rewording(kind, dropped)])
    edited = _edited(text, source, found)
    whole = declared(source._replace(text=edited), rows())
    left = {
        known.name: str(whole.at_key(kind, "packages", at)) for at, known in _requested(whole, kind, "packages").items()
    }
    return SectionEdit(source.text, edited, tuple(each._replace(still=left.get(each.name, "")) for each in found))


def ranges(edit: SectionEdit, lock: Lock) -> dict[str, str]:
    """The ranges of the locked versions, by the names of the added packages for which nobody gave one."""
    found = {}
    for each in edit.packages:
        row = ECOSYSTEMS[each.kind]
        version = dict(row.pinned(lock[each.kind])).get(each.name, "") if each.is_open else ""
        if written := row.asking(each.name, version):
            found[each.name] = written
    return found


def _ranged(package: RequestedPackage, ranges: Mapping[str, str]) -> RequestedPackage:
    return package._replace(written=ranges.get(package.name, package.written)) if package.is_open else package


def _no_package(
    source: ProfileSource, kind: str, name: str, present: Mapping[int | str, RequestedPackage]
) -> UsageError:
    """The error for a package that the text does not ask for; a profile that it extends may."""
    whole = declared(source, rows())
    message = f"{kind}.packages of this file has no {quoted(name)}"
    fix = did_you_mean(name, {known.name for known in present.values()}) if present else "It has none."
    groups = (("groups", group, "packages") for group in (whole.data.get(kind) or {}).get("groups") or {})
    for path in (("packages",), *groups):
        inherited = next((at for at, known in _requested(whole, kind, *path).items() if known.name == name), None)
        if inherited is not None:
            message += f": it stands at {whole.at_key(kind, *path, inherited)}"
            is_of_group = len(path) > 1
            leaving = f"Leave it out in this file: 'remove: {{{kind}: {{packages: [{inline(name)}]}}}}'."
            fix = "Edit that group by hand." if is_of_group else leaving
            break
    return UsageError(message, fix=fix, location=source.name)


def _present(source: ProfileSource, kind: str) -> Mapping[int | str, RequestedPackage]:
    """The packages that the profile's own text asks for, by their index in the list or by name."""
    return _requested(parse(source.text, source.name), kind, "packages")


def _requested(document: Document, kind: str, *path: str) -> Mapping[int | str, RequestedPackage]:
    packages: Any = document.data.get(kind)
    for part in path:
        packages = (packages or {}).get(part)
    packages = packages or ()
    if isinstance(packages, dict):
        return {name: RequestedPackage(name, wanted) for name, wanted in packages.items()}
    return dict(enumerate(map(ECOSYSTEMS[kind].request, packages)))


def _addition(source: ProfileSource, kind: str, new: Sequence[RequestedPackage]) -> editing.Addition:
    beside = dict(ECOSYSTEMS[kind].NEW_SECTION)
    is_mapping = isinstance(beside.pop("packages"), dict)
    if declared(source, rows()).data.get(kind):  # what a profile that it extends says beside them holds
        beside = {}
    packages = {each.name: each.written for each in new} if is_mapping else [each.written for each in new]
    return editing.Addition(kind, packages, beside)


def _edited(text: bytes | None, source: ProfileSource, packages: Sequence[EditedPackage]) -> bytes:
    if text is None:
        listed = ", ".join(each.name for each in packages if each.outcome != "unchanged")
        message = "the profile is written in a way that is not edited by itself"
        raise UsageError(message, fix=f"Edit it by hand: {listed}.", location=source.name)
    return text
