"""Records, generations and locks as files."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from solven_env.errors import HeldError, StateError
from solven_env.state.contents import StateStore, Stored
from solven_env.state.local import LocalState
from solven_env.system import durable

KEY = "threads/t1/state.json"


@pytest.fixture
def state(tmp_path: Path) -> LocalState:
    """The state of a storage that is not there yet."""
    return LocalState(tmp_path / "storage")


def files(place: Path) -> dict[str, os.stat_result]:
    """Everything beneath a directory, and its status."""
    return {str(path.relative_to(place)): path.lstat() for path in place.rglob("*")}


def version(value: bytes) -> str:
    """What a value's version must be."""
    return hashlib.sha256(value).hexdigest()


def test_local_state_is_a_state(state: LocalState) -> None:
    held: StateStore = state
    assert held.list("") == ()


def test_looking_makes_nothing(state: LocalState, tmp_path: Path) -> None:
    assert state.get(KEY) is None
    assert state.list("threads/") == ()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "storage").mkdir()
    assert state.get(KEY) is None
    assert state.list("threads/") == ()
    assert list((tmp_path / "storage").iterdir()) == []


def test_the_names_beneath_a_key(state: LocalState) -> None:
    assert state.names("threads") == ()
    for key in (KEY, "threads/t1/generations/1/record.json", "threads/a-2/state.json", "locks/x"):
        state.create(key, b"")
    assert state.names("threads") == ("a-2", "t1")
    with state.lock("t1"):
        assert state.names("threads/t1") == ("generations", "state.json")


@pytest.mark.parametrize("value", [b"", b"{}\n", b"\0\xff", b"x" * 3_000_000])
def test_a_value_comes_back_with_its_version(state: LocalState, value: bytes) -> None:
    assert state.create(KEY, value) == version(value)
    assert state.get(KEY) == Stored(value, version(value))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_made_is_only_ours_to_read(state: LocalState, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with state.lock("t1"):
            state.create("threads/t1/generations/3/kept/abc", b"bytes")
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(status.st_mode) for path, status in files(tmp_path / "storage").items()}
    assert modes == {
        ".solven-env": 0o700,
        ".solven-env/threads": 0o700,
        ".solven-env/threads/t1": 0o700,
        ".solven-env/threads/t1/lock": 0o600,
        ".solven-env/threads/t1/generations": 0o700,
        ".solven-env/threads/t1/generations/3": 0o700,
        ".solven-env/threads/t1/generations/3/kept": 0o700,
        ".solven-env/threads/t1/generations/3/kept/abc": 0o600,
    }
    assert stat.S_IMODE((tmp_path / "storage").stat().st_mode) == 0o755


