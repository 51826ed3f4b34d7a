"""Install scripts of trusted packages run in a real build, as npm runs them, and those of no other package do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError, LockError, SandboxError
from solven_env.packages import locks, store, toolchain
from solven_env.packages.ecosystems import bun
from solven_env.packages.ecosystems.bun import Bun, program, trusted
from solven_env.packages.making import Builder
from solven_env.sandbox.backends import bubblewrap, proot
from solven_env.system.networks import NETWORKS
from tests.packages.conftest import directory, environ, host, runtime  # noqa: F401 (fixtures)
from tests.packages.layered import UID
from tests.packages.registry import serve
from tests.sandbox.running import BWRAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from solven_env.system.networks import Network
    from tests.packages.registry import Registry

NOTE = 'echo "$npm_package_name $npm_lifecycle_event" >> /node_modules/order'
EVENTS = ("preinstall", "install", "postinstall")
EVERY = dict.fromkeys(("postinstall", "install", "preinstall", "prepare", "prepublish"), NOTE)
TELL = """
echo "$npm_lifecycle_event of $npm_package_name $npm_package_version in $PWD, called in $INIT_CWD" > told
echo "$npm_package_config_port $npm_command $npm_lifecycle_script" >> told
tool >> told
node -e 'console.log("a node")' >> told
env > environment
"""


@pytest.fixture
def build_with(
    environ: dict[str, str],  # noqa: F811
    runtime: str,  # noqa: F811
    directory: Path,  # noqa: F811
    host: toolchain.Toolchain,  # noqa: F811
) -> Callable[[Registry], Builder]:
    """Makes a builder whose only registry is the one given, with a token for it."""

    def make(registry: Registry) -> Builder:
        program.find(host)
        cache = directory / "cache"
        cache.mkdir(mode=0o700)
        (cache / "tools").symlink_to(host.cache / "tools")
        own = {"npm_config_registry": registry.address, "npm_config_token": "sesame"}
        return Builder(toolchain.host(cache, {**environ, **own}), UID, runtime, bubblewrap, BWRAP)

    return make


def build(section: Bun, builder: Builder) -> store.Build:
    """The build of a section, just locked."""
    return bun.install(section, bun.resolve(section, b"", builder).text, builder)


def publish(registry: Registry) -> None:
    registry.add_npm("needed", "1.0.0", scripts=EVERY)
    registry.add_npm("first", "1.0.0", needs={"needed": "1", "brought": "1"}, scripts=EVERY)
    registry.add_npm("brought", "1.0.0", scripts=EVERY)
    registry.add_npm("esbuild", "1.0.0", scripts=EVERY)  # which Bun would trust unasked
    registry.add_npm("tool", "1.0.0", "#!/bin/sh\necho a program of the tree\n")
    files = {"tell.sh": TELL}
    registry.add_npm("told", "2.0.0", files=files, config={"port": "8080"}, scripts={"install": "sh tell.sh"})
    broken = {"install": "touch /node_modules/began; echo sorry; false", "postinstall": NOTE}
    registry.add_npm("broken", "1.0.0", "#!/bin/sh\n", scripts=broken)
    registry.add_npm("may", "1.0.0", optionalDependencies={"broken": "1"})
    for name in ("sh", "node"):  # a program of the tree under a name of the system's
        registry.add_npm(name, "1.0.0", "#!/usr/bin/touch /node_modules/taken\n")


def test_scripts_of_trusted_packages_run_as_npm_runs_them_and_no_others(
    build_with: Callable[[Registry], Builder],
) -> None:
    said: list[str] = []
    with serve() as registry:
        publish(registry)
        builder = build_with(registry)
        builder = builder._replace(host=builder.host.telling(said.append))
        asked = dict.fromkeys(("first", "esbuild", "told", "may", "sh", "node", "tool"), "*")
        made = build(Bun(asked, ("told", "needed", "first", "broken", "tool")), builder)
        order = (made.tree / "order").read_text().splitlines()
        assert order == [f"{name} {event}" for event in EVENTS for name in ("needed", "first")]
        assert sorted(path.name for path in made.tree.iterdir()) == sorted(
            (".bin", "began", "brought", "esbuild", "first", "may", "needed", "node", "order", "sh", "told", "tool")
        )
        assert (made.tree / "told/told").read_text().splitlines() == [
            "install of told 2.0.0 in /node_modules/told, called in /",
            "8080 install sh tell.sh",
            "a program of the tree",
            "a node",
        ]
        environment = (made.tree / "told/environment").read_text()
        assert [word for word in ("sesame", registry.address, "registry", "_proxy") if word in environment] == []
        (left_out,) = [line for line in said if "optional" in line]
        assert left_out == "the install script of broken 1.0.0 failed: sorry. It is optional, and is left out."
        assert not (made.tree / ".bin/broken").is_symlink()
        assert [(each.kind, each.package) for each in bun.remarks(made)] == [
            ("scripts", "brought"),
            ("scripts", "esbuild"),
            ("trusted", "tool"),
        ]


def test_what_is_trusted_is_part_of_the_key_and_of_no_other_build(build_with: Callable[[Registry], Builder]) -> None:
    with serve() as registry:
        registry.add_npm("first", "1.0.0", scripts={"install": NOTE})
        builder = build_with(registry)
        plain, other = Bun({"first": "1"}), Bun({"first": "1"}, ("first",))
        with_scripts, without = build(other, builder), build(plain, builder)
        assert with_scripts.key != without.key
        assert ((with_scripts.tree / "order").exists(), (without.tree / "order").exists()) == (True, False)
        assert (bun.remarks(with_scripts), len(bun.remarks(without))) == ((), 1)
        (without.path / "scripts.json").unlink()  # a build of an earlier version
        assert bun.remarks(without) == ()


@pytest.mark.parametrize(
    ("script", "networks", "message", "fix"),
    [
        ("echo one; echo two >&2; exit 3", NETWORKS, "the install script of bad 1.0.0 failed: one two", "Take bad out"),
        ("sleep 60", NETWORKS, r"failed at the limit of timeout \(0.5 s\)", "Take bad out"),
        ("echo a\0b", NETWORKS, "the install script of bad 1.0.0 failed: .* has a NUL character", "Take bad out"),
        ("node-gypsy", NETWORKS, "failed: .*not found", "Install your distribution's package that has node-gypsy."),
        ("echo 'gyp ERR! stack Error: not found: make'; false", NETWORKS, "found: make", "This host lacks make."),
        ("echo; false", ("none",), "1.0.0 failed without a network, as this host's configuration has", "Take bad out"),
    ],
)  # fmt: skip
def test_a_script_that_fails_ends_the_build_with_its_last_words(
    build_with: Callable[[Registry], Builder],
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    networks: tuple[Network, ...],
    message: str,
    fix: str,
) -> None:
    monkeypatch.setattr(trusted, "_SECONDS", 0.5)
    with serve() as registry:
        registry.add_npm("bad", "1.0.0", scripts={"install": script})
        builder = build_with(registry)._replace(networks=networks)
        with pytest.raises(BuildError, match=message) as caught:
            build(Bun({"bad": "1"}, ("bad",)), builder)
        assert caught.value.fix.startswith(fix)
        assert [path.name for path in (builder.host.cache / "builds").glob("[!.]*")] == []


@pytest.mark.skipif(
    not trusted._node_gyp().files or not Path("/usr/include/node/node_api.h").exists() or shutil.which("g++") is None,
    reason="compiling needs npm's node-gyp, the headers of node, and a compiler",
)
def test_a_binding_is_compiled_without_any_script_and_node_loads_it(build_with: Callable[[Registry], Builder]) -> None:
    files = {
        "binding.gyp": '{"targets": [{"target_name": "native", "sources": ["native.c"]}]}',
        "native.c": """
            #include <node_api.h>
            NAPI_MODULE_INIT() { napi_value answer; napi_create_int32(env, 42, &answer); return answer; }
        """,
    }
    with serve() as registry:
        registry.add_npm("native", "1.0.0", files=files)
        made = build(Bun({"native": "1"}, ("native",)), build_with(registry))
    code = f"console.log(require('{made.tree}/native/build/Release/native.node'))"
    assert subprocess.run(["node", "-e", code], capture_output=True, check=True).stdout == b"42\n"


def test_where_the_host_has_no_node_bun_runs_scripts_as_node(
    build_with: Callable[[Registry], Builder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bun, "NODE", ("/nowhere/node",))
    say = "console.log(process.versions.bun ? 'bun' : 'node')"
    script = f'/run/solven-env/bin/node -e "{say}" > which; node -e "{say}" >> which'
    with serve() as registry:
        registry.add_npm("first", "1.0.0", scripts={"install": script})
        made = build(Bun({"first": "1"}, ("first",)), build_with(registry))
        assert (made.tree / "first/which").read_text() == "bun\nbun\n"


def test_a_backend_without_walls_runs_no_script(
    build_with: Callable[[Registry], Builder],
) -> None:
    with serve() as registry:
        builder = build_with(registry)._replace(backend=proot)
        for networks in (NETWORKS, ("none", "internet")):
            with pytest.raises(SandboxError, match="the backend proot gives install scripts the network host"):
                trusted._network(builder._replace(networks=networks))
        bubblewrapped = builder._replace(backend=bubblewrap)
        assert trusted._network(bubblewrapped) == "internet"
        assert trusted._network(bubblewrapped._replace(networks=("none",))) == "none"


def test_a_lock_without_a_trusted_package_is_refused_and_says_what_did_not_run(
    build_with: Callable[[Registry], Builder],
) -> None:
    with serve() as registry:
        publish(registry)
        builder = build_with(registry)
        lock, remarks = bun.resolve(Bun({"first": "1"}, ("needed",)), b"", builder)
        assert list(locks.told(remarks)) == [
            "brought 1.0.0 and first 1.0.0 have install scripts that did not run: see bun.trusted"
        ]
        for verb in (
            lambda section: bun.resolve(section, b"", builder),
            lambda section: bun.believe(lock, section, "bun.lock"),
        ):
            with pytest.raises(LockError, match="trusted names esbuild, and") as caught:
                verb(Bun({"first": "1"}, ("esbuild",)))
            assert caught.value.location == "bun.lock"
