"""An apply that dies at any of its effects is finished by the next one, and nothing of the agent's is lost."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from solven_env.reconcile.kinds.mount_point import PLACE
from solven_env.reconcile.model import DIRECTORY
from solven_env.state import leases
from solven_env.system import durable
from solven_env.workspace import root as root_module
from solven_env.workspace.root import Owner
from tests.reconcile.crashes import dies_at
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from solven_env.reconcile.model import Desired

OLD = wanted({".bashrc": text("old"), "bin/hello": text("hello", "0755"), "a/b/c": text("deep")})
NEW = wanted({".bashrc": text("new"), "bin/hello": text("hello", "0700"), "x/y": text("added")}, env={"A": "1"})
MOUNTS = {"mount:m": DIRECTORY, "mount:tool/conf": PLACE, "mount:tool": DIRECTORY}
MOUNTED = NEW._replace(states={**NEW.states, **MOUNTS}, hiding=frozenset({"mount:m", "mount:tool/conf"}))
OTHER = wanted({".bashrc": text("other"), "a/z": text("z"), "x": text("no directory")})


def nothing(workspace: Path) -> None:
    """The agent does nothing."""


def edit(workspace: Path) -> None:
    """The agent edits a file and a mode."""
    (workspace / ".bashrc").write_text("the agent's")
    (workspace / "bin/hello").chmod(0o600)


def put_directory(workspace: Path) -> None:
    """The agent puts a directory in a file's place, and a link in a directory's."""
    (workspace / ".bashrc").unlink()
    (workspace / ".bashrc/deep").mkdir(parents=True)
    (workspace / ".bashrc/deep/file").write_text("the agent's")
    (workspace / ".bashrc/link").symlink_to("/etc/passwd")
    shutil.rmtree(workspace / "bin")
    (workspace / "bin").write_text("a file of the agent's")


def own_files(workspace: Path) -> None:
    """The agent has a workspace of its own."""
    (workspace / "x").mkdir(parents=True)
    (workspace / ".bashrc").write_text("the agent's")
    (workspace / "x/y").write_text("added")
    (workspace / "x/y").chmod(0o600)
    (workspace / "mine").write_text("stays")


def fill_mount_points(workspace: Path) -> None:
    """The agent has files where something is mounted from now on."""
    (workspace / "m/deep").mkdir(parents=True)
    (workspace / "m/deep/file").write_text("the agent's")
    (workspace / "tool").symlink_to("/etc")


def add_to_directories(workspace: Path) -> None:
    """The agent uses our directories."""
    (workspace / "a/b/mine").write_text("stays")


@dataclass(frozen=True)
class Scenario:
    """What was applied before, what the agent did then, what dies, and what is applied afterwards."""

    before: Desired | None
    agent: Callable[[Path], None]
    dying: Desired
    after: Desired
    overwrite: bool = False
    kept: frozenset[bytes] = frozenset()


SCENARIOS = {
    "first apply": Scenario(None, nothing, NEW, NEW),
    "first apply, then another profile": Scenario(None, nothing, NEW, OTHER),
    "pending": Scenario(OLD, nothing, NEW, NEW),
    "pending, then another profile": Scenario(OLD, nothing, NEW, OTHER),
    "pending, then back": Scenario(OLD, nothing, NEW, OLD),
    "drift": Scenario(OLD, edit, OLD, OLD, kept=frozenset({b"the agent's", b"hello"})),
    "removal": Scenario(OLD, add_to_directories, wanted({}), wanted({})),
    "something else in our places": Scenario(
        OLD, put_directory, OLD, OLD, kept=frozenset({b"the agent's", b"a file of the agent's"})
    ),
    "conflict overwritten": Scenario(OLD, edit, NEW, NEW, overwrite=True, kept=frozenset({b"the agent's"})),
    "mounts": Scenario(OLD, fill_mount_points, MOUNTED, MOUNTED, overwrite=True, kept=frozenset({b"the agent's"})),
    "adoption": Scenario(None, own_files, NEW, NEW, overwrite=True, kept=frozenset({b"the agent's", b"added"})),
}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies, the machine does not: nothing depends on what is on disk already."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_next_apply_finishes_whatever_was_begun(name: str, memory_path: Path) -> None:
    scenario, count = SCENARIOS[name], 0
    for thread in deaths(scenario, memory_path):
        thread.apply(scenario.after, overwrite=scenario.overwrite)
        assert files(thread, scenario.after) == asked_files(scenario.after)
        check(thread, scenario)
        count += 1
    assert count > 15


@pytest.mark.parametrize("name", ["pending", "something else in our places", "conflict overwritten"])
def test_it_does_so_where_two_names_cannot_be_exchanged(
    name: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FUSE, where a thread is held by a lease too."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(durable, "renameat2", refuse)
    monkeypatch.setattr(root_module, "renameat2", refuse)
    monkeypatch.setattr(leases, "file_system_type", lambda _: 0x65735546)
    scenario, count = SCENARIOS[name], 0
    for thread in deaths(scenario, memory_path):
        thread.apply(scenario.after, overwrite=scenario.overwrite)
        assert files(thread, scenario.after) == asked_files(scenario.after)
        check(thread, scenario)
        count += 1
    assert count > 15


def deaths(scenario: Scenario, place: Path) -> Iterator[Thread]:
    """The thread after an apply that died at its first effect, one at its second, and so on to one that survived."""
    owner = Owner(61000, 61000) if os.geteuid() == 0 else None
    number = 0
    while True:
        thread = Thread(place / str(number), owner=owner)
        if scenario.before:
            thread.apply(scenario.before)
        scenario.agent(thread.workspace)
        died = dies_at(number, lambda thread=thread: thread.apply(scenario.dying, overwrite=scenario.overwrite))  # type: ignore[misc]
        yield thread
        shutil.rmtree(thread.storage)
        number += 1
        if not died:
            return


def files(thread: Thread, asked: Desired) -> dict[str, tuple[bytes, str]]:
    """What is on disk where a profile asks for files: bytes and mode."""
    paths = {path: thread.workspace / path[5:] for path in asked_files(asked)}
    return {path: (at.read_bytes(), f"{at.stat().st_mode & 0o7777:04o}") for path, at in paths.items()}


def asked_files(asked: Desired) -> dict[str, tuple[bytes, str]]:
    """The files that a profile asks for, in the same form."""
    return {path: (state.data or b"", state.mode) for path, state in asked.states.items() if path.startswith("file:")}


def check(thread: Thread, scenario: Scenario) -> None:
    """The next apply has converged: what is not asked for is gone, the agent's is kept or stays, each is its owner's."""
    thread.check_in_sync(scenario.after)
    found = asked_files(scenario.after)
    assert found.keys() == scenario.after.own.keys()
    if thread.owner:
        assert {path.lstat().st_uid for path in thread.workspace.rglob("*")} <= {thread.owner.uid, 0}
        assert all((thread.workspace / path[5:]).stat().st_uid == thread.owner.uid for path in found)
        assert all(path.stat().st_uid == thread.owner.uid for path in directories(thread, scenario.after))
    assert scenario.kept <= thread.kept_bytes()
    stays = set(thread.workspace.rglob("mine"))
    assert all(path.read_text() == "stays" for path in stays)
    asked = {path.partition(":")[2] for path in scenario.after.states}
    others = {str(path.relative_to(thread.workspace)) for path in thread.workspace.rglob("*")} - asked
    mine = {name for path in stays for name in parts(str(path.relative_to(thread.workspace)))}
    assert others <= mine


def parts(path: str) -> set[str]:
    """A path and all above it."""
    names = path.split("/")
    return {"/".join(names[: count + 1]) for count in range(len(names))}


def directories(thread: Thread, asked: Desired) -> list[Path]:
    """The directories that a profile asks for, the workspace too."""
    return [
        thread.workspace / address.partition(":")[2].strip("/")
        for address in asked.states
        if address.startswith("directory:")
    ]
