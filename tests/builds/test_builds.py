"""Real builds by real uv and Bun in real sandboxes, seen from a sandbox of the same shape."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

import pytest

from solven_env.builds import bun, inside, layers, python, resolving, shape, store, toolchain
from solven_env.builds.inside import Builder
from solven_env.builds.interpreters import find_python
from solven_env.errors import BuildError
from solven_env.profile import Bun, Python
from solven_env.sandbox import etc, program, session
from solven_env.sandbox.plan import Command, LaunchPlan, Overlay
from tests.builds.registry import basic, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.geteuid() == 0
UID = 61000 if ROOT else None
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = Python(VERSION, ("six", "packaging>=23"))
BUN = Bun({"is-number": "^7.0.0"})


@pytest.fixture
def runtime() -> Iterator[str]:
    """A directory for sessions. What a test started ends with it: nothing is left in there."""
    directory = tempfile.mkdtemp(prefix="solven-")
    yield directory
    end = time.monotonic() + 20
    while os.listdir(directory):
        assert time.monotonic() < end, os.listdir(directory)
        os.sched_yield()
    os.rmdir(directory)


@pytest.fixture
def builder(host: toolchain.Host, runtime: str) -> Builder:
    return Builder(host, UID, program.locate(), runtime)


def home(base: Path) -> layers.Home:
    return layers.Home(base / "data", "storage", "t1", "incarnation")


@dataclass
class Thread:
    """A workspace above two builds, as `run` will show it."""

    builder: Builder
    base: Path
    builds: tuple[store.Build, ...]

    def __post_init__(self) -> None:
        (self.base / "workspace").mkdir(parents=True)
        self.write("pyproject.toml", python._manifest(PYTHON, ()).encode())
        self.write("package.json", resolving.package_json(BUN).encode())
        if UID is not None:
            os.chown(self.base / "workspace", UID, UID)

    def write(self, name: str, content: bytes) -> None:
        path = self.base / "workspace" / name
        path.write_bytes(content)
        if UID is not None:
            os.chown(path, UID, UID)

    def shell(self, text: str) -> str:
        tools = shape.Tools(
            toolchain.uv().path,
            toolchain.find_bun(self.builder.host).path,
            find_python(VERSION, self.builder.host),
            self.builder.host.certificates,
        )
        mounts, links = shape.tool_mounts(tools, [mount.target for mount in inside._SYSTEM])
        overlays = []
        for build in self.builds:
            layer = layers.layer(home(self.base), build, UID)
            target = python.TARGET if build.kind == "python" else bun.TARGET
            overlays.append(Overlay(target, str(build.tree), str(layer.upper), str(layer.work), layer.instance))
        plan = LaunchPlan(
            session=f"test-{self.base.name}",
            workspace=str(self.base / "workspace"),
            mounts=(*inside._SYSTEM, *mounts, *overlays),
            files=etc.identity("user"),
            links=links,
            uid=UID,
            gid=UID,
        )
        env = {
            "PATH": "/.venv/bin:/node_modules/.bin:/run/solven-env/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "UV_OFFLINE": "1",
        }
        with tempfile.TemporaryFile() as said, open(os.devnull, "rb") as nothing:
            command = Command(("bash", "-c", f"set -e; {text}"), tuple(env.items()))
            streams = {"stdin": nothing.fileno(), "stdout": said.fileno(), "stderr": said.fileno()}
            status = session.run(plan, command, self.builder.runtime, **streams)
            said.seek(0)
            output = said.read().decode()
        assert status == 0, output
        return output


@pytest.fixture
def directory() -> Iterator[Path]:
    """Under root beneath a directory that only root may enter."""
    path = Path(tempfile.mkdtemp(prefix="solven-"))
    yield path
    layers.remove(home(path / "t"))
    shutil.rmtree(path)


def test_both_builds_are_what_a_thread_needs(builder: Builder, directory: Path) -> None:
    lock = resolving.resolve(PYTHON, BUN, {}, builder.host, lambda _: None)
    made = python.build(PYTHON, lock.python, builder), bun.build(BUN, lock.bun, builder)
    assert (python.build(PYTHON, lock.python, builder), bun.build(BUN, lock.bun, builder)) == made
    thread = Thread(builder, directory / "t", made)
    thread.write("uv.lock", python.uv_lock(made[0]) or b"")
    thread.write("bun.lock", lock.bun or b"")
    assert thread.shell("cd /; python -c 'import six, sys; print(sys.executable, sys.prefix, six.__file__)'") == (
        f"/.venv/bin/python /.venv /.venv/lib/python{VERSION}/site-packages/six.py\n"
    )
    assert thread.shell("grep ^home /.venv/pyvenv.cfg") == "home = /run/solven-env/python/bin\n"
    assert thread.shell("pip --version").split()[0] == "pip"
    assert "true" in thread.shell("""cd /; bun -e 'console.log(require("is-number")(5))'""")
    # the packages are compiled, and nothing is left to do
    assert thread.shell(f"ls /.venv/lib/python{VERSION}/site-packages/__pycache__").startswith("six.cpython")
    assert "Would make no changes" in thread.shell("uv sync --frozen --inexact --no-python-downloads --dry-run")
    thread.shell("uv lock --check --no-python-downloads")
    assert "(no changes)" in thread.shell("bun install --frozen-lockfile")
    # a build is the sandbox's own, and writable there only above
    thread.shell(f"rm -r /.venv/lib/python{VERSION}/site-packages/six.py /node_modules/is-number; touch /.venv/new")
    assert all(map(store.is_whole, made))
    for build in made:
        owners = {path.lstat().st_uid for path in (build.tree, *build.tree.rglob("*"))}
        assert owners == {os.geteuid() if UID is None else UID}
        # not through links, which lead where only a sandbox has something
        links = [path for path in build.tree.rglob("*") if S_ISREG(path.lstat().st_mode) and path.lstat().st_nlink > 1]
        assert links == []
        assert sorted(path.name for path in build.path.iterdir())[:2] == ["build.json", "directories"]


def test_without_packages_there_is_a_pip_and_an_empty_directory(builder: Builder, directory: Path) -> None:
    made = python.build(Python(VERSION), None, builder), bun.build(Bun({}), None, builder)
    assert python.uv_lock(made[0]) is None
    thread = Thread(builder, directory / "t", made)
    assert (
        next(line.split()[0] for line in thread.shell("uv pip list -p /.venv --format freeze").splitlines())[:5]
        == "pip=="
    )
    assert thread.shell("ls -A /node_modules") == ""


def test_another_lock_uid_or_interpreter_is_another_build(builder: Builder) -> None:
    interpreter = find_python(VERSION, builder.host)
    described = [
        python.describe(PYTHON, b"a", interpreter, builder),
        python.describe(PYTHON, b"b", interpreter, builder),
        python.describe(PYTHON, b"a", replace(interpreter, mtime_ns=1), builder),
        python.describe(PYTHON, b"a", interpreter, replace(builder, uid=12345)),
        python.describe(PYTHON._replace(packages=("six",)), b"a", interpreter, builder),
    ]
    assert len({store.key("python", each) for each in described}) == len(described)


def test_what_does_not_fit_its_digest_is_not_installed(environ: dict[str, str], runtime: str, directory: Path) -> None:
    builder = Builder(toolchain.host(directory / "cache", environ), UID, program.locate(), runtime)
    lock = resolving.resolve_python(Python(VERSION, ("six",)), b"", builder.host)
    wrong = b"\n".join(
        line[:-64] + b"0" * 64 if line.lstrip().startswith(b"--hash") and b"\\" not in line else line
        for line in lock.splitlines()
    )
    with pytest.raises(BuildError, match=r"(?i)hash mismatch"):
        python.build(Python(VERSION, ("six",)), wrong, builder)
    assert [path for path in (directory / "cache/builds").iterdir() if not path.name.endswith(".lock")] == []


def test_credentials_serve_the_build_and_are_in_none_of_it(
    environ: dict[str, str], runtime: str, directory: Path
) -> None:
    with serve(basic("ada", "sesame")) as registry:
        registry.add_wheel("solven_acme", "1.0")
        address = registry.address.replace("//", "//ada:sesame@") + "/simple"
        private = {**environ, "UV_CACHE_DIR": str(directory / "uv"), "PIP_EXTRA_INDEX_URL": address}
        builder = Builder(toolchain.host(directory / "cache", private), UID, program.locate(), runtime)
        wanted = Python(VERSION, ("solven-acme",))
        made = python.build(wanted, resolving.resolve_python(wanted, b"", builder.host), builder)
    found = subprocess.run(["grep", "-rlF", "sesame", made.path], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert b"solven-acme" in (python.uv_lock(made) or b"")


def test_a_build_whose_maker_was_killed_is_finished_by_the_next(directory: Path, runtime: str) -> None:
    text = f"""
import os, sys
from pathlib import Path
from stat import S_ISREG
from solven_env.builds import inside, python, toolchain
from solven_env.profile import Python
from solven_env.sandbox import program
def run(self, *argv, **told):
    if argv[1] == "pip":
        print("now", flush=True)
        sys.stdin.read()
    original(self, *argv, **told)
original, inside.Place.run = inside.Place.run, run
host = toolchain.host(Path({str(directory / "cache")!r}), os.environ)
build = python.build(Python({VERSION!r}), None, inside.Builder(host, {UID}, program.locate(), {runtime!r}))
print(build.instance)
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    builds = directory / "cache/builds"
    (left,) = (path for path in builds.iterdir() if path.name.startswith(".new-"))
    assert (left / "tree/pyvenv.cfg").exists()
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environ, check=True)
    (made,) = (path for path in builds.iterdir() if not path.name.startswith("."))
    assert finished.stdout.splitlines()[-1].decode() in (made / "build.json").read_text()
    assert not left.exists()
