"""Bytecode that is kept with wheels: who has it, what it says, and that two builds share it."""

from __future__ import annotations

import io
import marshal
import os
import re
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from solven_env.config import Config
from solven_env.errors import BuildError
from solven_env.packages import builds, toolchain
from solven_env.packages.ecosystems.bun import Bun, locking
from solven_env.packages.ecosystems.python import Python, bytecode, compiling, pip_compile, virtual_environment
from solven_env.packages.ecosystems.python.archives import Packed
from solven_env.packages.ecosystems.python.remembered import Interpreter
from solven_env.packages.making import Builder, BuildSandbox
from solven_env.sandbox.backends import bubblewrap
from tests.packages.layered import UID
from tests.packages.registry import serve
from tests.sandbox.running import BWRAP

if TYPE_CHECKING:
    from pathlib import Path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = f"cpython-3{sys.version_info.minor}"
SITE = f"lib/python{VERSION}/site-packages"
INTERPRETER = Interpreter("", "", f"{VERSION}.1", "", "", is_movable=True, size=0, mtime_ns=0)


def _packed(path: str, content: bytes = b"A = 1") -> Packed:
    return Packed(path, io.BytesIO(content), len(content), is_executable=False)


def test_sources_are_noted_as_they_will_be_installed(tmp_path: Path) -> None:
    sources = bytecode.WheelSources(tmp_path / "sources", INTERPRETER)
    paths = [
        "one.py",
        "pack/two.py",
        f"pack/__pycache__/two.{TAG}.pyc",
        "pack/data.txt",
        "pack-1.0.data/purelib/three.py",
        "pack-1.0.data/scripts/four.py",
        "pack-1.0.dist-info/METADATA",
    ]
    packed = list(sources.noted(map(_packed, paths)))
    assert [each.path for each in packed] == [path for path in paths if not path.endswith(".pyc")]
    assert [each.content.read() for each in packed] == [b"A = 1"] * 6
    site = f"/.venv/{SITE}"
    assert [path for path, _ in compiling.records(sources.file.read_bytes())] == [
        f"{site}/one.py",
        f"{site}/pack/two.py",
        f"{site}/three.py",
    ]
    assert [sources.bytecode_path(path) for path in sources.paths] == [
        f"__pycache__/one.{TAG}.pyc",
        f"pack/__pycache__/two.{TAG}.pyc",
        f"pack-1.0.data/purelib/__pycache__/three.{TAG}.pyc",
    ]


def test_a_large_wheel_is_compiled_once_by_itself_and_a_small_one_by_each_build(
    environ: dict[str, str], runtime: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[tuple[str, ...], set[str]]] = []
    run = BuildSandbox.run

    def noted(place: BuildSandbox, *argv: str, purpose: str, fix: str) -> None:
        ran.append((argv, {str(path) for path in place.readable}))
        run(place, *argv, purpose=purpose, fix=fix)

    monkeypatch.setattr(BuildSandbox, "run", noted)
    monkeypatch.setattr(bytecode, "_SMALL", 1000)
    with serve() as registry:
        large = {"solven_large/__init__.py": b"ANSWER = 1\n" * 100, "solven_large/part.py": b"def part(): pass\n"}
        registry.add_wheel("solven_large", "1.0", large)
        registry.add_wheel("solven_small", "1.0")
        given = {**environ, "UV_CACHE_DIR": str(directory / "uv"), "PIP_EXTRA_INDEX_URL": f"{registry.address}/simple"}
        builder = Builder(toolchain.host(directory / "cache", given), UID, runtime, bubblewrap, BWRAP)
        made = []
        for packages in (("solven-large", "solven-small"), ("solven-large",)):
            section = Python(VERSION, packages)
            lock = pip_compile.resolve(section, b"", builder).text
            made.append(virtual_environment.build(section, lock, builder))
    (wheel,) = (directory / "cache/wheels").glob("solven-large-*/*.whl")
    part = f"solven_large/__pycache__/part.{TAG}.pyc"
    with zipfile.ZipFile(wheel) as archive:
        kept = archive.read(part)
    code = marshal.loads(kept[16:])
    assert code.co_filename == f"/.venv/{SITE}/solven_large/part.py"
    assert code.co_consts[0].co_filename == code.co_filename
    for build in made:
        assert (build.tree / SITE / part).read_bytes() == kept
        assert (build.tree / SITE / "solven_large/part.py").stat().st_mtime == compiling.TIME
    assert (made[0].tree / SITE / f"__pycache__/solven_small.{TAG}.pyc").is_file()
    # what compiled it had its sources and nothing else; the second build compiled nothing of it
    compiled = [readable for argv, readable in ran if "archive" in argv]
    assert compiled in ([{bytecode._SOURCES}], [{bytecode._SOURCES}] * 2)  # pip is large, too
    assert [path.name for path in build.tree.iterdir() if "cache" in path.name] == []


def test_a_wheel_that_uv_refuses_in_the_end_is_not_kept_and_both_builds_that_fail_are_told(
    environ: dict[str, str], runtime: str, directory: Path
) -> None:
    builder = Builder(toolchain.host(directory / "cache", environ), UID, runtime, bubblewrap, BWRAP)
    section, scripts = Python(VERSION, ("six",)), Bun({"is-number": "^7.0.0"})
    lock = pip_compile.resolve(section, b"", builder).text
    other = locking.resolve(scripts, b"", builder.host)
    wrong = {
        "python": re.sub(rb"sha256:[0-9a-f]+", b"sha256:" + b"0" * 64, lock),
        "bun": re.sub(rb"sha512-.{8}", b"sha512-AAAAAAAA", other),
    }
    needs = [builds.Need("python", section, wrong["python"]), builds.Need("bun", scripts, wrong["bun"])]
    with pytest.raises(BuildError) as raised:
        builds.obtain(needs, builder, Config(), {}, lambda _: None)
    assert "Python packages" in raised.value.message
    assert ["JavaScript packages" in each.message for each in raised.value.further] == [True]
    assert list((directory / "cache/wheels").glob("six-*")) == []
    assert [path for path in (directory / "cache/builds").iterdir() if not path.name.endswith(".lock")] == []
    assert os.listdir(runtime) == []
