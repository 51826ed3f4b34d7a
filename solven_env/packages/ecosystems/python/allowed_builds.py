"""The packages that a profile allows to be built from their source: resolved into its lock, and built into wheels.

Resolving runs no code of theirs on the host. uv is told that they need nothing; then the versions that came out are
fetched, say in a walled place what they really need, and all is resolved again, until nothing new comes out.

A wheel that was built is kept beside those that were fetched, and shared by all builds of this host:

    <cache>/wheels/<key>/<name>-<version>-py3-none-any.whl

Its key names the sdist's digests, the interpreter, the platform, and the pins that its build needs. The answers of
an sdist are kept by such a key too, so that no later lock asks it again:

    <cache>/answers/<key>.json
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import zipfile
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from packaging import tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from solven_env.errors import BuildError, SandboxError
from solven_env.packages import builds, host_tools
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import (
    archives,
    build_system,
    builds_txt,
    pip_compile,
    requirements_txt,
    sdists,
    walled_builds,
    wheels,
)
from solven_env.packages.ecosystems.python import pins as python_pins
from solven_env.packages.ecosystems.python.interpreters import find_python
from solven_env.packages.ecosystems.python.pip_compile import Declared
from solven_env.packages.resolving import directory_away, told_of
from solven_env.packages.steps import within
from solven_env.profile import pep508
from solven_env.system.publishing import locked, publish_file, refusals_told, staged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from packaging.tags import Tag

    from solven_env.packages.ecosystems.python.builds_txt import BuildPins
    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.ecosystems.python.walled_builds import WalledBuild
    from solven_env.packages.making import Builder

_ROUNDS = 10
_RECIPE = 1
"""The version of how a wheel is built, part of its key."""
_RECORDS = ("RECORD", "RECORD.jws", "RECORD.p7s")


class _Answers(NamedTuple):
    """Answers of an sdist: METADATA, and what its build asks for besides. `pins` are all that its build then had."""

    requires: tuple[str, ...]
    pins: str
    metadata: str


class _Means(NamedTuple):
    """Everything that every build of one Python needs. `stage` is a directory for what is made meanwhile."""

    interpreter: Interpreter
    tools: host_tools.Tools
    builder: Builder
    stage: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of markers."""
        return pep508.environment(self.interpreter.version)


def resolve(
    section: row.Python, before: row.Locked, builder: Builder, limits: Sequence[str] = ()
) -> tuple[dict[str, bytes], tuple[Declared, ...]]:
    """The files of the lock of a profile that allows builds, and what was learned of these.

    Versions of the lock `before` stay where they fit, under the constraints `limits`.

    BuildError where an sdist cannot be fetched, does not say what it needs, or needs what has no wheel.
    """
    host = builder.host
    interpreter = find_python(section.version, host)
    _refuse_without_walls(builder)
    able = builds.with_program(builder, host.config, host.given)
    known = {(each.name, each.version): each.pins for each in before.builds}
    learned: dict[tuple[str, str], tuple[Declared, BuildPins]] = {}
    with directory_away(host.cache) as stage:
        means = _Means(interpreter, _tools(interpreter, able), able, stage)
        for _ in range(_ROUNDS):
            unknown = [Declared(name, "") for name in section.allow_builds]
            told = [*unknown, *(declared for declared, _ in learned.values())]
            text = pip_compile.compile_profile(section, before.pins, host, told, limits)
            with told_of("uv", pip_compile.FIX):
                pins = requirements_txt.parse(text, row.LOCK)
            built = {(pin.name, pin.version): pin for pin in pins if pin.name in section.allow_builds}
            new = {key: pin for key, pin in built.items() if key not in learned}
            if not new:
                texts = builds_txt.print_sections(learned[key][1] for key in built)
                files = {row.LOCK: text, **({row.BUILDS: texts.encode()} if texts else {})}
                return files, tuple(learned[key][0] for key in built)
            found = sdists.obtain([*new.values()], interpreter, able, stage)
            for key, pin in new.items():
                learned[key] = _learn(pin, found[pin], known.get(key, ()), section.version, means)
    raise BuildError(
        f"the versions of the packages that are built still change after {_ROUNDS} resolutions",
        fix="Ask for exact versions of the packages in python.allow_builds.",
    )


