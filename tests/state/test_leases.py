"""Leases, on a file system that stands in for one whose flock is local; two real mounts are in test_hosts.py."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import HeldError
from solven_env.state import leases
from solven_env.state.contents import OnlyLookedError
from solven_env.state.local import LocalState
from solven_env.system import durable
from tests.profiles import write_profile
from tests.reconcile.crashes import dies_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

FUSE = 0x65735546
NOW = time.time()


@pytest.fixture(autouse=True)
def _fuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system says that it is FUSE, and knows no flags of renameat2(2)."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(leases, "file_system_type", lambda _: FUSE)
    monkeypatch.setattr(durable, "renameat2", refuse)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the thread, with hard links and without, as on rclone."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    if not request.param:
        monkeypatch.setattr(os, "link", refuse)
    place = tmp_path / ".solven-env/threads/t1"
    place.mkdir(parents=True)
    return place


@contextmanager
def held(place: Path, told: list[str] | None = None) -> Iterator[leases.Lease]:
    """The lease, held by this host, whose flock is taken for granted."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        with leases.held(descriptor, "t1", (told if told is not None else []).append) as lease:
            yield lease
    finally:
        os.close(descriptor)


@contextmanager
def another_host() -> Iterator[None]:
    """Be another host for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "_boot", lambda: "another boot")
        yield


def names(place: Path) -> list[str]:
    """What is in the thread's directory."""
    return sorted(path.name for path in place.iterdir())


def pass_by(place: Path, seconds: float) -> None:
    """Have the leases be this much older."""
    for path in place.glob("lease*"):
        renewed = path.stat().st_mtime - seconds
        os.utime(path, (renewed, renewed))


def leave(place: Path, name: str = "lease") -> bytes:
    """A lease as a killed process of this host left it, under a name; its bytes."""
    (place / "elsewhere").mkdir()
    with held(place / "elsewhere"):
        text = (place / "elsewhere/lease").read_bytes()
    (place / "elsewhere").rmdir()
    (place / name).write_bytes(text)
    return text


def test_file_systems_of_one_host_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, needed in ((0xEF53, False), (0x01021994, False), (0x794C7630, False), (FUSE, True), (0x6969, True)):
        monkeypatch.setattr(leases, "file_system_type", lambda _, found=found: found)
        assert leases.is_needed(0) is needed


def test_another_host_is_kept_out_until_the_holder_lets_go(place: Path) -> None:
    told: list[str] = []
    with held(place) as lease:
        lease.confirm()
        pass_by(place, leases.DURATION - 5)
        with another_host(), pytest.raises(HeldError) as caught, held(place):
            pass
        until = {time.strftime("%H:%M:%S", time.gmtime(time.time() + left)) for left in (3, 4, 5)}
        assert any(f"until {each} UTC" in caught.value.message for each in until)
        assert f"an apply on {os.uname().nodename} (process {os.getpid()})" in caught.value.message
        assert caught.value.fix
        lease.confirm()
    assert names(place) == []
    with another_host(), held(place, told):
        pass
    assert (told, names(place)) == ([], [])


def test_one_that_ran_out_is_taken_over_and_its_holder_stops(place: Path) -> None:
    told: list[str] = []
    with held(place) as lease:
        pass_by(place, leases.DURATION + 1)
        with another_host(), held(place, told) as other:
            assert told == [
                f"lease: an apply on {os.uname().nodename} (process {os.getpid()}) held the thread"
                " and was silent for 60 s: taken over"
            ]
            lease.renew()
            for act in (lease.check, lease.confirm):
                with pytest.raises(HeldError, match="lost its lease of thread t1"):
                    act()
            lease.release()
            other.confirm()
            assert names(place) == ["lease"]
    assert names(place) == []


def test_the_same_host_takes_over_at_once(place: Path) -> None:
    told: list[str] = []
    leave(place)
    with another_host(), pytest.raises(HeldError), held(place):
        pass
    with held(place, told) as lease:
        lease.confirm()
    assert (told, names(place)) == ([], [])


