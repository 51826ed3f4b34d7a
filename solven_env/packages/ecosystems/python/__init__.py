"""Python packages: a virtual environment at /.venv that uv installs from python.txt."""

from __future__ import annotations

import functools
import posixpath
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from solven_env.documents.answers import Answer, Question, limited, ok
from solven_env.errors import counted
from solven_env.packages import host_tools, lock_text
from solven_env.packages.ecosystems.python import pip_pin
from solven_env.packages.ecosystems.python.remembered import files, recall
from solven_env.packages.tools import uv
from solven_env.profile.sections import PackageGroup
from solven_env.sandbox.launch_plan import Bind, StagedLink
from solven_env.state.grammar import list_of, table_with, text, text_that

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from solven_env.documents.document import Document, KeyPath
    from solven_env.packages.additions import Installed
    from solven_env.packages.asking import AskedHost
    from solven_env.packages.ecosystems.python import builds_txt, groups_txt
    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.locks import NewestVersion, Remark, Resolution
    from solven_env.packages.making import Builder
    from solven_env.packages.origins import Origin
    from solven_env.packages.store import Build
    from solven_env.packages.toolchain import Toolchain
    from solven_env.profile.sections import RequestedPackage
    from solven_env.workspace.root import Root

NAME = "python"
TARGET = "/.venv"
LOCK = "python.txt"
BUILDS = "builds.txt"
GROUPS = "groups.txt"
LOCKS = (LOCK, BUILDS, GROUPS)
WORKSPACE_LOCK = "uv.lock"
MANIFEST = "pyproject.toml"
RELOCKING = (("uv", "lock", "--offline"), ("uv", "lock"))
IS_STATED_WHEN_ABSENT = True
NEEDED = ("pyvenv.cfg", "bin/python", "lib")
UNTOLD = (".lock",)
_VARIABLES = (
    ("UV_CACHE_DIR", f"{host_tools.CACHE}/uv"),
    ("UV_LINK_MODE", "copy"),
    ("MPLCONFIGDIR", f"{host_tools.CACHE}/matplotlib"),
    # pip install --user, and pipx; uv's tools and interpreters follow XDG_DATA_HOME
    ("PYTHONUSERBASE", host_tools.LOCAL),
    ("PIPX_BIN_DIR", f"{host_tools.LOCAL}/bin"),
    ("PIPX_MAN_DIR", f"{host_tools.LOCAL}/share/man"),
)
_RECIPE = 2
"""The version of how a build is made, part of its key: 2 says in pyvenv.cfg that pip stays."""
_PIP = """\
# The pip of the virtual environment that is active, /.venv where none is: the host's is for another Python.
place=${VIRTUAL_ENV:-/.venv}
pip=$place/bin/pip
if [ -f "$pip" ] && [ -x "$pip" ] && ! [ "$pip" -ef "$0" ] && ! [ "$pip" -ef /run/solven-env/bin/pip ]; then
    exec "$pip" "$@"
fi
echo "pip: there is none in $place. Type: uv pip ${*:-install PACKAGE}" >&2
exit 127"""
WHYS = MappingProxyType(
    {
        f"{host_tools.BIN}/uv": "uv, which adds Python packages",
        f"{host_tools.RUN}/python": "the interpreter of /.venv",
        TARGET: "the Python packages",
    }
)
LISTING = ("uv", "pip", "list")
DEFAULT_VERSION = "3.12"
NEWEST = "3.16"
"""The newest version that there is: the last one that our uv can fetch."""
RECORDED = table_with(
    {"version": text_that(re.compile(r"3\.[0-9]{1,3}").fullmatch, "version of Python"), "packages": list_of(text)},
    {"allow_builds": list_of(text), "indexes": list_of(table_with({"name": text, "packages": list_of(text)}))},
)
INTERPRETER = f"{host_tools.RUN}/python"
"""The prefix of the interpreter inside."""


def _ask_index(_: object) -> Answer:
    from solven_env.packages.asking import ask_index

    problem = ask_index("pip")
    fix = "Let this host reach its index: pip's or uv's settings name it, HTTPS_PROXY a proxy."
    return limited("the Python package index is not to be reached", problem, fix) if problem else ok("it answers")


def _ask_named_indexes(host: AskedHost) -> Answer | None:
    from solven_env.packages.asking import ask_each, ask_named

    config = host.config
    return ask_each("index", config.indexes, config, lambda about, name: ask_named(about.asking(name)))