@pytest.mark.parametrize("number", [None, errno.EINVAL])
def test_create_never_overwrites(
    state: LocalState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no flags")

    if number is not None:
        monkeypatch.setattr(durable, "renameat2", refuse)
    state.create(KEY, b"first")
    with pytest.raises(StateError, match=r"state\.json: this is recorded already"):
        state.create(KEY, b"second")
    assert state.get(KEY) == Stored(b"first", version(b"first"))
    assert [path.name for path in (tmp_path / "storage/.solven-env/threads/t1").iterdir()] == ["state.json"]


def test_a_swap_needs_the_version_that_is_there(state: LocalState, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="changed"):
        state.compare_and_swap(KEY, b"new", version(b"old"))
    first = state.create(KEY, b"old")
    second = state.compare_and_swap(KEY, b"new", first)
    assert second == version(b"new")
    with pytest.raises(StateError, match="changed"):
        state.compare_and_swap(KEY, b"newer", first)
    assert state.get(KEY) == Stored(b"new", second)
    assert [path.name for path in (tmp_path / "storage/.solven-env/threads/t1").iterdir()] == ["state.json"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failed_write_leaves_the_old(
    state: LocalState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    first = state.create(KEY, b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises(StateError, match="no space is left"):
            state.compare_and_swap(KEY, b"new", first)
    assert state.get(KEY) == Stored(b"old", first)
    assert [path.name for path in (tmp_path / "storage/.solven-env/threads/t1").iterdir()] == ["state.json"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
@pytest.mark.parametrize("key", [KEY, "threads/t1/generations/3/kept/abc"])
def test_the_next_holder_removes_what_a_killed_one_left(state: LocalState, tmp_path: Path, step: str, key: str) -> None:
    with state.lock("t1"):
        first = state.create(key, b"old")
    before = set(files(tmp_path))
    die = (
        f"os.{step} = lambda *_, **__: os.kill(os.getpid(), 9)\n"
        f"with state.lock('t1'): state.compare_and_swap({key!r}, b'new', {first!r})"
    )
    with run(die, tmp_path / "storage") as killed:
        pass
    assert killed.returncode == -9
    assert set(files(tmp_path)) > before
    assert state.list("") == (key,)
    assert state.get(key) == Stored(b"old", first)
    with state.lock("t1"):
        pass
    assert set(files(tmp_path)) == before


def test_nobody_elses_write_is_disturbed(state: LocalState, tmp_path: Path) -> None:
    state.create("id", b"1")
    state.create("threads/t2/x", b"1")
    for place in ("", "threads/", "threads/t2/"):
        (tmp_path / "storage/.solven-env" / place / ".tmp-other").write_text("being written")
    with state.lock("t1"):
        state.create("other", b"2")
        state.create(KEY, b"2")
    assert len(list(tmp_path.rglob(".tmp-other"))) == 3


def test_list_gives_the_keys_that_begin_so(state: LocalState) -> None:
    keys = ("id", "threads/t1/generations/1/a", "threads/t1/generations/10/a", "threads/t1/state.json", "threads/t2/x")
    with state.lock("t1"):
        for key in keys:
            state.create(key, b"")
    assert state.list("") == keys
    assert state.list("threads/t1/") == keys[1:4]
    assert state.list("threads/t1/generations/1") == keys[1:3]
    assert state.list("threads/t1/generations/1/") == keys[1:2]
    assert state.list("threads/t3/") == ()


@pytest.mark.parametrize(
    "key", ["", ".", "..", "/etc/x", "a/", "a//b", "../x", "a/../b", "a\0b", ".tmp-x", "a/.tmp-x/b", "threads/t1/lock"]
)
def test_what_is_no_key_is_refused(state: LocalState, tmp_path: Path, key: str) -> None:
    for act in (state.get, lambda key: state.create(key, b""), lambda key: state.compare_and_swap(key, b"", "")):
        with pytest.raises(StateError, match="no key"):
            act(key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("thread", ["", "..", "a/b", "../../x", "a\0b"])
def test_what_is_no_thread_cannot_be_locked(state: LocalState, tmp_path: Path, thread: str) -> None:
    with pytest.raises(StateError), state.lock(thread):
        pass
    assert list(tmp_path.iterdir()) == []


# Links


def test_a_link_in_our_place_is_refused(state: LocalState, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "threads" / "t1").mkdir(parents=True)
    (outside / "threads" / "t1" / "state.json").write_text("planted")
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / ".solven-env").symlink_to(outside)
    before = files(outside)
    with pytest.raises(StateError, match="symbolic link"):
        state.get(KEY)
    with pytest.raises(StateError, match="symbolic link"):
        state.list("threads/")
    with pytest.raises(StateError, match="symbolic link"):
        state.create("threads/t2/state.json", b"")
    with pytest.raises(StateError, match="symbolic link"), state.lock("t1"):
        pass
    assert files(outside) == before


def test_a_link_in_a_values_place_is_refused(state: LocalState, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("planted")
    state.create("threads/t1/x", b"")
    (tmp_path / "storage/.solven-env/threads/t1/state.json").symlink_to(tmp_path / "outside")
    with pytest.raises(StateError, match="symbolic link"):
        state.get(KEY)
    with pytest.raises(StateError, match="recorded already"):
        state.create(KEY, b"")
    assert (tmp_path / "outside").read_text() == "planted"


def test_a_storage_that_is_a_file_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("")
    state = LocalState(tmp_path / "storage")
    for act in (lambda: state.get(KEY), lambda: state.create(KEY, b""), lambda: state.list("")):
        with pytest.raises(StateError):
            act()


# The lock


def test_a_held_thread_is_refused_at_once(state: LocalState, tmp_path: Path) -> None:
    with state.lock("t1"):
        with pytest.raises(HeldError, match="thread t1 is held by another apply") as caught, state.lock("t1"):
            pass
        assert caught.value.fix
        with state.lock("t2"), pytest.raises(HeldError), LocalState(tmp_path / "storage").lock("t1"):
            pass
    with state.lock("t1"):
        pass


def test_a_lock_excludes_threads_of_one_process(state: LocalState) -> None:
    refused: list[BaseException] = []

    def try_it() -> None:
        try:
            with state.lock("t1"):
                pass
        except HeldError as error:
            refused.append(error)

    with state.lock("t1"):
        others = [threading.Thread(target=try_it) for _ in range(8)]
        for other in others:
            other.start()
        for other in others:
            other.join()
    assert len(refused) == 8


def test_the_lock_is_let_go_when_its_holder_fails(state: LocalState) -> None:
    with pytest.raises(RuntimeError), state.lock("t1"):
        raise RuntimeError
    with state.lock("t1"):
        pass


def test_locking_again_changes_no_inode_time_or_mode(state: LocalState, tmp_path: Path) -> None:
    def facts() -> dict[str, tuple[int, int, int, int]]:
        return {
            path: (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)
            for path, status in files(tmp_path).items()
        }

    with state.lock("t1"):
        state.create(KEY, b"{}")
    before = facts()
    with state.lock("t1"):
        assert state.get(KEY) is not None
        state.list("threads/t1/")
    assert facts() == before


def run(script: str, storage: Path) -> subprocess.Popen[str]:
    """Python code with `state`, the state of `storage`, in a process of its own."""
    head = "import os, sys; from pathlib import Path; from solven_env.state.local import LocalState\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{head}state = LocalState(Path(sys.argv[1]))\n{script}", str(storage)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )


def test_a_killed_holder_holds_no_longer(state: LocalState, tmp_path: Path) -> None:
    script = "with state.lock('t1'):\n    print('held', flush=True); sys.stdin.read()"
    with run(script, tmp_path / "storage") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HeldError), state.lock("t1"):
            pass
        holder.kill()
    with state.lock("t1"):
        pass


def test_a_forked_child_does_not_hold_on(tmp_path: Path) -> None:
    script = (
        "reading, writing = os.pipe()\n"
        "with state.lock('t1'):\n"
        "    if os.fork() == 0:\n"
        "        os.close(writing); os.read(reading, 1); os._exit(0)\n"
        "with state.lock('t1'): print('again')\n"
        "os.close(writing); os.wait()\n"
    )
    with run(script, tmp_path / "storage") as parent:
        assert parent.communicate()[0] == "again\n"
    assert parent.returncode == 0


def test_a_program_that_is_started_inherits_no_descriptor(tmp_path: Path) -> None:
    script = "with state.lock('t1'): os.execv('/bin/ls', ['ls', '-l', '/proc/self/fd'])"
    with run(script, tmp_path / "storage") as started:
        listing = started.communicate()[0]
    assert "/proc/" in listing
    assert "lock" not in listing


def test_a_file_system_without_locks_is_a_state_error(state: LocalState, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StateError, match="no locks"), state.lock("t1"):
        pass
