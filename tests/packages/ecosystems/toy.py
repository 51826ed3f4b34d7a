"""A toy ecosystem: its lock is one line, and its install writes that line to one file under /toy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env.documents.answers import Answer, Question, ok
from solven_env.errors import LockError
from solven_env.packages import making, store
from solven_env.packages.additions import Installed
from solven_env.packages.host_tools import Tools
from solven_env.packages.locks import Remark, Resolution
from solven_env.packages.origins import Origin
from solven_env.profile.sections import RequestedPackage
from solven_env.state.grammar import table_with, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from solven_env.documents.document import Document
    from solven_env.packages.making import Builder
    from solven_env.packages.store import Build
    from solven_env.packages.toolchain import Toolchain
    from solven_env.workspace.root import Root

NAME = "toy"
TARGET = "/toy"
LOCKS = ("toy.txt",)
WORKSPACE_LOCK = "toy.lock"
MANIFEST = "toy.json"
RELOCKING = (("true",),)
IS_STATED_WHEN_ABSENT = False
RECORDED = table_with({"version": text})
NEEDED = ("version",)
UNTOLD = ()
WHYS = {TARGET: "the toys"}
LISTING = ("cat", "/toy/version")


def ask(host: object) -> Answer:
    """The question of doctor."""
    return ok("toys need nothing")


NEW_SECTION = {"version": "1", "packages": []}
PROGRAMS = "/toy"
QUESTIONS = (Question("toys", ask),)
REGISTRIES = (Question("toy registry", ask),)
SCHEMA = {
    "title": "Toys",
    "description": "A toy.",
    "type": "object",
    "additionalProperties": False,
    "required": ["version"],
    "properties": {"version": {"title": "Version", "description": "Its version.", "type": "string", "examples": ["1"]}},
}
"""Its part of the schema."""


class Toy(NamedTuple):
    """The section."""

    version: str

    @property
    def packages(self) -> tuple[str, ...]:
        return ("toy",)

    @property
    def groups(self) -> tuple[()]:
        return ()

    def recorded(self) -> dict[str, Any]:
        return {"version": self.version}

    def asked(self) -> dict[str, Any]:
        return self.recorded()

    def names(self) -> tuple[str, ...]:
        return self.packages

    def told(self) -> str:
        return f"the toy {self.version}"


def check(document: Document) -> None:
    """The schema says all."""


def read(document: Document, is_on: Callable[[object], bool]) -> Toy | None:
    written = document.data.get(NAME)
    return Toy(written["version"]) if written else None


def section(recorded: Mapping[str, Any]) -> Toy:
    return Toy(recorded["version"])


def part(section: Toy, lock: bytes) -> tuple[Toy, bytes]:
    return section, lock


def bound(section: Toy, builder: Builder) -> Builder:
    return builder


def believe(lock: bytes, section: Toy, file: str, *, fix: str = "") -> object:
    if lock != resolve(section, b"", None).text:
        raise LockError("this is not the toy that the profile asks for", fix=fix, location=f"{file}:1")
    return lock


def pinned(lock: bytes) -> Iterable[tuple[str, str]]:
    """The toy and its version."""
    return [("toy", lock.decode().strip())]


def further_pins(lock: bytes) -> Mapping[str, Iterable[tuple[str, str]]]:
    return {}


def names_in(lock: bytes) -> Collection[str]:
    return {"toy"}


def canonical(name: str) -> str:
    return name


def released(section: Toy, known: bytes, names: Collection[str], builder: Builder) -> bytes:
    return b""


def check_known(lock: bytes, host: Toolchain) -> object:
    return lock


def resolve(section: Toy, known: bytes, builder: Builder | None) -> Resolution:
    return Resolution(f"toy {section.version}\n".encode())


def newest(section: Toy, lock: bytes, builder: Builder) -> tuple[()]:
    return ()


def compare(section: Toy, lock: bytes, builder: Builder, file: str, *, fix: str) -> None:
    believe(lock, section, file, fix=fix)


def key_inputs(lock: bytes | None, uid: int | None) -> dict[str, object]:
    return {"lock": (lock or b"").decode(), "uid": uid}


def known_key(section: Toy, lock: bytes | None, cache: Path, uid: int | None) -> str | None:
    return store.key(NAME, key_inputs(lock, uid))


def install(section: Toy, lock: bytes | None, builder: Builder) -> Build:
    def fill(stage: Path) -> None:
        making.give(builder, stage / "tree")
        with making.open_root(builder, stage / "tree") as root:
            root.publish(root.stage("version", lock or b"", 0o644), "version")

    inputs = key_inputs(lock, builder.uid)
    return store.obtain(builder.host.cache, store.key(NAME, inputs), inputs, fill)


def remarks(build: Build) -> tuple[Remark, ...]:
    """None: nothing of a package is left undone in a build."""
    return ()


def workspace_lock(lock: bytes, build: Build | None) -> bytes:
    return lock


def is_readable(lock: bytes) -> bool:
    return True


def is_behind(manifest: bytes, lock: bytes | None) -> bool:
    return False


def beginning(lock: bytes, agents: bytes) -> bytes:
    return lock


def asked_in(manifest: bytes) -> dict[str, str]:
    return {}


def drafted(manifest: bytes) -> tuple[dict[str, str], list[str]]:
    return {"version": "1"}, []


def origin(root: Root, package: Installed) -> Origin:
    return Origin()


def asking(name: str, version: str, words: str = "") -> None:
    return None


def request(words: str) -> RequestedPackage:
    return RequestedPackage(words, words)


def accepts(section: Toy, name: str, version: str) -> bool | None:
    return None


def preferring(section: Toy, known: bytes, versions: Mapping[str, str], builder: Builder) -> bytes:
    return known


def recorded_files(root: Root) -> tuple[()]:
    return ()


def tops(section: Toy) -> tuple[str, ...]:
    return ("",)


def watched(root: Root) -> tuple[str, ...]:
    return ("",)


def installed(root: Root, limit: int) -> tuple[tuple[Installed, ...], bool]:
    """A toy is a directory that is called like it, and its version."""
    names = [name for name in root.list("", limit) if name.startswith("toy-")]
    return tuple(Installed(name, name.removeprefix("toy-"), name, "") for name in names), True


def carry(root: Root, package: Installed) -> tuple[str, ...]:
    return (f"{package.path}/",)


def installing(packages: Mapping[str, str]) -> tuple[str, ...]:
    return ("mkdir", *(f"/toy/{name}" for name in packages))


def adding(packages: Mapping[str, str]) -> tuple[str, ...]:
    return installing(packages)


def tools(section: Toy | None, host: Toolchain) -> Tools:
    return Tools(variables=(("TOY", "1"),)) if section else Tools()


def host_files(section: Toy | None, cache: Path) -> tuple[Path, ...]:
    return ()


def known_tools(section: Toy | None, cache: Path) -> Tools:
    return Tools(variables=(("TOY", "1"),)) if section else Tools()
