"""What a profile puts where inside, and that no two of these get in each other's way."""

from __future__ import annotations

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from solven_env.documents.diagnostics import Location
    from solven_env.documents.document import Document
    from solven_env.profile.model import Mount

FILE, LINK, MOUNT = "a file", "a link", "a mount"


class Occupant(NamedTuple):
    """What stands at an absolute path inside, where the profile says so, and what cannot stand beneath it."""

    path: str
    what: str
    where: Location
    excludes: tuple[str, ...] = (FILE, LINK, MOUNT)


def of_mount(mount: Mount, where: Location) -> Occupant:
    """A mount's place. Another mount may stand beneath it; a link too, where there is memory for its mount point.

    So may a file of the workspace, `bin/hello` say: the mount hides it from commands, and only from them.
    """
    return Occupant(mount.target, MOUNT, where, excludes=() if mount.kind == "tmpfs" else (LINK,))


def check(document: Document, places: Iterable[Occupant]) -> None:
    """Report two things at one path, and what can have no place beneath another. The later one is wrong."""
    at: dict[str, Occupant] = {}
    for place in places:
        other = at.setdefault(place.path, place)
        if other is not place:
            second = "another one" if place.what == other.what else other.what
            message = f"{place.what} stands at {place.path}, where {second} stands already"
            document.report(place.where, message, "Remove one of the two, or choose another path.")
    for place in at.values():
        above = next((other for other in _above(place.path, at) if place.what in other.excludes), None)
        if above:
            message = f"{place.what} at {place.path} cannot stand beneath {above.what} at {above.path}"
            document.report(place.where, message, "Choose another path.")


def _above(path: str, at: dict[str, Occupant]) -> Iterator[Occupant]:
    """What stands at the directories above a path, the nearest first."""
    while "/" in path[1:]:
        path = path.rpartition("/")[0]
        if path in at:
            yield at[path]
