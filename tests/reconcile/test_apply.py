"""What an apply does on disk: owners, modes, failures half-way, and a storage that keeps no modes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.errors import ConflictError, SolvenError, StateError, WorkspaceError
from solven_env.reconcile.apply import Applied, let_in
from solven_env.state.storage_root import StorageRoot
from solven_env.system import durable, unsynced
from solven_env.workspace import root as root_module
from solven_env.workspace.root import Owner
from solven_env.workspace.storage import create_workspace
from tests import mounts
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread
from tests.reconcile.users import GROUP, USER, as_user, needs_root
from tests.state.test_contents import DAMAGES, DATA
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from solven_env.reconcile.model import Desired

FILES = {".bashrc": text("old"), "bin/hello": text("hello", "0755")}
ASKED = wanted(FILES)
EDITED = wanted({**FILES, ".bashrc": text("new")})


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread that was never applied."""
    return Thread(tmp_path / "storage")


def owners(place: Path) -> dict[str, tuple[int, int]]:
    """Whose everything beneath a directory is, and the directory itself."""
    found = {}
    for path in (place, *place.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(place))] = (status.st_uid, status.st_gid)
    return found


def mode(path: Path) -> int:
    """The permission bits of what has this name."""
    return stat.S_IMODE(path.lstat().st_mode)


