"""The agent acts in the middle of an apply, at every moment there is: never a loss, never a crash."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.errors import ConflictError, SolvenError, WorkspaceError
from solven_env.reconcile.keep import Keeper
from solven_env.system import durable
from solven_env.workspace import root as root_module
from solven_env.workspace.root import READ_LIMIT, Root
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from solven_env.reconcile.model import Desired

OLD = wanted({"d/e/f": text("old"), "gone": text("gone"), "d/gone": text("gone too")})
NEW = wanted({"d/e/f": text("new"), "d/added": text("added")})
MINE = b"the agent's"


@pytest.fixture(autouse=True)
def _nothing_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(params=["exchanges", "no flags of renameat2"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that can exchange two names, and one that cannot, as bucket mounts."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    if request.param == "no flags of renameat2":
        monkeypatch.setattr(durable, "renameat2", refuse)
        monkeypatch.setattr(root_module, "renameat2", refuse)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A place that links lead to: exactly the same afterwards."""
    place = tmp_path / "outside"
    (place / "e").mkdir(parents=True)
    (place / "e/f").write_text("secret")
    before = snapshot(place)
    yield place
    assert snapshot(place) == before


def edit(workspace: Path, outside: Path) -> None:
    """Write the file in its place."""
    (workspace / "d/e/f").write_bytes(MINE)


def edit_and_remove(workspace: Path, outside: Path) -> None:
    """Write one file and remove another."""
    (workspace / "gone").write_bytes(MINE)
    (workspace / "d/e/f").unlink(missing_ok=True)


def put_directory(workspace: Path, outside: Path) -> None:
    """Put a directory in the file's place."""
    (workspace / "d/e/f").unlink(missing_ok=True)
    (workspace / "d/e/f").mkdir()
    (workspace / "d/e/f/inner").write_bytes(MINE)


def put_link(workspace: Path, outside: Path) -> None:
    """Put a link in the place of the file's parent."""
    shutil.move(workspace / "d/e", workspace / "moved")
    (workspace / "moved/mine").write_bytes(MINE)
    (workspace / "d/e").symlink_to(outside / "e")


def put_fifo(workspace: Path, outside: Path) -> None:
    """Put what nobody should open in the file's place."""
    (workspace / "d/e/f").unlink(missing_ok=True)
    os.mkfifo(workspace / "d/e/f")
    (workspace / "d/added").write_bytes(MINE)


def remove_parent(workspace: Path, outside: Path) -> None:
    """Remove the file's parent, and put a file there."""
    shutil.rmtree(workspace / "d")
    (workspace / "d").write_bytes(MINE)


def remove_all(workspace: Path, outside: Path) -> None:
    """Remove everything in the workspace, temporary files too."""
    for path in workspace.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (workspace / "mine").write_bytes(MINE)


def put_new(workspace: Path, outside: Path) -> None:
    """Let the editor's way of saving replace each file by a new one."""
    for name in ("d/e/f", "gone", "d/added"):
        with suppress(FileNotFoundError):
            (workspace / "swap").write_bytes(MINE)
            (workspace / "swap").rename(workspace / name)


OPERATIONS = (
    "stat",
    "read",
    "read_link",
    "list",
    "mkdir",
    "stage",
    "publish",
    "exchange",
    "remove",
    "remove_directory",
    "move_out",
)
ACTIONS = (edit, edit_and_remove, put_directory, put_link, put_fifo, remove_parent, remove_all, put_new)


@pytest.mark.usefixtures("_file_system")
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("drifted", [False, True], ids=["pending", "conflict overwritten"])
def test_an_agent_that_acts_meanwhile_loses_nothing(
    action: Callable[[Path, Path], None], drifted: bool, tmp_path: Path, outside: Path
) -> None:
    number, done, conflicts = 0, True, 0
    while done:
        thread = Thread(tmp_path / str(number))
        thread.apply(OLD)
        if drifted:
            (thread.workspace / "d/e/f").write_bytes(b"an earlier edit")
        done, failed = act_at(number, thread, lambda thread=thread: acted(action, thread, outside), drifted)  # type: ignore[misc]
        conflicts += failed
        if done:
            assert MINE in {*workspace_bytes(thread), *thread.kept_bytes()}
        thread.apply(NEW, overwrite=True)
        if done:
            assert MINE in {*workspace_bytes(thread), *thread.kept_bytes()}
        shutil.rmtree(thread.workspace / "moved", ignore_errors=True)  # with it what of ours the agent took along
        thread.check_in_sync(NEW)
        shutil.rmtree(thread.storage)
        number += 1
    assert number > 10
    assert conflicts > 2


