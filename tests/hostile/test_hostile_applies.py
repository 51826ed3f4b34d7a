"""What an agent plants, swaps and grows in its workspace while applies run: nothing is followed, nothing is lost."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import stat
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import ConflictError, WorkspaceError
from tests.hostile.test_planted_links import plant_deep
from tests.reconcile.calls import counting
from tests.reconcile.crashes import in_a_child
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from solven_env.reconcile.model import Desired

pytestmark = pytest.mark.attack("what an apply finds")

MIB = 1 << 20
ASKED = wanted({".bashrc": text("bashrc"), "a/b/c": text("deep"), "a/d": text("d")})
EDITED = wanted({".bashrc": text("edited"), "a/b/c": text("edited"), "a/d": text("d")})


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread that was applied."""
    made = Thread(tmp_path / "storage")
    made.apply(ASKED)
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """What lies beside the storage, with the names of our files: exactly the same afterwards."""
    place = tmp_path / "outside"
    (place / "b").mkdir(parents=True)
    for name in (".bashrc", "b/c", "d", "c"):
        (place / name).write_text("secret")
        (place / name).chmod(0o600)
    before = snapshot(place)
    yield place
    assert snapshot(place) == before


# Links


@pytest.mark.parametrize("target", ["", ".bashrc", "b", "b/c", "nowhere"])
@pytest.mark.parametrize("path", [".bashrc", "a", "a/b", "a/b/c", "a/d"])
@pytest.mark.parametrize("asked", [ASKED, EDITED], ids=["drift", "conflict"])
def test_a_link_in_any_place_is_replaced_and_never_followed(
    thread: Thread, outside: Path, path: str, target: str, asked: object
) -> None:
    place = thread.workspace / path
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(outside / target)
    thread.apply(asked, overwrite=True)  # type: ignore[arg-type]
    thread.check_in_sync(asked)  # type: ignore[arg-type]
    assert (path, str(outside / target)) in {(entry["path"], entry["target"]) for entry in thread.kept()}
    assert not any(each.is_symlink() for each in thread.workspace.rglob("*"))


@pytest.mark.parametrize("dropped", [wanted({}), wanted({"a": text("a file now")})])
@pytest.mark.parametrize("path", ["a", "a/b"])
def test_nothing_is_removed_through_a_link(thread: Thread, outside: Path, path: str, dropped: object) -> None:
    shutil.rmtree(thread.workspace / path)
    (thread.workspace / path).symlink_to(outside if path == "a" else outside / "b")
    thread.apply(dropped, overwrite=True)  # type: ignore[arg-type]
    thread.check_in_sync(dropped)  # type: ignore[arg-type]


def test_what_temporary_names_hide_is_kept_and_never_followed(thread: Thread, outside: Path) -> None:
    for number, (act, name) in enumerate(
        [
            (lambda path: path.symlink_to(outside), ""),
            (lambda path: path.write_text("mine"), ""),
            (os.mkfifo, ""),
            (lambda path: (path / "inner").mkdir(parents=True), "a"),
            (lambda path: path.symlink_to(outside / ".bashrc"), "a/b"),
        ]
    ):
        act(thread.workspace / name / f".solven-env-{number:016x}.tmp")  # type: ignore[no-untyped-call]
    planted = len(thread.leftovers())
    thread.apply(EDITED)
    assert len(thread.leftovers()) == planted  # no apply was interrupted: they are the agent's own business
    in_a_child(lambda: interrupted(thread))
    thread.apply(ASKED)
    thread.check_in_sync(ASKED)
    assert thread.kept_bytes() == {b"mine"}


def interrupted(thread: Thread) -> None:
    """Begin an apply, and end the process when it is about to write."""
    from solven_env.workspace.root import Root

    Root.stage = lambda *_: os._exit(0)  # type: ignore[method-assign]
    thread.apply(ASKED)


# Races


class Flipper:
    """An agent that puts a file, a link outside, a directory and a FIFO in one file's place, over and over."""

    def __init__(self, thread: Thread, outside: Path) -> None:
        self._place = thread.workspace / ".bashrc"
        self._spare = thread.workspace / "spare"
        self._outside = outside
        self._done = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._flip)

    def __enter__(self) -> Flipper:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _flip(self) -> None:
        self._started.set()
        for number in itertools.count():
            if self._done.is_set():
                return
            with suppress(OSError):
                self._put(number)

    def _put(self, number: int) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            (self._place / "inner").unlink()
        with suppress(FileNotFoundError):
            self._place.rmdir() if self._place.is_dir() and not self._place.is_symlink() else self._place.unlink()
        match number % 4:
            case 0:
                self._spare.write_text("the agent's")
                self._spare.rename(self._place)
            case 1:
                self._place.symlink_to(self._outside / ".bashrc")
            case 2:
                self._place.mkdir()
                (self._place / "inner").write_text("the agent's")
            case _:
                os.mkfifo(self._place)


