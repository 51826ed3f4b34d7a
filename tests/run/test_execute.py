"""What preparing a command finds is kept for the next one, and every change is seen by the very next one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import NeverAppliedError, SandboxError
from solven_env.run import execute
from solven_env.sandbox.request import Request
from solven_env.threads import claims
from solven_env.threads.thread import Thread
from tests.profiles import write_profile
from tests.sandbox.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.run.world import World

TRUE = Request(("true",))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The threads for which everything was found anew."""
    anew: list[str] = []
    real = execute._apply

    def apply(thread: Thread, *rest: Any) -> Any:
        anew.append(thread.name)
        return real(thread, *rest)

    monkeypatch.setattr(execute, "_apply", apply)
    yield anew
    execute.commands_of.cache_clear()


def warm(world: World, found: list[str]) -> None:
    """Have commands run until one finds nothing anew: the third at the latest."""
    for _ in range(3):
        if not changed(world, found):
            return
    pytest.fail("three commands found everything anew")


def opened() -> list[str]:
    """What this process has open."""
    return sorted(os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())


def changed(world: World, found: list[str]) -> bool:
    """True if the next command finds everything anew."""
    before = len(found)
    world.run("true")
    return len(found) > before


def test_two_commands_find_everything_and_the_third_looks_only_whether_it_holds(
    either: World, found: list[str]
) -> None:
    warm(either, found)
    assert found == ["t1", "t1"]
    assert either.out("echo $SOLVEN_ENV_CWD $A", env={"A": "given"}) == "/ given\n"
    assert either.out("pwd; echo $SOLVEN_ENV_CWD", cwd="/tmp") == "/tmp\n/tmp\n"
    assert found == ["t1", "t1"]


def test_changes_of_record_host_and_session_are_seen_by_the_next_command(bare: World, found: list[str]) -> None:
    world = bare
    skills = world.storage / "skills/one"
    skills.mkdir(parents=True)
    (skills / "name").write_text("one")
    link = {".skills": {"to": "skills/one", "optional": True}}
    world.profile = write_profile(world.base / "second.yaml", {}, env={"HOME": "/", "A": "2"}, links=link)
    warm(world, found)

    assert world.cli("apply", str(world.profile), "t1").returncode == 0  # another process
    assert world.out("echo $A; cat /.skills/name") == "2\none"
    warm(world, found)

    (world.base / "config.yaml").write_text("sandbox: {networks: [internet]}\n")
    with pytest.raises(SandboxError, match="is not allowed"):
        world.run("true", network="none")
    (world.base / "config.yaml").write_text("")
    warm(world, found)

    shutil.rmtree(skills)
    assert world.sh("test -e /.skills/name").status == 1

    world.out("echo a >/tmp/a", keep_alive=60)
    assert world.out("cat /tmp/a") == "a\n"
    assert solven_env.stop("t1", storage=world.storage)
    assert world.sh("cat /tmp/a").status == 1
    warm(world, found)

    (world.storage / ".solven-env/threads/t1/state.json").unlink()
    shutil.rmtree(world.storage / ".solven-env/threads/t1/generations")
    with pytest.raises(NeverAppliedError):
        world.run("true")


def test_programs_and_certificates_that_change_are_seen(
    bare: World, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = bare
    programs, authorities = tmp_path / "bin", tmp_path / "authorities.pem"
    programs.mkdir()
    authorities.write_text("first\n")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    first = "head -n 1 /run/solven-env/certificates.pem"
    warm(world, found)
    assert world.out(first) == "first\n"

    authorities.write_text("second\n")
    assert world.out(first) == "second\n"
    warm(world, found)

    bwrap = shutil.which("bwrap")
    assert bwrap is not None
    (programs / "bwrap").symlink_to(bwrap)
    commands = execute.commands_of("t1", world.storage)
    assert commands.apply(TRUE).plan.program == str(programs / "bwrap")
    (programs / "bwrap").unlink()
    assert commands.apply(TRUE).plan.program == bwrap
    monkeypatch.setenv("SOLVEN_ENV_BWRAP", str(programs / "bwrap"))
    with pytest.raises(solven_env.errors.PlatformError):
        commands.apply(TRUE)


def test_builds_and_layers_that_change_are_seen_and_nothing_stays_open(copied_world: World, found: list[str]) -> None:
    world = copied_world
    (bun,) = world.builds.glob("bun-*")
    warm(world, found)

    before = opened()
    for _ in range(3):
        world.run("true")
    assert opened() == before
    assert not [path for path in before if str(world.base) in path]

    world.out("touch /.venv/mine")
    warm(world, found)
    solven_env.layer_reset("t1", storage=world.storage)
    assert world.sh("test -e /.venv/mine").status == 1
    warm(world, found)

    instance = (bun / "build.json").read_bytes()
    (bun / "tree/is-number/index.js").unlink()
    world.out("test -e /node_modules/is-number/index.js")
    assert (bun / "build.json").read_bytes() != instance
    warm(world, found)

    shutil.rmtree(bun)
    world.out("test -e /node_modules/is-number/index.js")
    warm(world, found)

    memory = next((world.builds.parent / "tools").glob("python-*.json"))
    memory.unlink()
    assert changed(world, found)
    assert memory.exists()


@pytest.mark.skipif(not ROOT, reason="only root has several uids")
def test_another_uid_is_seen(bare: World, found: list[str]) -> None:
    world = bare
    (world.base / "config.yaml").write_text("sandbox: {uids: {first: 70000, count: 100}}\n")
    world.apply()
    warm(world, found)
    thread = Thread.find("t1", world.storage)
    home = thread.home(thread.applied())
    claims.draw(home.data, [70042], range(70000, 70100), claims.Claimant(home.storage, "t1", home.incarnation))
    for path in (world.workspace(), *world.workspace().rglob("*")):
        os.chown(path, 70042, 70042, follow_symlinks=False)
    world.out("touch /made")
    assert (world.workspace() / "made").stat().st_uid == 70042
