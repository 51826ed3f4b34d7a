"""What is kept before it is replaced: listed without loss, copied up to a bound, and beyond that moved whole."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import StateError, WorkspaceError
from solven_env.reconcile import keep
from solven_env.reconcile.keep import Keeper, Kept
from solven_env.state.local import LocalState
from solven_env.state.storage_root import StorageRoot
from solven_env.system import mounting
from solven_env.workspace.storage import create_workspace
from tests.reconcile.crashes import in_a_child
from tests.reconcile.threads import Thread, sha256
from tests.reconcile.users import as_user, needs_root
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PREFIX = "threads/t1/generations/1"


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread whose workspace is there and empty."""
    create_workspace(StorageRoot(tmp_path), "t1", None).close()
    return Thread(tmp_path)


@pytest.fixture
def keeper(thread: Thread) -> Iterator[Keeper]:
    """A keeper of the first generation."""
    with create_workspace(StorageRoot(thread.storage), "t1", None) as root:
        yield Keeper(root, LocalState(thread.storage), "t1", 1)


def key(data: bytes) -> str:
    """Where bytes are kept."""
    return f"{PREFIX}/kept/{sha256(data).removeprefix('sha256:')}"


def test_a_file_is_kept_with_bytes_and_mode(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "f").write_bytes(b"\0\xff")
    (thread.workspace / "f").chmod(0o4710)
    keeper.copy(["f"])
    assert keeper.kept == (Kept("f", "file", "4710", sha256(b"\0\xff"), key(b"\0\xff"), size=2),)
    assert thread.kept_bytes() == {b"\0\xff"}


def test_links_and_what_is_no_file_are_listed(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "link").symlink_to("/etc/passwd")
    os.mkfifo(thread.workspace / "fifo", 0o600)
    keeper.copy(["link", "fifo", "gone"])
    nothing = {"digest": "", "kept": "", "size": 0}
    assert thread.kept() == [
        {"path": "link", "type": "symlink", "mode": "0777", "target": "/etc/passwd", **nothing},
        {"path": "fifo", "type": "other", "mode": "0600", "target": "", **nothing},
    ]
    for name in ("link", "fifo", "gone"):
        keeper.take(name)
    assert list(thread.workspace.iterdir()) == []
    assert len(keeper.kept) == 2


def test_names_that_are_not_utf8_are_listed_without_loss(thread: Thread, keeper: Keeper) -> None:
    names = [b"\xff\xfe", "ä".encode(), "ä".encode("latin-1"), b"new\nline", b"\x1b[2J"]
    for name in names:
        (thread.workspace / os.fsdecode(name)).write_bytes(name)
        (thread.workspace / os.fsdecode(b"link" + name)).symlink_to(os.fsdecode(name))
        (thread.workspace / os.fsdecode(b"directory" + name)).mkdir()
    for path in list(thread.workspace.iterdir()):
        keeper.take(path.name)
    listed = thread.kept()
    files = {os.fsencode(entry["path"]) for entry in listed if entry["type"] == "file"}
    links = {(os.fsencode(entry["path"]), os.fsencode(entry["target"])) for entry in listed if entry["target"]}
    assert files == set(names)
    assert links == {(b"link" + name, name) for name in names}
    assert all(thread.at(entry["kept"]).is_dir() for entry in listed if entry["type"] == "directory")
    assert thread.kept_bytes() == set(names)
    assert Keeper(keeper._root, LocalState(thread.storage), "t1", 1).kept == keeper.kept


def test_it_is_kept_under_its_name_wherever_it_stands(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "aside").write_text("x")
    (thread.workspace / "directory").mkdir()
    keeper.take("d/file", "aside")
    keeper.take("d/e", "directory")
    file, directory = keeper.kept
    assert (file.path, file.kept) == ("d/file", key(b"x"))
    assert (directory.path, directory.kept.rpartition("/")[2]) == ("d/e", "e")
    assert list(thread.workspace.iterdir()) == []