def _learn(pin: Pin, sdist: Path, known: Sequence[Pin], version: str, means: _Means) -> tuple[Declared, BuildPins]:
    """The needs of an sdist, to run and to be built, as it says them itself in a walled place, or said them before."""
    what = f"{pin.name} {pin.version}"
    static = walled_builds.build_system_of(pin, sdist).requires
    first = _compile(what, static, known, version, means)
    preferred = (*first, *(each for each in known if each.name not in {other.name for other in first}))

    def further(more: Sequence[str]) -> tuple[Pin, ...]:
        return _compile(what, (*static, *more), preferred, version, means) if more else first

    place = means.builder.host.cache / "answers" / f"{_key(pin, first, means.interpreter)}.json"
    answers = _kept_answers(place)
    pins = further(answers.requires) if answers else ()
    if answers is None or requirements_txt.print_pins(pins) != answers.pins:
        within(means.builder.host.progress, f"asking the source of {what} what it needs")
        with walled_builds.begin(pin, sdist, *means) as build:
            installed = _install(build, first, means)
            more = build.requires()
            pins = further(more)
            _install(build, [each for each in pins if each not in installed], means)
            answers = _Answers(more, requirements_txt.print_pins(pins), build.metadata().decode(errors="replace"))
        publish_file(place, json.dumps(answers._asdict()).encode(), mode=0o600)
    declared = build_system.declared(answers.metadata.encode(), pin.name, pin.version)
    return declared, builds_txt.BuildPins(pin.name, pin.version, tuple(pins), 0)


def _kept_answers(place: Path) -> _Answers | None:
    """The answers that were kept; None for none, and for a file that a power cut left without its end."""
    try:
        found = _Answers(**json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return found._replace(requires=tuple(found.requires))


def _compile(
    what: str, requirements: Sequence[str], known: Sequence[Pin], version: str, means: _Means
) -> tuple[Pin, ...]:
    """The pins of what a build needs, for every platform."""
    if not requirements:
        return ()
    fix = f"What a build needs comes as wheels only: ask for another version of {what.split()[0]}."
    text = pip_compile.compile_pins(
        requirements,
        version,
        known,
        means.builder.host,
        purpose=f"what the build of {what} needs cannot be locked",
        fix=fix,
    )
    with told_of("uv", fix):
        return requirements_txt.parse(text, row.BUILDS) if text.strip() else ()


def _install(build: WalledBuild, pins: Sequence[Pin], means: _Means) -> tuple[Pin, ...]:
    """Fetch the wheels of pins, as far as they apply here, and install them where an sdist is built."""
    applicable = python_pins.applicable(pins, means.environment, row.BUILDS)
    if applicable:
        build.install(wheels.obtain(applicable, means.interpreter, means.tools, means.builder, means.stage))
    return applicable


def obtain(
    pins: Sequence[Pin],
    sections: Sequence[BuildPins],
    interpreter: Interpreter,
    builder: Builder,
    stage: Path,
    file: str,
    *,
    fix: str,
) -> dict[Pin, Path]:
    """The wheel of each pin in our store; those that are missing are built, from sdists that are fetched if missing.

    BuildError with the last lines of a build that failed; LockError at `file:line` where builds.txt pins what no build
    asks for, or lacks something that one asks for.
    """
    _refuse_without_walls(builder)
    means = _Means(interpreter, _tools(interpreter, builder), builder, stage)
    needed = {(section.name, section.version): section for section in sections}
    found = {}
    for pin in pins:
        section = needed[pin.name, pin.version]
        place = builder.host.cache / "wheels" / _key(pin, section.pins, interpreter)
        if wheels.kept(place) is None:
            _build(pin, section, place, means, file, fix)
        wheel = wheels.kept(place)
        assert wheel is not None
        found[pin] = wheel
    return found


def _refuse_without_walls(builder: Builder) -> None:
    """SandboxError where the backend would let what builds reach a network: it isolates nothing else either."""
    given = builder.backend.network("none")
    if given != "none":
        raise SandboxError(
            f"the backend {builder.backend.NAME} gives packages that are built the network {given}",
            fix="Use the backend bubblewrap, or take the packages out of python.allow_builds.",
        )


def declared(section: row.Python, found: Mapping[Pin, Path]) -> tuple[Declared, ...]:
    """The metadata that uv is given of the allowed packages, whose wheels were `found` for this host."""
    unknown = (Declared(name, "") for name in section.allow_builds)
    known = (build_system.declared(wheels.metadata_of(wheel), pin.name, pin.version) for pin, wheel in found.items())
    return (*unknown, *known)


def _tools(interpreter: Interpreter, builder: Builder) -> host_tools.Tools:
    return host_tools.joined((row.sandbox_tools(interpreter), host_tools.trusting(builder.host.certificates)))


def _key(pin: Pin, needed: Sequence[Pin], interpreter: Interpreter) -> str:
    """The name of what an sdist gives on this host, where its build has the pins that are `needed`."""
    return wheels.key(pin, interpreter, requirements=requirements_txt.print_pins(needed), recipe=_RECIPE)


def _build(pin: Pin, section: BuildPins, place: Path, means: _Means, file: str, fix: str) -> None:
    """Build one wheel into the store. Nothing of a requirement runs that this very build does not ask for."""
    what = f"the build of {pin.name} {pin.version}"
    sdist = sdists.obtain([pin], means.interpreter, means.builder, means.stage)[pin]
    applicable = python_pins.applicable(section.pins, means.environment, file, fix=fix)
    found = wheels.obtain(applicable, means.interpreter, means.tools, means.builder, means.stage) if applicable else {}
    metadata = {(each.name, each.version): wheels.requirements_of(wheel) for each, wheel in found.items()}

    def asked(requirements: Sequence[str]) -> frozenset[str]:
        return python_pins.reached(applicable, requirements, metadata, means.environment)

    within(means.builder.host.progress, f"building {pin.name} {pin.version}")
    with walled_builds.begin(pin, sdist, *means) as build:
        first = asked(build.system.requires)
        build.install({each: wheel for each, wheel in found.items() if each.name in first})
        requirements = (*build.system.requires, *build.requires())
        version, line = means.interpreter.version, section.line
        python_pins.refuse_lacking(applicable, requirements, version, what, file, line=line, fix=fix)
        python_pins.refuse_unreached(applicable, asked(requirements), file, fix=fix)
        build.install({each: wheel for each, wheel in found.items() if each.name not in first})
        with build.wheel() as (name, wheel):
            _keep(pin, name, wheel, place, means.interpreter)


def _keep(pin: Pin, name: str, wheel: IO[bytes], place: Path, interpreter: Interpreter) -> None:
    """Check a wheel that was built, and pack it into the store with a RECORD of our own."""
    what = f"the wheel that was built of {pin.name} {pin.version}"
    try:
        named, version, _, fits = parse_wheel_filename(name)
    except InvalidWheelFilename:
        raise BuildError(f"{what} has a name that no wheel has: {name[:200]!r}") from None
    if (named, version) != (pin.name, Version(pin.version)):
        raise BuildError(f"{what} is another one: {name[:200]!r}")
    if fits.isdisjoint(_supported(interpreter)):
        raise BuildError(f"{what} is not for this interpreter and machine: {name[:200]!r}")
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = _info(archive, what)
            build_system.declared(archive.read(f"{info}/METADATA"), pin.name, pin.version)
            stem = info.removesuffix(".dist-info")
            with locked(place.parent, place.name):
                if wheels.kept(place) is None:
                    shutil.rmtree(place, ignore_errors=True)
                    with staged(place) as stage, refusals_told(place):
                        _pack(archive, info, what, stage / f"{stem}-py3-none-any.whl")
    except archives.BROKEN as error:
        raise BuildError(f"{what} cannot be read: {error}") from None


def _supported(interpreter: Interpreter) -> frozenset[Tag]:
    """The tags of wheels that fit the interpreter on this machine."""
    major, minor = map(int, interpreter.version.split(".")[:2])
    platforms = [*tags.platform_tags()]
    own = tags.cpython_tags((major, minor), platforms=platforms)
    return frozenset((*own, *tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)))