NEW_SECTION: Mapping[str, Any] = MappingProxyType({"version": DEFAULT_VERSION, "packages": []})
PROGRAMS = f"{TARGET}/bin"
QUESTIONS = ()
REGISTRIES = (
    Question("package index", _ask_index, ("uv",)),
    Question("named indexes", _ask_named_indexes, ("uv", "configuration")),
)


class Index(NamedTuple):
    """An index by its name in the host's configuration, and the canonical names of the packages that it serves.

    Without packages it takes the default index's place.
    """

    name: str
    packages: tuple[str, ...] = ()


class Python(NamedTuple):
    """The section: `version` is major and minor, `packages` are requirements (PEP 508), those of `groups` too.

    `allow_builds` has the canonical names of the packages that are built from their source. `groups` is empty where the
    profile has none.
    """

    version: str
    packages: tuple[str, ...] = ()
    allow_builds: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    groups: tuple[PackageGroup, ...] = ()

    def recorded(self) -> dict[str, Any]:
        """The section as JSON, empty `allow_builds` and `indexes` left out: earlier versions knew of neither."""
        indexes = [{"name": index.name, "packages": list(index.packages)} for index in self.indexes]
        more = {"allow_builds": list(self.allow_builds), "indexes": indexes}
        packages = {"version": self.version, "packages": list(self.packages)}
        return {**packages, **{name: value for name, value in more.items() if value}}

    def asked(self) -> dict[str, Any]:
        """The section in a lock's digest, order aside."""
        indexes = (index._replace(packages=tuple(sorted(index.packages))) for index in self.indexes)
        ordered = Python(
            self.version,
            tuple(sorted(self.packages)),
            tuple(sorted(self.allow_builds)),
            tuple(sorted(indexes)),
        )
        groups = {group.name: sorted(group.packages) for group in self.groups}
        return {**ordered.recorded(), **({"groups": groups} if groups else {})}

    def names(self) -> tuple[str, ...]:
        """The packages by name, without those that a marker leaves out on some host."""
        from solven_env.profile import pep508

        parsed = filter(None, map(pep508.parse, self.packages))
        return tuple(requirement.name for requirement in parsed if not requirement.marker)

    def told(self) -> str:
        """The packages in words."""
        return f"{counted(len(self.packages), 'Python package')} for Python {self.version}"


def check(document: Document) -> None:
    """Report a version that does not exist, and what is no requirement, has an address, or stands twice."""
    from solven_env.documents.schema import inline

    section = document.data.get(NAME) or {}
    version = section.get("version", DEFAULT_VERSION)
    if int(version.partition(".")[2]) > int(NEWEST.partition(".")[2]):
        message = f"there is no Python {version}: this solven-env knows versions up to {NEWEST}"
        fix = f"Write, for example, {inline(DEFAULT_VERSION)}."
        document.report("SE603", document.at_value(NAME, "version"), message, fix)
    _check_packages(document, (NAME, "packages"), section.get("packages", ()))
    for name, group in section.get("groups", {}).items():
        _check_packages(document, (NAME, "groups", name, "packages"), group.get("packages", ()))
    document.report_twice((NAME, "allow_builds"), section.get("allow_builds", ()), canonical)
    _check_indexes(document, section.get("indexes", ()))


def _check_packages(document: Document, path: KeyPath, written: Sequence[str | None]) -> None:
    """Report what is no requirement, has an address, or stands twice in a list."""
    from solven_env.documents.diagnostics import quoted
    from solven_env.profile import pep508

    seen: set[pep508.Requirement] = set()
    for index, asked in enumerate(written):
        if asked is None:
            continue
        where = document.at_value(*path, index)
        requirement = pep508.parse(asked)
        if requirement is None:
            message = f"{quoted(asked)} is not a requirement as PEP 508 writes it"
            document.report("SE601", where, message, "Write, for example, httpx>=0.27.")
            continue
        name = requirement.name
        if requirement.has_address:
            fix = "Write its name and a range of versions."
            document.report("SE602", where, f"'{name}' is given by its address", fix)
        elif requirement in seen:  # of two that differ, both hold: `pep508.united`
            document.report("SE111", where, f"'{name}' stands here twice", "Keep one of the two.")
        seen.add(requirement)


