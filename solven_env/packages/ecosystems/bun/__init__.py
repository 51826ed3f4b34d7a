"""Packages for Bun: /node_modules that Bun installs from bun.lock."""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env.documents.answers import Question
from solven_env.errors import LockError, counted
from solven_env.packages import host_tools, lock_text
from solven_env.packages.ecosystems.bun import program
from solven_env.profile.sections import PackageGroup
from solven_env.sandbox.launch_plan import Bind, StagedLink
from solven_env.state.grammar import list_of, table_of, table_with, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from solven_env.documents.answers import Answer
    from solven_env.documents.document import Document
    from solven_env.packages.additions import Installed
    from solven_env.packages.asking import AskedHost
    from solven_env.packages.ecosystems.bun.bun_lock import BunLock
    from solven_env.packages.locks import NewestVersion, Remark, Resolution
    from solven_env.packages.making import Builder
    from solven_env.packages.origins import Origin
    from solven_env.packages.store import Build
    from solven_env.packages.toolchain import Toolchain
    from solven_env.profile.sections import RequestedPackage
    from solven_env.workspace.root import Root

NAME = "bun"
TARGET = "/node_modules"
LOCK = "bun.lock"
LOCKS = (LOCK,)
WORKSPACE_LOCK = "bun.lock"
MANIFEST = "package.json"
RELOCKING = (("bun", "install", "--lockfile-only", "--offline"), ("bun", "install", "--lockfile-only"))
IS_STATED_WHEN_ABSENT = True
NEEDED = ()
"""A build can do without any package: `bun remove` takes them away, and `bun install` brings them back."""
UNTOLD = (".cache",)
_VARIABLES = (
    ("BUN_INSTALL", host_tools.LOCAL),
    ("BUN_INSTALL_CACHE_DIR", f"{host_tools.CACHE}/bun/install/cache"),
    # the host's npm, where it has one
    ("NPM_CONFIG_CACHE", f"{host_tools.CACHE}/npm"),
    ("NPM_CONFIG_PREFIX", host_tools.LOCAL),
)
WHYS = MappingProxyType(
    {
        f"{host_tools.BIN}/bun": "Bun, which runs JavaScript and adds its packages",
        TARGET: "the JavaScript packages",
    }
)
LISTING = ("bun", "pm", "ls")
RECORDED = table_with(
    {"packages": table_of(text)},
    {"trusted": list_of(text), "scopes": list_of(text)},
)
_INSTALL = f"""\
set -e
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
echo '{{}}' >package.json
bun add --no-save -- "$@"
mkdir -p {TARGET}/.bin
for each; do
    name=${{each%%@npm:*}}
    [ "$name" != "$each" ] || name=${{each%@*}}
    rm -rf "{TARGET}/$name"
    mkdir -p "$(dirname "{TARGET}/$name")"
    cp -R "node_modules/$name" "{TARGET}/$name"
    for link in node_modules/.bin/*; do
        case $(readlink "$link") in "../$name/"*) cp -fP "$link" {TARGET}/.bin/ ;; esac
    done
done"""
SCRIPTS = "scripts.json"
"""The file beside a build's tree that says whose install scripts did not run (`scripts.written`)."""
NO_SCRIPTS = b"[]\n"
NODE = ("/usr/bin/node", "/usr/local/bin/node", "/bin/node")


def _ask_bun(host: AskedHost) -> Answer:
    from solven_env.packages.ecosystems.bun import asked

    return asked.starts(host)


def _ask_node(host: AskedHost) -> Answer:
    from solven_env.packages.ecosystems.bun import asked

    return asked.node(host)


def _ask_registry(host: AskedHost) -> Answer | None:
    from solven_env.packages.ecosystems.bun import asked

    return asked.npm_registry(host)


def _ask_scopes(host: AskedHost) -> Answer | None:
    from solven_env.packages.ecosystems.bun import asked

    return asked.scopes(host)


NEW_SECTION: Mapping[str, Any] = MappingProxyType({"packages": {}})
PROGRAMS = f"{TARGET}/.bin"
QUESTIONS = (Question("bun", _ask_bun, ("uv",)), Question("node", _ask_node))
REGISTRIES = (
    Question("npm registry", _ask_registry, ("uv",)),
    Question("npm scopes", _ask_scopes, ("configuration",)),
)


