"""An agent moves a mount away, with a directory above it or from where it is none; the next command has it again."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError
from solven_env.sandbox.backends.bubblewrap import session
from solven_env.sandbox.launch_plan import Bind, Overlay, Tmpfs
from solven_env.system.effects import drive
from tests.sandbox.running import SANDBOX_HOST_UID, Box, command, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.attack("mount points moved away")


def owned(path: Path) -> Path:
    path.mkdir(parents=True)
    if SANDBOX_HOST_UID is not None:
        os.chown(path, SANDBOX_HOST_UID, SANDBOX_HOST_UID)
    return path


@pytest.fixture
def full(box: Box) -> Box:
    """A plan with mount points in each place that an agent can write, and `genuine` at each of them."""
    for name in ("skills", "ticket", "build", "deep"):
        (owned(box.base / name) / "genuine").write_text("genuine")
    (box.base / "linked/below").mkdir(parents=True)
    for name in ("linked", "linked/below", "upper", "work"):
        (box.base / name).mkdir(exist_ok=True)
        if SANDBOX_HOST_UID is not None:
            os.chown(box.base / name, SANDBOX_HOST_UID, SANDBOX_HOST_UID)
    return box.but(
        mounts=(
            *box.plan.mounts,
            Bind("/.solven/skills/system", str(box.base), beneath="skills"),
            Bind("/.ticket", str(box.base), beneath="ticket"),
            Bind("/var/log/app", str(box.base / "deep")),
            Bind("/shared", str(box.base), beneath="linked", read_only=False),
            Bind("/shared/below/it", str(box.base / "deep")),
            Overlay("/.venv", str(box.base / "build"), str(box.base / "upper"), str(box.base / "work"), "1"),
            Bind("/.venv/lib/x", str(box.base / "deep")),
            Tmpfs("/run/solven-env", read_only=True),
        )
    )


GENUINE = ("/.solven/skills/system", "/.ticket", "/var/log/app", "/shared/below/it", "/.venv", "/.venv/lib/x")


@contextmanager
def kept_up(box: Box) -> Iterator[session.Launched]:
    """A session with a command that runs on."""
    runs_on = command("sh", "-c", "echo > /up; while [ ! -e /end ]; do sleep 0.01; done; cat /.ticket/genuine")
    with session.start(box.plan, runs_on, box.runtime) as running:
        wait_for_file(box.workspace / "up")
        yield running


def see(box: Box) -> tuple[list[str], list[str]]:
    """The targets at which a new command finds what the profile mounts there, and what its caller is told."""
    told: list[str] = []
    text = f"for at in {' '.join(GENUINE)}; do [ -e $at/genuine ] && [ ! -e $at/evil ] && echo $at > /seen-${{at##*/}}; done"
    asked = command("sh", "-c", f"rm -f /seen-*; {text}; true")
    ended = drive(session.run(box.plan, asked, box.runtime, told.append))
    assert ended.status == 0
    return [at for at in GENUINE if (box.workspace / f"seen-{os.path.basename(at)}").exists()], told


@pytest.mark.parametrize(
    ("above", "target"),
    [
        ("/.solven", "/.solven/skills/system"),
        ("/.solven/skills", "/.solven/skills/system"),
        ("/var/log", "/var/log/app"),
        ("/shared/below", "/shared/below/it"),
        ("/.venv/lib", "/.venv/lib/x"),
    ],
)
@pytest.mark.parametrize("planted", ["with something in it", "empty", "none"])
def test_a_directory_above_is_renamed_inside(full: Box, above: str, target: str, planted: str) -> None:
    plant = {"with something in it": f"mkdir -p {target}; echo > {target}/evil", "empty": f"mkdir -p {target}"}
    with kept_up(full):
        assert see(full) == (list(GENUINE), [])
        assert full.shell(f"set -e; mv {above} {above}-moved; {plant.get(planted, 'true')}").status == 0
        seen, told = see(full)
        assert seen == list(GENUINE)
        assert len(told) == (planted != "none")
        assert all(line.endswith(f" {target}") for line in told)
        assert see(full) == (list(GENUINE), [])  # told once


def test_a_mount_takes_the_place_of_another(full: Box) -> None:
    """Something is mounted at the target, and it is not what belongs there."""
    with kept_up(full):
        assert full.shell("mkdir /a && mv /.solven/skills /a/b && mkdir /.solven/skills").status == 0
        assert full.shell("mv /.solven /c && mv /a /.solven && mv /.solven/b /.solven/skills").status == 0
        assert see(full)[0] == list(GENUINE)


@pytest.mark.parametrize("place", [".ticket", ".venv", ".solven/skills/system"])
@pytest.mark.parametrize("how", ["mv {0} /gone && mkdir {0}", "rmdir {0} && mkdir {0}", "rmdir {0}"])
def test_a_mount_point_is_removed_from_a_root_that_lacks_it(full: Box, place: str, how: str) -> None:
    bare = full.but(mounts=tuple(each for each in full.plan.mounts if not each.target.startswith(f"/{place}")))
    with kept_up(full):
        assert bare.shell(how.format(f"/{place}")).err == b""
        assert see(full)[0] == list(GENUINE)


def test_a_mount_point_is_removed_by_another_thread(full: Box) -> None:
    neighbour = full.neighbour("writer")
    writer = neighbour.but(
        mounts=(
            *(each for each in neighbour.plan.mounts if not isinstance(each, Overlay) and ".venv" not in each.target),
            Bind("/peer", full.plan.workspace, read_only=False),
        )
    )
    with kept_up(full):
        text = "cd /peer && rmdir .ticket && mv .venv x && mkdir .venv && mv usr y && mkdir usr && mv .solven z"
        assert writer.shell(text).err == b""
        assert see(full)[0] == list(GENUINE)
        assert full.run("/usr/bin/true").status == 0


def test_a_mount_point_is_removed_on_the_host(full: Box) -> None:
    with kept_up(full):
        (full.workspace / ".ticket").rmdir()
        (full.workspace / "usr").rename(full.workspace / "gone")
        assert see(full)[0] == list(GENUINE)


def test_the_workspace_itself_is_replaced_on_the_host(full: Box) -> None:
    with kept_up(full):
        full.workspace.rename(full.base / "gone")
        owned(full.workspace)
        assert see(full)[0] == list(GENUINE)
        assert full.shell("ls /up").status != 0


def test_a_running_command_keeps_its_root(full: Box) -> None:
    with kept_up(full) as running:
        assert full.shell("mv /.solven /x").status == 0
        assert see(full)[0] == list(GENUINE)
        (full.workspace / "end").touch()
        assert drive(running.wait()) == 0


@pytest.mark.parametrize(
    "plant", ["echo > /.solven", "ln -s /x /.solven", "mkdir -p /.solven && echo > /.solven/skills"]
)
def test_a_file_or_a_link_is_refused_and_apply_named(full: Box, plant: str) -> None:
    with kept_up(full):
        assert full.shell(f"mv /.solven /x && {plant}").status == 0
        with pytest.raises(SandboxError, match="apply the profile again") as caught:
            full.run("true")
        assert str(caught.value.location).startswith("/.solven")


def test_what_stands_there_when_a_session_begins_is_told(full: Box) -> None:
    for place in ("tmp", ".ticket", "proc"):
        (owned(full.workspace / place) / "theirs").touch()
    owned(full.workspace / "var")
    told: list[str] = []
    with session.start(full.plan, command("true"), full.runtime, told.append):
        pass
    (line,) = told
    assert line.endswith("/.ticket, /proc, /tmp")


def test_a_command_that_moves_mounts_without_end_keeps_others_from_starting_at_most(full: Box) -> None:
    loop = (
        "import os\n"
        "open('/up','w').close()\n"
        "number = 0\n"
        "while True:\n"
        "  try:\n"
        "    os.rename('/.solven', f'/away{number}'); number += 1\n"
        "    os.makedirs('/.solven/skills/system')\n"
        "  except OSError: pass\n"
    )
    with session.start(full.plan, command("python3", "-c", loop), full.runtime):
        wait_for_file(full.workspace / "up")
        for _ in range(10):
            with suppress(SandboxError):
                assert full.run("true").status == 0
    assert full.run("true").status == 0
