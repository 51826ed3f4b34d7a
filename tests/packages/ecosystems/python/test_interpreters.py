"""Which Python is taken. Every case is about a real interpreter: the one that runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from solven_env.errors import PlatformError
from solven_env.packages import toolchain
from solven_env.packages.ecosystems.python import NEWEST, interpreters
from solven_env.packages.ecosystems.python.interpreters import find_python
from solven_env.packages.tools import uv

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PREFIX = Path(sys.base_prefix).resolve()
FULL = ".".join(map(str, sys.version_info[:3]))


@pytest.fixture(autouse=True)
def on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This user's home as the system has it: an empty one of the test's."""
    home = tmp_path / "on-record"
    monkeypatch.setattr(interpreters, "_home_on_record", lambda: str(home))
    return home


def bare(environ: dict[str, str], tmp_path: Path, **more: str) -> toolchain.Toolchain:
    """A host where uv finds nothing: no PATH, no interpreters of its own, no network."""
    hidden = {"PATH": str(tmp_path / "bin"), "UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv"), "UV_OFFLINE": "1"}
    return toolchain.host(tmp_path / "cache", {**environ, **hidden, **more})


def versions(folder: Path, name: str = FULL) -> Path:
    """A version manager's folder, with the real interpreter in it."""
    folder.mkdir(parents=True)
    (folder / name).symlink_to(PREFIX)
    return folder


def test_uv_finds_what_is_on_path(environ: dict[str, str], tmp_path: Path) -> None:
    found = find_python(VERSION, bare(environ, tmp_path, PATH=str(PREFIX / "bin")))
    assert found.version == FULL
    assert found.prefix == str(PREFIX)
    assert os.path.samefile(found.executable, PREFIX / "bin" / f"python{VERSION}")


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("", "home/.pyenv/versions"),
        ("", "home/.local/share/mise/installs/python"),
        ("", "home/.asdf/installs/python"),
        ("PYENV_ROOT", "named/versions"),
        ("MISE_DATA_DIR", "named/installs/python"),
        ("ASDF_DATA_DIR", "named/installs/python"),
    ],
)
def test_version_managers_are_looked_at(environ: dict[str, str], tmp_path: Path, variable: str, folder: str) -> None:
    versions(tmp_path / folder)
    more = {variable: str(tmp_path / "named")} if variable else {}
    assert find_python(VERSION, bare(environ, tmp_path, **more)).prefix == str(PREFIX)


def test_the_home_on_record_is_looked_at_where_another_is_given(
    environ: dict[str, str], tmp_path: Path, on_record: Path
) -> None:
    versions(on_record / ".pyenv/versions")
    assert find_python(VERSION, bare(environ, tmp_path)).version == FULL


def test_a_linked_pyenv_counts(environ: dict[str, str], tmp_path: Path) -> None:
    versions(tmp_path / "elsewhere/versions")
    (tmp_path / "home/.pyenv").symlink_to(tmp_path / "elsewhere")
    assert find_python(VERSION, bare(environ, tmp_path)).version == FULL


def test_a_shim_that_only_fails_hides_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    shims = tmp_path / "home/.pyenv/shims"
    shims.mkdir(parents=True)
    shim = shims / f"python{VERSION}"
    shim.write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
    shim.chmod(0o755)
    path = f"{shims}:{PREFIX / 'bin'}"
    assert find_python(VERSION, bare(environ, tmp_path, PATH=path)).prefix == str(PREFIX)


@pytest.mark.parametrize("folder", ["versions", "installs/python"])
def test_shims_lead_to_what_they_stand_for(environ: dict[str, str], tmp_path: Path, folder: str) -> None:
    versions(tmp_path / "manager" / folder)
    (tmp_path / "manager/shims").mkdir()
    assert find_python(VERSION, bare(environ, tmp_path, PATH=str(tmp_path / "manager/shims"))).version == FULL


def test_a_broken_installation_is_passed_over(environ: dict[str, str], tmp_path: Path) -> None:
    folder = versions(tmp_path / "home/.pyenv/versions")
    broken = folder / f"{VERSION}.99" / "bin" / f"python{VERSION}"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert find_python(VERSION, bare(environ, tmp_path)).version == FULL