class Bun(NamedTuple):
    """The section: names and npm version ranges, those of `groups` too. The install scripts of `trusted` run.

    `scopes` (`@company`) come from the registries that the host's configuration has for them. `groups` is empty where
    the profile has none.
    """

    packages: Mapping[str, str]
    trusted: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    groups: tuple[PackageGroup, ...] = ()

    def recorded(self) -> dict[str, Any]:
        """The section as JSON, empty `trusted` and `scopes` left out: earlier versions knew of neither."""
        more = {"trusted": list(self.trusted), "scopes": list(self.scopes)}
        return {"packages": dict(self.packages), **{name: value for name, value in more.items() if value}}

    def asked(self) -> dict[str, Any]:
        """The section in a lock's digest, order aside."""
        ordered = Bun(self.packages, tuple(sorted(self.trusted)), tuple(sorted(self.scopes)))
        groups = {group.name: dict(group.packages) for group in self.groups}
        return {**ordered.recorded(), **({"groups": groups} if groups else {})}

    def names(self) -> tuple[str, ...]:
        """The packages by name."""
        return tuple(self.packages)

    def told(self) -> str:
        """The packages in words."""
        return counted(len(self.packages), "JavaScript package")


def check(document: Document) -> None:
    """Report what is no range of versions, and what stands twice."""
    from solven_env.documents.diagnostics import quoted
    from solven_env.documents.document import path_text
    from solven_env.profile import npm

    section = document.data.get(NAME) or {}
    known: dict[str, tuple[str, str]] = {}
    groups = (section.get("groups") or {}).items()
    places = [((NAME, "packages"), section), *(((NAME, "groups", name, "packages"), group) for name, group in groups)]
    for place, written in places:
        for name, wanted in (written.get("packages") or {}).items():
            path = (*place, name)
            problem = npm.range_problem(wanted)
            if problem:
                message = f"{path_text(path)}: {quoted(wanted)} {problem}"
                fix = f"Write, for example, {npm.example(wanted)}."
                document.report("SE606", document.at_value(*path), message, fix)
            other, before = known.setdefault(name, (path_text(place), wanted))
            if wanted != before:
                message = f"{quoted(name)} is {quoted(before)} in {other}, and has one range in all groups"
                document.report("SE607", document.at_value(*path), message, f"Write '{before}', or change both.")
    document.report_twice((NAME, "trusted"), section.get("trusted", ()))
    document.report_twice((NAME, "scopes"), section.get("scopes", ()))


def read(document: Document, is_on: Callable[[object], bool]) -> Bun | None:
    """The section of a profile with the groups that are on."""
    written = document.data.get(NAME)
    if written is None:
        return Bun({}) if (NAME,) in document.taken_out else None
    trusted, scopes = (tuple(filter(None, written.get(name, ()))) for name in ("trusted", "scopes"))
    named = {"": written, **{name: group for name, group in written.get("groups", {}).items() if is_on(group)}}
    groups = tuple(PackageGroup(name, group.get("packages", {})) for name, group in named.items())
    packages = {name: wanted for group in groups for name, wanted in group.packages.items()}
    return Bun(packages, trusted, scopes, groups if written.get("groups") else ())


def part(section: Bun, lock: bytes) -> tuple[Bun, bytes]:
    """The section without its groups and without trusted packages of others, and the packages that its own need.

    See `tree.part`. A lock that is none is left to `believe`.
    """
    if not section.groups and not section.trusted:
        return section, lock
    from solven_env.packages.ecosystems.bun import bun_lock, tree

    with suppress(LockError):
        lock = tree.part(lock, section) if section.groups else lock
        names = {package.name for package in bun_lock.parse(lock, LOCK).packages.values()}
        section = section._replace(trusted=tuple(name for name in section.trusted if name in names))
    return section._replace(groups=()), lock


def section(recorded: Mapping[str, Any]) -> Bun:
    """The section as a record has it."""
    return Bun(recorded["packages"], tuple(recorded.get("trusted", ())), tuple(recorded.get("scopes", ())))


def bound(section: Bun, builder: Builder) -> Builder:
    """The builder whose host asks the registries of the section's scopes. BuildError where the host lacks one."""
    from solven_env.packages.named_sources import Bindings

    return builder._replace(host=builder.host.bound(Bindings(scopes=section.scopes)))


def believe(text: bytes, section: Bun, file: str, *, fix: str = "") -> BunLock:
    """Parse a bun.lock. LockError at `file:line` for bad syntax, a missing package or a superfluous one.

    LockError for a trusted package that the lock does not have, too.
    """
    from solven_env.packages.ecosystems.bun import bun_lock, scripts, tree

    lock = bun_lock.parse(text, file, fix=fix)
    tree.check(lock, section, file, fix=fix)
    scripts.check_trusted(lock, section, file)
    return lock


def pinned(lock: bytes) -> Iterable[tuple[str, str]]:
    """The key of each package, `a/b` for a b that only a has, with its version."""
    from solven_env.packages.ecosystems.bun import bun_lock

    return [(package.key, package.version) for package in bun_lock.parse(lock, LOCK).packages.values()]


