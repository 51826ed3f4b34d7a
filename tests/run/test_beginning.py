"""What agents added, through releases, lost builds and other hosts: carried, installed by name, or named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import solven_env
from solven_env.packages import toolchain
from solven_env.packages.ecosystems.bun import program
from tests.packages.registry import serve
from tests.profiles import write_profile
from tests.run.world import PYTHON, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.packages.registry import Registry

SITE = f"/.venv/lib/python{PYTHON}/site-packages"
HAS = "python -c 'import solven_acme, solven_dep'; ls /node_modules/acme-added/package.json >/dev/null"
ADD = f"uv pip install -q solven-acme; bun add --no-save acme-added 2>/dev/null; {HAS}"


class Releases(NamedTuple):
    """Two releases of one profile, whose builds have nothing but invented packages, and where these come from."""

    registry: Registry
    first: Path
    second: Path


@pytest.fixture(scope="module")
def releases(caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """The releases, locked and served by a registry on loopback, which is all that their threads know."""
    program.find(toolchain.host(caches / "solven-env", os.environ))  # which the registry does not have
    with serve() as registry, pytest.MonkeyPatch.context() as patched:
        for name, version, needs in (
            *(("pip", "26.0", ()), ("solven_base", "1.0", ()), ("solven_base", "2.0", ()), ("solven_kit", "1.0", ())),
            *(("solven_dep", "1.0", ()), ("solven_acme", "1.0", ("solven_dep",))),
        ):
            registry.add_wheel(name, version, needs=needs)
        for name, version in (("acme-tool", "1.0.0"), ("acme-tool", "2.0.0"), ("acme-added", "1.0.0")):
            registry.add_npm(name, version)
        address = f"{registry.address}/simple"
        patched.setenv("UV_DEFAULT_INDEX", address)
        patched.setenv("npm_config_registry", registry.address)
        patched.setenv("XDG_CACHE_HOME", str(caches))
        place = tmp_path_factory.mktemp("releases")
        made = []
        for name, python, tool in (
            ("first", ["solven-base==1.0"], "1.0.0"),
            ("second", ["solven-base==2.0", "solven-kit"], "2.0.0"),
        ):
            made.append(
                write_profile(
                    place / f"{name}.yaml",
                    {"package.json": {"template": "package.json.j2", "own": "keys"}},
                    sandbox={"network": "host"},
                    env={"HOME": "/", "UV_DEFAULT_INDEX": address, "BUN_CONFIG_REGISTRY": registry.address},
                    path={"prepend": ["/.venv/bin", "/node_modules/.bin"]},
                    python={"version": PYTHON, "packages": python},
                    bun={"packages": {"acme-tool": tool}},
                )
            )
            solven_env.lock(made[-1])
        yield Releases(registry, *made)


@pytest.fixture
def added(world: World, releases: Releases) -> World:
    """A thread of the first release, in which an agent has added packages."""
    world.profile = releases.first
    world.apply()
    world.out(ADD)
    return world


def recorded(world: World) -> dict[str, Any]:
    """What the thread's record says of its additions."""
    text = (world.storage / ".solven-env/threads/t1/state.json").read_text()
    found: dict[str, Any] = json.loads(text).get("added", {})
    return found


def fates(report: solven_env.ThreadReport) -> dict[str, str]:
    """The fate of each addition in a report, by its name."""
    return {each.name: each.fate for each in (*report.carried, *report.to_carry)}


CARRIED = {"solven-acme": "carried", "solven-dep": "carried", "acme-added": "carried"}
PACKAGES = {
    "python": {"packages": {"solven-acme": "1.0", "solven-dep": "1.0"}},
    "bun": {"packages": {"acme-added": "1.0.0"}},
}


def test_a_new_release_carries_what_was_added_and_says_so(added: World, releases: Releases) -> None:
    assert recorded(added) == PACKAGES
    foreseen = solven_env.diff(releases.second, "t1", storage=added.storage).threads[0]
    assert fates(foreseen) == CARRIED
    line = "python: will carry solven-acme 1.0, solven-dep 1.0\n"
    for words in (("diff",), ("apply", "--dry-run")):
        assert line in added.cli(*words, str(releases.second), "t1").stdout.decode()
    report = added.apply(profile=releases.second)
    assert fates(report) == CARRIED
    asked = len(releases.registry.seen)
    assert added.out(f"{HAS}; python -c 'import solven_base, solven_kit'; uv pip check 2>&1; uv pip list -q").count(
        "\n"
    )
    assert len(releases.registry.seen) == asked
    said = added.cli("status", "t1")
    assert (
        "  python: carried solven-acme 1.0, solven-dep 1.0\n  bun: carried acme-added 1.0.0\n" in said.stdout.decode()
    )
    (described,) = json.loads(added.cli("status", "t1", "--format", "json").stdout)["threads"]
    assert described["carried"]["bun"] == [
        {"name": "acme-added", "version": "1.0.0", "fate": "carried", "why": "", "command": ""}
    ]
    assert recorded(added) == PACKAGES
    again = added.apply(profile=releases.second)
    assert (again.changes, again.carried) == ((), ())
    assert added.cli("diff", str(releases.second), "t1").stdout == b""
    added.out("uv pip uninstall -q solven-acme")
    assert fates(added.status()) == {name: fate for name, fate in CARRIED.items() if name != "solven-acme"}
    assert "solven-acme" not in recorded(added)["python"]["packages"]
    back = added.apply()  # to the release that the thread has a layer of already, in which solven-acme is
    assert fates(back) == {name: fate for name, fate in CARRIED.items() if name != "solven-acme"}
    assert added.sh("python -c 'import solven_acme'").status != 0
    added.out("python -c 'import solven_dep'; ls /node_modules/acme-added")


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_a_build_that_was_lost_is_no_loss_of_what_was_added(
    world: World, releases: Releases, tmp_path: Path, backend: str
) -> None:
    """The store may be deleted at any time: it is made again, and is another build for all layers."""
    world.backend = backend
    world.profile = releases.first
    world.environ["XDG_CACHE_HOME"] = str(tmp_path)
    for_tools = Path(solven_env_cache())
    shutil.copytree(for_tools / "tools", tmp_path / "solven-env/tools", symlinks=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path))
        world.apply()
        world.out(ADD)
        for build in world.builds.glob("python-*"):
            shutil.rmtree(build)
        lines: list[str] = []
        world.out(HAS, progress=lines.append)
        assert "python: carried solven-acme 1.0, solven-dep 1.0" in lines
        world.out(HAS)


def solven_env_cache() -> Path:
    from solven_env.system import directories

    return directories.cache()
