"""The package worlds that a profile can name, a folder each, and the one table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from solven_env.errors import BuildError, raise_together
from solven_env.packages.ecosystems import bun, python
from solven_env.profile.sections import SectionKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from solven_env.documents.answers import Question
    from solven_env.packages.additions import Installed
    from solven_env.packages.host_tools import Tools
    from solven_env.packages.locks import NewestVersion, Remark, Resolution
    from solven_env.packages.making import Builder
    from solven_env.packages.origins import Origin
    from solven_env.packages.store import Build
    from solven_env.packages.toolchain import Toolchain
    from solven_env.profile.sections import RequestedPackage, Section
    from solven_env.state.grammar import Check
    from solven_env.workspace.root import Root


class Ecosystem(SectionKind, Protocol):
    """A row of the table: a module that is light to import; what locks and installs is imported when it is called."""

    RECORDED: Check
    """The grammar of the section in a record."""
    LOCKS: Sequence[str]
    """The files of the lock beside the profile, of which the first is always there; inside they are one text."""
    WORKSPACE_LOCK: str
    """The lock file in the workspace, which the agent may change."""
    MANIFEST: str
    """The file in the workspace that this lock belongs to, and that says what is asked for."""
    RELOCKING: Sequence[Sequence[str]]
    """The commands that make the lock in the workspace from the manifest, inside: without the network, and with it."""
    NEEDED: Sequence[str]
    """The paths, of at most two names, without which a build does not work."""
    UNTOLD: Collection[str]
    """The names at the top of a layer that tools keep for themselves: no edits of the agent's."""
    WHYS: Mapping[str, str]
    """The reason of each mount that it has, by target, for `run --explain`."""
    LISTING: Sequence[str]
    """The command that lists its packages inside."""
    NEW_SECTION: Mapping[str, Any]
    """The section as a profile gets it with its first package: `packages`, empty, and what is required beside it."""
    PROGRAMS: str
    """The directory of its programs inside, for `path.prepend`."""
    QUESTIONS: Sequence[Question[Any]]
    """The questions that doctor asks of the host about its tools."""
    REGISTRIES: Sequence[Question[Any]]
    """The questions whether its packages are to be had: from where this host gets them, and from named sources."""

    def section(self, recorded: Mapping[str, Any]) -> Any:
        """The section as a record has it."""

    def part(self, section: Any, lock: bytes) -> tuple[Any, bytes]:
        """The section with no groups, and what its packages need of a lock that may be for more groups. Pure."""

    def bound(self, section: Any, builder: Builder) -> Builder:
        """The builder whose host asks the sources that the section names.

        BuildError where the host's configuration lacks one, or a secret of it is not to be had.
        """

    def believe(self, text: bytes, section: Any, file: str, *, fix: str = "") -> object:
        """Parse a lock. LockError at `file:line` for what its grammar has not, and where it is not the section's."""

    def pinned(self, lock: bytes) -> Iterable[tuple[str, str]]:
        """Each package of a lock, with a version that is pinned. LockError for what its grammar has not."""

    def further_pins(self, lock: bytes) -> Mapping[str, Iterable[tuple[str, str]]]:
        """The pins of the lock's files after the first, by file. LockError for what its grammar has not."""

    def names_in(self, lock: bytes) -> Collection[str]:
        """The names of a lock's packages, canonical and each once. LockError for what its grammar has not."""

    def canonical(self, name: str) -> str:
        """The canonical form of a package's name, as `names_in` has it."""

    def check_known(self, text: bytes, host: Toolchain) -> object:
        """Raise LockError for a lock whose versions are not to be kept when the profile is locked again."""

    def resolve(self, section: Any, known: bytes, builder: Builder) -> Resolution:
        """A new lock. Versions of `known` (empty or checked) stay where they fit. BuildError."""

    def released(self, section: Any, known: bytes, names: Collection[str], builder: Builder) -> bytes:
        """A lock that was checked, in which the versions of these packages of it are not kept any more. BuildError."""

    def newest(self, section: Any, lock: bytes, builder: Builder) -> Sequence[NewestVersion]:
        """The packages that the profile's own ranges hold below the newest version, in a lock just made. BuildError."""

    def compare(self, section: Any, lock: bytes, builder: Builder, file: str, *, fix: str) -> None:
        """LockError at the first line of a lock that the indexes say otherwise now."""

    def known_key(self, section: Any, lock: bytes | None, cache: Path, uid: int | None) -> str | None:
        """The key of the build of a section on this host; None where that is not known yet. Nothing is started."""

    def install(self, section: Any, lock: bytes | None, builder: Builder) -> Build:
        """Make the build. BuildError, LockError, PlatformError."""

    def remarks(self, build: Build) -> Sequence[Remark]:
        """Remarks about the packages of a build."""

    def workspace_lock(self, lock: bytes, build: Build | None) -> bytes | None:
        """The bytes of the lock file that a workspace begins with; None while the build that brings it is missing."""

    def is_readable(self, lock: bytes) -> bool:
        """True if a file of a workspace is a lock that its program can read. Pure, of anything, as the next two."""

    def is_behind(self, manifest: bytes, lock: bytes | None) -> bool:
        """True if the lock of a workspace (None: it is missing) is to be made anew from its manifest."""

    def beginning(self, lock: bytes, agents: bytes) -> bytes:
        """The lock that a build brings, with the versions of the agent's further packages, to be locked anew from."""

    def asked_in(self, manifest: bytes) -> Mapping[str, str]:
        """The packages that a manifest in a workspace asks for: its words by canonical name. Pure, of anything."""

    def drafted(self, manifest: bytes) -> tuple[Mapping[str, Any], Sequence[str]]:
        """The section that has what a manifest asks for, and why it has not the rest. Pure, of anything."""

    def origin(self, root: Root, package: Installed) -> Origin:
        """The origin of a package that an agent installed, as its own files tell it. Never an error."""

    def asking(self, name: str, version: str, words: str = "") -> str | None:
        """The words by which a profile asks for a package that has this version; None where it cannot. `words` are
        those of a manifest, which stay where a profile can have them.
        """

    def request(self, words: str) -> RequestedPackage:
        """The package that a person means by `httpx>=0.27` or `docx@^8.0.0`. UsageError for what is none."""

    def accepts(self, section: Any, name: str, version: str) -> bool | None:
        """True if the section asks for a package in a range that has this version; None if it does not ask for it."""

    def preferring(self, section: Any, known: bytes, versions: Mapping[str, str], builder: Builder) -> bytes:
        """A lock to keep to in `resolve`: the one that is known (empty or checked), with these versions."""

    def recorded_files(self, root: Root) -> Iterable[tuple[str, bytes, int]]:
        """The path, SHA-256 and size of the files of a build whose packages bring digests."""

    def tops(self, section: Any) -> Sequence[str]:
        """The directories that hold packages in a build of the section, as paths in it."""

    def watched(self, root: Root) -> Sequence[str]:
        """The directories of a layer or a copy whose modification times change when a package comes or goes.

        They are asked for around each command, so this takes some microseconds.
        """

    def installed(self, root: Root, limit: int) -> tuple[Sequence[Installed], bool]:
        """The packages of a build, a layer or a copy; false where it has more than `limit` names, which is all that is
        read. An agent writes there: nothing is believed, and no link is followed.
        """

    def carry(self, root: Root, package: Installed) -> Sequence[str] | None:
        """The paths that a package consists of, as its own record names them; `name/` stands for a whole directory.

        None where that record is missing or damaged. An agent may have written it: what it names need not be there.
        """

    def installing(self, packages: Mapping[str, str]) -> Sequence[str]:
        """The command that installs packages by name and version, without what they need."""

    def adding(self, packages: Mapping[str, str]) -> Sequence[str]:
        """The command with which a person adds packages by name and version."""

    def tools(self, section: Any, host: Toolchain) -> Tools:
        """The parts of the host that a sandbox gets, made or fetched if missing; `section` is None without one."""

    def known_tools(self, section: Any, cache: Path) -> Tools:
        """The same as far as it is there. Nothing is started."""

    def host_files(self, section: Any, cache: Path) -> Sequence[Path]:
        """The files of this host that decide what `known_key` and `tools` say; `section` is None without one."""


ECOSYSTEMS: dict[str, Ecosystem] = {row.NAME: row for row in (python, bun)}
"""By name, in the order in which they are locked, built and shown."""


def bound(sections: Mapping[str, Section], builder: Builder) -> dict[str, Builder]:
    """The builder of each section, by its name: its host asks the sources that the section names.

    One BuildError tells of all names that the host's configuration lacks.
    """
    found, errors = {}, list[BuildError]()
    for name, section in sections.items():
        try:
            found[name] = ECOSYSTEMS[name].bound(section, builder)
        except BuildError as error:
            errors.append(error)
    raise_together(errors)
    return found


def rows() -> tuple[Ecosystem, ...]:
    """All of them, for those who are handed the table."""
    return tuple(ECOSYSTEMS.values())
