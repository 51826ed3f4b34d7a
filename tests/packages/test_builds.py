"""Real builds by real uv and Bun in real sandboxes, seen from a sandbox of the same shape."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from solven_env.errors import BuildError
from solven_env.packages import resolving, store, toolchain
from solven_env.packages.ecosystems.bun import Bun, locking, node_modules, program
from solven_env.packages.ecosystems.python import Python, key_inputs, pip_compile, virtual_environment
from solven_env.packages.ecosystems.python.interpreters import find_python
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap
from tests.packages.layered import UID, Layered
from tests.packages.registry import basic, serve
from tests.sandbox.running import BWRAP

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = Python(VERSION, ("six", "packaging>=23"))
BUN = Bun({"is-number": "^7.0.0"})


def test_both_builds_are_what_a_thread_needs(builder: Builder, directory: Path) -> None:
    lock, _ = resolving.resolve({"python": PYTHON, "bun": BUN}, {}, builder, lambda _: None)
    made = virtual_environment.build(PYTHON, lock["python"], builder), node_modules.build(BUN, lock["bun"], builder)
    assert (
        virtual_environment.build(PYTHON, lock["python"], builder),
        node_modules.build(BUN, lock["bun"], builder),
    ) == made
    thread = Layered(builder, directory / "t", made, VERSION)
    thread.write("pyproject.toml", virtual_environment._manifest(PYTHON, ()).encode())
    thread.write("package.json", locking.package_json(BUN).encode())
    thread.write("uv.lock", store.file_beside(made[0], "uv.lock") or b"")
    thread.write("bun.lock", lock["bun"])
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
        looked = [path.lstat() for path in build.tree.rglob("*")]
        assert [status for status in looked if stat.S_ISREG(status.st_mode) and status.st_nlink > 1] == []
        assert sorted(path.name for path in build.path.iterdir())[:3] == ["build.json", "contents", "directories"]


def test_without_packages_there_is_a_pip_and_an_empty_directory(builder: Builder, directory: Path) -> None:
    made = virtual_environment.build(Python(VERSION), None, builder), node_modules.build(Bun({}), None, builder)
    assert store.file_beside(made[0], "uv.lock") is None
    thread = Layered(builder, directory / "t", made, VERSION)
    assert (
        next(line.split()[0] for line in thread.shell("uv pip list -p /.venv --format freeze").splitlines())[:5]
        == "pip=="
    )
    assert thread.shell("ls -A /node_modules") == ""


def test_another_lock_uid_or_interpreter_is_another_build(builder: Builder) -> None:
    interpreter = find_python(VERSION, builder.host)
    wanted = [
        key_inputs(PYTHON, b"a", interpreter, UID),
        key_inputs(PYTHON, b"b", interpreter, UID),
        key_inputs(PYTHON, b"a", interpreter._replace(mtime_ns=1), UID),
        key_inputs(PYTHON, b"a", interpreter, 12345),
        key_inputs(PYTHON._replace(packages=("six",)), b"a", interpreter, UID),
    ]
    assert len({store.key("python", each) for each in wanted}) == len(wanted)


def test_what_does_not_fit_its_digest_is_not_installed(environ: dict[str, str], runtime: str, directory: Path) -> None:
    builder = Builder(toolchain.host(directory / "cache", environ), UID, runtime, bubblewrap, BWRAP)
    lock = pip_compile.resolve(Python(VERSION, ("six",)), b"", builder).text
    wrong = re.sub(rb"sha256:[0-9a-f]+", b"sha256:" + b"0" * 64, lock)
    with pytest.raises(BuildError, match=r"(?i)hash mismatch"):
        virtual_environment.build(Python(VERSION, ("six",)), wrong, builder)
    assert [path for path in (directory / "cache/builds").iterdir() if not path.name.endswith(".lock")] == []


def test_credentials_serve_the_build_and_are_in_none_of_it(
    environ: dict[str, str], runtime: str, directory: Path
) -> None:
    with serve(basic("ada", "sesame")) as registry:
        registry.add_wheel("solven_acme", "1.0")
        address = registry.address.replace("//", "//ada:sesame@") + "/simple"
        private = {**environ, "UV_CACHE_DIR": str(directory / "uv"), "PIP_EXTRA_INDEX_URL": address}
        builder = Builder(toolchain.host(directory / "cache", private), UID, runtime, bubblewrap, BWRAP)
        wanted = Python(VERSION, ("solven-acme",))
        made = virtual_environment.build(wanted, pip_compile.resolve(wanted, b"", builder).text, builder)
    found = subprocess.run(["grep", "-rlF", "sesame", made.path], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert b"solven-acme" in (store.file_beside(made, "uv.lock") or b"")


CERTIFICATES = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1
"""


