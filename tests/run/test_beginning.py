"""What agents added, through releases, lost builds and other hosts: carried, installed by name, or named."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import solven_env
from solven_env.packages import toolchain
from solven_env.packages.about_layers import Fate
from solven_env.packages.ecosystems.bun import program
from solven_env.run.beginning import told
from solven_env.state.local import LocalState
from tests.packages.registry import serve
from tests.profiles import write_profile
from tests.run.world import PYTHON, own_cache
from tests.sandbox.running import wait_for_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.packages.registry import Registry
    from tests.run.world import World

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
    world: World, releases: Releases, caches: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """The store may be deleted at any time: the build is made again, and is another one for every layer."""
    world.backend, world.profile = backend, releases.first
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache(world, caches)))
    world.apply()
    world.out(ADD)
    for build in (world.base / "cache/solven-env/builds").glob("python-*"):
        shutil.rmtree(build)
    lines: list[str] = []
    world.out(HAS, progress=lines.append)
    assert "python: carried solven-acme 1.0, solven-dep 1.0" in lines
    lines.clear()
    world.out(HAS, progress=lines.append)
    assert [line for line in lines if "carried" in line] == []


def test_another_host_has_what_was_added_and_what_was_removed(
    added: World, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that never saw the layer installs by name; what goes on one host goes on the other."""
    (added.base / "other").mkdir(mode=0o700)
    here, other = added.environ["XDG_DATA_HOME"], str(added.base / "other")
    monkeypatch.setenv("XDG_DATA_HOME", other)
    foreseen = added.status()
    assert fates(foreseen) == dict.fromkeys(CARRIED, "installed")
    lines: list[str] = []
    added.out(HAS, progress=lines.append)
    assert [line for line in lines if "installed by name" in line] == [
        "python: installed by name solven-acme 1.0 (this host does not have its files), "
        "solven-dep 1.0 (this host does not have its files)",
        "bun: installed by name acme-added 1.0.0 (this host does not have its files)",
    ]
    assert recorded(added) == PACKAGES
    asked = len(releases.registry.seen)
    added.out(f"{HAS}; uv pip uninstall -q solven-acme; rm -r /node_modules/acme-added")
    assert (len(releases.registry.seen), recorded(added)) == (asked, {"python": {"packages": {"solven-dep": "1.0"}}})
    monkeypatch.setenv("XDG_DATA_HOME", here)
    assert added.sh("python -c 'import solven_acme'").status == 1
    added.out("python -c 'import solven_dep'; test ! -e /node_modules/acme-added")
    assert recorded(added) == {"python": {"packages": {"solven-dep": "1.0"}}}
    assert len(releases.registry.seen) == asked


