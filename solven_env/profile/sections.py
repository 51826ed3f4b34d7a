"""Package worlds as a profile sees them: the rows of `packages/ecosystems` are handed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from solven_env.documents.document import Document


class PackageGroup(NamedTuple):
    """A group of packages, by its name; those outside of any group have the empty name.

    `packages` are what the section's are: requirements, or ranges by name.
    """

    name: str
    packages: Any


class Section(Protocol):
    """An ecosystem's part of a profile."""

    @property
    def _fields(self) -> tuple[str, ...]:
        """The names of all fields."""

    @property
    def packages(self) -> Collection[str]:
        """The packages that are asked for; of a mapping, the names."""

    @property
    def groups(self) -> Collection[PackageGroup]:
        """The groups of packages that are on, those outside of any first; empty for a profile without groups."""

    def recorded(self) -> dict[str, Any]:
        """The section as JSON: in records, in what tells one need from another. Empty fields may be absent."""

    def asked(self) -> dict[str, Any]:
        """The section in the digest that ties a lock to its profile, order aside, with its groups."""

    def names(self) -> tuple[str, ...]:
        """The packages by their names alone, as they are imported or resolved."""

    def told(self) -> str:
        """The packages in words: `2 Python packages for Python 3.12`."""


class RequestedPackage(NamedTuple):
    """A package as a person asks a profile for it. `name` is canonical, `written` has the words for the section."""

    name: str
    written: str
    marker: str = ""
    """A condition: requirements of one name with different ones stand beside each other."""
    is_open: bool = False
    """True if the section has a range for each package, and nobody gave one."""


class SectionKind(Protocol):
    """An ecosystem as far as a profile is read by it."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """The section's name in the profile, in records and in expressions."""

    @property
    def TARGET(self) -> str:  # noqa: N802
        """The directory that commands see its packages in."""

    @property
    def IS_STATED_WHEN_ABSENT(self) -> bool:  # noqa: N802
        """True if locks and records of a profile without the section say so: those of the first release do."""

    def check(self, document: Document) -> None:
        """Report each mistake of the section that the schema cannot tell."""

    def read(self, document: Document, is_on: Callable[[object], bool]) -> Any:
        """The section (a `Section`) of a profile; None where there is none. `is_on` tells which groups it has."""
