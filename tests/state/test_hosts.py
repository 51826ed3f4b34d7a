"""Two hosts with one storage: two real mounts of one directory, whose flocks know nothing of each other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import HeldError, StateError
from solven_env.state import leases
from solven_env.state.local import LocalState
from tests.mounts import mounted
from tests.profiles import write_profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

KEY = "threads/t1/state.json"
ROUNDS = 9


@pytest.fixture(autouse=True)
def _nothing_waits_for_the_disk(own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def bindfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """One directory at two places: create-exclusive excludes there, flock does not."""
    place = tmp_path_factory.mktemp("bindfs")
    with mounted("bindfs", place / "storage", place / "one", place / "two"):
        yield place / "one", place / "two"


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """One directory at two places, in rclone's default cache mode: neither excludes. They soon see each other."""
    place = tmp_path_factory.mktemp("rclone")
    options = ("--dir-cache-time", "0s", "--attr-timeout", "0s")
    with mounted("rclone", place / "storage", place / "one", place / "two", options=options):
        yield place / "one", place / "two"


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two profiles that differ in their files."""
    place = tmp_path_factory.mktemp("profiles")
    one, two = (
        write_profile(place / f"{name}.yaml", {".bashrc": name, "both": "same", f"only/{name}": name})
        for name in ("one", "two")
    )
    return one, two


def apply(storage: Path, profile: Path, thread: str, ready: Barrier, outcomes: Queue[int | str]) -> None:
    """Apply on one host; its generation, or what kind of error there was."""
    ready.wait()
    try:
        outcomes.put(solven_env.apply(profile, thread, storage=storage).threads[0].generation)
    except Exception as error:
        outcomes.put(f"{type(error).__name__}: {error}")


def test_two_hosts_that_apply_at_once(bindfs: tuple[Path, Path], profiles: tuple[Path, Path]) -> None:
    forked = multiprocessing.get_context("fork")
    generations = [0] * 3
    for number in range(ROUNDS):
        ready, outcomes = forked.Barrier(2), forked.Queue()
        thread, before = f"at-once-{number % 3}", generations[number % 3]
        hosts = [
            forked.Process(target=apply, args=(storage, profile, thread, ready, outcomes))
            for storage, profile in zip(bindfs, profiles if number % 2 else profiles[::-1], strict=True)
        ]
        for host in hosts:
            host.start()
        found = [outcomes.get(timeout=20) for _ in hosts]
        for host in hosts:
            host.join()
        done = sorted(each for each in found if type(each) is int)
        assert all(type(each) is int or "HeldError: " in str(each) for each in found), found
        assert len(set(done)) == len(done) or before in done, found  # in sync is no generation of its own
        assert done
        (status,) = solven_env.status(thread, storage=bindfs[number % 2]).threads
        assert (status.state, status.generation, status.is_interrupted) == ("in-sync", done[-1], False)
        generations[number % 3] = done[-1]


def test_a_host_that_was_killed_is_waited_for_and_then_taken_over(
    bindfs: tuple[Path, Path], profiles: tuple[Path, Path]
) -> None:
    one, two = bindfs
    kill_one_that_holds(one)
    told: list[str] = []
    with pytest.raises(HeldError, match=r"held by an apply on .* \(process [0-9]+\) until [0-9:]{8} UTC"):
        solven_env.apply(profiles[0], "t1", storage=two)
    run_out(one)
    solven_env.apply(profiles[0], "t1", storage=two, progress=told.append)
    assert [line for line in told if "taken over" in line] == told[:1]
    kill_one_that_holds(one)
    told.clear()
    solven_env.apply(profiles[1], "t1", storage=one, progress=told.append)
    assert [line for line in told if line.startswith("lease:")] == []


def test_a_host_that_stood_still_while_another_applied_writes_nothing_any_more(
    bindfs: tuple[Path, Path], profiles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each look at its lease: the other one takes over, and has the generation's number or the next."""
    one, two = bindfs
    real, number, stood_still = LocalState._confirm, 0, True
    while stood_still:
        thread, left = f"still-{number}", number
        stood_still = False

        def stand_still(state: LocalState, held: str, thread: str = thread) -> None:
            nonlocal left, stood_still
            left -= 1
            if left == -1 and not stood_still:
                stood_still = True
                run_out(one, thread)
                with monkeypatch.context() as patch:
                    patch.setattr(LocalState, "_confirm", real)
                    solven_env.apply(profiles[1], thread, storage=two, on_conflict="overwrite")
            real(state, held)

        with monkeypatch.context() as patch:
            patch.setattr(LocalState, "_confirm", stand_still)
            with suppress(HeldError):
                solven_env.apply(profiles[0], thread, storage=one)
                assert not stood_still
        before = solven_env.status(thread, storage=two).threads[0]
        assert (before.state, before.generation in (1, 2), before.is_interrupted) == ("in-sync", True, False)
        (after,) = solven_env.apply(profiles[0], thread, storage=one).threads
        assert after.generation == before.generation + stood_still
        number += 1
    assert number > 2


