"""The Python build: a virtual environment with a lock's packages, compiled, and the `uv.lock` that says the same."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from solven_env.errors import counted
from solven_env.packages import host_tools, locks, making, store
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import indexes, pins, pip_compile, pip_pin, stand_in, wheels
from solven_env.packages.ecosystems.python.interpreters import find_python
from solven_env.packages.steps import watched, within
from solven_env.profile import pep508
from solven_env.system.at_once import at_once
from solven_env.system.durable import make_directory
from solven_env.system.publishing import refusals_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from solven_env.packages.ecosystems.python.pip_compile import Declared
    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.ecosystems.python.requirements_txt import Pin
    from solven_env.packages.making import Builder
    from solven_env.workspace.root import Root

_UV = f"{host_tools.BIN}/uv"
_WHEELS = f"{host_tools.RUN}/wheels"
_CACHE = ".solven-env-cache"
"""uv's cache while it installs, in the environment: on one mount with it, uv unpacks each wheel once, and links."""
# A file that does not compile is a package's own affair: some bring examples for other versions of Python.
_COMPILE = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2, workers=0)"


def build(section: row.Python, lock: bytes | None, builder: Builder) -> store.Build:
    """The build of a profile's `python` section as `lock` (python.txt) pins it; None stands for no packages.

    PlatformError without an interpreter, BuildError with uv's last lines, LockError where the lock holds what is no
    lock's or what nobody asked for.
    """
    interpreter = find_python(section.version, builder.host)
    inputs = row.key_inputs(section, lock, interpreter, builder.uid)

    def fill(stage: Path) -> None:
        _fill(stage, section, pip_pin.alone() if lock is None else lock, interpreter, builder)

    return store.obtain(builder.host.cache, store.key(row.NAME, inputs), inputs, fill)


def _fill(stage: Path, section: row.Python, lock: bytes, interpreter: Interpreter, builder: Builder) -> None:
    locked, sections, _ = row.locked(lock, row.LOCK, fix=locks.AGAIN)
    environment = pep508.environment(interpreter.version)
    applicable = pins.applicable(locked, environment, row.LOCK, fix=locks.AGAIN)
    tools = host_tools.joined((row.sandbox_tools(interpreter), host_tools.trusting(builder.host.certificates)))
    sdists = [pin for pin in applicable if pin.name in section.allow_builds]
    found: dict[Pin, Path] = {}

    def fetch() -> None:
        fetched = [pin for pin in applicable if pin not in sdists]
        found.update(wheels.obtain(fetched, interpreter, tools, builder, stage))

    def lock_project(tools: host_tools.Tools = tools, declared: Sequence[Declared] = ()) -> None:
        if section.packages:
            content = _lock_project(section, locked, tools, declared, builder, stage)
            (stage / row.WORKSPACE_LOCK).write_bytes(content)

    def build_sdists() -> None:
        from solven_env.packages.ecosystems.python import allowed_builds

        built = allowed_builds.obtain(sdists, sections, interpreter, builder, stage, row.BUILDS, fix=locks.AGAIN)
        found.update(built)
        lock_project(stand_in.tools(interpreter, builder, stage), allowed_builds.declared(section, built))

    at_once([fetch, build_sdists if section.allow_builds else lock_project])
    needed = {(pin.name, pin.version): wheels.requirements_of(wheel) for pin, wheel in found.items()}
    pins.refuse_unasked(locked, section.packages, needed, environment, row.LOCK, fix=locks.AGAIN)
    _install(section, found, tools, builder, stage)
    within(builder.host.progress, "writing the Python build to disk")


def _lock_project(
    section: row.Python,
    locked: Sequence[Pin],
    tools: host_tools.Tools,
    declared: Sequence[Declared],
    builder: Builder,
    stage: Path,
) -> bytes:
    """The uv.lock for the project that a workspace begins with: the versions of the lock, from this host's index.

    First with the lock's versions as constraints, then without: they are no part of the project, and uv keeps the
    versions that stand in a lock. Where there are `declared` sdists, `tools` have no interpreter that could build one.
    """
    names = {each.name for each in declared}
    sources = [f"--no-build-package={pin.name}" for pin in locked if pin.name not in names] if names else ["--no-build"]
    with making.make(builder, tools, stage, fetches=True) as place:
        pinned = [f"{pin.name}=={pin.version}" + (f" ; {pin.marker}" if pin.marker else "") for pin in locked]
        bound, tables = indexes.constraints(builder.host), tuple(indexes.tables(builder.host))
        tables += tuple(pip_compile.declared_to_uv(each, "tool.uv.") for each in declared)
        for constraints in ([*pinned, *bound], bound):
            place.write("pyproject.toml", _manifest(section, constraints, tables).encode())
            place.run(
                *(_UV, "lock", "--quiet", "--no-python-downloads", *builder.host.registries.options, *sources),
                *("-p", stand_in.PYTHON if names else row.executable(section.version)),
                purpose="the workspace's uv.lock cannot be made",
                fix="Let this host reach its package index, or lock again.",
            )
        return indexes.checked_lock(place.read(row.WORKSPACE_LOCK), builder.host)


