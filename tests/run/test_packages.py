"""A thread's own packages: there in its next command, in no other thread, and nothing else in the workspace."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.packages.registry import serve
from tests.profiles import write_profile
from tests.run.world import PYTHON, UID, tree
from tests.sandbox.running import wait_for_file
from tests.state.test_contents import DAMAGES, DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.packages.registry import Registry
    from tests.run.world import World

IMPORT = "python -c 'import solven_acme'"


def added(world: World, thread: str = "t1") -> dict[str, list[str]]:
    """What `status` says was added, by kind; all of it."""
    told = world.status(thread).added
    assert all(each.is_complete for each in told)
    return {each.kind: [" ".join(package).rstrip() for package in each.packages] for each in told}


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A package index of the test's own, on this machine's loopback: what `--network host` reaches."""
    with serve() as served:
        served.add_wheel("solven_acme", "1.0")
        yield served


@pytest.fixture
def two(thread: World) -> World:
    """Two threads of one profile."""
    thread.apply("t2")
    return thread


def test_what_uv_adds_is_there_next_and_nowhere_else(two: World, registry: Registry) -> None:
    before = {name: (two.workspace("t2") / name).read_bytes() for name in ("pyproject.toml", "uv.lock")}
    done = two.sh(f"uv add --index {registry.address}/simple solven-acme", network="host")
    assert done.status == 0, done.err
    assert two.sh(IMPORT).status == 0
    assert two.sh(IMPORT, "t2").status != 0
    assert "solven-acme" in (two.workspace() / "pyproject.toml").read_text()
    assert {name: (two.workspace("t2") / name).read_bytes() for name in before} == before
    assert added(two) == {"python": ["solven-acme 1.0"], "bun": []}
    assert added(two, "t2") == {"python": [], "bun": []}
    assert two.run("uv", "remove", "solven-acme", network="host").status == 0
    assert added(two) == {"python": [], "bun": []}
    assert two.sh(IMPORT).status != 0
    assert two.sh("python -c 'import six'", "t2").status == 0


def test_what_pip_installs_is_there_next_and_nowhere_else(two: World, registry: Registry) -> None:
    before = tree(two.workspace())
    done = two.sh(f"pip install --index-url {registry.address}/simple solven-acme", network="host")
    assert done.status == 0, done.err
    assert two.sh(IMPORT).status == 0
    assert two.sh(IMPORT, "t2").status != 0
    assert added(two) == {"python": ["solven-acme 1.0"], "bun": []}
    assert {name for name in tree(two.workspace()) - before if (two.workspace() / name).is_file()} == set()


def test_what_bun_adds_is_there_next_and_nowhere_else(two: World, registry: Registry) -> None:
    registry.add_npm("acme", "1.0.0")
    before = tree(two.workspace())
    done = two.run("bun", "add", "acme", network="host", env={"BUN_CONFIG_REGISTRY": registry.address})
    assert done.status == 0, done.err
    assert {name for name in tree(two.workspace()) - before if (two.workspace() / name).is_file()} == set()
    script = """bun -e 'console.log(require("acme/package.json").version, require("is-number")(5))'"""
    assert two.out(script) == "1.0.0 true\n"
    assert two.sh(script, "t2").status != 0
    assert added(two) == {"python": [], "bun": ["acme 1.0.0"]}
    assert "acme" in (two.workspace() / "package.json").read_text()
    assert "acme" not in (two.workspace("t2") / "package.json").read_text()


def test_an_edit_in_site_packages_is_the_threads_own(two: World) -> None:
    module = f"/.venv/lib/python{PYTHON}/site-packages/six.py"
    two.out(f"echo 'MINE = 1' >> {module}")
    assert two.out("python -c 'import six; print(six.MINE)'") == "1\n"
    assert two.sh("python -c 'import six; six.MINE'", "t2").status != 0
    two.out(f"rm -r {module} /node_modules/is-number")
    assert two.sh("python -c 'import six'").status != 0
    assert two.sh("python -c 'import six'; ls /node_modules/is-number", "t2").status == 0
    assert two.status("t1").state == "in-sync"
    assert added(two) == {"python": [], "bun": []}


def test_a_frozen_install_finds_nothing_to_do(thread: World) -> None:
    assert "Would make no changes" in thread.sh("uv sync --frozen --inexact --dry-run").err
    before = tree(thread.workspace())
    assert thread.sh("uv sync --frozen --inexact --offline").status == 0
    assert "(no changes)" in thread.out("bun install --frozen-lockfile")
    assert tree(thread.workspace()) == before


def test_an_apply_keeps_what_was_added(two: World, registry: Registry) -> None:
    two.out(f"uv add --index {registry.address}/simple solven-acme", network="host")
    manifest = (two.workspace() / "pyproject.toml").read_bytes()
    assert two.apply().changes == ()
    assert (two.workspace() / "pyproject.toml").read_bytes() == manifest
    assert two.sh(IMPORT).status == 0


