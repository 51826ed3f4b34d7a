"""Bytecode of a wheel, made once and kept in its archive: a second build that shares it compiles nothing of it.

A large wheel is compiled in a walled place of its own, which has its sources and nothing else: what compiled several
packages could have let one of them say what the bytecode of another does. A small one costs less than such a place;
each build compiles those by itself.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from solven_env.packages import host_tools, making
from solven_env.packages.ecosystems import python as row
from solven_env.packages.ecosystems.python import archives, compiling
from solven_env.sandbox.launch_plan import StagedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from solven_env.packages.ecosystems.python.archives import Packed
    from solven_env.packages.ecosystems.python.remembered import Interpreter
    from solven_env.packages.making import Builder

PROGRAM = f"{host_tools.RUN}/compiling.py"
_SOURCES = f"{host_tools.RUN}/sources"
_SMALL = 512 << 10
"""Bytes of sources whose compilation takes about as long as the start of a place."""
_LARGEST = 16 << 20
"""Bytes of one source. (The largest one of a thousand popular packages has 8 MiB.)"""
# What is beneath NAME.data/purelib and /platlib is installed beside the rest, what is beneath the others elsewhere.
_INSTALLED = re.compile(r"(?:[^/]+\.data/(?:purelib|platlib)/)?(?![^/]+\.data/)(.+\.py)")
_OPTIONS = ("-I", "-S", "-W", "ignore")
_TOLD = {"purpose": "the Python packages cannot be compiled", "fix": "Lock again, or ask `doctor`."}


class WheelSources:
    """The sources of a wheel, noted while it is packed."""

    def __init__(self, file: Path, interpreter: Interpreter) -> None:
        """They are written to `file`, which is made, for the places of an interpreter."""
        self.file = file
        self.paths: list[str] = []
        self.size = 0
        self._minor = interpreter.version.split(".")[1]

    def noted(self, files: Iterable[Packed]) -> Iterator[Packed]:
        """The files of a wheel, but for bytecode that it brings: it has ours."""
        site = f"{row.TARGET}/lib/python3.{self._minor}/site-packages"
        with self.file.open("xb") as target:
            for each in files:
                installed = _INSTALLED.fullmatch(each.path)
                if installed is not None and each.size <= _LARGEST:
                    with each.content as content:
                        source = content.read()
                    self.paths.append(each.path)
                    self.size += len(source)
                    target.write(compiling.record(f"{site}/{installed[1]}", source))
                    yield each._replace(content=io.BytesIO(source), size=len(source))
                elif "__pycache__/" in each.path and each.path.endswith(".pyc"):
                    each.content.close()
                else:
                    yield each
            os.fchmod(target.fileno(), 0o644)

    def bytecode_path(self, path: str) -> str:
        """The path in the wheel of a source's bytecode."""
        directory, name = posixpath.split(path)
        return posixpath.join(directory, "__pycache__", f"{name.removesuffix('.py')}.cpython-3{self._minor}.pyc")


def tools(given: host_tools.Tools) -> host_tools.Tools:
    """The tools of a place that compiles."""
    program = StagedFile(PROGRAM, Path(compiling.__file__).read_bytes())
    return host_tools.joined((given, host_tools.Tools(files=(program,))))


def compile_tree(place: making.BuildSandbox, executable: str, lib: str) -> None:
    """Give all sources beneath a directory of a place their time, and those bytecode that have none."""
    place.run(executable, *_OPTIONS, PROGRAM, "tree", lib, **_TOLD)


def compiled(
    sources: WheelSources, interpreter: Interpreter, given: host_tools.Tools, builder: Builder, stage: Path
) -> Iterator[Packed]:
    """The bytecode of the sources, compiled in a place beneath `stage`; none of a small wheel."""
    if sources.size < _SMALL:
        return
    with making.make(builder, tools(given), stage, fetches=False, readable={_SOURCES: sources.file}) as place:
        place.run(row.executable(interpreter.version), *_OPTIONS, PROGRAM, "archive", _SOURCES, **_TOLD)
        with making.open_root(builder, place.workspace) as root:
            for number, path in enumerate(sources.paths):
                if root.stat(str(number)) is not None:
                    content = root.read(str(number), _LARGEST * 4)
                    yield archives.Packed(sources.bytecode_path(path), io.BytesIO(content), len(content), False)