def further_pins(lock: bytes) -> Mapping[str, Iterable[tuple[str, str]]]:  # noqa: ARG001 - there is one file
    """None: bun.lock is all."""
    return {}


def names_in(lock: bytes) -> Collection[str]:
    """The names that packages are installed under, at whatever place."""
    from solven_env.packages.ecosystems.bun import bun_lock

    return {bun_lock.split_key(key)[-1] for key, _ in pinned(lock)}


def canonical(name: str) -> str:
    """The name as it is: npm tells JSONStream and jsonstream apart."""
    return name


def check_known(text: bytes, host: Toolchain) -> object:
    """LockError for a lock whose digests are not the registry's: Bun would keep them unasked."""
    from solven_env.packages.ecosystems.bun import locking

    return locking.genuine(text, LOCK, host)


def resolve(section: Bun, known: bytes, builder: Builder) -> Resolution:
    """The text of bun.lock, and remarks about install scripts; see `locking`. LockError for a wrong `trusted`."""
    from solven_env.packages.ecosystems.bun import bun_lock, locking, scripts
    from solven_env.packages.locks import Resolution

    text = locking.resolve(section, known, builder.host)
    lock = bun_lock.parse(text, LOCK)
    scripts.check_trusted(lock, section, LOCK)
    return Resolution(text, scripts.remarks_of_lock(lock, section))


def released(section: Bun, known: bytes, names: Collection[str], builder: Builder) -> bytes:
    """The lock with the newest versions of these packages that fit; see `upgrading`."""
    from solven_env.packages.ecosystems.bun import upgrading

    return upgrading.released(section, known, names, builder.host)


def newest(section: Bun, lock: bytes, builder: Builder) -> list[NewestVersion]:
    """The packages that the profile's ranges hold below the registry's latest version; see `upgrading`."""
    from solven_env.packages.ecosystems.bun import upgrading

    return upgrading.held(section, lock, builder.host)


def compare(section: Bun, lock: bytes, builder: Builder, file: str, *, fix: str) -> None:
    """LockError at the first package that the registry's resolution has not, has otherwise or has besides."""
    from solven_env.packages.ecosystems.bun import locking

    locking.compare(section, lock, builder.host, file, fix=fix)


def known_key(section: Bun, lock: bytes | None, cache: Path, uid: int | None) -> str:  # noqa: ARG001 - it is pinned
    """The key of the build."""
    from solven_env.packages import store  # here, as in all that a profile alone has no use for

    return store.key(NAME, key_inputs(section, lock, uid))


def key_inputs(section: Bun, lock: bytes | None, uid: int | None) -> dict[str, object]:
    """Everything that determines the bytes of the build as `lock` pins it; None stands for no packages."""
    version, pin = program.pin()
    return {
        **section._replace(groups=()).asked(),
        **({"node": _node()} if section.trusted else {}),  # whose binaries the scripts build or fetch
        "lock": lock_text.digest(lock) if lock is not None else None,
        "bun": {"version": version, "sha256": pin["sha256"]},
        "uid": uid,
    }


def _node() -> list[int] | None:
    """The size and the modification time of the host's node; None where there is none."""
    for path in NODE:
        with suppress(OSError):
            about = os.stat(path)
            return [about.st_size, about.st_mtime_ns]
    return None


def remarks(build: Build) -> Sequence[Remark]:
    """The packages of a build whose install scripts did not run, and trusted ones without any."""
    from solven_env.packages import store

    text = store.file_beside(build, SCRIPTS)
    if text is None or text == NO_SCRIPTS:  # of an earlier version, or of packages without any
        return ()
    from solven_env.packages.ecosystems.bun import scripts

    return scripts.remarks_of_build(text)


def install(section: Bun, lock: bytes | None, builder: Builder) -> Build:
    """The build; see `node_modules`."""
    from solven_env.packages.ecosystems.bun import node_modules

    return node_modules.build(section, lock, builder)


def workspace_lock(lock: bytes, build: Build | None) -> bytes:  # noqa: ARG001 - the same with or without a build
    """The lock itself: it is Bun's own."""
    return lock


def is_readable(lock: bytes) -> bool:
    """True for a bun.lock; see `agents_lock`."""
    from solven_env.packages.ecosystems.bun import agents_lock

    return agents_lock.is_readable(lock)


def is_behind(manifest: bytes, lock: bytes | None) -> bool:
    """True if a bun.lock says other dependencies than its package.json; see `agents_lock`."""
    from solven_env.packages.ecosystems.bun import agents_lock

    return agents_lock.is_behind(manifest, lock)


def beginning(lock: bytes, agents: bytes) -> bytes:
    """The bun.lock of a build, with the agent's further packages; see `agents_lock`."""
    from solven_env.packages.ecosystems.bun import agents_lock

    return agents_lock.beginning(lock, agents)


