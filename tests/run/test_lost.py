"""A layer that commands destroyed: `status` says so, `run` too, and `apply` begins anew and keeps the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import solven_env

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

WORKS = "python -c 'import six, sys; sys.exit(sys.prefix != \"/.venv\")' && test -e /node_modules/is-number"
DESTROYED = (
    "rm -rf /.venv 2>/dev/null",
    "rm /.venv/pyvenv.cfg",
    "rm -r /.venv/bin; mkdir /.venv/bin",
    "mv /.venv/bin /.venv/gone",
    "rm -r /.venv/lib",
)
USABLE = (
    "rm -rf .venv 2>/dev/null || uv sync --offline 2>/dev/null || python -V",  # uv makes it anew, and finds no package
    "rm -rf /node_modules 2>/dev/null || :",
    "bun remove is-number",
    "rm -r /.venv/bin && mkdir /.venv/bin && ln -s /run/solven-env/python/bin/python3 /.venv/bin/python",
    "rm /.venv/pyvenv.cfg && echo home = /run/solven-env/python/bin >/.venv/pyvenv.cfg",
)


def layers_of(world: World) -> set[Path]:
    """What layers of the thread there are."""
    found = (world.base / "data/solven-env/layers").glob("*/t1/*/*-*")
    return {path for path in found if not path.is_symlink() and not path.name.startswith(".")}


@pytest.mark.parametrize("command", DESTROYED)
def test_it_is_drift_and_mended_with_a_fresh_layer(thread: World, command: str) -> None:
    thread.out(f"echo mine >/node_modules/mine; {{ {command}; }} || :")
    before = layers_of(thread)
    found = thread.status()
    assert (found.state, [(each.address, each.cause) for each in found.changes]) == (
        "drift",
        [("build:python", "drift")],
    )
    said = thread.cli("run", "t1", "--", "true")
    assert said.returncode == 0
    assert b"is broken, since commands removed" in said.stderr
    assert b"solven-env apply PROFILE t1 begins anew" in said.stderr
    refused = thread.cli("run", "t1", "--", "/.venv/bin/python", "-c", "import six").stderr.splitlines()
    assert b"is broken, since commands removed" in refused[0]
    assert b"prlimit" not in b"".join(refused)
    told: list[str] = []
    mended = thread.apply(progress=told.append)
    assert [(each.address, each.action) for each in mended.changes] == [("build:python", "replace")]
    (line,) = (line for line in told if line.startswith("python: the thread begins with a fresh layer"))
    assert any(line.endswith(str(path)) for path in before)
    assert before < layers_of(thread)
    assert thread.status().state == "in-sync"
    assert thread.apply().changes == ()
    assert thread.cli("run", "t1", "--", "sh", "-c", WORKS).stderr == b""
    assert thread.out("cat /node_modules/mine") == "mine\n"


@pytest.mark.parametrize("command", USABLE)
def test_what_still_works_is_the_threads_own(thread: World, command: str) -> None:
    thread.out(command)
    assert [each for each in thread.status().changes if each.kind == "build"] == []
    thread.apply()
    assert len(layers_of(thread)) == 2  # the one of each build


def test_a_live_session_has_the_fresh_layer_next(thread: World) -> None:
    thread.out("rm -rf /.venv 2>/dev/null || :", keep_alive=60)
    assert thread.status().session is not None
    thread.apply()
    assert thread.sh(WORKS, keep_alive=60).status == 0
    assert solven_env.stop("t1", storage=thread.storage)


def test_a_release_with_the_destroyed_build_is_pending(thread: World) -> None:
    """Going back to packages whose layer was destroyed once is no conflict, and nothing is asked."""
    thread.out("rm -rf /.venv 2>/dev/null || :")
    text = thread.profile.read_text()
    other = thread.base / "other.yaml"
    other.write_text(text.replace("packages: [six]", "packages: []"))
    solven_env.lock(other)
    thread.apply(profile=other)
    thread.apply()
    assert thread.sh(WORKS).status == 0
    assert thread.status().state == "in-sync"
