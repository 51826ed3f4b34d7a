"""The system mounts of every sandbox, and the rules for the paths of mounts, files and links inside."""

from __future__ import annotations

import re
from collections import Counter

from solven_env.documents.diagnostics import Location
from solven_env.profile.model import Mount
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SYSTEM = (
    Mount("/bin", source="/bin", why="bash, sh, ls, cat"),
    Mount("/usr", source="/usr", why="programs and libraries"),
    Mount("/sbin", source="/sbin", optional=True, why="system programs"),
    Mount("/lib", source="/lib", optional=True, why="shared libraries"),
    Mount("/lib64", source="/lib64", optional=True, why="shared libraries"),
    Mount("/etc", source="/etc", why="DNS, users, time zone, locales"),
    Mount("/sys", source="/sys", optional=True, why="hardware information"),
    Mount("/dev", kind="dev", why="null, zero, urandom"),
    Mount("/proc", kind="proc", why="CPU, memory and process information"),
    Mount("/tmp", kind="tmpfs", why="temporary files"),  # noqa: S108 - the sandbox's own, not the host's
    Mount("/var", kind="tmpfs", why="logs, caches, package managers"),
    Mount("/run", kind="tmpfs", why="sockets and process ids of programs"),
)

FILE, LINK, MOUNT, WORKDIR = "a file", "a link", "a mount", "the working directory"
_ONE_KIND = {"/proc": "proc", "/dev": "dev", "/run": "tmpfs"}
_TEMPORARY = ".solven-env-"
_RESERVED = "/run/solven-env"
_MOST_TOLD = 8
_PLAIN = re.compile(r"[\w./@:,=~-]+")


def merge(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The system mounts, each replaced by the mount with the same target, then the other mounts in their order."""
    return tuple(({mount.target: mount for mount in SYSTEM} | {mount.target: mount for mount in mounts}).values())


class StatedMount(NamedTuple):
    """A mount that the profile states, with the input that it depends on (empty: none), and its place there."""

    mount: Mount
    when: str
    where: Location


def standing(stated: Iterable[StatedMount]) -> tuple[StatedMount, ...]:
    """The mounts without those that a later one with the same target and another condition replaces."""
    listed = tuple(stated)
    last = {each.mount.target: each.when for each in listed}
    return tuple(each for each in listed if each.when == last[each.mount.target])


def outermost(targets: Iterable[str]) -> tuple[str, ...]:
    """The paths inside that a tool which searches `/` has to leave alone: those of `targets` that lie beneath no other,
    sorted. One with a character that patterns give a meaning is left out.

    >>> outermost(["/usr", "/proc", "/usr/share/x", "/a*"])
    ('/proc', '/usr')
    """
    known = sorted(filter(_PLAIN.fullmatch, targets))
    return tuple(each for each in known if not any(each.startswith(f"{other}/") for other in known))


def is_beneath(path: str, ancestor: str) -> bool:
    """True if `path` is `ancestor` or beneath it. Both are absolute and in their shortest form.

    >>> is_beneath("/usr/bin", "/usr"), is_beneath("/usrlocal", "/usr")
    (True, False)
    """
    return path == ancestor or path.startswith(ancestor + "/")


def mount_problem(mount: Mount, reserved: Iterable[str]) -> str:
    """The reason against a mount, in words that follow its target; empty if the mount is allowed.

    `reserved` are the directories of packages.
    """
    wanted = _ONE_KIND.get(mount.target)
    if wanted and mount.kind != wanted:
        return f"is the sandbox's own: only a mount of kind {wanted} may stand there"
    if mount.kind in ("proc", "dev") and not wanted:
        return f"cannot be of kind {mount.kind}: that one stands at /{mount.kind}"
    return place_problem(mount.target, reserved)


def place_problem(path: str, reserved: Iterable[str]) -> str:
    """The reason against anything of a profile at a path, in words that follow the path; empty if it is allowed.

    The path is absolute and in its shortest form.

    >>> place_problem("/proc/self", ["/.venv"]), place_problem("/bin/hello", ["/.venv"])
    ("stands in /proc, which is the sandbox's own", '')
    """
    if path == "/":
        return "would hide the workspace"
    for filled in (*reserved, _RESERVED):
        if is_beneath(path, filled):
            return f"stands in {filled}, which solven-env fills"
    for own in ("/proc", "/dev"):
        if is_beneath(path, own) and path != own:
            return f"stands in {own}, which is the sandbox's own"
    if any(part.startswith(_TEMPORARY) for part in path.split("/")):
        return "has a name that solven-env gives to temporary files"  # and removes, after an interrupted apply
    return ""


class Occupant(NamedTuple):
    """A file, link, mount or the working directory at an absolute path inside, and its place in the profile.

    Nothing of the sorts in `excludes` may stand beneath it.
    """

    path: str
    what: str
    where: Location
    excludes: tuple[str, ...] = (FILE, LINK, MOUNT, WORKDIR)


def occupant(mount: Mount, where: Location) -> Occupant:
    """A mount as an occupant. Another mount may stand beneath it, and beneath a tmpfs also a link.

    A file of the workspace, `bin/hello` say, may stand beneath it too: the mount hides it, but only from commands.
    """
    return Occupant(mount.target, MOUNT, where, excludes=(WORKDIR,) if mount.kind == "tmpfs" else (LINK, WORKDIR))


def clashes(occupants: Iterable[Occupant]) -> Iterator[tuple[str, Location, str, str]]:
    """The code, place, message and fix of each mistake: two things at one path, and things beneath others that exclude
    them. The later one is the mistake. Of many files that one directory brings, a few are told.
    """
    told = Counter[Location]()
    for found in _clashes(occupants):
        told[found[1]] += 1
        if told[found[1]] <= _MOST_TOLD:
            yield found


def _clashes(occupants: Iterable[Occupant]) -> Iterator[tuple[str, Location, str, str]]:
    at: dict[str, Occupant] = {}
    for place in occupants:
        other = at.setdefault(place.path, place)
        if other is not place:
            second = "another one" if place.what == other.what else other.what
            message = f"{place.what} stands at {place.path}, where {second} stands already"
            yield "SE504", place.where, message, "Remove one of the two, or choose another path."
    for place in at.values():
        above = next((other for other in _above(place.path, at) if place.what in other.excludes), None)
        if above:
            message = f"{place.what} at {place.path} cannot stand beneath {above.what} at {above.path}"
            yield "SE505", place.where, message, "Choose another path."


def _above(path: str, at: dict[str, Occupant]) -> Iterator[Occupant]:
    """The occupants of the directories above a path, the nearest first."""
    while "/" in path[1:]:
        path = path.rpartition("/")[0]
        if path in at:
            yield at[path]
