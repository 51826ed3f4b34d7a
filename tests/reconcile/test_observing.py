"""Looking at a workspace: each resource by its kind, names only where they matter, and what keeps us out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.reconcile.kinds.directory import MADE
from solven_env.reconcile.model import HostFacts, NeededBuild, State
from solven_env.reconcile.observing import observe
from solven_env.state.storage_root import StorageRoot
from solven_env.workspace.storage import open_workspace
from tests.reconcile.states import DIR, record, text, wanted
from tests.reconcile.threads import NO_HOST, Thread

if TYPE_CHECKING:
    from pathlib import Path

BUILD = NeededBuild("python", "sha256:new", {"key": "python-1"}, is_lost=False, files={})


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread with a file of ours, and one of the agent's beside it."""
    thread = Thread(tmp_path / "storage")
    thread.storage.mkdir()
    thread.apply(wanted({"d/f": text("a")}))
    (thread.workspace / "d/mine").write_text("the agent's")
    return thread


def test_without_a_workspace_there_is_what_the_host_has() -> None:
    host = HostFacts(lambda source: None, {}, [BUILD])
    assert observe(None, wanted({"f": text("a")}), None, host).states == {"build:python": State("build", "sha256:new")}


def test_names_are_looked_at_in_directories_that_are_dropped(thread: Thread) -> None:
    (thread.workspace / "d/.solven-env-0123456789abcdef.tmp").touch()  # as an interrupted apply leaves one
    with open_workspace(StorageRoot(thread.storage), thread.name, None) as root:  # type: ignore[union-attr]
        kept = observe(root, wanted({"d/f": text("a")}), thread.record(), NO_HOST)
        dropped = observe(root, wanted({}), thread.record(), NO_HOST)
    assert kept.states["directory:d"].names == ()
    assert dropped.states["directory:d"].names == ("f", "mine")
    assert kept.states == dropped.states == {"directory:/": DIR, "directory:d": MADE, "file:d/f": text("a")}


def test_what_is_recorded_or_intended_is_looked_at_too(thread: Thread) -> None:
    (thread.workspace / "later").write_text("b")
    before = record({"d/f": text("a")}, intended=({"later": text("b")},))
    with open_workspace(StorageRoot(thread.storage), thread.name, None) as root:  # type: ignore[union-attr]
        found = observe(root, wanted({}), before, NO_HOST)
    assert {address: found.states[address].digest for address in ("file:d/f", "file:later")} == {
        "file:d/f": text("a").digest,
        "file:later": text("b").digest,
    }
