"""An agent plants links where the next command's mounts go (CVE-2026-87766); nothing appears outside the workspace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import Bind, Overlay, Tmpfs
from tests.sandbox.running import SANDBOX_HOST_UID, Box, command, wait_for_file

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.attack("links planted at mount points")

TARGETS = [
    "/.solven/skills/system",
    "/.venv",
    "/node_modules",
    "/.ticket",
    "/run/solven-env",
    "/etc",
    "/proc",
    "/dev",
    "/tmp",
]


@pytest.fixture
def victim(box: Box) -> Path:
    """A directory of the host that the sandbox's uid may write, so that only our care keeps it empty."""
    victim = box.base / "victim"
    victim.mkdir()
    if SANDBOX_HOST_UID is not None:
        os.chown(victim, SANDBOX_HOST_UID, SANDBOX_HOST_UID)
        box.base.chmod(0o711)
    return victim


@pytest.fixture
def full(box: Box) -> Box:
    """A plan with every kind of mount."""
    made = {}
    for name in ("skills", "ticket", "build", "upper", "scratch", "upper-js", "scratch-js"):
        made[name] = box.base / name
        made[name].mkdir()
        if SANDBOX_HOST_UID is not None:
            os.chown(made[name], SANDBOX_HOST_UID, SANDBOX_HOST_UID)
    return box.but(
        mounts=(
            *box.plan.mounts,
            Bind("/.solven/skills/system", str(box.base), beneath="skills"),
            Bind("/.ticket", str(box.base), beneath="ticket", read_only=False),
            Tmpfs("/run/solven-env", read_only=True),
            Overlay("/.venv", str(made["build"]), str(made["upper"]), str(made["scratch"]), "1"),
            Overlay("/node_modules", str(made["build"]), str(made["upper-js"]), str(made["scratch-js"]), "1"),
        )
    )


def prefixes(target: str) -> list[str]:
    parts = target.strip("/").split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


# Beneath /run is memory of the session's own, gone before the next one.
PLACES = sorted(
    {place for target in TARGETS if target != "/run/solven-env" for place in prefixes(target)} | {"run", "usr", "bin"}
)


def names(*directories: Path) -> set[str]:
    return {str(path) for directory in directories for path in directory.rglob("*")}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("to", ["/oldroot{victim}", "{victim}/new", "../victim"])
def test_a_link_planted_before_a_session_is_named_and_not_followed(
    full: Box, victim: Path, place: str, to: str
) -> None:
    planted = full.workspace / place
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.symlink_to(to.format(victim=victim))
    before = names(full.base)
    with pytest.raises(SandboxError, match="a link stands") as caught:
        full.run("true")
    assert caught.value.location == f"/{place}"
    made = names(full.base) - before
    assert all(path.startswith((str(full.workspace), full.runtime, str(full.base / "scratch"))) for path in made), made
    assert os.listdir(victim) == []
    planted.unlink()
    assert full.run("true").status == 0


@pytest.mark.parametrize("place", [".solven", ".solven/skills"])
def test_a_link_planted_from_inside_between_commands(full: Box, victim: Path, place: str) -> None:
    """What is no mount point itself can be moved away while it holds one: only parents, see the next test."""
    attack = f"mv /{place} /moved; ln -s /oldroot{victim} /{place}; ln -s {victim} /other; echo done"
    with session.start(full.plan, command("sh", "-c", "echo > /up; exec sleep 600"), full.runtime):
        wait_for_file(full.workspace / "up")
        assert b"done" in full.shell(attack).out
        assert (full.workspace / place).is_symlink()
        for next_one in (full, full.but(network="host")):  # the same shape, and one that is staged for the first time
            with pytest.raises(SandboxError, match=r"a link stands.*apply"):
                next_one.run("true")
    assert os.listdir(victim) == []


@pytest.mark.parametrize("place", [target for target in TARGETS if target.count("/") == 1] + ["/usr", "/run", "/var"])
def test_a_mount_point_cannot_be_moved_away_from_inside(full: Box, place: str) -> None:
    result = full.shell(f"mv {place} /moved || rmdir {place}")
    assert result.status != 0
    assert b"Device or resource busy" in result.err


@pytest.mark.parametrize("place", ["proc", "dev", "etc", ".venv"])
def test_a_neighbour_that_may_write_the_workspace_swaps_a_mount_point(full: Box, victim: Path, place: str) -> None:
    """Another sandbox has this workspace as a writable link: there the names are no mount points, and can be moved.

    Before 0.12 bubblewrap's own --proc and --dev would follow the link that then stands there.
    """
    neighbour = full.neighbour("writer")
    writer = neighbour.but(
        mounts=(
            *(m for m in neighbour.plan.mounts if not isinstance(m, Overlay)),
            Bind("/peer", full.plan.workspace, read_only=False),
        )
    )
    with session.start(full.plan, command("sh", "-c", "echo > /up; exec sleep 600"), full.runtime):
        wait_for_file(full.workspace / "up")
        assert writer.shell(f"cd /peer && mv {place} moved && ln -s /oldroot{victim}/made {place}").err == b""
        with pytest.raises(SandboxError, match="a link stands") as caught:
            full.run("true")
        assert caught.value.location == f"/{place}"
    assert os.listdir(victim) == []


def test_a_race_for_a_mount_points_parent_makes_nothing_outside(full: Box, victim: Path) -> None:
    """One command swaps a directory for a link and back, as fast as it can, while new shapes are staged."""
    swap = (
        "import os\n"
        "open('/up','w').close()\n"
        "os.makedirs('/.solven/skills', exist_ok=True)\n"
        f"os.symlink('/oldroot{victim}', '/planted')\n"
        "while True:\n"
        "  try:\n"
        "    os.rename('/.solven', '/away'); os.rename('/planted', '/.solven')\n"
        "    os.rename('/.solven', '/planted'); os.rename('/away', '/.solven')\n"
        "  except OSError: pass\n"
    )
    bare = full.but(mounts=tuple(m for m in full.plan.mounts if not m.target.startswith("/.solven")))
    outcomes: set[int | str] = set()
    with session.start(bare.plan, command("python3", "-c", swap), full.runtime):
        wait_for_file(full.workspace / "up")
        for number in range(40):
            try:
                outcomes.add(full.but(hostname=f"shape{number}").run("true").status)
            except SandboxError as error:
                outcomes.add(error.message)
    assert os.listdir(victim) == []
    assert 0 in outcomes or any("a link stands" in str(outcome) for outcome in outcomes)


def test_a_link_in_place_of_a_source_beneath_the_storage_is_refused(full: Box, victim: Path) -> None:
    """`skills/…` and `threads/…` of the storage may themselves be written by an agent."""
    (full.base / "ticket").rmdir()
    (full.base / "ticket").symlink_to(victim)
    with pytest.raises(SandboxError, match="a link stands"):
        full.run("true")


def test_a_workspace_that_is_a_link_is_refused(full: Box, victim: Path) -> None:
    full.workspace.rmdir()
    full.workspace.symlink_to(victim)
    with pytest.raises(SandboxError, match="the workspace cannot be opened"):
        full.run("true")
    assert os.listdir(victim) == []
    full.workspace.unlink()
    full.workspace.mkdir()


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_something_else_than_a_directory_at_a_mount_point_is_named(full: Box, kind: str) -> None:
    place = full.workspace / ".venv"
    if kind == "fifo":
        os.mkfifo(place)
    else:
        place.write_text("the agent's")
    with pytest.raises(SandboxError, match="not a directory") as caught:
        full.run("true")
    assert caught.value.location == "/.venv"
    assert place.exists()