def _check_indexes(document: Document, written: Sequence[str | Mapping[str, Any] | None]) -> None:
    """Report an index or a package that stands twice, and a second index in the default one's place."""
    names, packages, default = set[str](), dict[str, str](), ""
    for number, entry in enumerate(written):
        if entry is None:
            continue
        path = (NAME, "indexes", number)
        index = _index(entry)
        where = document.at_value(*path) if isinstance(entry, str) else document.at_value(*path, "name")
        if index.name in names:
            document.report("SE111", where, f"the index '{index.name}' stands here twice", "Keep one of the two.")
        elif isinstance(entry, str) and default:
            message = f"'{default}' has the default index's place already, and '{index.name}' cannot have it too"
            document.report("SE604", where, message, f"Write '{{name: {index.name}, packages: […]}}'.")
        names |= {index.name} - {""}
        default = default or (entry if isinstance(entry, str) else "")
        for position, package in enumerate([] if isinstance(entry, str) else entry.get("packages", [])):
            if package is None:
                continue
            name, place = canonical(package), document.at_value(*path, "packages", position)
            if name in packages:
                there = "here twice" if packages[name] == index.name else f"at the index '{packages[name]}' too"
                document.report("SE605", place, f"the package '{name}' stands {there}", "Keep one of the two.")
            packages.setdefault(name, index.name)


def read(document: Document, is_on: Callable[[object], bool]) -> Python | None:
    """The section of a profile with the groups that are on, the requirements of one package united."""
    from solven_env.profile import pep508

    written = document.data.get(NAME)
    if written is None:
        # a section that was taken out is no missing one: what refers to it is not wrong
        return Python(DEFAULT_VERSION) if (NAME,) in document.taken_out else None
    named = {"": written, **{name: group for name, group in written.get("groups", {}).items() if is_on(group)}}
    groups = [PackageGroup(name, tuple(filter(None, group.get("packages", ())))) for name, group in named.items()]
    return Python(
        written.get("version", DEFAULT_VERSION),
        pep508.united(package for group in groups for package in group.packages),
        tuple(map(canonical, filter(None, written.get("allow_builds", ())))),
        tuple(map(_index, filter(None, written.get("indexes", ())))),
        tuple(groups) if written.get("groups") else (),
    )


def part(section: Python, lock: bytes) -> tuple[Python, bytes]:
    """The section without its groups, and the pins that these need, as if nothing else had been locked."""
    files = lock_text.split(LOCKS, lock) if section.groups else {}
    if GROUPS in files:
        from solven_env.packages.ecosystems.python import builds_txt, groups_txt, requirements_txt

        found = locked(lock, LOCK)
        pins = groups_txt.part(found.groups, found.pins, {group.name for group in section.groups})
        there = {(pin.name, pin.version) for pin in pins}
        built = builds_txt.print_sections(each for each in found.builds if (each.name, each.version) in there)
        comments = files[LOCK].split(b"\n", 1)[0] + b"\n" if files[LOCK].startswith(b"#") else b""
        texts = {LOCK: comments + requirements_txt.print_pins(pins).encode(), BUILDS: built.encode()}
        lock = lock_text.join(LOCKS, {name: text for name, text in texts.items() if text})
    return section._replace(groups=()), lock


def _index(written: str | Mapping[str, Any]) -> Index:
    if isinstance(written, str):
        return Index(written)
    return Index(written.get("name", ""), tuple(map(canonical, filter(None, written.get("packages", ())))))


def section(recorded: Mapping[str, Any]) -> Python:
    """The section as a record has it."""
    return Python(
        recorded["version"],
        tuple(recorded["packages"]),
        tuple(recorded.get("allow_builds", ())),
        tuple(Index(index["name"], tuple(index["packages"])) for index in recorded.get("indexes", ())),
    )


class Locked(NamedTuple):
    """A parsed lock: the pins of python.txt, and the sections of builds.txt and groups.txt."""

    pins: tuple[Pin, ...]
    builds: tuple[builds_txt.BuildPins, ...] = ()
    groups: tuple[groups_txt.GroupPins, ...] = ()