def test_two_commands_of_a_thread_share_its_packages(thread: World) -> None:
    """Also of two shapes: with another network the root is another one, and the layer the same."""
    with_it = thread.start("run", "t1", "--", "sh", "-c", "touch /up; read -r _; python -c 'import mine'", stdin=-1)
    wait_for_file(thread.workspace() / "up")
    thread.out(f"echo 'X = 1' > /.venv/lib/python{PYTHON}/site-packages/mine.py", network="host")
    assert thread.sh("python -c 'import mine'").status == 0
    with_it.communicate(b"\n")
    assert with_it.returncode == 0


INSIDE = f"""
mkdir /.venv/lib/python{PYTHON}/site-packages/idna-3.10.dist-info /.venv/lib/python{PYTHON}/site-packages/six-1.0.dist-info
mkdir -p /node_modules/@a/b /node_modules/left-pad /node_modules/$(printf 'red\033[31m')
touch /.venv/lib/python{PYTHON}/site-packages/six-*.dist-info/METADATA
cd /.venv/lib/python{PYTHON}/site-packages; rm -r pip-*.dist-info; ln -s idna-3.10.dist-info linked-1.0.dist-info
rm -r /node_modules/is-number
"""


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_status_tells_what_was_added(world: World, backend: str) -> None:
    """By whatever program, in the backend that the profile names; what was changed or removed is no addition."""
    profile = world.base / "profile.yaml"
    profile.write_text(world.profile.read_text() + f"sandbox: {{backend: {backend}}}\n")
    shutil.copytree(world.profile.with_suffix(".lock"), profile.with_suffix(".lock"))
    world.profile, world.backend = profile, backend
    world.apply()
    assert added(world) == {"python": [], "bun": []}
    assert "added inside" not in world.cli("status", "t1").stdout.decode()
    world.out(INSIDE)
    assert added(world) == {"python": ["idna 3.10", "six 1.0"], "bun": ["@a/b", "left-pad"]}
    line = "  added inside: python idna 3.10, six 1.0; bun @a/b, left-pad\n"
    assert line in world.cli("status", "t1").stdout.decode()
    (told,) = json.loads(world.cli("status", "t1", "--format", "json", "--profile", str(profile)).stdout)["threads"]
    assert told["added"] == {
        "python": {
            "packages": [{"name": "idna", "version": "3.10"}, {"name": "six", "version": "1.0"}],
            "complete": True,
        },
        "bun": {"packages": [{"name": name, "version": ""} for name in ("@a/b", "left-pad")], "complete": True},
    }


def test_status_names_a_few_of_many_and_not_what_is_closed(thread: World) -> None:
    thread.out("for each in 1 2 3 4 5 6 7 8 9 10; do mkdir /node_modules/a$each; done")
    line = "  added inside: bun a1, a10, a2, a3, a4, a5, a6, a7, 2 more"
    assert f"{line}\n" in thread.cli("status", "t1").stdout.decode()
    thread.out("mkdir -p /node_modules/@a/b; chmod 0 /node_modules/@a")
    told = thread.cli("status", "t1").stdout.decode()
    assert ("  added inside: bun what cannot be listed\n" in told) == (UID is None)
    thread.out("chmod 755 /node_modules/@a")


def test_with_another_profile_it_is_still_what_commands_have(thread: World) -> None:
    thread.out("mkdir /node_modules/left-pad")
    other = write_profile(thread.base / "other.yaml", {})
    told = solven_env.status("t1", profile=other, storage=thread.storage).threads[0]
    assert told.state == "pending"
    assert [each.kind for each in told.added if each.packages] == ["bun"]


def test_a_storage_that_lost_its_id_is_told_so_and_draws_no_other(two: World) -> None:
    """Else the next command of any thread would draw one, and what t1 added would be gone without a word."""
    two.out("mkdir /node_modules/left-pad")
    place = two.storage / ".solven-env/storage.json"
    written = place.read_text()
    place.unlink()
    for arguments in (("run", "t1", "--", "true"), ("run", "t2", "--", "true"), ("status", "t2")):
        done = two.cli(*arguments)
        said = done.stderr.decode()
        assert (done.returncode, str(place) in said) == (125 if arguments[0] == "run" else 1, True), said
    assert "the storage's id is gone" in two.cli("doctor", "t1").stdout.decode()
    assert not place.exists()
    fix = said.partition("write this there: ")[2].partition("\n")[0]
    assert json.loads(fix) == json.loads(written)
    place.write_text(fix)
    two.out("ls /node_modules/left-pad")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_lock_is_never_an_environment_without_packages(copied_world: World, damage: str) -> None:
    """A text that was empty had `run` make a build without packages, while `apply` said that all is in sync."""
    thread = copied_world
    builds = tree(thread.builds)
    texts = {path: path.read_bytes() for path in (thread.storage / ".solven-env/locks").iterdir()}
    for path, text in texts.items():
        path.write_bytes(DATA)  # what two of the damages make less of
        DAMAGES[damage](path)
        for words in (("run", "t1", "--", "true"), ("run", "--explain", "t1", "--", "true"), ("status", "t1")):
            refused = thread.cli(*words)
            said = refused.stderr.decode()
            assert refused.returncode == (125 if words[0] == "run" else 1), said
            assert f"{path}: the recorded lock of the " in said
            assert "Have it written again: solven-env apply PROFILE t1" in said
        assert thread.apply().changes == ()
        assert path.read_bytes() == text
    assert thread.run("true").status == 0
    assert tree(thread.builds) == builds
