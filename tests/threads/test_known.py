"""Which storage a place is: what was moved, mounted again, copied, unmounted, and what the configuration says."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.config import Storage
from solven_env.errors import StateError, StorageError, StoreError
from solven_env.state.local import LocalState
from solven_env.state.storage_root import StorageRoot
from solven_env.threads import known
from solven_env.threads.known import known_storage_id
from solven_env.threads.thread import Thread
from tests.mounts import as_root, bound, fused
from tests.profiles import write_profile
from tests.reconcile.crashes import dies_at
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROFILE = {"hello": "hello\n"}


@dataclass
class Host:
    """A host with one data directory, and places beneath `base`."""

    base: Path
    said: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.base / "data"

    def meet(self, name: str, /, **asked: object) -> str:
        """The id under which an apply or a run finds the storage at a place."""
        place = Storage(self.base / name, **asked)  # type: ignore[arg-type]
        root = StorageRoot(place.root)
        met = known.settle(self.data, root, place, known.judge(self.data, root, place), self.said.append)
        assert self.look(name, **asked) == met
        return met

    def look(self, name: str, /, **asked: object) -> str | None:
        """The same as `status` finds it."""
        place = Storage(self.base / name, **asked)  # type: ignore[arg-type]
        return known.find(self.data, StorageRoot(place.root), place)

    def copy(self, source: str, target: str) -> None:
        subprocess.run(["cp", "-a", self.base / source, self.base / target], check=True)

    def move(self, source: str, target: str) -> None:
        (self.base / source).rename(self.base / target)

    def remove(self, name: str) -> None:
        shutil.rmtree(self.base / name)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def renamed(host: Host) -> str:
    host.move("a", "b")
    return "b"


def renamed_while_something_else_took_its_place(host: Host) -> str:
    host.move("a", "b")
    assert host.meet("a") != host.meet("b")
    return "b"


def renamed_back(host: Host) -> str:
    host.move("a", "b")
    host.meet("b")
    host.move("b", "a")
    return "a"


def through_a_link(host: Host) -> str:
    (host.base / "b").symlink_to("a")
    return "b"


def through_a_directory_that_is_a_link(host: Host) -> str:
    (host.base / "b").symlink_to(".")
    return "b/a"


def restored_at_its_path(host: Host) -> str:
    host.copy("a", "b")
    host.remove("a")
    host.move("b", "a")
    return "a"


def moved_to_another_file_system(host: Host) -> str:
    host.copy("a", "b")
    host.remove("a")
    return "b"


def moved_and_another_begun_there(host: Host) -> str:
    host.copy("a", "b")
    host.remove("a")
    host.meet("a")
    return "b"


def mounted_again(host: Host) -> str:
    for _ in range(2):
        with bound(host.base / "a", host.base / "b"):
            assert host.meet("b") == host.meet("a")
    with bound(host.base / "a", host.base / "c"):
        host.meet("c")
    return "a"


def mounted_elsewhere_and_the_first_path_gone(host: Host) -> str:
    host.move("a", "hidden")
    with bound(host.base / "hidden", host.base / "a"):
        host.meet("a")
    return "hidden"


SAME: dict[str, Callable[[Host], str]] = {
    "renamed": renamed,
    "renamed while something else took its place": renamed_while_something_else_took_its_place,
    "renamed back": renamed_back,
    "through a link": through_a_link,
    "through a directory that is a link": through_a_directory_that_is_a_link,
    "restored at its path": restored_at_its_path,
    "moved to another file system": moved_to_another_file_system,
    "moved, and another one begun there": moved_and_another_begun_there,
}
SAME_MOUNTED: dict[str, Callable[[Host], str]] = {
    "mounted again": mounted_again,
    "mounted elsewhere, and the first path gone": mounted_elsewhere_and_the_first_path_gone,
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_still_the_same_storage(host: Host, case: str) -> None:
    met = host.meet("a")
    assert host.meet(SAME[case](host)) == met
    assert host.said == []


@as_root
@pytest.mark.parametrize("case", SAME_MOUNTED)
def test_what_is_still_the_same_storage_when_mounted(host: Host, case: str) -> None:
    met = host.meet("a")
    assert host.meet(SAME_MOUNTED[case](host)) == met
    assert host.said == []


def copied(host: Host) -> tuple[str, ...]:
    host.copy("a", "b")
    return "a", "b"


def copied_and_the_copy_used_first(host: Host) -> tuple[str, ...]:
    host.copy("a", "b")
    return "b", "a"


def copied_twice(host: Host) -> tuple[str, ...]:
    host.copy("a", "b")
    host.copy("a", "c")
    return "c", "b", "a"


def copied_from_a_copy(host: Host) -> tuple[str, ...]:
    host.copy("a", "b")
    host.meet("b")
    host.copy("b", "c")
    return "c", "b", "a"


def copied_into_its_place(host: Host) -> tuple[str, ...]:
    host.move("a", "b")
    host.copy("b", "a")
    return "a", "b"


def copied_into_its_place_and_the_old_one_used_first(host: Host) -> tuple[str, ...]:
    host.move("a", "b")
    host.copy("b", "a")
    return "b", "a"


def renamed_and_copied(host: Host) -> tuple[str, ...]:
    host.move("a", "b")
    host.copy("b", "c")
    return "c", "b"


def removed_and_copies_left(host: Host) -> tuple[str, ...]:
    host.copy("a", "b")
    host.copy("a", "c")
    host.remove("a")
    return "b", "c"


COPIES: dict[str, Callable[[Host], tuple[str, ...]]] = {
    "copied": copied,
    "copied, and the copy used first": copied_and_the_copy_used_first,
    "copied twice": copied_twice,
    "copied from a copy": copied_from_a_copy,
    "copied into its place": copied_into_its_place,
    "copied into its place, and the old one used first": copied_into_its_place_and_the_old_one_used_first,
    "renamed and copied": renamed_and_copied,
    "removed, and copies left": removed_and_copies_left,
}


@pytest.mark.parametrize("case", COPIES)
def test_a_copy_never_shares_with_its_original(host: Host, case: str) -> None:
    """In whatever order they are used, each has an id of its own here, and keeps it. One has the layers of old."""
    first = host.meet("a")
    places = COPIES[case](host)
    met = [host.meet(place) for place in places]
    assert len(set(met)) == len(places)
    assert first in met
    assert [host.meet(place) for place in reversed(places)] == met[::-1]
    assert host.said
    assert len({known_storage_id(LocalState(host.base / place)) for place in places}) == 1


def test_a_copy_keeps_its_id_when_it_is_moved(host: Host) -> None:
    host.meet("a")
    host.copy("a", "b")
    met = host.meet("b")
    assert host.said == [
        f"storage: {host.base / 'b'} is a copy of {host.base / 'a'}, and gets layers of its own on this host"
    ]
    host.move("b", "c")
    assert host.meet("c") == met
    assert len(host.said) == 1


def test_places_that_change_keep_what_is_theirs(host: Host) -> None:
    first = host.meet("a")
    host.copy("a", "b")
    second = host.meet("b")
    host.move("a", "c")
    host.move("b", "a")
    host.move("c", "b")
    assert (host.meet("a"), host.meet("b")) == (second, first)


@as_root
def test_a_mounted_storage_that_was_copied_while_it_was_away(host: Host) -> None:
    """Whether the copy is the storage, mounted elsewhere, cannot be told then: no layer is given to it."""
    (host.base / "disk").mkdir()
    with fused(host.base / "disk", host.base / "a"):
        met = host.meet("a")
    host.copy("disk", "copied")
    with pytest.raises(StorageError, match="is not mounted now, or does not answer") as caught:
        host.meet("copied")
    assert caught.value.location == str(host.base / "copied")
    with fused(host.base / "disk", host.base / "a"):
        assert host.meet("a") == met
        assert host.meet("copied") != met
        assert host.said != []
    # The disk itself, which nobody has used at its own path: as the message says, for one that is gone.
    with pytest.raises(StorageError) as caught:
        host.meet("disk")
    subprocess.run(caught.value.fix.rpartition(": ")[2], shell=True, check=True)
    assert host.meet("disk") == met


@as_root
def test_a_fuse_mount_is_known_by_its_path(host: Host) -> None:
    (host.base / "disk").mkdir()
    met = set()
    for _ in range(2):
        with fused(host.base / "disk", host.base / "a"), fused(host.base / "disk", host.base / "another"):
            met.add(host.meet("a"))
    assert len(met) == 1


@as_root
@pytest.mark.parametrize("name", ["mnt", "mnt/agents", "mnt/deep/agents"])
def test_nothing_is_made_beneath_a_mount_point_whose_mount_is_gone(host: Host, name: str) -> None:
    (host.base / "disk").mkdir()
    with bound(host.base / "disk", host.base / "mnt"):
        met = host.meet(name)
    before = snapshot(host.base)
    for look in (host.look, host.meet):
        with pytest.raises(
            StorageError, match=rf"not mounted: {met} was here, .* at {host.base / 'mnt'} now"
        ) as caught:
            look(name)
    assert snapshot(host.base) == before
    with bound(host.base / "disk", host.base / "mnt"):
        assert host.meet(name) == met
    subprocess.run(caught.value.fix.rpartition(": ")[2], shell=True, check=True)
    other = host.meet(name)  # on purpose
    assert other != met
    with bound(host.base / "disk", host.base / "mnt"):
        assert host.meet(name) == met  # and the former one is there again when it is
    with pytest.raises(StorageError, match="not mounted"):
        host.meet(name)  # and no work goes to the other one by mistake


@as_root
def test_what_is_unmounted_in_the_middle_is_written_to_to_the_end(
    tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = Thread.settled
    (tmp_path / "disk").mkdir()
    profile = write_profile(tmp_path / "p.yaml", PROFILE)

    def unmounted(thread: Thread, progress: Callable[[str], None]) -> Thread:
        try:
            return settled(thread, progress)
        finally:
            subprocess.run(["umount", "--lazy", tmp_path / "mnt"], check=True)

    monkeypatch.setattr(Thread, "settled", unmounted)
    with bound(tmp_path / "disk", tmp_path / "mnt"):
        solven_env.apply(profile, "t1", storage=tmp_path / "mnt")
    assert os.listdir(tmp_path / "mnt") == []
    assert (tmp_path / "disk/threads/t1/hello").read_text() == "hello\n"
    assert (tmp_path / "disk/.solven-env/threads/t1/state.json").exists()


@as_root
def test_what_is_unmounted_before_a_storage_is_made_is_made_there(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    make = StorageRoot.make

    def unmounted(root: StorageRoot) -> int:
        subprocess.run(["umount", "--lazy", host.base / "mnt"], check=False, stderr=subprocess.DEVNULL)
        return make(root)

    (host.base / "disk").mkdir()
    monkeypatch.setattr(StorageRoot, "make", unmounted)
    with bound(host.base / "disk", host.base / "mnt"), pytest.raises(StorageError):  # where it is now nobody can tell
        host.meet("mnt/deep/agents")
    assert os.listdir(host.base / "mnt") == []
    assert (host.base / "disk/deep/agents/.solven-env/storage.json").exists()


def test_a_storage_that_was_removed_is_begun_anew(host: Host) -> None:
    met = host.meet("a")
    host.remove("a")
    assert host.look("a") is None
    other = host.meet("a")
    assert other != met
    (host.base / "a/.solven-env/storage.json").unlink()  # all that is in it
    assert host.meet("a") not in (met, other)


def test_an_id_that_was_lost_is_told(host: Host) -> None:
    met = host.meet("a")
    (host.base / "a/.solven-env/threads").mkdir()
    place = host.base / "a/.solven-env/storage.json"
    written = place.read_text()
    place.unlink()
    for look in (host.look, host.meet):
        with pytest.raises(StateError, match=f"id is gone, and this host knows it as {met}") as caught:
            look("a")
        assert caught.value.location == str(place)
    assert not place.exists()
    place.write_text(caught.value.fix.partition("write this there: ")[2])
    assert json.loads(place.read_text()) == json.loads(written)
    assert host.meet("a") == met


@pytest.mark.parametrize("drawn", [True, False])
def test_a_storage_of_before_is_met_as_it_is(host: Host, drawn: bool) -> None:
    """Then a first run drew the id, and no host noted what it met."""
    state = host.base / "a/.solven-env"
    (state / "threads/t1").mkdir(parents=True)
    if drawn:
        (state / "storage.json").write_text('{"format": 1, "id": "0123"}\n')
        (host.data / "layers/0123/t1").mkdir(parents=True)
    before = snapshot(host.base)
    assert host.look("a") == ("0123" if drawn else None)
    assert snapshot(host.base) == before
    met = host.meet("a")
    assert met == ("0123" if drawn else json.loads((state / "storage.json").read_text())["id"])


def test_what_the_configuration_says_of_the_id(host: Host) -> None:
    assert host.look("a", id="mine", name="prod") is None
    assert host.meet("a", id="mine", name="prod") == "mine"
    with pytest.raises(StorageError, match="has the id mine, and the host configuration says other for prod"):
        host.meet("a", id="other", name="prod")
    assert host.meet("a") == "mine"
    host.remove("a")
    (host.base / "a").mkdir()  # another one is mounted there by mistake, say, which has nothing in it yet
    with pytest.raises(StorageError, match="there is nothing of the storage prod here, which this host has used") as it:
        host.meet("a", id="mine", name="prod")
    assert os.listdir(host.base / "a") == []
    subprocess.run(it.value.fix.rpartition(": ")[2], shell=True, check=True)
    assert host.meet("a", id="mine", name="prod") == "mine"
    for made in ("b/threads", "c/.solven-env/threads"):
        (host.base / made).mkdir(parents=True)
        before = snapshot(host.base / made[0])
        with pytest.raises(StateError, match="the storage's id is gone, and this host's configuration says mine"):
            host.meet(made[0], id="mine", name="prod")
        assert snapshot(host.base / made[0]) == before


def test_a_mount_that_the_configuration_requires(host: Host) -> None:
    for name in ("a", "b"):
        for look in (host.look, host.meet):
            with pytest.raises(StorageError, match="the storage prod is not mounted") as caught:
                look(name, require_mount=True, name="prod")
            assert caught.value.location == str(host.base / name)
        (host.base / "b").mkdir(exist_ok=True)
    assert sorted(os.listdir(host.base)) == ["b"]
    assert os.listdir(host.base / "b") == []
    if os.geteuid() == 0:
        with bound(host.base, host.base / "b"):
            assert host.meet("b", require_mount=True, name="prod")


@pytest.mark.parametrize("through", ["itself", "bindfs"])
def test_first_applies_at_once_draw_one_id(host: Host, through: str) -> None:
    (host.base / "disk").mkdir()
    with ExitStack() as stack:
        if through == "bindfs":
            stack.enter_context(fused(host.base / "disk", host.base / "a"))
        with ThreadPoolExecutor(8) as pool:
            met = set(pool.map(host.meet, ["a"] * 24))
        assert met == {json.loads((host.base / "a/.solven-env/storage.json").read_text())["id"]}


@pytest.mark.parametrize("asked", [{}, {"id": "mine", "name": "prod"}])
def test_an_id_that_is_drawn_while_it_is_looked_for_is_not_lost(
    host: Host, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    """Another first apply ends between two looks of ours: its note and its threads are there, and we saw no id yet."""
    ids: list[str] = []

    def look(state: LocalState) -> str | None:
        found = known_storage_id(state)
        monkeypatch.undo()
        ids.append(host.meet("a", **asked))
        (host.base / "a/.solven-env/threads").mkdir()
        return found

    monkeypatch.setattr(known, "known_storage_id", look)
    assert host.look("a", **asked) in (None, *ids)
    assert host.meet("a", **asked) == ids[0]


def test_a_process_that_is_killed_at_any_moment_leaves_what_the_next_one_finishes(host: Host) -> None:
    for number in itertools.count():
        name = f"a{number}"
        died = dies_at(number, lambda name=name: host.meet(name))  # type: ignore[misc]
        met = host.meet(name)
        assert json.loads((host.base / name / ".solven-env/storage.json").read_text())["id"] == met
        host.copy(name, f"copy{number}")
        if died:
            dies_at(number, lambda name=name: host.meet(f"copy{name[1:]}"))  # type: ignore[misc]
        assert len({host.meet(f"copy{number}"), met}) == 2
        assert [path for path in host.data.rglob("*") if path.name.endswith(".new")] == []
        if not died:
            break
    assert number > 8


def test_what_is_damaged_is_told(host: Host) -> None:
    host.meet("a")
    for link in (*(host.data / "known/storages").iterdir(), *(host.data / "known/paths").iterdir()):
        text = os.readlink(link)
        link.unlink()
        link.symlink_to("nonsense")
        with pytest.raises(StoreError, match="is damaged") as caught:
            host.meet("a")
        assert str(link) in caught.value.fix
        link.unlink()
        link.symlink_to(text)
    assert host.meet("a")


def test_other_threads_and_layers_cost_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at a storage read a record for every layer of the host, as long as it had no id."""
    calls = []

    def count(name: str) -> None:
        real = getattr(os, name)

        def counted(*arguments: object, **named: object) -> object:
            calls.append(name)
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, counted)

    for name in ("open", "listdir", "scandir", "readlink", "stat", "lstat", "mkdir", "symlink", "rename"):
        count(name)

    def cost(look: Callable[[str], object]) -> int:
        calls.clear()
        look("a")
        return len(calls)

    cheap = [cost(host.look), cost(host.meet), cost(host.look)]
    host.remove("a")
    shutil.rmtree(host.data)
    for number in range(200):
        (host.data / f"layers/0123/t{number}/4567").mkdir(parents=True)
        (host.base / f"a/.solven-env/threads/t{number}").mkdir(parents=True)
    many = [cost(host.look), cost(host.meet), cost(host.look)]
    assert all(more <= few for more, few in zip(many, cheap, strict=True))
    assert cheap[2] <= 3
    assert known.recall(host.data, host.base / "a") == host.look("a")
