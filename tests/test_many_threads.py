"""Verbs for many threads: what is one for all is done once, and each thread has its own result."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import (
    BuildError,
    ConflictError,
    DamagedRecordError,
    HeldError,
    LockError,
    ProfileError,
    UsageError,
)
from solven_env.packages import builds
from solven_env.profile import source as sources
from solven_env.state.local import LocalState
from solven_env.threads.many import MOST
from tests.profiles import write_profile
from tests.threads import invented
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from solven_env.report import ThreadReport

pytestmark = pytest.mark.usefixtures("own_data")

NAMES = [f"t{number}" for number in range(12)]
DOTFILES = {"greeting": "hello {{ who }}\n", "of": "{{ thread }}\n"}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile whose files tell which thread they are of, and its input."""
    return _release(tmp_path, "hello {{ who }}\n")


def _release(tmp_path: Path, greeting: str, **sections: Any) -> Path:
    inputs = {"who": {"type": "string", "default": "ada"}}
    return write_profile(tmp_path / "profile.yaml", {**DOTFILES, "greeting": greeting}, inputs=inputs, **sections)


def _by_name(reports: Iterable[ThreadReport]) -> dict[str, ThreadReport]:
    listed = list(reports)
    found = {report.thread: report for report in listed}
    assert len(found) == len(listed)
    return found