# The plain course


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_new_thread_gets_its_files_with_their_modes(thread: Thread, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert thread.apply(ASKED).generation == 1
    finally:
        os.umask(before)
    assert (thread.workspace / ".bashrc").read_text() == "old"
    modes = {str(path.relative_to(thread.workspace)): mode(path) for path in thread.workspace.rglob("*")}
    assert modes == {".bashrc": 0o644, "bin": 0o755, "bin/hello": 0o755}
    thread.check_in_sync(ASKED)


def test_generations_count_applies_that_changed_something(thread: Thread) -> None:
    assert [thread.apply(asked).generation for asked in (ASKED, ASKED, EDITED, EDITED, ASKED)] == [1, 1, 2, 2, 3]
    assert sorted(path.name for path in thread.state.glob("generations/*")) == ["1", "2", "3"]
    assert thread.record() is not None
    generation = json.loads((thread.state / "generations/3/record.json").read_text())
    about = generation.pop("about")
    assert (about, generation) == ({"kept": []}, json.loads((thread.state / "state.json").read_text()))


def test_drift_is_mended_and_kept(thread: Thread) -> None:
    thread.apply(ASKED)
    (thread.workspace / ".bashrc").write_text("mine")
    (thread.workspace / "bin/hello").chmod(0o700)
    outcome = thread.apply(ASKED)
    assert [(kept.path, kept.mode) for kept in outcome.kept] == [(".bashrc", "0644"), ("bin/hello", "0700")]
    assert thread.kept_bytes() == {b"mine", b"hello"}
    thread.check_in_sync(ASKED)


def test_a_conflict_writes_nothing_in_the_workspace(thread: Thread) -> None:
    thread.apply(ASKED)
    (thread.workspace / ".bashrc").write_text("mine")
    shutil.rmtree(thread.workspace / "bin")
    before = snapshot(thread.storage)
    with pytest.raises(ConflictError, match=r"\.bashrc") as caught:
        thread.apply(EDITED)
    assert {change.address for change in caught.value.changes} >= {"file:.bashrc", "file:bin/hello"}
    assert snapshot(thread.storage) == before
    thread.apply(EDITED, overwrite=True)
    assert thread.kept_bytes() == {b"mine"}
    thread.check_in_sync(EDITED)


def test_a_workspace_that_was_deleted_is_made_again(thread: Thread) -> None:
    thread.apply(ASKED)
    shutil.rmtree(thread.workspace)
    assert {change.cause for change in thread.plan(ASKED).changes} == {"drift"}
    thread.apply(ASKED)
    thread.check_in_sync(ASKED)


def test_our_own_bytes_are_not_kept(thread: Thread) -> None:
    thread.apply(ASKED)
    thread.apply(EDITED)
    thread.apply(wanted({}))
    assert thread.kept() == []
    assert list(thread.workspace.iterdir()) == []


def test_a_file_of_the_agents_in_our_directory_stays(thread: Thread) -> None:
    thread.apply(ASKED)
    (thread.workspace / "bin/mine").write_text("mine")
    thread.apply(wanted({}))
    assert [path.name for path in thread.workspace.rglob("*")] == ["bin", "mine"]
    thread.check_in_sync(wanted({}))


@pytest.mark.parametrize("times", [1, 5])
def test_an_apply_that_fails_again_and_again_leaves_no_more_than_one_that_fails_once(
    thread: Thread, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    thread.apply(ASKED)
    with monkeypatch.context() as patch:
        patch.setattr(root_module.Root, "stage", refuse_stage)
        for _ in range(times):
            with pytest.raises(WorkspaceError):
                thread.apply(EDITED)
    record = thread.record()
    assert record is not None
    assert record.intended is not None
    assert {len(entries) for entries in record.intended.values()} == {1}
    thread.apply(EDITED)
    thread.check_in_sync(EDITED)


@pytest.mark.parametrize("count", [3, 30])
def test_the_files_of_a_new_thread_are_waited_for_together(
    thread: Thread, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Five waits: for what is meant, all files, their names and the bytes of both records, the generation, the record.
    (There is a wait for each 64 files.)
    """
    asked = wanted({f"d{number}/f": text("x") for number in range(count)})
    Thread(thread.storage, "first").apply(asked)
    waits: list[int] = []
    real = unsynced.sync_all

    def waited(opened: list[int]) -> None:
        waits.extend([len(opened)] if opened else [])
        real(opened)

    monkeypatch.setattr(unsynced, "sync_all", waited)
    thread.apply(asked)
    names = count + 1
    assert waits == [2, 1 + 1 + count, names + 2 + 2, 1, 1]


def test_a_full_disk_in_the_middle_of_a_batch_leaves_every_old_file(
    thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {f"f{number}": text("old") for number in range(5)}
    thread.apply(wanted(asked))
    real, left = durable.write_new, 3

    def fill(*arguments: Any, **named: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(root_module, "write_new", fill)
        with pytest.raises(WorkspaceError, match="no space is left"):
            thread.apply(wanted({name: text("new") for name in asked}))
    assert {path.read_text() for path in thread.workspace.iterdir()} == {"old"}
    assert thread.leftovers() == []


def refuse_stage(*_: object) -> str:
    """A workspace that takes no file."""
    raise WorkspaceError("no", fix="Try again.")


# Failures half-way


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("write", errno.ENOSPC),
        ("write", errno.EDQUOT),
        ("mkdir", errno.EROFS),
        ("fsync", errno.EIO),
        ("unlink", errno.EIO),
        ("rename", errno.ENOSPC),
        ("_close", errno.EIO),
    ],
)
def test_a_disk_that_fails_at_any_moment_is_told_and_the_next_apply_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    count, failed = 0, True
    while failed:
        thread = Thread(tmp_path / str(count))
        thread.apply(ASKED)
        (thread.workspace / ".bashrc").write_text("mine")
        (thread.workspace / "x").write_text("mine too")
        asked = wanted({".bashrc": text("new"), "a/b": text("b"), "x": text("x")})
        with monkeypatch.context() as patch:
            fail_at(patch, name, count, number)
            failed = False
            try:
                thread.apply(asked, overwrite=True)
            except (WorkspaceError, StateError) as error:
                failed = True
                assert error.fix
                assert error.location
        assert {b"mine", b"mine too"} <= {*thread.kept_bytes(), *contents(thread.workspace)}
        thread.apply(asked, overwrite=True)
        thread.check_in_sync(asked)
        assert thread.kept_bytes() == {b"mine", b"mine too"}
        count += 1
    assert count > 1


def contents(place: Path) -> set[bytes]:
    """The bytes of every file."""
    return {path.read_bytes() for path in place.rglob("*") if path.is_file()}


def fail_at(patch: pytest.MonkeyPatch, name: str, count: int, number: int) -> None:
    """Let a function of `os` fail from its call of this number on, as a full or broken disk does; or the closing of
    files that were waited for together, which a network file system lets fail. These are synced one by one here.
    """
    holder: Any = unsynced if name == "_close" else os
    real = getattr(holder, name)
    calls = 0

    def fail(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > count:
            if name == "_close":
                real(*arguments)
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    patch.setattr(unsynced, "_queue", lambda: None)
    patch.setattr(holder, name, fail)


def test_a_damaged_record_stops_everything(thread: Thread) -> None:
    thread.apply(ASKED)
    (thread.state / "state.json").write_text("{")
    before = snapshot(thread.storage)
    for act in (thread.plan, thread.apply):
        with pytest.raises(StateError, match="damaged"):
            act(EDITED)
    assert snapshot(thread.storage) == before


@pytest.mark.parametrize("damage", ["empty", "gone"])
def test_a_lost_text_of_a_lock_is_written_again_though_nothing_else_changes(thread: Thread, damage: str) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    build = {"key": f"python-{'a' * 40}", "instance": "0" * 32, "lock": digest}
    asked = ASKED._replace(locks={digest: DATA}, builds={"python": build})
    assert thread.apply(asked).locks == ()
    before = snapshot(thread.storage)
    assert thread.apply(asked) == Applied(1)
    assert snapshot(thread.storage) == before
    DAMAGES[damage](thread.storage / ".solven-env/locks" / digest)
    assert thread.apply(asked) == Applied(1, locks=("python",))
    assert (thread.storage / ".solven-env/locks" / digest).read_bytes() == DATA
    thread.check_in_sync(asked)


def test_a_record_that_was_removed_is_adoption_and_keeps_what_was_kept(thread: Thread) -> None:
    thread.apply(ASKED)
    (thread.workspace / ".bashrc").write_text("mine")
    (thread.state / "state.json").unlink()
    with pytest.raises(ConflictError):
        thread.apply(ASKED)
    thread.apply(ASKED, overwrite=True)
    (thread.state / "state.json").unlink()
    thread.apply(ASKED)
    assert thread.kept_bytes() == {b"mine"}


# Users


@needs_root
def test_adoption_gives_everything_to_the_owner_once(tmp_path: Path) -> None:
    thread = Thread(tmp_path, owner=Owner(USER, USER))
    (thread.workspace / "project").mkdir(parents=True)
    (thread.workspace / "project/notes").write_text("mine")
    (thread.workspace / ".bashrc").write_text("old")
    thread.apply(ASKED)
    assert set(owners(thread.workspace).values()) == {(USER, USER)}
    assert set(owners(tmp_path / ".solven-env").values()) == {(0, 0)}
    (thread.workspace / "roots").write_text("put here by root later")
    thread.apply(EDITED)
    assert owners(thread.workspace)["roots"] == (0, 0)
    shutil.rmtree(thread.workspace)
    thread.apply(EDITED)
    assert set(owners(thread.workspace).values()) == {(USER, USER)}


def test_a_user_applies_in_a_storage_of_its_own(users_place: Path) -> None:
    def act() -> None:
        thread = Thread(users_place / "storage")
        thread.apply(ASKED)
        (thread.workspace / ".bashrc").write_text("mine")
        thread.apply(ASKED)
        thread.check_in_sync(ASKED)
        assert thread.kept_bytes() == {b"mine"}

    as_user(act)
    assert set(owners(users_place).values()) == {(USER, GROUP)}


@pytest.mark.parametrize("bits", [0o000, 0o200, 0o111])
def test_a_file_whose_mode_forbids_reading_is_drift_like_any_other(users_place: Path, bits: int) -> None:
    thread = Thread(users_place / "storage")

    def act() -> None:
        thread.apply(ASKED)
        (thread.workspace / ".bashrc").write_text("mine")
        (thread.workspace / ".bashrc").chmod(bits)
        (change,) = thread.plan(ASKED).changes
        assert (change.cause, change.reason) == ("drift", "the workspace changed it")
        assert (thread.workspace / ".bashrc").stat().st_mode & 0o777 == bits
        thread.apply(ASKED)
        thread.check_in_sync(ASKED)
        assert thread.kept_bytes() == {b"mine"}
        assert [entry["mode"] for entry in thread.kept()] == [f"{bits:04o}"]

    as_user(act)


def test_a_user_may_ask_for_a_file_that_nobody_may_read(users_place: Path) -> None:
    thread = Thread(users_place / "storage")
    secret = wanted({"locked": text("x", "0000")})

    def act() -> None:
        thread.apply(secret)
        assert thread.plan(secret).changes == ()
        assert thread.apply(secret).generation == 1
        assert (thread.workspace / "locked").stat().st_mode & 0o777 == 0

    as_user(act)


def test_a_directory_that_may_not_be_searched_is_told(users_place: Path) -> None:
    thread = Thread(users_place / "storage")

    def act() -> None:
        thread.apply(ASKED)
        (thread.workspace / "bin").chmod(0)
        (change,) = thread.plan(ASKED).changes
        assert (change.address, change.cause) == ("directory:bin", "drift")
        assert "its mode 0000 keeps its owner out" in change.reason
        with pytest.raises(WorkspaceError, match=r"bin.*: its mode 0000 keeps"):
            thread.apply(ASKED)
        (thread.workspace / "bin").chmod(0o700)
        (thread.workspace / "bin/hello").unlink()
        (thread.workspace / "bin").chmod(0o500)
        thread.apply(ASKED)
        thread.check_in_sync(ASKED)
        assert (thread.workspace / "bin").stat().st_mode & 0o700 == 0o700

    as_user(act)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_of_somebody_elses_is_a_line_of_its_own(users_place: Path) -> None:
    thread = Thread(users_place / "storage")

    def begin() -> None:
        thread.apply(ASKED)

    as_user(begin)
    (thread.workspace / ".bashrc").unlink()
    (thread.workspace / ".bashrc").write_text("root's")
    (thread.workspace / ".bashrc").chmod(0o600)

    def act() -> None:
        (change,) = thread.plan(ASKED).changes
        assert (change.address, change.cause) == ("file:.bashrc", "drift")
        assert "belongs to another user" in change.reason
        with pytest.raises(WorkspaceError, match="belongs to another user"):
            thread.apply(ASKED)

    as_user(act)


def test_a_state_that_may_not_be_written_is_told(users_place: Path) -> None:
    thread = Thread(users_place / "storage")
    place = users_place / "storage/.solven-env/threads/t1"

    def act() -> None:
        thread.apply(ASKED)
        place.chmod(0o500)
        before = snapshot(thread.storage)
        thread.apply(ASKED)
        assert snapshot(thread.storage) == before
        with pytest.raises(SolvenError, match="permission denied") as caught:
            thread.apply(EDITED)
        assert caught.value.fix
        assert (thread.workspace / ".bashrc").read_text() == "old"
        place.chmod(0o700)
        thread.apply(EDITED)
        thread.check_in_sync(EDITED)

    as_user(act)


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_workspace_that_keeps_its_owner_out_lets_him_in(users_place: Path, mode: int) -> None:
    thread = Thread(users_place / "storage")

    def act() -> None:
        thread.apply(ASKED)
        thread.workspace.chmod(mode)
        thread.apply(EDITED)
        thread.check_in_sync(EDITED)

    as_user(act)


# Modes of directories


@pytest.mark.parametrize("bits", [0o000, 0o500, 0o700, 0o775, 0o777, 0o1777, 0o2755])
def test_the_mode_of_a_directory_that_we_made_is_put_right(thread: Thread, bits: int) -> None:
    asked = wanted({"d/a/f": text("f"), "own/f": text("f")})
    (thread.workspace / "own").mkdir(parents=True)
    (thread.workspace / "own").chmod(0o700)
    thread.apply(asked)
    thread.check_in_sync(asked)
    (thread.workspace / "d/mine").mkdir()
    for each in ("d/mine", "own", "d/a", "d"):
        (thread.workspace / each).chmod(bits)
    changes = thread.plan(asked).changes
    if os.geteuid() == 0:
        assert [(change.address, change.cause) for change in changes] == [
            ("directory:d", "drift"),
            ("directory:d/a", "drift"),
        ]
        assert changes[0].reason == f"the workspace changed its mode, which is {bits:04o} now"
    apply_opening(thread, asked)
    thread.check_in_sync(asked)
    assert modes(thread, "d", "d/a") == [0o755, 0o755]
    if os.geteuid() == 0 or bits & 0o700 == 0o700:
        assert modes(thread, "own", "d/mine") == [bits, bits]
    assert thread.kept() == []


def apply_opening(thread: Thread, asked: Desired) -> None:
    """Apply, and open first what keeps an ordinary user out, as `solven_env.apply` does."""
    while thread.plan(asked).closed:
        let_in(thread.plan(asked), lambda: create_workspace(StorageRoot(thread.storage), thread.name, thread.owner))
    thread.apply(asked)


def modes(thread: Thread, *paths: str) -> list[int]:
    """The permission bits of directories of the workspace."""
    return [mode(thread.workspace / path) for path in paths]


def test_a_closed_directory_of_ours_gets_its_mode_back(users_place: Path) -> None:
    thread = Thread(users_place / "storage")

    def act() -> None:
        thread.apply(ASKED)
        (thread.workspace / "bin").chmod(0)
        apply_opening(thread, ASKED)
        assert modes(thread, "bin") == [0o755]
        thread.check_in_sync(ASKED)

    as_user(act)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory to another user")
def test_a_directory_of_another_user_keeps_its_mode(tmp_path: Path) -> None:
    thread = Thread(tmp_path, owner=Owner(USER, USER))
    thread.apply(ASKED)
    place = thread.workspace / "bin"
    os.chown(place, 4711, 4711)
    place.chmod(0o700)
    with pytest.raises(WorkspaceError, match="belongs to another user"):
        thread.apply(ASKED)
    assert modes(thread, "bin") == [0o700]


def test_a_record_of_an_earlier_release_gains_the_modes_with_the_next_change(thread: Thread) -> None:
    thread.apply(ASKED)
    path = thread.state / "state.json"
    record = json.loads(path.read_text())
    record["resources"]["directory:bin"]["mode"] = ""
    path.write_text(json.dumps(record, sort_keys=True) + "\n")
    thread.check_in_sync(ASKED)
    thread.apply(EDITED)
    (thread.workspace / "bin").chmod(0o700)
    assert [change.address for change in thread.plan(EDITED).changes] == ["directory:bin"]


# A storage that keeps no modes


@pytest.fixture
def modeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Thread:
    """A thread on a file system that ignores chmod(2) and knows no flag of renameat2(2), in place of a FUSE mount."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    real = os.open

    def narrow(path: Path, flags: int, mode: int = 0, *, dir_fd: int | None = None) -> int:
        return real(path, flags, mode & 0o600, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", narrow)
    monkeypatch.setattr(os, "fchmod", lambda descriptor, mode: None)
    monkeypatch.setattr(durable, "renameat2", refuse)
    monkeypatch.setattr(root_module, "renameat2", refuse)
    return Thread(tmp_path)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Thread]:
    """A thread on a real FUSE mount: bindfs gives every file one mode and ignores chmod(2)."""
    options = ("--perms=0777", "--chmod-ignore", "--chown-ignore", "-o", "attr_timeout=0")
    with mounts.mounted("bindfs", tmp_path / "below", tmp_path / "above", options=options):
        yield Thread(tmp_path / "above", owner=Owner(USER, USER) if os.geteuid() == 0 else None)


@pytest.mark.parametrize("fixture", ["modeless", "mounted"])
def test_a_storage_that_keeps_no_modes(fixture: str, request: pytest.FixtureRequest) -> None:
    thread: Thread = request.getfixturevalue(fixture)
    asked = wanted({**FILES, "k": text("keys"), "a/b": text("b", "0600")}, keys=("k",))
    thread.apply(asked)
    thread.check_in_sync(asked)
    assert thread.kept() == []
    (thread.workspace / "k").write_text("keys and more")
    thread.check_in_sync(asked)
    thread.apply(wanted({".bashrc": text("new"), "k": text("keys")}, keys=("k",)))
    assert (thread.workspace / "k").read_text() == "keys and more"
    assert sorted(path.name for path in thread.workspace.iterdir()) == [".bashrc", "k"]
    assert thread.kept() == []
    (thread.workspace / ".bashrc").write_text("mine")
    (thread.workspace / "bin").mkdir()
    (thread.workspace / "bin/hello").write_text("mine too")
    with pytest.raises(ConflictError):
        thread.apply(EDITED)
    thread.apply(EDITED, overwrite=True)
    thread.check_in_sync(EDITED)
    assert thread.kept_bytes() == {b"mine", b"mine too", b"keys and more"}


def test_a_mode_is_recorded_again_where_the_storage_keeps_it(modeless: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    modeless.apply(ASKED)
    monkeypatch.undo()
    assert recorded_mode(modeless) == ""
    modeless.apply(EDITED)
    assert recorded_mode(modeless) == "0644"
    (modeless.workspace / ".bashrc").chmod(0o600)
    assert [change.cause for change in modeless.plan(EDITED).changes] == ["drift"]


def recorded_mode(thread: Thread) -> str:
    """The mode of .bashrc in the record."""
    record = thread.record()
    assert record is not None
    return record.resources["file:.bashrc"].mode
