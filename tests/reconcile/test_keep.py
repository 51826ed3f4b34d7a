"""What is kept before it is replaced: complete, listed without loss, and refused as a whole where it is too large."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import StateError, WorkspaceError
from solven_env.reconcile import keep
from solven_env.reconcile.keep import Keeper, Kept
from solven_env.state import LocalState
from solven_env.workspace.storage import create_workspace
from tests.reconcile.threads import Thread, sha256, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "threads/t1/generations/1"


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread whose workspace is there and empty."""
    create_workspace(tmp_path, "t1", None).close()
    return Thread(tmp_path)


@pytest.fixture
def keeper(thread: Thread) -> Iterator[Keeper]:
    """A keeper of the first generation."""
    with create_workspace(thread.storage, "t1", None) as root:
        yield Keeper(root, LocalState(thread.storage), "t1", 1)


def key(data: bytes) -> str:
    """Where bytes are kept."""
    return f"{PREFIX}/kept/{sha256(data).removeprefix('sha256:')}"


def test_a_file_is_kept_with_bytes_and_mode(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "f").write_bytes(b"\0\xff")
    (thread.workspace / "f").chmod(0o4710)
    keeper.keep("f")
    assert keeper.kept == (Kept("f", "file", "4710", sha256(b"\0\xff"), key(b"\0\xff")),)
    assert thread.kept_bytes() == {b"\0\xff"}


def test_a_tree_is_kept_without_following_a_link(thread: Thread, keeper: Keeper) -> None:
    tree = thread.workspace / "d"
    (tree / "empty").mkdir(parents=True)
    (tree / "empty").chmod(0o700)
    (tree / "file").write_text("x")
    (tree / "same").write_text("x")
    (tree / "same").chmod(0o600)
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo", 0o600)
    keeper.keep("d")
    assert thread.kept() == [
        {"path": "d", "type": "directory", "mode": "0755", "digest": "", "kept": "", "target": ""},
        {"path": "d/empty", "type": "directory", "mode": "0700", "digest": "", "kept": "", "target": ""},
        {"path": "d/fifo", "type": "other", "mode": "0600", "digest": "", "kept": "", "target": ""},
        {"path": "d/file", "type": "file", "mode": "0644", "digest": sha256(b"x"), "kept": key(b"x"), "target": ""},
        {"path": "d/link", "type": "symlink", "mode": "0777", "digest": "", "kept": "", "target": "/etc/passwd"},
        {"path": "d/same", "type": "file", "mode": "0600", "digest": sha256(b"x"), "kept": key(b"x"), "target": ""},
    ]


def test_names_that_are_not_utf8_are_listed_without_loss(thread: Thread, keeper: Keeper) -> None:
    names = [b"\xff\xfe", "ä".encode(), "ä".encode("latin-1"), b"new\nline", b"\x1b[2J"]
    (thread.workspace / "d").mkdir()
    for name in names:
        (thread.workspace / "d" / os.fsdecode(name)).write_bytes(name)
        (thread.workspace / "d" / os.fsdecode(b"link" + name)).symlink_to(os.fsdecode(name))
    keeper.keep("d")
    listed = json.loads((thread.state / "generations/1/kept.json").read_bytes())
    files = {os.fsencode(entry["path"]) for entry in listed if entry["type"] == "file"}
    links = {(os.fsencode(entry["path"]), os.fsencode(entry["target"])) for entry in listed if entry["target"]}
    assert files == {b"d/" + name for name in names}
    assert links == {(b"d/link" + name, name) for name in names}
    assert thread.kept_bytes() == set(names)
    assert Keeper(keeper._root, LocalState(thread.storage), "t1", 1).kept == keeper.kept


def test_it_is_kept_under_its_name_wherever_it_stands(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "aside/e").mkdir(parents=True)
    (thread.workspace / "aside/e/f").write_text("x")
    walked = keeper.keep("d/file", "aside")
    assert [kept.path for kept in keeper.kept] == ["d/file", "d/file/e", "d/file/e/f"]
    assert [here for here, _ in walked] == ["aside", "aside/e", "aside/e/f"]


def test_nothing_is_kept_of_nothing(thread: Thread, keeper: Keeper) -> None:
    assert keeper.keep("gone") == []
    assert not thread.state.exists()


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 3), ("MAX_BYTES", 8)])
def test_what_is_too_large_is_refused_before_anything_is_kept(
    thread: Thread, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(keep, limit, value)
    (thread.workspace / "f").write_text("12345678")
    keeper.keep("f")
    (thread.workspace / "d").mkdir()
    for name in "abc":
        (thread.workspace / "d" / name).write_text(name * 3)
    before = snapshot(thread.storage)
    with pytest.raises(WorkspaceError, match=r"^d: what stands here is too large to be kept") as caught:
        keeper.keep("d")
    assert caught.value.fix
    assert snapshot(thread.storage) == before


def test_keeping_again_adds_only_what_is_new(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "f").write_text("one")
    keeper.keep("f")
    before = snapshot(thread.state)
    keeper.keep("f")
    assert snapshot(thread.state) == before
    (thread.workspace / "f").write_text("two")
    keeper.keep("f")
    assert thread.kept_bytes() == {b"one", b"two"}


def test_a_list_that_an_interrupted_apply_began_is_continued(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "f").write_text("one")
    keeper.keep("f")
    later = Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
    assert later.has(sha256(b"one"))
    assert not later.has(sha256(b"two"))
    (thread.workspace / "g").write_text("two")
    later.keep("g")
    assert [kept.path for kept in later.kept] == ["f", "g"]
    assert thread.kept_bytes() == {b"one", b"two"}


@pytest.mark.parametrize("damage", [b"", b"o"])
def test_kept_bytes_that_a_crash_emptied_are_not_taken_for_them(thread: Thread, keeper: Keeper, damage: bytes) -> None:
    """Else what stands in the workspace would be replaced, and what was kept of it be nothing."""
    (thread.workspace / "f").write_text("one")
    keeper.keep("f")
    (thread.storage / ".solven-env" / key(b"one")).write_bytes(damage)
    later = Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
    assert not later.has(sha256(b"one"))
    later.keep("f")
    assert later.has(sha256(b"one"))
    assert thread.kept_bytes() == {b"one"}


LISTED = b'[{"path": "f", "type": "file", "mode": "0644", "digest": "sha256:1", "kept": "%s"}]'


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"{", b"[1]", b'[{"path": "f"}]', b"\xff", b'[{"path": "f", "type": "file", "mode": 420}]'),
        *(LISTED % kept for kept in (b"../../t2/state.json", b"threads/t2/state.json", PREFIX.encode() + b"/kept/2")),
    ],
)
def test_a_damaged_list_is_told_with_its_place(thread: Thread, keeper: Keeper, damage: bytes) -> None:
    (thread.workspace / "f").write_text("one")
    keeper.keep("f")
    (thread.state / "generations/1/kept.json").write_bytes(damage)
    with pytest.raises(StateError, match=r"\.solven-env/threads/t1/generations/1/kept\.json: .* damaged"):
        Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