def _install(
    section: row.Python, found: Mapping[Pin, Path], tools: host_tools.Tools, builder: Builder, stage: Path
) -> None:
    """Make the virtual environment, without network and credentials: what a wheel brings is on disk from here on.

    No code of a package runs all the same: uv starts the environment's Python before anything is in it, and what
    compiles is an interpreter that knows nothing of the environment (-I -S: none of its directories, no `.pth`).
    """
    tree, offered = stage / "tree", stage / "wheels"
    making.give(builder, tree)
    with refusals_told(offered):
        make_directory(offered)
        for wheel in found.values():
            (offered / wheel.name).hardlink_to(wheel)
    told = {"purpose": "the Python packages cannot be installed", "fix": "Lock again, or ask `doctor`."}
    progress, executable = builder.host.progress, row.executable(section.version)
    within(progress, f"installing {counted(len(found), 'Python package')}")
    writable, readable = {row.TARGET: tree}, {_WHEELS: offered}
    with making.make(builder, tools, stage, fetches=False, writable=writable, readable=readable) as place:
        place.write("names.txt", "".join(f"{pin.name}=={pin.version}\n" for pin in found).encode())
        for argv in (
            (_UV, "venv", "--quiet", "--allow-existing", "--no-project", "-p", executable, row.TARGET),
            (
                *(_UV, "pip", "install", "--quiet", "--offline", "--no-python-downloads", "-r", "/names.txt"),
                *("--python", f"{row.TARGET}/bin/python", "--no-index", "--find-links", _WHEELS, "--no-build"),
                *("--no-deps", "--no-compile-bytecode", "--link-mode", "hardlink"),
                *("--cache-dir", f"{row.TARGET}/{_CACHE}"),
            ),
        ):
            place.run(*argv, **told)
        with watched(progress, "compiling bytecode", lambda: _compiled(tree)):
            place.run(executable, "-I", "-S", "-c", _COMPILE, f"{row.TARGET}/lib", **told)
    for directory in (offered, tree / _CACHE):
        shutil.rmtree(directory)
    with making.open_root(builder, tree) as root:
        _keep_pip(root)
        _forget_times(root, f"lib/python{section.version}/site-packages")


def _compiled(tree: Path) -> str:
    """The number of files with bytecode, of all that can have some."""
    names = [name for _, _, files in os.walk(tree) for name in files]
    return f"{sum(name.endswith('.pyc') for name in names)} of {sum(name.endswith('.py') for name in names)} files"


def _keep_pip(root: Root) -> None:
    """Let uv sync leave pip, which is in no project: uv keeps it in environments that its --seed made.

    crates/uv-installer/src/plan.rs. --seed itself would take the newest pip, which no lock pins.
    """
    root.replace("pyvenv.cfg", root.read("pyvenv.cfg") + b"seed = true\n", 0o644)


def _forget_times(root: Root, site: str) -> None:
    """Take out what uv notes of each wheel that came as a file, its time: two builds of one lock would differ."""
    for name in root.list(site):
        noted = f"{name}/uv_cache.json"
        if root.stat(f"{site}/{noted}") is not None:
            record = f"{site}/{name}/RECORD"
            rows = root.read(record).splitlines(keepends=True)
            kept = b"".join(row for row in rows if not row.startswith(f"{noted},".encode()))
            root.replace(record, kept, 0o644)
            root.remove(f"{site}/{noted}")


def _manifest(section: row.Python, constraints: Sequence[str] = (), tables: Iterable[str] = ()) -> str:
    """pyproject.toml as the shipped pyproject.toml.j2 renders it, with constraints and further tables behind it.

    JSON's strings are TOML's, as far as requirements (PEP 508) go.
    """
    lines = [
        "[project]",
        'name = "workspace"',
        'version = "0.1.0"',
        f'requires-python = ">={section.version}"',
        f"dependencies = {json.dumps(list(section.packages))}",
    ]
    if constraints:
        lines += ["[tool.uv]", f"constraint-dependencies = {json.dumps(constraints)}"]
    return "\n".join((*lines, *tables)) + "\n"