def _info(archive: zipfile.ZipFile, what: str) -> str:
    """The one `.dist-info` of a wheel, by its name."""
    tops = {path.partition("/")[0] for path in archive.namelist() if path.count("/")}
    infos = [name for name in tops if wheels.INFO.fullmatch(name)]
    if len(infos) != 1 or f"{infos[0]}/METADATA" not in archive.namelist():
        raise BuildError(f"{what} does not say what it is: it has no METADATA that can be read")
    if archive.getinfo(f"{infos[0]}/METADATA").file_size > walled_builds.LARGEST:
        raise BuildError(f"{what} has a METADATA that is too large")
    return infos[0]


def _pack(archive: zipfile.ZipFile, info: str, what: str, target: Path) -> None:
    """Pack the files of a wheel with a RECORD of what they are: the one in it is a stranger's."""
    lines = []
    for file in archives.of_wheel(archive, what):
        if not _is_record(file.path, info):
            digest = base64.urlsafe_b64encode(_sha256(file.content)).rstrip(b"=").decode()
            path = f'"{file.path}"' if "," in file.path else file.path
            lines.append(f"{path},sha256={digest},{file.size}\n")
    record = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    files = (file for file in archives.of_wheel(archive, what) if not _is_record(file.path, info))
    archives.pack(chain(files, [archives.Packed(f"{info}/RECORD", io.BytesIO(record), len(record), False)]), target)


def _sha256(content: IO[bytes]) -> bytes:
    made = hashlib.sha256()
    with content:
        while piece := content.read(1 << 20):
            made.update(piece)
    return made.digest()


def _is_record(path: str, info: str) -> bool:
    return path in {f"{info}/{name}" for name in _RECORDS}
