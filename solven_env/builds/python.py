"""The Python build: a virtual environment with a lock's packages, compiled, and the `uv.lock` that says the same."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from solven_env.builds import pip_pin, shape, store
from solven_env.builds.inside import Place, give
from solven_env.builds.interpreters import find_python
from solven_env.builds.tools import uv
from solven_env.builds.wanted import of_python
from solven_env.profile.sections import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.builds.inside import Builder
    from solven_env.builds.remembered import Interpreter
    from solven_env.profile.sections import Python

_TARGET = TARGETS["python"]
_PURPOSE = "the Python packages cannot be installed"
_FIX = "Let this host reach its package index, or lock again."
_CONSTRAINT = re.compile(r"^([A-Za-z0-9][^\s;]*==\S+(?: ; .*?)?) \\$", re.MULTILINE)


def build(python: Python, lock: bytes | None, builder: Builder) -> store.Build:
    """The build of a profile's `python` section as `lock` (python.txt) pins it; None stands for no packages.

    PlatformError without an interpreter, BuildError with uv's last lines.
    """
    interpreter = find_python(python.version, builder.host)
    wanted = of_python(python, lock, interpreter, builder.uid)

    def fill(stage: Path) -> None:
        _fill(stage, python, pip_pin.alone() if lock is None else lock, interpreter, builder)

    return store.obtain(builder.host.cache, wanted.key, wanted.inputs, fill)


def _fill(stage: Path, python: Python, lock: bytes, interpreter: Interpreter, builder: Builder) -> None:
    workspace = stage / "workspace"
    give(builder, stage / "tree", workspace)
    (workspace / "python.txt").write_bytes(lock)
    tools = shape.Tools(uv=uv().path, interpreter=interpreter, certificates=builder.host.certificates)
    place = Place(builder, tools, workspace, {_TARGET: stage / "tree"})
    program, options = f"{shape.BIN}/uv", ("--quiet", "--no-python-downloads", *builder.host.registries.options)
    executable = f"{shape.PYTHON}/bin/python{python.version}"
    place.run(
        program,
        "venv",
        "--quiet",
        "--allow-existing",
        "--no-project",
        "-p",
        executable,
        _TARGET,
        purpose=_PURPOSE,
        fix=_FIX,
    )
    place.run(
        *(program, "pip", "install", *options, "--python", f"{_TARGET}/bin/python", "--require-hashes", "--no-build"),
        *("--no-deps", "--compile-bytecode", "--link-mode", "copy", "-r", "/python.txt"),
        purpose=_PURPOSE,
        fix=_FIX,
    )
    if python.packages:
        _lock_project(place, python, lock, (program, "lock", *options, "--no-build", "-p", executable))
        shutil.move(workspace / "uv.lock", stage / "uv.lock")
    shutil.rmtree(workspace)


def _lock_project(place: Place, python: Python, lock: bytes, argv: tuple[str, ...]) -> None:
    """Make /uv.lock for the project that a workspace begins with: the versions of the lock, from this host's index.

    First with the lock's versions as constraints, then without: they are no part of the project, and uv keeps the
    versions that stand in a lock.
    """
    manifest = place.workspace / "pyproject.toml"
    for constraints in (constraints_of(lock), ()):
        manifest.write_text(_manifest(python, constraints))
        place.run(*argv, purpose="the workspace's uv.lock cannot be made", fix=_FIX)


def constraints_of(lock: bytes) -> tuple[str, ...]:
    """The pins of a python.txt, without their digests, as PEP 508 requirements."""
    return tuple(_CONSTRAINT.findall(lock.decode()))


def _manifest(python: Python, constraints: tuple[str, ...]) -> str:
    """pyproject.toml as the shipped pyproject.toml.j2 renders it.

    JSON's strings are TOML's, as far as requirements (PEP 508) go.
    """
    lines = [
        "[project]",
        'name = "workspace"',
        'version = "0.1.0"',
        f'requires-python = ">={python.version}"',
        f"dependencies = {json.dumps(list(python.packages))}",
    ]
    if constraints:
        lines += ["[tool.uv]", f"constraint-dependencies = {json.dumps(list(constraints))}"]
    return "\n".join(lines) + "\n"