def locked(text: bytes, file: str, *, fix: str = "") -> Locked:
    """The text of a lock, parsed. LockError at `file:line` for what the grammars have not.

    `file` is that of python.txt, which the others lie beside, or has another name: then it holds the whole text.
    """
    # 3 ms: a run believes no lock, its build is there
    from solven_env.packages.ecosystems.python import builds_txt, groups_txt, requirements_txt

    parts = lock_text.split(LOCKS, text)
    found = Locked(requirements_txt.parse(parts[LOCK], file, fix=fix))
    if BUILDS in parts:
        where, before = place(BUILDS, file), _lines_before(BUILDS, parts, file)
        found = found._replace(builds=builds_txt.parse(parts[BUILDS], where, fix=fix, before=before))
    if GROUPS in parts:
        where, before = place(GROUPS, file), _lines_before(GROUPS, parts, file)
        found = found._replace(groups=groups_txt.parse(parts[GROUPS], where, fix=fix, before=before))
    return found


def _lines_before(name: str, parts: Mapping[str, bytes], file: str) -> int:
    """The lines that stand in one text before this file of the lock; none where it is a file of its own."""
    earlier = (parts[each] for each in LOCKS[: LOCKS.index(name)] if each in parts)
    return sum(text.count(b"\n") + 1 for text in earlier) if place(name, file) == file else 0


def place(name: str, file: str) -> str:
    """The file that a further file of the lock is in, where python.txt is in `file`: beside it, or the same one."""
    return posixpath.join(posixpath.dirname(file), name) if posixpath.basename(file) == LOCK else file


def bound(section: Python, builder: Builder) -> Builder:
    """The builder whose host asks the section's indexes. BuildError where the host's configuration lacks one."""
    from solven_env.packages.named_sources import Bindings

    default = next((index.name for index in section.indexes if not index.packages), "")
    packages = {package: index.name for index in section.indexes for package in index.packages}
    return builder._replace(host=builder.host.bound(Bindings(default, packages)))


def believe(text: bytes, section: Python, file: str, *, fix: str = "") -> Locked:
    """The parsed lock. LockError at `file:line` for what its grammars have not, or where it lacks a package."""
    from solven_env.packages.ecosystems.python import builds_txt, groups_txt, pins

    found = locked(text, file, fix=fix)
    pins.check(found.pins, section, file, fix=fix)
    builds_txt.check(found.builds, found.pins, section.allow_builds, place(BUILDS, file), fix=fix)
    groups_txt.check(found.groups, found.pins, [group.name for group in section.groups], place(GROUPS, file), fix=fix)
    return found


def pinned(lock: bytes) -> Iterable[tuple[str, str]]:
    """Each pin's name and version."""
    return [(pin.name, pin.version) for pin in locked(lock, LOCK).pins]


def further_pins(lock: bytes) -> Mapping[str, Iterable[tuple[str, str]]]:
    """The pins of builds.txt: `langdetect/setuptools` for what the build of langdetect needs."""
    sections = locked(lock, LOCK).builds
    return {BUILDS: [(f"{each.name}/{pin.name}", pin.version) for each in sections for pin in each.pins]}


def names_in(lock: bytes) -> Collection[str]:
    """The names of the pins."""
    return {name for name, _ in pinned(lock)}


def canonical(name: str) -> str:
    """The canonical name (PEP 503)."""
    from solven_env.profile import pep508

    return pep508.canonical(name)


def check_known(text: bytes, host: Toolchain) -> object:  # noqa: ARG001 - digests are the index's, and none of these is kept
    """The pins of a lock, by the grammar."""
    return locked(text, LOCK)


def resolve(section: Python, known: bytes, builder: Builder) -> Resolution:
    """The text of python.txt and builds.txt; see `pip_compile`."""
    from solven_env.packages.ecosystems.python import indexes, pip_compile
    from solven_env.packages.locks import UNNEEDED, Remark

    found = pip_compile.resolve(section, known, builder)
    there = names_in(found.text)
    unneeded = (
        Remark(UNNEEDED, name, "", f"{name}: nothing needs it; python.allow_builds names it for nothing")
        for name in section.allow_builds
        if name not in there
    )
    return found._replace(remarks=(*found.remarks, *indexes.remarks(found.text, builder.host), *unneeded))


def released(section: Python, known: bytes, names: Collection[str], builder: Builder) -> bytes:  # noqa: ARG001
    """The lock without the pins of these packages: uv then takes the newest that fit among the others."""
    from solven_env.packages.ecosystems.python import requirements_txt

    files = lock_text.split(LOCKS, known)
    pins = [pin for pin in requirements_txt.parse(files[LOCK], LOCK) if pin.name not in names]
    return lock_text.join(LOCKS, {**files, LOCK: requirements_txt.print_pins(pins).encode()})