def test_without_one_the_error_says_where_it_looked(environ: dict[str, str], tmp_path: Path) -> None:
    folder = versions(tmp_path / "home/.pyenv/versions", "3.99.1t")
    liar = folder / "3.99.2" / "bin" / "python3.99"
    liar.parent.mkdir(parents=True)
    liar.symlink_to(sys.executable)
    with pytest.raises(PlatformError, match=r"no Python 3\.99") as caught:
        find_python("3.99", bare(environ, tmp_path))
    error = caught.value
    assert (error.message, error.page) == ("there is no Python 3.99 on this host", "hosts")
    assert error.fix.endswith("uv python install 3.99")
    places = (f"{liar} is Python {FULL}", f"{tmp_path}/home/.asdf/installs/python: none", "fetching with uv: ")
    for place in ("PATH, and what uv has installed: none", *places):
        assert sum(line.startswith(place) for line in error.details) == 1
    assert not (tmp_path / "cache/tools/python-3.99.json").exists()


def test_a_uv_that_fails_by_itself_hides_no_interpreter(environ: dict[str, str], tmp_path: Path) -> None:
    """Its cache is full, or no directory: the Python on PATH is taken all the same, and else the reason is told."""
    (tmp_path / "uv-cache").touch()
    broken = {"UV_CACHE_DIR": str(tmp_path / "uv-cache")}
    found = find_python(VERSION, bare(environ, tmp_path, PATH=str(PREFIX / "bin"), **broken))
    assert found.prefix == str(PREFIX)
    with pytest.raises(PlatformError) as caught:
        find_python("3.99", bare(environ, tmp_path, **broken))
    assert caught.value.details[0].startswith("PATH, and what uv has installed: ")
    assert "uv-cache" in caught.value.details[0]


def test_the_newest_version_is_the_last_that_our_uv_can_fetch() -> None:
    """After an upgrade of uv, NEWEST follows: a profile may name what uv can have."""
    options = ("--only-downloads", "--all-versions", "--output-format", "json")
    listed = json.loads(subprocess.run([uv().path, "python", "list", *options], check=True, capture_output=True).stdout)
    minors = [each["version_parts"]["minor"] for each in listed if each["implementation"] == "cpython"]
    assert f"3.{max(minors)}" == NEWEST


def test_the_fix_names_our_own_uv_where_none_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreters.lacking("3.12", ()).fix == "Run: uv python install 3.12"
    monkeypatch.setenv("PATH", "/nowhere")
    assert interpreters.lacking("3.12", ()).fix == f"Run: {uv().path} python install 3.12"


def test_what_was_found_is_remembered_while_it_is_the_same_file(environ: dict[str, str], tmp_path: Path) -> None:
    host = bare(environ, tmp_path, PATH=str(PREFIX / "bin"))
    found = find_python(VERSION, host)
    assert find_python(VERSION, bare(environ, tmp_path)) == found  # where nothing could be found anew
    memory = tmp_path / "cache/tools" / f"python-{VERSION}.json"
    memory.write_text(json.dumps({**json.loads(memory.read_text()), "mtime_ns": 1}))
    with pytest.raises(PlatformError):
        find_python(VERSION, bare(environ, tmp_path))
    memory.write_text("{}")
    assert find_python(VERSION, host) == found


def test_a_folders_names_are_those_of_versions(tmp_path: Path) -> None:
    for name in ("3.12.1", "3.12.10", "3.12", "3.12.1t", "3.120.1", "cpython-3.12.4-linux-x86_64-gnu", "pypy3.12-7.3"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin/python3.12").touch(mode=0o755)
    found = [path.parents[1].name for path in interpreters._installed(tmp_path, "3.12")]
    assert found == ["3.12.10", "cpython-3.12.4-linux-x86_64-gnu", "3.12.1"]


@pytest.mark.parametrize("said", ["", "[" * 100_000, "{}", "[1]", "\\377", '{"implementation": "cpython"}', "null"])
def test_a_program_that_is_no_interpreter_is_told(tmp_path: Path, said: str) -> None:
    program = tmp_path / "python3.12"
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    program.chmod(0o755)
    assert interpreters.ask(program, "3.12") == "does not answer as an interpreter does"
