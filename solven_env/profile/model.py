"""A profile as data: as declared, and as resolved, with inputs chosen and expressions expanded."""

# Named tuples, not dataclasses: making a dozen frozen dataclasses takes 7 ms of every start, these take 1.
from __future__ import annotations

from typing import Any, Literal

from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.documents.diagnostics import Location
    from solven_env.documents.document import Document
    from solven_env.profile.mounts import Occupant
    from solven_env.profile.sections import Section, SectionKind
    from solven_env.system.networks import Network


DEFAULT_MODE = "0644"
"""The mode of a dotfile that states none."""

Form = Literal["template", "content", "source"]


InputType = Literal["string", "enum", "integer", "boolean"]


class Input(NamedTuple):
    """A named value that a thread supplies. `default` is None if the profile gives none.

    A value of type enum is one of `values`; one of type string matches the `pattern`, if there is one.
    """

    name: str
    default: str | None
    required: bool
    type: InputType = "string"
    pattern: str = ""
    values: tuple[str, ...] = ()
    description: str = ""


class Declaration(NamedTuple):
    """A profile as written: the document, what it declares as inputs, and the mistakes found in it so far."""

    document: Document
    inputs: Mapping[str, Input]
    ecosystems: tuple[SectionKind, ...]


class Secret(NamedTuple):
    """A value of the host that a command gets when it starts: as the variable `name`, or as a file of that name.

    It comes from a variable of the caller's environment, a file or the output of a command, by an absolute path or by
    words, as `origin` says.
    """

    name: str
    origin: Literal["environment", "file", "command"]
    variable: str = ""
    path: str = ""
    command: tuple[str, ...] = ()
    form: Literal["environment", "file"] = "environment"
    optional: bool = False

    def recorded(self) -> dict[str, Any]:
        """The secret as plain JSON data."""
        places: dict[str, dict[str, Any]] = {
            "environment": {"variable": self.variable},
            "file": {"path": self.path},
            "command": {"command": list(self.command)},
        }
        place = places[self.origin]
        return {"name": self.name, "from": self.origin, **place, "as": self.form, "optional": self.optional}


class LimitsSection(NamedTuple):
    """The profile's `sandbox.limits`. Sizes as written (`4GiB`), times in seconds; None is no limit."""

    processes: int | None = None
    open_files: int | None = None
    file_size: str | None = None
    cpu_time: int | None = None
    tmp_size: str | None = None
    wall_time: int | None = None
    memory: str | None = None
    disk: str | None = None
    enforce: Literal["best-effort", "strict"] = "best-effort"


class SandboxSection(NamedTuple):
    """The profile's `sandbox`. `allow` lists private IPv4 addresses and networks that `internet` may reach. Commands
    start in `workdir`, a path inside. What they start lives as long as they do, or as the
    session (`processes`).
    """

    backend: str = "bubblewrap"
    network: Network = "none"
    allow: tuple[str, ...] = ()
    limits: LimitsSection = LimitsSection()
    workdir: str = "/"
    processes: Literal["command", "session"] = "command"


class Mount(NamedTuple):
    """A host path (always read-only) or a file system of the kernel, which commands see at `target`."""

    target: str
    kind: Literal["bind", "proc", "dev", "tmpfs"] = "bind"
    source: str = ""
    optional: bool = False
    size: str = ""
    why: str = ""


class Link(NamedTuple):
    """A directory of the storage (`to`, relative to it) that commands see at `path` in the workspace."""

    path: str
    to: str
    access: Literal["read-only", "read-write"] = "read-only"
    optional: bool = False


class Program(NamedTuple):
    """A program that `why` needs of the host, and the distribution's package that brings it (empty: not stated)."""

    name: str
    why: str
    package: str = ""


class SetupCommand(NamedTuple):
    """A command that runs once inside. A change of what is at `inputs`, paths in the workspace, has it run again."""

    run: str
    inputs: tuple[str, ...] = ()


Own = Literal["whole", "keys", "block", "seed"]
"""Whose a file is: ours; ours by keys; ours in one block; the agent's once it is written."""


class Dotfile(NamedTuple):
    """A file in the workspace, or a directory of files. `text` is a template's name, the content, or a source's name,
    as `form` says. `mode` is empty where none is stated.
    """

    path: str
    form: Form
    text: str
    mode: str
    own: Own
    location: Location


class Places(NamedTuple):
    """File and line (`team.yaml:12`) of what a profile says.

    `settings` has them by the names that records give settings (`env.LANG`, `limits.memory`, `python`), `paths` by the
    paths inside of files, links and mounts, without the first `/`, and `setup` by the texts of its commands.
    """

    settings: Mapping[str, str]
    paths: Mapping[str, str]
    setup: Mapping[str, str] = {}


class Profile(NamedTuple):
    """A resolved profile: inputs are chosen and expressions expanded, but for `content` and templates."""

    file: str
    name: str
    release: str
    sandbox: SandboxSection
    mounts: tuple[Mount, ...]
    env: Mapping[str, str]
    path: tuple[str, ...]
    packages: Mapping[str, Section | None]
    """The sections of packages, by the name of their ecosystem, with the groups that are on."""
    locked: Mapping[str, Section | None]
    """The same with all groups, as they are locked: no input changes them."""
    dotfiles: tuple[Dotfile, ...]
    links: tuple[Link, ...]
    context: Mapping[str, object]
    """The names that `content` and templates may use, with their values."""
    unset: frozenset[str]
    """The declared inputs that have no value."""
    is_partial: bool = False
    """True if wrong parts were left out. A name that a template misses may be among them."""
    programs: tuple[Program, ...] = ()
    places: Places = Places({}, {})
    setup: tuple[SetupCommand, ...] = ()
    occupants: tuple[Occupant, ...] = ()
    """All that stands at a path inside: mounts, dotfiles, links and the working directory."""
    reserved: tuple[str, ...] = ()
    """The directories of packages, at which nothing of a profile may stand."""
    secrets: tuple[Secret, ...] = ()
    passed: Mapping[str, bool] = {}
    """The variables of the caller's environment that commands get, and whether each may be missing."""
    late: Mapping[str, str] = {}
    """The names of values that exist when a command runs only, with what they are."""
    written: Mapping[str, Any] = {}
    """The document, as the schema lets it through, for kinds of resources that have a section of their own."""
    texts: Mapping[str, str] = {}
    """The texts of the document's files, by their names, for excerpts."""