def test_hosts_whose_clocks_differ_by_hours(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(place), another_host():
        for hours in (-5, 5):
            monkeypatch.setattr(time, "time", lambda hours=hours: NOW + hours * 3600)
            with pytest.raises(HeldError), held(place):
                pass


def test_renewing_makes_it_last(place: Path) -> None:
    with held(place) as lease:
        pass_by(place, leases.DURATION + 1)
        lease.renew()
        with another_host(), pytest.raises(HeldError), held(place):
            pass


def test_it_is_renewed_while_its_holder_is_busy(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = threading.Event()
    monkeypatch.setattr(leases, "RENEWED", 0.01)
    monkeypatch.setattr(leases.Lease, "renew", lambda _: renewed.set())
    with held(place):
        assert renewed.wait(10)


def test_a_holder_that_slept_stops_before_another_may_begin(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(place) as lease:
        later = leases._clock() + leases.DURATION - leases.MARGIN + 1
        monkeypatch.setattr(leases, "_clock", lambda: later)
        with pytest.raises(HeldError):
            lease.check()
        assert leases.MARGIN > 0


@pytest.mark.parametrize("text", [b"", b"{", b'{"host": 1}', b"[]", b"\xff", b"x" * 100_000])
def test_one_that_cannot_be_read_lasts_as_long(place: Path, text: bytes) -> None:
    (place / "lease").write_bytes(text)
    with pytest.raises(HeldError, match="held by an apply on another host until"), held(place):
        pass
    pass_by(place, leases.DURATION + 1)
    with held(place) as lease:
        lease.confirm()
    assert names(place) == []


def test_who_died_while_it_took_over(place: Path) -> None:
    """The successor's file, left by this host, by one that may still be at it, and by one that is not."""
    with another_host():
        former = leave(place)
    pass_by(place, leases.DURATION + 1)
    successor = f"lease.{hashlib.sha256(former).hexdigest()}"
    leave(place, successor)
    with held(place) as lease:
        lease.confirm()
    with another_host():
        (place / "lease").write_bytes(former)
        leave(place, successor)
    os.utime(place / "lease", (0, 0))
    with pytest.raises(HeldError), held(place):
        pass
    assert (place / "lease").read_bytes() == former
    pass_by(place, leases.DURATION + 1)
    with held(place) as lease:
        lease.confirm()


@pytest.mark.parametrize("place", [True], indirect=True, ids=["links"])
def test_of_many_hosts_one_takes_over(place: Path) -> None:
    """They all look at the same moment, and each believes that the former one has run out."""
    for _ in range(10):
        with another_host():
            leave(place)
        pass_by(place, leases.DURATION + 1)
        ready, ended = threading.Barrier(4), threading.Barrier(4)
        holding: list[int] = []

        def want(
            number: int,
            ready: threading.Barrier = ready,
            ended: threading.Barrier = ended,
            holding: list[int] = holding,
        ) -> None:
            ready.wait()
            with suppress(HeldError), held(place) as lease:
                lease.confirm()
                holding.append(number)
                ended.wait(10)
                return
            ended.wait(10)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leases, "_boot", lambda: f"boot of {threading.get_ident()}")
            hosts = [threading.Thread(target=want, args=(number,)) for number in range(4)]
            for host in hosts:
                host.start()
            for host in hosts:
                host.join()
        assert len(holding) == 1
        assert names(place) == []


def test_whoever_lost_it_writes_nothing(place: Path) -> None:
    state = LocalState(place.parents[2])
    key = "threads/t1/state.json"
    with state.lock("t1"):
        first = state.create(key, b"first")
        state.check_held("t1")
        (place / "lease").write_bytes(b"another host's")
        with pytest.raises(HeldError):
            state.compare_and_swap(key, b"mine", first)
        with pytest.raises(HeldError):
            state.create(f"{key}.2", b"mine")
        with pytest.raises(HeldError):
            state.check_held("t1")
        state.create("locks/shared", b"any thread's")
    assert names(place) == ["lease", "lock", "state.json"]
    assert (place / "state.json").read_bytes() == b"first"


def test_whoever_only_looks_takes_none_and_writes_nothing(place: Path) -> None:
    state = LocalState(place.parents[2])
    with state.lock("t1", to_look=True):
        for key in ("threads/t1/state.json", "locks/shared"):
            with pytest.raises(OnlyLookedError):
                state.create(key, b"mine")
        with pytest.raises(OnlyLookedError):
            state.check_held("t1")
        with another_host(), held(place):  # which it keeps from nothing
            assert names(place) == ["lease", "lock"]
    leave(place)
    with another_host(), pytest.raises(HeldError), state.lock("t1", to_look=True):
        pass
    with state.lock("t1", to_look=True):  # a killed apply of this host is cleared up after
        state.create("threads/t1/state.json", b"mine")
    assert names(place) == ["lock", "state.json"]


def test_an_apply_takes_one_before_it_writes_and_looks_again_then(
    tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    bashrc = tmp_path / "storage/threads/t1/.bashrc"
    take = leases.held

    def counted(directory: int, thread: str, progress: Callable[[str], None]) -> AbstractContextManager[leases.Lease]:
        taken.append(thread)
        if len(taken) > 1:
            bashrc.write_text("mine\n")  # what another host left that let go just now
        return take(directory, thread, progress)

    monkeypatch.setattr(leases, "held", counted)
    profile = write_profile(tmp_path / "test.yaml", {".bashrc": "mine\n"})

    def changed() -> int:
        return len(solven_env.apply(profile, "t1", storage=tmp_path / "storage").threads[0].changes)

    assert (changed(), taken) == (3, ["t1"])
    assert (changed(), taken) == (0, ["t1"])
    bashrc.write_text("another's\n")
    assert (changed(), taken) == (0, ["t1", "t1"])


def test_leases_are_no_keys(place: Path) -> None:
    state = LocalState(place.parents[2])
    with state.lock("t1"), another_host():
        assert names(place) == ["lease", "lock"]
        assert state.list("") == ()
        assert state.is_held("t1")
    assert not state.is_held("t1")
    leave(place)
    with another_host():
        assert state.is_held("t1")


@pytest.mark.parametrize("former", ["none", "this host's", "another's, run out"])
def test_a_death_anywhere_leaves_a_lease_that_the_next_one_takes(place: Path, former: str) -> None:
    """At each file that is made, written, linked, renamed, touched and removed."""
    state, number, died = LocalState(place.parents[2]), 0, True

    def work() -> None:
        with state.lock("t1"):
            state._leases["t1"].renew()

    while died:
        if former == "this host's":
            leave(place)
        elif former != "none":
            with another_host():
                leave(place)
            pass_by(place, leases.DURATION + 1)
        died = dies_at(number, work)
        with state.lock("t1"):
            state.create(f"threads/t1/{number}", b"")
            (place / f"{number}").unlink()
            assert names(place) == ["lease", "lock"]
        assert names(place) == ["lock"]
        number += 1
    assert number > 5


def test_the_holder_is_told_in_full(place: Path) -> None:
    with held(place):
        written = json.loads((place / "lease").read_bytes())
    assert written["host"] == os.uname().nodename
    assert (written["process"], written["device"]) == (os.getpid(), place.stat().st_dev)
    assert len(written["token"]) == 32