def test_nothing_is_kept_of_nothing(thread: Thread, keeper: Keeper) -> None:
    keeper.copy(["gone"])
    keeper.take("gone")
    keeper.sweep("", [])
    assert not thread.state.exists()


def hostile_tree(place: Path) -> None:
    """What nobody should walk: links, a FIFO, a file of 1 TiB, directories that are closed."""
    (place / "deep/closed").mkdir(parents=True)
    (place / "deep/link").symlink_to("/etc")
    os.mkfifo(place / "deep/fifo")
    with (place / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    (place / "deep/closed").chmod(0)
    place.chmod(0o555)


def test_a_directory_is_moved_whole_whatever_is_in_it(users_place: Path) -> None:
    """One that its owner may not write too: its `..` changes."""

    def act() -> None:
        thread = Thread(users_place / "storage")
        create_workspace(StorageRoot(thread.storage), "t1", None).close()
        hostile_tree(thread.workspace / "d")
        inode = (thread.workspace / "d").stat().st_ino
        with create_workspace(StorageRoot(thread.storage), "t1", None) as root:
            keeper = Keeper(root, LocalState(thread.storage), "t1", 3)
            keeper.copy(["d"])
            assert not thread.kept()
            keeper.take("d")
            (moved,) = keeper.kept
            assert Keeper(root, LocalState(thread.storage), "t1", 3).kept == (moved,)
        assert not (thread.workspace / "d").exists()
        assert moved.kept.startswith("threads/t1/moved/3-")
        assert moved._replace(kept="") == Kept("d", "directory", "0555")
        found = thread.at(moved.kept).stat()
        assert (found.st_ino, stat.S_IMODE(found.st_mode)) == (inode, 0o555)
        assert stat.S_IMODE(thread.at(moved.kept).parent.stat().st_mode) == 0o700
        for path in (thread.at(moved.kept), thread.at(moved.kept) / "deep/closed"):
            path.chmod(0o700)

    as_user(act)


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 2), ("MAX_BYTES", 20)])
def test_a_generation_copies_a_bounded_amount_and_moves_the_rest(
    thread: Thread, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """Each file alone is below the bound, and so many applies of one generation may fail."""
    monkeypatch.setattr(keep, limit, value)
    for name in "abc":
        (thread.workspace / name).write_text(name * 9)
    (thread.workspace / "same").write_text("a" * 9)
    keeper.copy("abc")
    keeper.copy("abc")
    assert [kept.path for kept in keeper.kept] == ["a", "b"]
    later = Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
    for name in "abc":
        later.take(name)
    assert [(kept.path, kept.is_moved) for kept in later.kept] == [("a", False), ("b", False), ("c", True)]
    assert list(thread.workspace.iterdir()) == [thread.workspace / "same"]
    assert thread.kept_bytes() == {b"a" * 9, b"b" * 9, b"c" * 9}


def test_a_file_of_a_tebibyte_is_moved_and_never_read(
    thread: Thread, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (thread.workspace / "f").open("wb") as sparse:
        sparse.truncate(1 << 40)
    monkeypatch.setattr(os, "read", None)
    keeper.copy(["f"])
    keeper.take("f")
    (moved,) = keeper.kept
    assert thread.at(moved.kept).stat().st_size == 1 << 40
    assert list(thread.workspace.iterdir()) == []


def test_what_a_crash_left_in_its_place_is_listed_for_nothing(
    thread: Thread, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed before it is moved."""
    (thread.workspace / "d").mkdir()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "rename", refuse)
        keeper.take("d")
    later = Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
    assert later.kept == ()
    later.take("d")
    assert [thread.at(kept["kept"]).is_dir() for kept in thread.kept()] == [True]


def refuse(*_: object, **named: object) -> None:
    """What a crash does at the rename of something of the workspace."""
    raise KeyboardInterrupt


@needs_root
def test_a_workspace_that_is_a_mount_of_its_own_is_told_before_anything_is_done(tmp_path: Path) -> None:
    """No rename leads out of it."""

    def act() -> None:
        thread = Thread(tmp_path)
        (thread.workspace / "d").mkdir(parents=True)
        (thread.workspace / "f").write_text("mine")
        assert subprocess.run(["mount", "--bind", thread.workspace, thread.workspace], check=False).returncode == 0
        with create_workspace(StorageRoot(thread.storage), "t1", None) as root:
            keeper = Keeper(root, LocalState(thread.storage), "t1", 1)
            with pytest.raises(WorkspaceError, match=r"^d: .*the workspace is a mount of its own"):
                keeper.copy(["f", "d"])
            with pytest.raises(WorkspaceError, match=r"^d: .*the workspace is a mount of its own"):
                keeper.take("d")
            keeper.take("f")
        assert (thread.workspace / "d").is_dir()
        assert thread.kept_bytes() == {b"mine"}

    in_a_namespace(act)


def in_a_namespace(act: Callable[[], None]) -> None:
    """Do `act` in a process with mounts of its own."""

    def apart() -> None:
        mounting.unshare(mounting.CLONE_NEWNS)
        assert subprocess.run(["mount", "--make-rprivate", "/"], check=False).returncode == 0
        act()

    in_a_child(apart)


def test_keeping_again_adds_only_what_is_new(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "f").write_text("one")
    keeper.copy(["f"])
    before = snapshot(thread.state)
    keeper.copy(["f"])
    assert snapshot(thread.state) == before
    (thread.workspace / "f").write_text("two")
    keeper.copy(["f"])
    assert thread.kept_bytes() == {b"one", b"two"}


def test_a_list_that_an_interrupted_apply_began_is_continued(thread: Thread, keeper: Keeper) -> None:
    (thread.workspace / "f").write_text("one")
    keeper.copy(["f"])
    later = Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
    assert later.has(sha256(b"one"))
    assert not later.has(sha256(b"two"))
    (thread.workspace / "g").write_text("two")
    later.copy(["g"])
    assert [kept.path for kept in later.kept] == ["f", "g"]
    assert thread.kept_bytes() == {b"one", b"two"}


@pytest.mark.parametrize("damage", [b"", b"o"])
def test_kept_bytes_that_a_crash_emptied_are_not_taken_for_them(thread: Thread, keeper: Keeper, damage: bytes) -> None:
    """Else what stands in the workspace would be replaced, and what was kept of it be nothing."""
    (thread.workspace / "f").write_text("one")
    keeper.copy(["f"])
    (thread.storage / ".solven-env" / key(b"one")).write_bytes(damage)
    later = Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
    assert not later.has(sha256(b"one"))
    later.copy(["f"])
    assert later.has(sha256(b"one"))
    assert thread.kept_bytes() == {b"one"}


LISTED = b'[{"path": "f", "type": "file", "mode": "0644", "digest": "sha256:1", "kept": "%s"}]'
MOVED = b'[{"path": "f", "type": "directory", "mode": "0644", "kept": "threads/%s"}]'


@pytest.mark.parametrize(
    "damage",
    [
        *(
            b"",
            b"{",
            b"[1]",
            b'[{"path": "f", "type": "file", "mode": "0644", "size": true}]',
            b'[{"path": "f"}]',
            b"\xff",
            b'[{"path": "f", "type": "file", "mode": 420}]',
        ),
        *(LISTED % kept for kept in (b"../../t2/state.json", b"threads/t2/state.json", PREFIX.encode() + b"/kept/2")),
        *(MOVED % kept for kept in (b"t1/moved/1-../x", b"t2/moved/1-00000000", b"t1/moved/1-00000000/../x")),
    ],
)
def test_a_damaged_list_is_told_with_its_place(thread: Thread, keeper: Keeper, damage: bytes) -> None:
    (thread.workspace / "f").write_text("one")
    keeper.copy(["f"])
    (thread.state / "generations/1/kept.json").write_bytes(damage)
    with pytest.raises(StateError, match=r"\.solven-env/threads/t1/generations/1/kept\.json: .* damaged"):
        Keeper(keeper._root, LocalState(thread.storage), "t1", 1)