def newest(section: Python, lock: bytes, builder: Builder) -> list[NewestVersion]:
    """The packages that the profile's requirements hold below the newest version; see `newest_versions`."""
    from solven_env.packages.ecosystems.python import newest_versions

    return newest_versions.held(section, locked(lock, LOCK).pins, builder.host)


def compare(section: Python, lock: bytes, builder: Builder, file: str, *, fix: str) -> None:
    """LockError at the first pin that the index's resolution has not, has otherwise or has besides."""
    from solven_env.packages.ecosystems.python import builds_txt, groups_txt, pins, pip_compile

    found, resolved = locked(lock, file), locked(pip_compile.resolve_text(section, lock, builder)[0], LOCK)
    pins.compare(found.pins, resolved.pins, file, fix=fix)
    builds_txt.compare(found.builds, resolved.builds, place(BUILDS, file), fix=fix)
    groups_txt.compare(found.groups, resolved.groups, place(GROUPS, file), fix=fix)


def known_key(section: Python, lock: bytes | None, cache: Path, uid: int | None) -> str | None:
    """The key of the build; None where no interpreter was found yet that it could be for."""
    interpreter = recall(section.version, cache)
    from solven_env.packages import store  # here, as in all that a profile alone has no use for

    return store.key(NAME, key_inputs(section, lock, interpreter, uid)) if interpreter else None


def key_inputs(section: Python, lock: bytes | None, interpreter: Interpreter, uid: int | None) -> dict[str, object]:
    """Everything that determines the bytes of the build as `lock` pins it; None stands for no packages."""
    return {
        **section._replace(groups=()).asked(),
        "lock": lock_text.digest(pip_pin.alone() if lock is None else lock),
        "interpreter": interpreter._asdict(),
        "uv": uv().version,
        "uid": uid,
        "recipe": _RECIPE,
    }


def install(section: Python, lock: bytes | None, builder: Builder) -> Build:
    """The build; see `virtual_environment`."""
    from solven_env.packages.ecosystems.python import virtual_environment

    return virtual_environment.build(section, lock, builder)


def remarks(build: Build) -> tuple[Remark, ...]:  # noqa: ARG001
    """None: nothing of a package is left undone in a build."""
    return ()


def workspace_lock(lock: bytes, build: Build | None) -> bytes | None:  # noqa: ARG001 - python.txt is none of uv's own
    """The `uv.lock` that the build brings."""
    from solven_env.packages import store

    return store.file_beside(build, WORKSPACE_LOCK) if build is not None else None


def is_readable(lock: bytes) -> bool:
    """True for a uv.lock; see `uv_lock`."""
    from solven_env.packages.ecosystems.python import uv_lock

    return uv_lock.is_readable(lock)


def is_behind(manifest: bytes, lock: bytes | None) -> bool:
    """True if a uv.lock says other requirements than its pyproject.toml; see `uv_lock`."""
    from solven_env.packages.ecosystems.python import uv_lock

    return uv_lock.is_behind(manifest, lock)


def beginning(lock: bytes, agents: bytes) -> bytes:
    """The uv.lock of a build, with the versions of the agent's further packages; see `uv_lock`."""
    from solven_env.packages.ecosystems.python import uv_lock

    return uv_lock.beginning(lock, agents)


def asked_in(manifest: bytes) -> Mapping[str, str]:
    """The requirements of a pyproject.toml, of its groups too, by name."""
    from solven_env.packages.ecosystems.python import uv_lock

    return uv_lock.asked_in(manifest)


def drafted(manifest: bytes) -> tuple[Mapping[str, Any], Sequence[str]]:
    """The section with the dependencies of a pyproject.toml; see `requested`."""
    from solven_env.packages.ecosystems.python import requested

    return requested.drafted(manifest)


def origin(root: Root, package: Installed) -> Origin:
    """The origin of a package, by its dist-info; see `requested`."""
    from solven_env.packages.ecosystems.python import requested

    return requested.origin(root, package)


def asking(name: str, version: str, words: str = "") -> str | None:
    """The requirement, `rich>=14.1.0`; see `requested`."""
    from solven_env.packages.ecosystems.python import requested

    return requested.asking(name, version, words)


def request(words: str) -> RequestedPackage:
    """The package that `httpx>=0.27` means; see `requested`."""
    from solven_env.packages.ecosystems.python import requested

    return requested.request(words)