def test_what_cannot_be_installed_is_named_once_and_never_tried_again(
    added: World, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record of files is gone, so that it is to be installed, and the index has it no more."""
    added.out(f"rm {SITE}/solven_acme-1.0.dist-info/RECORD")
    with monkeypatch.context() as patched:
        patched.delitem(releases.registry.pages, "/simple/solven-acme/")
        report = added.apply(profile=releases.second)
    (left,) = (each for each in report.carried if each.name == "solven-acme")
    assert (left.fate, left.version, "solven-acme was not found" in left.why) == ("left", "1.0", True)
    releases.registry.seen.clear()
    said = added.cli("run", "t1", "--", "python", "-c", "import solven_dep")
    assert (said.returncode, said.stderr, releases.registry.seen) == (0, b"", [])
    assert f"not carried: {left.why}. Run: {left.command}\n" in added.cli("status", "t1").stdout.decode()
    assert recorded(added)["python"]["packages"]["solven-acme"] == "1.0"  # another layer may have it
    words = shlex.split(left.command)
    assert added.cli(*words[1:]).returncode == 0
    added.out(HAS)
    assert "solven-acme" not in fates(added.status())


def test_one_that_no_index_has_takes_no_other_along(
    added: World, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both records of files are gone; all at once fails, since one of them is none of the index any more."""
    added.out(f"rm {SITE}/solven_acme-1.0.dist-info/RECORD {SITE}/solven_dep-1.0.dist-info/RECORD")
    monkeypatch.delitem(releases.registry.pages, "/simple/solven-acme/")
    report = added.apply(profile=releases.second)
    assert fates(report).items() >= {("solven-acme", "left"), ("solven-dep", "installed"), ("acme-added", "carried")}
    (left,) = (each for each in report.carried if each.name == "solven-acme")
    assert "solven-acme was not found" in left.why
    added.out("python -c 'import solven_dep'")


def test_what_a_command_adds_above_the_former_build_is_not_lost(added: World, releases: Releases) -> None:
    script = "touch /up; read -r _; uv pip uninstall -q solven-acme; uv pip install -q solven-kit solven-late"
    releases.registry.add_wheel("solven_late", "1.0")
    process = added.start("run", "t1", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    wait_for_file(added.workspace() / "up")
    added.apply(profile=releases.second)
    process.communicate(b"\n")
    assert process.returncode == 0
    assert recorded(added)["python"] == {"packages": {"solven-dep": "1.0", "solven-late": "1.0"}}
    lines: list[str] = []
    added.out("python -c 'import solven_late, solven_kit, solven_dep'", progress=lines.append)
    assert any(line.startswith("python: installed by name solven-late 1.0") for line in lines)
    assert added.sh("python -c 'import solven_acme'").status == 1


def test_what_the_build_brings_now_and_what_the_profile_drops_is_told(added: World, releases: Releases) -> None:
    added.out("uv pip install -q --no-deps solven-kit; uv pip uninstall -q solven-base")
    releases.registry.add_wheel("solven_kit", "0.9")
    added.out("uv pip install -q solven-kit==0.9")
    report = added.apply(profile=releases.second)
    told_of = {each.name: (each.fate, each.why) for each in report.carried if each.kind == "python"}
    assert told_of["solven-kit"] == ("brought", "it was 0.9")
    assert told_of["solven-base"] == ("removed", "")
    assert added.sh("python -c 'import solven_base'").status == 1
    assert recorded(added)["python"] == {**PACKAGES["python"], "removed": ["solven-base"]}
    bare = write_profile(added.base / "bare.yaml", {}, env={"HOME": "/"})
    report = added.apply(profile=bare)
    assert {each.name: each.why for each in report.carried if each.kind == "bun"} == {
        "acme-added": "the profile has no bun packages any more"
    }
    assert recorded(added)["bun"] == PACKAGES["bun"]
    assert fates(added.apply(profile=releases.first))["acme-added"] == "carried"
    added.out(HAS)


def test_a_thread_that_somebody_holds_lets_no_run_fail(added: World) -> None:
    with LocalState(added.storage).lock("t1"):
        added.out("uv pip uninstall -q solven-acme")
        assert "solven-acme" in recorded(added)["python"]["packages"]
    added.out("true")  # the next run notes it
    assert recorded(added)["python"] == {"packages": {"solven-dep": "1.0"}}
    added.out("uv pip uninstall -q solven-dep", keep_alive=60)
    assert solven_env.stop("t1", storage=added.storage)
    assert "python" not in recorded(added)


def test_a_session_that_is_stopped_has_noted_what_its_commands_did(added: World) -> None:
    script = "uv pip uninstall -q solven-acme; touch /up; sleep 60"
    process = added.start("run", "t1", "--", "sh", "-c", script)
    wait_for_file(added.workspace() / "up")
    process.kill()  # so that no launcher notes it
    process.wait()
    added.out("true", keep_alive=60)
    assert recorded(added)["python"] == {"packages": {"solven-dep": "1.0"}}
    assert solven_env.stop("t1", storage=added.storage)


@pytest.mark.parametrize(
    ("fate", "done", "foreseen"),
    [
        (Fate("bun", "x", "1", "carried"), "bun: carried x 1", "bun: will carry x 1"),
        (
            Fate("bun", "x", "1", "installed", "no"),
            "bun: installed by name x 1 (no)",
            "bun: will install by name x 1 (no)",
        ),
        (Fate("bun", "x", "2", "brought", "it was 1"), *["bun: the build brings x 2 (it was 1)"] * 2),
        (Fate("bun", "x", "1", "removed"), *["bun: still without x 1"] * 2),
        (Fate("bun", "\x1b", "", "left", "no", "add x"), *["bun: \\x1b is not carried: no. Run: add x"] * 2),
        (
            Fate("bun", "a/b", "", "left", "it was edited in place"),
            *["bun: a/b is not carried: it was edited in place"] * 2,
        ),
    ],
)
def test_each_fate_has_words(fate: Fate, done: str, foreseen: str) -> None:
    assert told([fate], is_done=True) == [done]
    assert told([fate], is_done=False) == [foreseen]