def make_certificate(directory: Path) -> Path:
    """A certificate with its key for 127.0.0.1, signed by the new authority in `authority.pem`."""
    (directory / "openssl.cnf").write_text(CERTIFICATES)
    command = ["openssl", "req", "-x509", "-config", "openssl.cnf", "-newkey", "rsa:2048", "-noenc", "-days", "2"]
    signed = ("-CA", "authority.pem", "-CAkey", "authority.key")
    for name, options in (("authority", ()), ("server", signed)):
        about = ("-extensions", name, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        subprocess.run([*command, *about, *options], cwd=directory, check=True, capture_output=True)
    both = directory / "both.pem"
    both.write_bytes((directory / "server.key").read_bytes() + (directory / "server.pem").read_bytes())
    return both


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")
def test_a_hosts_own_authority_is_trusted_here_and_inside(
    environ: dict[str, str], runtime: str, directory: Path, host: toolchain.Toolchain
) -> None:
    certificate = make_certificate(directory)
    wanted, packages = Python(VERSION, ("solven-acme",)), Bun({"solven-acme": "1.0.0"})
    with serve(certificate=certificate) as registry:
        registry.add_wheel("solven_acme", "1.0")
        registry.add_npm("solven-acme", "1.0.0")
        here = {
            **environ,
            "UV_CACHE_DIR": str(directory / "uv"),
            "PIP_EXTRA_INDEX_URL": f"{registry.address}/simple",
            "npm_config_registry": registry.address,
        }
        (directory / "cache").mkdir(mode=0o700)
        program.find(host)
        shutil.copytree(host.cache / "tools", directory / "cache/tools")
        stranger = Builder(toolchain.host(directory / "cache", here), UID, runtime, bubblewrap, BWRAP)
        with pytest.raises(BuildError, match=r"(?i)certificate"):
            pip_compile.resolve(wanted, b"", stranger)
        trusting = {**here, "NODE_EXTRA_CA_CERTS": str(directory / "authority.pem")}
        builder = Builder(toolchain.host(directory / "cache", trusting), UID, runtime, bubblewrap, BWRAP)
        lock, _ = resolving.resolve({"python": wanted, "bun": packages}, {}, builder, lambda _: None)
        assert store.is_whole(virtual_environment.build(wanted, lock["python"], builder))
        made = node_modules.build(packages, lock["bun"], builder)
    assert (made.tree / "solven-acme/package.json").exists()


def test_a_build_whose_maker_was_killed_is_finished_by_the_next(directory: Path, runtime: str) -> None:
    text = f"""
import os, sys
from pathlib import Path
from solven_env.packages import making, toolchain
from solven_env.packages.ecosystems.python import virtual_environment
from solven_env.packages.ecosystems.python import Python
from solven_env.sandbox.backends import bubblewrap
def run(self, *argv, **told):
    if "/names.txt" in argv:
        print("now", flush=True)
        sys.stdin.read()
    original(self, *argv, **told)
original, making.BuildSandbox.run = making.BuildSandbox.run, run
host = toolchain.host(Path({str(directory / "cache")!r}), os.environ)
made = making.Builder(host, {UID}, {runtime!r}, bubblewrap, {BWRAP!r})
build = virtual_environment.build(Python({VERSION!r}), None, made)
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