def test_a_damaged_record_is_replaced_by_whom_the_thread_is_held(
    bindfs: tuple[Path, Path], profiles: tuple[Path, Path]
) -> None:
    one, two = bindfs
    solven_env.apply(profiles[0], "damaged", storage=one)
    record = one / ".solven-env/threads/damaged/state.json"
    record.write_text("{")
    with LocalState(one).lock("damaged"), pytest.raises(HeldError):
        solven_env.apply(profiles[0], "damaged", storage=two, restore_record=True)
    assert record.read_text() == "{"
    solven_env.apply(profiles[0], "damaged", storage=two, restore_record=True)


def test_no_number_is_given_twice(bindfs: tuple[Path, Path], profiles: tuple[Path, Path]) -> None:
    """A host that stood still until after its last look may put an older record back."""
    one, two = bindfs
    record = one / ".solven-env/threads/older/state.json"
    solven_env.apply(profiles[0], "older", storage=one)
    older = record.read_bytes()
    solven_env.apply(profiles[1], "older", storage=two)
    record.write_bytes(older)
    (thread,) = solven_env.apply(profiles[1], "older", storage=two, on_conflict="overwrite").threads
    assert thread.generation == 3


def kill_one_that_holds(storage: Path) -> None:
    """Have a process hold the thread, and kill it."""
    script = (
        "import sys; from pathlib import Path; from solven_env.state.local import LocalState\n"
        "with LocalState(Path(sys.argv[1])).lock('t1'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, storage],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        os.kill(holder.pid, signal.SIGKILL)


def run_out(storage: Path, thread: str = "t1") -> None:
    """Have the lease be as old as one that its holder renews no more."""
    lease = storage / ".solven-env/threads" / thread / "lease"
    renewed = lease.stat().st_mtime - leases.DURATION - 1
    os.utime(lease, (renewed, renewed))


def test_create_is_one_hosts_alone(bindfs: tuple[Path, Path]) -> None:
    states = [LocalState(storage) for storage in bindfs]
    for number in range(20):
        forked = multiprocessing.get_context("fork")
        ready, made = forked.Barrier(2), forked.Queue()

        def create(state: LocalState, number: int = number, ready: Barrier = ready, made: Queue[bool] = made) -> None:
            ready.wait()
            with suppress(StateError):
                state.create(f"made/{number}", b"")
                made.put(True)
                return
            made.put(False)

        hosts = [forked.Process(target=create, args=(state,)) for state in states]
        for host in hosts:
            host.start()
        assert sorted(made.get(timeout=20) for _ in hosts) == [False, True]
        for host in hosts:
            host.join()


def test_a_value_is_read_as_the_other_host_left_it(bindfs: tuple[Path, Path]) -> None:
    """The kernel remembers a file's size for a second, and would read a longer one no further."""
    one, two = map(LocalState, bindfs)
    version = one.create("values/one", b"")
    for number in range(100):
        value = b"x" * (number * 37 % 1000)
        version = one.compare_and_swap("values/one", value, version)
        stored = two.get("values/one")
        assert stored is not None
        assert stored.value == value


def test_rclones_default_cache(rclone: tuple[Path, Path], profiles: tuple[Path, Path]) -> None:
    """rclone refuses to close a file that was opened for writing and was not written."""
    one, two = rclone
    for number, profile in enumerate((profiles[0], profiles[0], profiles[1])):
        (done,) = solven_env.apply(profile, "t1", storage=one).threads
        assert done.generation == (1, 1, 2)[number]
    assert not LocalState(one).is_held("t1")
    with LocalState(one).lock("t1"):
        for storage in (one, two):
            with pytest.raises(HeldError):
                solven_env.apply(profiles[1], "t1", storage=storage)
        assert LocalState(two).is_held("t1")


def test_a_second_host_on_rclone(rclone: tuple[Path, Path], profiles: tuple[Path, Path]) -> None:
    one, two = rclone
    kill_one_that_holds(one)
    told: list[str] = []
    with pytest.raises(HeldError, match=r"held by an apply on .* until"):
        solven_env.apply(profiles[1], "t1", storage=two)
    run_out(one)
    solven_env.apply(profiles[0], "t1", storage=two, progress=told.append)
    assert "taken over" in told[0]