def acted(action: Callable[[Path, Path], None], thread: Thread, outside: Path) -> None:
    """What the agent does, as far as it can."""
    with suppress(FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError):
        action(thread.workspace, outside)


def act_at(number: int, thread: Thread, action: Callable[[], None], overwrite: bool) -> tuple[bool, bool]:
    """Whether the agent came to act, and whether the apply failed then, as it should: with an error of ours."""
    with pytest.MonkeyPatch.context() as patch:
        done = before_call(patch, number, action)
        try:
            thread.apply(NEW, overwrite=overwrite)
        except SolvenError as error:
            assert done()
            assert error.fix
            return True, True
        return done(), False


def before_call(patch: pytest.MonkeyPatch, number: int, action: Callable[[], None]) -> Callable[[], bool]:
    """Do `action` just before the workspace's root is asked for the time of this number (from 0); tell whether it was.

    What an agent does within one operation of the root is tested where the root is.
    """
    left = number + 1

    def wrap(name: str) -> None:
        real = getattr(Root, name)

        def operation(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                action()
            return real(*arguments, **named)

        patch.setattr(Root, name, operation)

    for name in OPERATIONS:
        wrap(name)
    return lambda: left <= 0


def workspace_bytes(thread: Thread) -> set[bytes]:
    """The bytes of every file in the workspace."""
    paths = [path for path in thread.workspace.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.read_bytes() for path in paths}


# Moments that take two acts of the agent, or leave one outcome only


def before(patch: pytest.MonkeyPatch, name: str, *actions: Callable[[], object]) -> None:
    """Do the first action before the first call of an operation of the root, the second before the second."""
    real, left = getattr(Root, name), list(actions)

    def operation(*arguments: Any, **named: Any) -> Any:
        if left:
            left.pop(0)()
        return real(*arguments, **named)

    patch.setattr(Root, name, operation)


@pytest.fixture
def applied(tmp_path: Path) -> Thread:
    """A thread with an old `d/e/f`."""
    thread = Thread(tmp_path / "storage")
    thread.apply(OLD)
    return thread


REPLACED = wanted({"d/e/f": text("new"), "gone": text("gone"), "d/gone": text("gone too")})
DROPPED = wanted({"gone": text("gone"), "d/gone": text("gone too")})


@pytest.mark.usefixtures("_file_system")
@pytest.mark.parametrize("asked", [REPLACED, DROPPED], ids=["replace", "remove"])
@pytest.mark.parametrize("act", [edit, put_directory, put_fifo])
def test_what_came_after_the_plan_is_put_back_in_its_place(
    applied: Thread, outside: Path, act: Callable[[Path, Path], None], asked: Desired
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        before(patch, "exchange" if asked is REPLACED else "set_aside", lambda: act(applied.workspace, outside))
        before(patch, "set_aside", lambda: acted(act, applied, outside))
        with pytest.raises(ConflictError, match="d/e/f: the workspace changed while apply ran"):
            applied.apply(asked)
    place = applied.workspace / "d/e/f"
    assert place.is_fifo() or (place / "inner" if place.is_dir() else place).read_bytes() == MINE
    assert (applied.kept(), applied.leftovers()) == ([], [])
    with pytest.raises(ConflictError):
        applied.apply(asked)
    applied.apply(asked, overwrite=True)
    applied.check_in_sync(asked)


def test_a_file_that_changes_again_before_it_is_put_back(applied: Thread) -> None:
    place = applied.workspace / "d/e/f"

    def replace() -> None:
        place.unlink()
        place.write_bytes(b"newer")

    with pytest.MonkeyPatch.context() as patch:
        before(patch, "exchange", lambda: place.write_bytes(MINE), replace)
        with pytest.raises(ConflictError):
            applied.apply(REPLACED)
    assert {MINE, b"newer"} == {place.read_bytes(), *applied.kept_bytes()}
    assert applied.leftovers() == []


def test_a_file_that_is_gone_before_it_is_put_back(applied: Thread) -> None:
    place = applied.workspace / "d/e/f"
    with pytest.MonkeyPatch.context() as patch:
        before(patch, "exchange", lambda: place.write_bytes(MINE), place.unlink)
        with pytest.raises(ConflictError):
            applied.apply(REPLACED)
    assert place.read_bytes() == MINE
    assert (applied.kept(), applied.leftovers()) == ([], [])


def test_a_file_that_was_put_aside_meets_a_new_one(applied: Thread) -> None:
    place = applied.workspace / "d/e/f"

    def edit_first() -> None:
        place.write_bytes(MINE)

    with pytest.MonkeyPatch.context() as patch:
        before(patch, "set_aside", edit_first)
        # The first is part of setting aside, the second puts back.
        before(patch, "publish", lambda: None, lambda: place.write_bytes(b"newer"))
        with pytest.raises(ConflictError):
            applied.apply(DROPPED)
    assert place.read_bytes() == b"newer"
    assert applied.kept_bytes() == {MINE}
    assert applied.leftovers() == []


def test_what_is_put_into_a_directory_that_was_set_aside_is_kept(applied: Thread) -> None:
    place = applied.workspace / "d/e/f"
    place.unlink()
    place.mkdir()
    (place / "inner").write_bytes(MINE)
    here = os.open(place, os.O_RDONLY)  # as a process has whose working directory this is

    def put(name: str) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=here)
        os.write(descriptor, name.encode())
        os.close(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        before(patch, "exchange", lambda: put("before the exchange"))
        before(patch, "move_out", lambda: put("at the last moment"))
        applied.apply(OLD)
    put("afterwards")
    os.close(here)
    assert applied.kept_bytes() == {MINE, b"before the exchange", b"at the last moment", b"afterwards"}
    applied.check_in_sync(OLD)


def test_an_edit_and_its_undoing_are_no_reason_to_lose_what_was_there(applied: Thread) -> None:
    place = applied.workspace / "d/e/f"
    place.write_bytes(MINE)
    with pytest.MonkeyPatch.context() as patch:
        real = Keeper.copy

        def copy_another(keeper: Keeper, paths: Iterable[str]) -> None:
            place.write_bytes(b"for a moment")
            try:
                real(keeper, paths)
            finally:
                place.write_bytes(MINE)

        patch.setattr(Keeper, "copy", copy_another)
        applied.apply(OLD)
    assert MINE in applied.kept_bytes()


@pytest.mark.parametrize("error", [WorkspaceError("no", fix="Try again."), KeyboardInterrupt("no")])
def test_a_failure_between_an_exchange_and_the_look_puts_back(applied: Thread, error: BaseException) -> None:
    place = applied.workspace / "d/e/f"
    place.write_bytes(MINE)

    def fail() -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        exchange = Root.exchange

        def exchange_and_break(root: Root, a: str, b: str) -> None:
            exchange(root, a, b)
            patch.setattr(Root, "exchange", exchange)
            before(patch, "look", fail)

        patch.setattr(Root, "exchange", exchange_and_break)
        with pytest.raises(type(error), match="no"):
            applied.apply(OLD)
    assert place.read_bytes() == MINE
    assert applied.leftovers() == []


def put_large(path: Path) -> None:
    """A file that is too large to be ours."""
    with path.open("wb") as sparse:
        sparse.truncate(READ_LIMIT + 1)


@pytest.mark.parametrize("old", ["file", "link"])
@pytest.mark.parametrize("new", ["file", "link", "directory", "fifo", "large", "nothing"])
def test_what_changes_its_kind_while_it_is_looked_at_is_looked_at_again(applied: Thread, old: str, new: str) -> None:
    kinds: dict[str, Callable[[Path], object]] = {
        "file": lambda path: path.write_bytes(MINE),
        "link": lambda path: path.symlink_to("nowhere"),
        "directory": lambda path: path.mkdir(),
        "fifo": os.mkfifo,
        "large": put_large,
        "nothing": lambda path: None,
    }
    place = applied.workspace / "d/e/f"
    place.unlink()
    kinds[old](place)

    def swap() -> None:
        place.unlink()
        kinds[new](place)

    with pytest.MonkeyPatch.context() as patch:
        before(patch, "read" if old == "file" else "read_link", swap)
        (change,) = applied.plan(OLD).changes
    seen = applied.plan(OLD).changes[0].before
    assert (change.before == seen) or (old, new) == ("file", "file")