def accepts(section: Python, name: str, version: str) -> bool | None:
    """True if the requirement of that package accepts the version; see `requested`."""
    from solven_env.packages.ecosystems.python import requested

    return requested.accepts(section, name, version)


def preferring(section: Python, known: bytes, versions: Mapping[str, str], builder: Builder) -> bytes:  # noqa: ARG001
    """The lock that is known, with pins of these versions; see `requested`."""
    from solven_env.packages.ecosystems.python import requested

    return requested.preferring(known, versions)


def recorded_files(root: Root) -> Iterator[tuple[str, bytes, int]]:
    """The files that the RECORDs of the installed wheels have a digest for."""
    from solven_env.packages.ecosystems.python import wheel_records

    return wheel_records.files(root)


def tops(section: Python) -> tuple[str, ...]:
    """The directory of packages: lib/python3.12/site-packages."""
    return (f"lib/python{section.version}/site-packages",)


def watched(root: Root) -> Sequence[str]:
    """The directories of packages: each package adds an entry to one."""
    from solven_env.packages.ecosystems.python import wheel_records

    return wheel_records.sites(root)


def installed(root: Root, limit: int) -> tuple[Sequence[Installed], bool]:
    """The packages that have metadata; see `wheel_records`."""
    from solven_env.packages.ecosystems.python import wheel_records

    return wheel_records.installed(root, limit)


def carry(root: Root, package: Installed) -> Sequence[str] | None:
    """The paths that the RECORD of a package names; see `wheel_records`."""
    from solven_env.packages.ecosystems.python import wheel_records

    return wheel_records.parts(root, package)


def installing(packages: Mapping[str, str]) -> tuple[str, ...]:
    """The command of uv.

    >>> installing({"rich": "14.0.0"})
    ('uv', 'pip', 'install', '--no-deps', 'rich==14.0.0')
    """
    return ("uv", "pip", "install", "--no-deps", *(f"{name}=={version}" for name, version in packages.items()))


def adding(packages: Mapping[str, str]) -> tuple[str, ...]:
    """The same command."""
    return installing(packages)


@functools.lru_cache(maxsize=16)
def sandbox_tools(interpreter: Interpreter | None) -> host_tools.Tools:
    """uv, which every sandbox has, and an interpreter where there is one, with its names and those of pip.

    The names are scripts, not links: by a link `python -m venv` would make environments that do not start (an
    interpreter of python-build-standalone finds its library beside its own name), or that name another directory than
    uv's. uv looks for interpreters by these names on PATH, and passes those of virtual environments.
    """
    program = host_tools.Tools(
        mounts=(Bind(f"{host_tools.BIN}/uv", str(uv().path)),),
        files=(host_tools.script("uvx", f'exec {host_tools.BIN}/uv tool uvx "$@"'),),
        variables=_VARIABLES,
    )
    if interpreter is None:
        return program
    minor = ".".join(interpreter.version.split(".")[:2])
    start = f'exec {INTERPRETER}/bin/python{minor} "$@"'
    names = {**dict.fromkeys(("python", "python3", f"python{minor}"), start), **dict.fromkeys(("pip", "pip3"), _PIP)}
    found = program._replace(files=(*program.files, *(host_tools.script(*each) for each in names.items())))
    if interpreter.is_movable:
        return found._replace(mounts=(*found.mounts, Bind(INTERPRETER, interpreter.prefix)))
    return found._replace(links=(StagedLink(INTERPRETER, interpreter.prefix),), places=(interpreter.prefix,))


def executable(version: str) -> str:
    """The interpreter inside, by its version, whole or not.

    >>> executable("3.12.1")
    '/run/solven-env/python/bin/python3.12'
    """
    return f"{INTERPRETER}/bin/python{'.'.join(version.split('.')[:2])}"


def tools(section: Python | None, host: Toolchain) -> host_tools.Tools:
    """uv and the interpreter, found or fetched."""
    from solven_env.packages.ecosystems.python.interpreters import find_python

    return sandbox_tools(find_python(section.version, host) if section else None)


def known_tools(section: Python | None, cache: Path) -> host_tools.Tools:
    """uv and the interpreter that was found last."""
    return sandbox_tools(recall(section.version, cache) if section else None)


def host_files(section: Python | None, cache: Path) -> tuple[Path, ...]:
    """uv, the interpreter that was found last, and what is remembered of it."""
    return (uv().path, *(files(section.version, cache) if section else ()))