def asked_in(manifest: bytes) -> Mapping[str, str]:
    """The ranges of a package.json's dependencies, of all kinds, by name."""
    from solven_env.packages.ecosystems.bun import agents_lock

    return agents_lock.asked_in(manifest)


def drafted(manifest: bytes) -> tuple[Mapping[str, Any], Sequence[str]]:
    """The section with the dependencies of a package.json; see `requested_packages`."""
    from solven_env.packages.ecosystems.bun import requested_packages

    return requested_packages.drafted(manifest)


def origin(root: Root, package: Installed) -> Origin:
    """The origin of a package, by its package.json; see `requested_packages`."""
    from solven_env.packages.ecosystems.bun import requested_packages

    return requested_packages.origin(root, package)


def asking(name: str, version: str, words: str = "") -> str | None:
    """The range, `^2.1.3`; see `requested_packages`."""
    from solven_env.packages.ecosystems.bun import requested_packages

    return requested_packages.asking(name, version, words)


def request(words: str) -> RequestedPackage:
    """The package that `docx@^8.0.0` means; see `requested_packages`."""
    from solven_env.packages.ecosystems.bun import requested_packages

    return requested_packages.request(words)


def accepts(section: Bun, name: str, version: str) -> bool | None:
    """True if the range of that package has the version; see `requested_packages`."""
    from solven_env.packages.ecosystems.bun import requested_packages

    return requested_packages.accepts(section, name, version)


def preferring(section: Bun, known: bytes, versions: Mapping[str, str], builder: Builder) -> bytes:
    """A lock with these versions; see `requested_packages`."""
    from solven_env.packages.ecosystems.bun import requested_packages

    return requested_packages.preferring(section, known, versions, builder)


def recorded_files(root: Root) -> Collection[tuple[str, bytes, int]]:  # noqa: ARG001
    """None: npm's packages bring no digests of their files."""
    return ()


def tops(section: Bun) -> tuple[str, ...]:  # noqa: ARG001 - it is the tree itself
    """The tree itself."""
    return ("",)


def watched(root: Root) -> Sequence[str]:
    """The tree, its scopes and its links to programs: each package adds an entry to one."""
    from solven_env.packages.ecosystems.bun import installed_packages

    return installed_packages.watched(root)


def installed(root: Root, limit: int) -> tuple[Sequence[Installed], bool]:
    """The packages at the top of node_modules; see `installed_packages`."""
    from solven_env.packages.ecosystems.bun import installed_packages

    return installed_packages.find(root, limit)


def carry(root: Root, package: Installed) -> Sequence[str] | None:
    """The directory of a package and the links to its programs; see `installed_packages`."""
    from solven_env.packages.ecosystems.bun import installed_packages

    return installed_packages.parts(root, package)


def installing(packages: Mapping[str, str]) -> tuple[str, ...]:
    """A script that has Bun install them in a project of their own, and copies these packages alone.

    In the workspace `bun add` would also remove or replace what its package.json does not have, and write one.
    """
    return ("sh", "-c", _INSTALL, "install", *(f"{name}@{version}" for name, version in packages.items()))


def adding(packages: Mapping[str, str]) -> tuple[str, ...]:
    """The command of Bun.

    >>> adding({"left-pad": "1.3.0", "pad": "npm:left-pad@1.3.0"})
    ('bun', 'add', 'left-pad@1.3.0', 'pad@npm:left-pad@1.3.0')
    """
    return ("bun", "add", *(f"{name}@{version}" for name, version in packages.items()))


def sandbox_tools(path: Path | None) -> host_tools.Tools:
    """Bun where there is one, which is called bunx too, and node where the host shows none: it looks at its name."""
    if path is None:
        return host_tools.Tools(variables=_VARIABLES)
    return _sandbox_tools(path, ("bunx",) if any(map(os.path.exists, NODE)) else ("bunx", "node"))


@functools.lru_cache(maxsize=16)
def _sandbox_tools(path: Path, names: tuple[str, ...]) -> host_tools.Tools:
    links = tuple(StagedLink(f"{host_tools.BIN}/{name}", "bun") for name in names)
    return host_tools.Tools((Bind(f"{host_tools.BIN}/bun", str(path)),), links=links, variables=_VARIABLES)


def tools(section: Bun | None, host: Toolchain) -> host_tools.Tools:
    """Bun, found or fetched."""
    return sandbox_tools(program.find(host).path if section else None)


def known_tools(section: Bun | None, cache: Path) -> host_tools.Tools:
    """Bun where it is, or will be."""
    return sandbox_tools(program.of(cache).path if section else None)


def host_files(section: Bun | None, cache: Path) -> tuple[Path, ...]:
    """Bun, and the places where the host has node."""
    return (program.of(cache).path, *map(Path, NODE)) if section else ()