def test_a_thousandth_of_them_fails_and_the_others_do_not(
    profile: Path, tmp_path: Path, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New, then a release, with a conflict, a damaged record and a thread that somebody holds; profile read once."""
    storage = memory_path / "storage"
    made = _by_name(solven_env.apply_many(profile, [*NAMES, "t3", "t1"], storage=storage, inputs={"who": "bob"}))
    assert sorted(made) == sorted(NAMES)
    assert {(each.state, each.generation, each.error) for each in made.values()} == {("new", 1, None)}
    for name in NAMES:
        workspace = storage / "threads" / name
        assert ((workspace / "of").read_text(), (workspace / "greeting").read_text()) == (f"{name}\n", "hello bob\n")
    before = snapshot(storage)
    again = _by_name(solven_env.apply_many(profile, NAMES, storage=storage))
    assert {(each.state, each.generation) for each in again.values()} == {("in-sync", 1)}
    assert snapshot(storage) == before

    reads, real = [], sources._open

    def open_and_count(path: Path, name: str) -> sources.ProfileSource:
        reads.append(name)
        return real(path, name)

    monkeypatch.setattr(sources, "_open", open_and_count)
    profile = _release(tmp_path, "good day\n")
    (storage / "threads/t1/greeting").write_text("mine\n")
    (storage / ".solven-env/threads/t2/state.json").write_text("{")
    with LocalState(storage).lock("t3"):
        found = _by_name(solven_env.apply_many(profile, NAMES, storage=storage))
    failed = {name: type(each.error) for name, each in found.items() if each.error}
    assert failed == {"t1": ConflictError, "t2": DamagedRecordError, "t3": HeldError}
    assert [found[name].state for name in ("t1", "t2", "t3", "t4")] == ["conflict", "failed", "failed", "pending"]
    assert any(change.cause == "conflict" for change in found["t1"].changes)
    assert found["t1"].to_json()["error"] is not None
    assert len(reads) == 1
    status = _by_name(solven_env.status_many(NAMES, storage=storage, profile=profile))
    assert sorted(name for name, each in status.items() if each.state != "in-sync") == ["t1", "t2", "t3"]
    diff = _by_name(solven_env.diff_many(profile, NAMES, storage=storage))
    states = {name: each.state for name, each in diff.items() if each.state != "in-sync"}
    assert states == {"t1": "conflict", "t2": "failed", "t3": "pending"}


@pytest.mark.parametrize(
    ("sections", "options", "error"),
    [
        ({"mounts": [{"kind": "nothing"}]}, {}, ProfileError),
        ({"python": {"version": "3.12", "packages": ["six"]}}, {}, LockError),
        ({}, {"inputs": {"whom": "x"}}, UsageError),
        ({}, {"unset": ["whom"]}, UsageError),
        ({}, {"wait": -1.0}, UsageError),
        ({}, {"canary": -1}, UsageError),
        ({}, {"wait": float("nan")}, UsageError),
        ({}, {"threads": ["t1", "../t2"]}, UsageError),
        ({}, {"threads": "t1"}, UsageError),
        ({}, {"on_conflict": "maybe"}, UsageError),
    ],
)
def test_what_is_wrong_for_all_is_raised_before_anything_is_done(
    tmp_path: Path, sections: dict[str, Any], options: dict[str, Any], error: type[Exception]
) -> None:
    profile = _release(tmp_path, "x", **sections)
    storage = tmp_path / "storage"
    with pytest.raises(error):
        solven_env.apply_many(profile, **{"threads": NAMES, "storage": storage, **options})
    assert not storage.exists()


def test_no_threads_are_none(profile: Path, tmp_path: Path) -> None:
    assert list(solven_env.apply_many(profile, [], storage=tmp_path / "storage")) == []
    assert not (tmp_path / "storage").exists()


def test_the_others_are_left_alone_if_a_canary_conflicts(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    workspace = storage / "threads/t1"
    workspace.mkdir(parents=True)
    (workspace / "greeting").write_text("mine\n")
    found = _by_name(solven_env.apply_many(profile, NAMES, storage=storage, canary=2))
    assert {name: each.state for name, each in found.items()} == {"t0": "new", "t1": "conflict"}
    assert solven_env.threads(storage) == ("t0", "t1")  # t1 has its lock there, and no record


def test_a_thread_that_is_held_is_waited_for(profile: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    solven_env.apply(profile, "t1", storage=storage)
    state = LocalState(storage)
    with state.lock("t1"):
        begun = time.monotonic()
        with pytest.raises(HeldError):
            solven_env.apply(profile, "t1", storage=storage, wait=0.5)
        assert time.monotonic() - begun >= 0.5
    is_held = threading.Event()

    def hold() -> None:
        with state.lock("t1"):
            is_held.set()
            time.sleep(0.4)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(30)
    found = _by_name(solven_env.apply_many(profile, ["t1", "t2"], storage=storage, wait=30))
    holder.join()
    assert [found[name].error for name in ("t1", "t2")] == [None, None]


@pytest.mark.parametrize("is_there_a_network", [True, False])
def test_a_missing_build_is_made_once_and_its_failure_is_every_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there_a_network: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made, told = list[Any](), list[str]()

    def obtain(needs: Any, builder: None, config: Any, environ: Any, progress: Any) -> Any:
        made.append(needs)
        progress("making the build")
        time.sleep(0.1)
        if not is_there_a_network:
            raise BuildError("no network")
        return invented.obtain(needs)

    monkeypatch.setattr(builds, "find", invented.find)
    monkeypatch.setattr(builds, "obtain", obtain)
    monkeypatch.setattr(builds, "builder", lambda *_: None)
    monkeypatch.setattr(builds, "read_lock", lambda *_: {"python": invented.python({"six": "1.17.0"}).lock})
    profile = _release(tmp_path, "x", python={"version": "3.12", "packages": ["six"]}, sandbox={"backend": "proot"})
    storage = tmp_path / "storage"
    found = _by_name(solven_env.apply_many(profile, NAMES, storage=storage, progress=told.append))
    assert {str(each.error) for each in found.values()} == {"None" if is_there_a_network else "no network."}
    assert len(made) == 1
    notices = [line for line in told if "proot" in line]
    assert (told.count("making the build"), len(notices)) == (1, 1)


def test_reports_come_while_others_go_on(profile: Path, tmp_path: Path) -> None:
    """Closed after the first, the others that had begun have ended whole."""
    storage = tmp_path / "storage"
    names = [f"t{number}" for number in range(200)]
    reports = solven_env.apply_many(profile, names, storage=storage)
    next(reports)
    reports.close()
    begun = solven_env.threads(storage)
    assert 0 < len(begun) <= 3 * MOST
    assert begun == solven_env.threads(storage, profile="test")
