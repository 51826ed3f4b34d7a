"""An agent plants links where the next command mounts things; nothing appears outside its workspace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from tests.run.world import UID, tree
from tests.sandbox.running import wait_for_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

PLACES = [
    ".solven", ".solven/skills", ".solven/skills/system", ".drafts", ".venv", "node_modules", "run", "etc", "proc",
    "dev", "tmp", "var", "usr", "bin", "sys",
]  # fmt: skip


@pytest.fixture
def linked(thread: World) -> World:
    """A thread whose links lead somewhere."""
    for name in ("system", "drafts"):
        (thread.storage / "skills" / name).mkdir(parents=True)
    return thread


@pytest.fixture
def victim(linked: World) -> Path:
    """A directory of the host that the sandbox's uid may write, so that only our care keeps it empty."""
    victim = linked.base / "victim"
    victim.mkdir()
    if UID is not None:
        os.chown(victim, UID, UID)
        linked.base.chmod(0o711)
    return victim


def outside(world: World) -> set[str]:
    """Everything on the test's host but the workspace, the session's socket, and the kernel's scratch of a layer."""
    inner = ("storage/threads/t1/", "runtime/solven-env/")
    return {name for name in tree(world.base) if not name.startswith(inner) and "work" not in name.split("/")}


@pytest.mark.parametrize("place", PLACES)
def test_a_link_planted_before_a_command_is_named_and_not_followed(linked: World, victim: Path, place: str) -> None:
    linked.run("true")
    planted = linked.workspace() / place
    for directory in sorted((path for path in planted.rglob("*") if path.is_dir()), reverse=True):
        directory.rmdir()
    if planted.is_dir():
        planted.rmdir()
    planted.parent.mkdir(parents=True, exist_ok=True)
    before = outside(linked)
    for to in (f"/oldroot{victim}", f"{victim}/new", "../../../victim"):
        planted.symlink_to(to)
        with pytest.raises(SandboxError, match="a link stands") as caught:
            linked.run("true")
        assert caught.value.location == f"/{place}"
        assert "apply" in caught.value.fix
        planted.unlink()
    assert os.listdir(victim) == []
    assert outside(linked) == before
    assert linked.run("true").status == 0


@pytest.mark.parametrize("place", [".solven", ".solven/skills"])
def test_a_link_planted_from_inside_while_a_command_runs(linked: World, victim: Path, place: str) -> None:
    attack = f"mv /{place} /moved && ln -s /oldroot{victim} /{place} && echo done"
    process = linked.start("run", "t1", "--", "sh", "-c", "touch /up; read -r _", stdin=-1)
    wait_for_file(linked.workspace() / "up")
    before = outside(linked)
    assert linked.sh(attack).out == "done\n"
    for network in ("none", "host"):  # the root that was staged, whose mount has gone away, and another shape
        with pytest.raises(SandboxError, match="a link stands"):
            linked.run("true", network=network)
    process.communicate(b"\n")
    with pytest.raises(SandboxError, match="a link stands"):
        linked.run("true")
    assert os.listdir(victim) == []
    assert outside(linked) == before


def test_an_apply_follows_no_planted_link_either(linked: World, victim: Path) -> None:
    linked.out(f"rm -f /.bashrc /uv.lock; ln -s {victim}/bashrc /.bashrc; ln -s {victim}/lock /uv.lock")
    linked.apply()
    assert os.listdir(victim) == []
    assert not (linked.workspace() / ".bashrc").is_symlink()


def test_a_link_in_a_build_or_a_layer_leads_nowhere_outside(linked: World, victim: Path) -> None:
    """Made inside, it lies in the layer on the host; what we do there must not pass through it."""
    linked.out(f"rm -rf /.venv/* /node_modules/*; ln -s {victim} /.venv/lib; ln -s {victim} /node_modules/x; touch /a")
    assert linked.sh("touch /.venv/lib/escaped /node_modules/x/escaped").status != 0
    assert linked.status().state == "drift"  # the environment is destroyed
    linked.apply()
    assert linked.status().state == "in-sync"
    assert os.listdir(victim) == []