def test_a_file_that_is_flipped_while_applies_run(
    thread: Thread, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with Flipper(thread, outside):
        for asked in itertools.islice(itertools.cycle((ASKED, EDITED)), 300):
            try:
                thread.apply(asked, overwrite=True)
            except (ConflictError, WorkspaceError) as error:
                assert error.fix
    thread.apply(ASKED, overwrite=True)
    thread.check_in_sync(ASKED)
    assert thread.kept_bytes() <= {b"the agent's", b"", b"bashrc", b"edited"}
    assert {entry["target"] for entry in thread.kept()} <= {"", str(outside / ".bashrc")}


# Sizes and shapes


def test_a_large_file_in_our_place_is_kept(thread: Thread) -> None:
    large = os.urandom(17 * MIB)
    (thread.workspace / ".bashrc").write_bytes(large)
    thread.apply(ASKED)
    thread.check_in_sync(ASKED)
    assert thread.kept_bytes() == {large}


def test_a_large_file_that_changes_while_it_is_kept_is_kept_as_it_is_then(
    thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    from solven_env.workspace.root import Root

    stage = Root.stage

    def write_and_stage(*arguments: object) -> str:
        (thread.workspace / ".bashrc").write_bytes(b"B" * 17 * MIB)  # of the same size
        return stage(*arguments)  # type: ignore[arg-type]

    (thread.workspace / ".bashrc").write_bytes(b"A" * 17 * MIB)
    monkeypatch.setattr(Root, "stage", write_and_stage)
    with suppress(ConflictError):
        thread.apply(ASKED)
    monkeypatch.undo()
    thread.apply(ASKED)
    assert b"B" * 17 * MIB in thread.kept_bytes()


def allow_memory(more: int) -> None:
    """Let this process have so many bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, resource.RLIM_INFINITY))


@pytest.mark.parametrize("asked", [ASKED, EDITED], ids=["drift", "conflict"])
def test_a_huge_file_is_moved_aside_and_costs_no_memory(thread: Thread, asked: Desired) -> None:
    with (thread.workspace / ".bashrc").open("wb") as sparse:
        sparse.truncate(1 << 40)

    def act() -> None:
        allow_memory(64 * MIB)
        if asked is EDITED:
            with pytest.raises(ConflictError):
                thread.apply(asked)
        thread.apply(asked, overwrite=True)

    in_a_child(act)
    thread.check_in_sync(asked)
    (moved,) = thread.kept()
    assert (moved["path"], moved["type"], thread.at(moved["kept"]).stat().st_size) == (".bashrc", "file", 1 << 40)


def test_a_kept_file_is_in_memory_once(thread: Thread) -> None:
    with (thread.workspace / ".bashrc").open("wb") as sparse:
        sparse.truncate(100 * MIB)

    def act() -> None:
        allow_memory(150 * MIB)
        thread.apply(ASKED)

    in_a_child(act)
    thread.check_in_sync(ASKED)
    (kept,) = thread.kept()
    assert (thread.storage / ".solven-env" / kept["kept"]).stat().st_size == 100 * MIB


def test_what_a_directory_in_our_place_holds_is_never_looked_at(thread: Thread) -> None:
    """As many system calls, however much is in it and however deep, and whatever a name may be."""
    counted = []
    try:
        for count in (1, 1, 200):
            place = thread.workspace / ".bashrc"
            place.unlink()
            place.mkdir()
            plant_deep(place, 5 * count, "z")
            for number in range(count):
                (place / os.fsdecode(b"\xff\n\x1b%d" % number)).write_text("mine")
            with counting() as calls:
                thread.apply(ASKED)
            counted.append(calls.count)
            listed = json.loads((thread.state / f"generations/{thread.generation}/kept.json").read_text())
            moved = thread.at(listed[0]["kept"])
            assert len(list(moved.iterdir())) == count + 2
        assert counted[1] == counted[2]  # the first one made the directory for what is moved
        assert thread.plan(ASKED).changes == ()
    finally:
        subprocess.run(["rm", "-rf", thread.storage], check=True)


SHAPES: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "no rights": lambda path: os.mknod(path, stat.S_IFREG),
    "set-user-ID": lambda path: os.mknod(path, stat.S_IFREG | 0o6755),
    "hard link": lambda path: os.link(path.parent / "a/d", path),
    "closed directory": lambda path: path.mkdir(0),
    "loop": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("asked", [ASKED, EDITED], ids=["drift", "conflict"])
def test_whatever_stands_in_our_place_is_told_or_replaced(thread: Thread, shape: str, asked: object) -> None:
    place = thread.workspace / ".bashrc"
    place.unlink()
    SHAPES[shape](place)
    try:
        thread.apply(asked, overwrite=True)  # type: ignore[arg-type]
    except WorkspaceError as error:
        assert os.geteuid() != 0
        assert "permission denied" in str(error)
        place.chmod(0o700)
        thread.apply(asked, overwrite=True)  # type: ignore[arg-type]
    thread.check_in_sync(asked)  # type: ignore[arg-type]
    assert place.read_text() in ("bashrc", "edited")
    assert [entry["path"] for entry in thread.kept()][:1] == [".bashrc"]
