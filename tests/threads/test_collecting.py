"""What nobody needs is collected, and nothing else, whatever is damaged, gone or going on."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import HeldError, UsageError
from solven_env.packages import garbage, layers, store
from solven_env.run import execute
from solven_env.sandbox.backends import bubblewrap
from solven_env.state import local
from solven_env.state.local import LocalState
from solven_env.system import directories
from solven_env.threads import claims, sessions
from solven_env.threads.thread import Thread
from tests.chaos.collections import apply, invent, use
from tests.mounts import fused
from tests.reconcile.crashes import dies_at
from tests.threads import invented

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solven_env.report import GcReport

STEP = 1 if "SOLVEN_ENV_TEST_COLLECTIONS" in os.environ else 17
"""Effects between two of those at which a collection dies; most of them are one file of many that is removed."""


@pytest.fixture
def storage(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage on a host of its own, whose builds are invented."""
    invent(monkeypatch, memory_path)
    monkeypatch.setattr(local, "_PATIENCE", 0.05)
    return memory_path / "storage"


def gc(**bounds: object) -> GcReport:
    """A collection; a dry run before it says the same and does nothing."""
    foretold = solven_env.gc(dry_run=True, **bounds)  # type: ignore[arg-type]
    done = solven_env.gc(**bounds)  # type: ignore[arg-type]
    again = solven_env.gc(**bounds)  # type: ignore[arg-type]
    assert not again.collected, "one collection is enough"
    assert {(each.kind, each.name) for each in foretold.collected} <= {
        (each.kind, each.name) for each in done.collected
    }
    assert all(each.kind in ("uid", "leftover") or each.freed > 0 for each in done.collected)
    return done


def kinds(report: GcReport) -> list[tuple[str, str]]:
    """What was collected: kind and thread."""
    return sorted((each.kind, each.thread) for each in report.collected)


def builds() -> set[str]:
    """The releases whose Python build is there."""
    keys = store.keys(directories.cache())
    return {release for release in ("1.0.0", "2.0.0", "3.0.0") if key_of(release) in keys}


def key_of(release: str) -> str:
    return invented._key(invented.python({"base": release}))


def layers_of(storage: Path, thread: str) -> list[str]:
    home = Thread.find(thread, storage)
    return [place.instance for place in layers.places(home.home(home.applied())) if place.kind == "python"]


def instance(release: str) -> str:
    build = store.read(directories.cache(), key_of(release))
    assert build is not None
    return build.instance


def upgrade(storage: Path, thread: str = "t1") -> None:
    """A thread that had one release, and has another one now, both with layers."""
    for release in ("1.0.0", "2.0.0"):
        apply(storage, thread, release)
        use(storage, thread, release, "mark")


def test_what_a_generation_goes_back_to_stays(storage: Path) -> None:
    upgrade(storage)
    assert not gc().collected
    assert (builds(), len(layers_of(storage, "t1"))) == ({"1.0.0", "2.0.0"}, 2)
    found = kinds(gc(keep=1))
    assert {kind for kind, _ in found} == {"generation", "layer", "build", "bytes"}
    assert layers_of(storage, "t1") == [instance("2.0.0")]
    assert builds() == {"2.0.0"}
    assert [each.number for each in solven_env.history("t1", storage=storage).generations] == [2]
    use(storage, "t1", "2.0.0", "again")
    assert solven_env.status("t1", storage=storage).threads[0].state == "in-sync"
    assert len(list((storage / ".solven-env/rendered").iterdir())) == 3  # a file, and two locks


def test_generations_beyond_a_number_go_with_what_they_moved(storage: Path) -> None:
    workspace = storage / "threads/t1"
    for number in range(4):
        apply(storage, "t1", "1.0.0")
        (workspace / "file").unlink()
        (workspace / "file/inner").mkdir(parents=True)
        (workspace / "file/inner/x").write_text(f"{number}")
    apply(storage, "t1", "1.0.0")
    moved = storage / ".solven-env/threads/t1/moved"
    assert len(list(moved.iterdir())) == 4
    gc(keep=2)
    assert [each.number for each in solven_env.history("t1", storage=storage).generations] == [5, 4]
    assert sorted(path.name[:2] for path in moved.iterdir()) == ["4-", "5-"]
    solven_env.rollback("t1", 4, storage=storage)
    with pytest.raises(UsageError):
        solven_env.rollback("t1", 3, storage=storage)


def test_a_present_layer_keeps_the_build_below_it(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(storage, "t1", "1.0.0")
    use(storage, "t1", "1.0.0", "mark")
    with monkeypatch.context() as patch:
        patch.setattr(execute, "begin", lambda *_: None)  # no command since the upgrade
        apply(storage, "t1", "2.0.0")
    gc(keep=1)
    assert builds() == {"1.0.0", "2.0.0"}
    use(storage, "t1", "2.0.0", "mark")
    gc(keep=1)
    assert builds() == {"2.0.0"}


def test_a_reset_layer_goes(storage: Path) -> None:
    apply(storage, "t1", "1.0.0")
    use(storage, "t1", "1.0.0", "mark")
    solven_env.layer_reset("t1", kinds=["python"], storage=storage)
    assert [each.kind for each in gc().collected] == ["layer"]
    assert len(layers_of(storage, "t1")) == 1
    use(storage, "t1", "1.0.0", "more")


def test_all_of_a_thread_that_is_gone_goes(storage: Path) -> None:
    upgrade(storage)
    apply(storage, "t2", "2.0.0")
    known_as = str(Thread.find("t1", storage).storage_id)
    claims.draw(directories.data(), (), range(70000, 70010), claims.Claimant(known_as, "t1", "x"))
    for place in (storage / "threads/t1", storage / ".solven-env/threads/t1"):  # another host deleted it
        shutil.rmtree(place)
    found = kinds(gc())
    assert {("layer", "t1"), ("uid", "t1"), ("build", "")} <= set(found)
    assert builds() == {"2.0.0"}
    assert claims.claimed(directories.data()) == {}
    assert {path.name for path in (directories.data() / "layers" / known_as).iterdir()} <= {"t2", ".gone"}


def lose_record(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").unlink()


def damage_record(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").write_text('{"format": 1, "gen')


def write_newer(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").write_text('{"format": 2}')


def write_newer_generation(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/generations/1/record.json").write_text('{"format": 2}')


def write_deep(storage: Path) -> None:
    (storage / ".solven-env/threads/t1/state.json").write_text('{"format":' + "[" * 100_000)


def link_record(storage: Path) -> None:
    record = storage / ".solven-env/threads/t1/state.json"
    record.rename(storage / "elsewhere")
    record.symlink_to(storage / "elsewhere")


def move_storage(storage: Path) -> None:
    storage.rename(storage.with_name("moved"))


def damage_id(storage: Path) -> None:
    (storage / ".solven-env/storage.json").write_text("{")


def replace_storage(storage: Path) -> None:
    move_storage(storage)
    storage.mkdir()


def damage_known(storage: Path) -> None:
    for link in (directories.data() / "known/storages").iterdir():
        link.unlink()
        link.symlink_to("damaged")


@pytest.mark.parametrize(
    "harm",
    [
        *(lose_record, damage_record, write_newer, write_newer_generation, write_deep, link_record),
        *(move_storage, damage_id, replace_storage, damage_known),
    ],
    ids=lambda each: each.__name__,
)
def test_what_cannot_be_judged_stays_and_is_told(storage: Path, harm: Callable[[Path], None]) -> None:
    upgrade(storage)
    apply(storage, "other", "3.0.0")
    solven_env.delete("other", storage=storage)  # its build is garbage, for who can tell
    before = sorted(path for path in (*storage.parent.rglob("layers/*/*/*/*"), *storage.rglob("rendered/*")))
    harm(storage)
    report = solven_env.gc(keep=1)
    assert report.unjudged
    assert not report.has_failed
    assert report.collected == ()
    assert builds() == {"1.0.0", "2.0.0", "3.0.0"}
    after = [path for path in before if path.exists() or "storage" in path.parts]
    assert after == before


def test_a_forgotten_storage_keeps_its_layers_and_no_build(storage: Path) -> None:
    upgrade(storage)
    move_storage(storage)
    (left,) = {each.fix for each in solven_env.gc().unjudged if "gone for good" in each.fix}
    subprocess.run(left.partition("for good: ")[2].split(), check=True)
    report = solven_env.gc()
    assert [each.why for each in report.unjudged] == ["this host does not know of which storage these layers are"]
    assert builds() == {"2.0.0", "1.0.0"} & {"2.0.0"}  # below the present layer


def test_a_copy_keeps_what_it_needs(storage: Path) -> None:
    upgrade(storage)
    subprocess.run(["cp", "-a", storage, storage.with_name("copy")], check=True)
    solven_env.rollback("t1", 1, storage=storage.with_name("copy"))
    solven_env.delete("t1", storage=storage)
    gc(keep=1)
    assert builds() == {"1.0.0"}
    use(storage.with_name("copy"), "t1", "1.0.0", "mark")


def test_what_is_used_stays(storage: Path) -> None:
    upgrade(storage)
    build = store.read(directories.cache(), key_of("1.0.0"))
    assert build is not None
    solven_env.delete("t1", storage=storage)
    used = store.use(build)
    assert used is not None
    with used:
        report = solven_env.gc()
        assert (str(build.path), "it is used") in [(each.name, each.why) for each in report.unjudged]
        assert builds() == {"1.0.0"}
    gc()
    assert builds() == set()


def test_layers_of_a_live_session_and_of_a_command_stay(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(storage)
    found = Thread.find("t1", storage)
    home = found.home(found.applied())
    with monkeypatch.context() as patch:
        patch.setattr(bubblewrap, "look", lambda *_: sessions)
        assert not [each for each in solven_env.gc(keep=1).collected if each.kind == "layer"]
    with ExitStack() as stack:
        assert garbage.is_free(stack, str(home.path))  # as a command holds it
        assert not [each for each in solven_env.gc(keep=1).collected if each.kind == "layer"]
        with pytest.raises(HeldError, match="a command of thread t1"):
            monkeypatch.setattr(garbage, "_PATIENCE", 0.05)
            solven_env.delete("t1", storage=storage)
    assert len(layers_of(storage, "t1")) == 2
    gc(keep=1)
    assert len(layers_of(storage, "t1")) == 1


def test_an_apply_between_look_and_removal_keeps_what_it_names(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(storage)
    solven_env.delete("t1", storage=storage)
    apply(storage, "t1", "3.0.0")
    spare = garbage.spare

    def applied_meanwhile(*arguments: object) -> object:
        found = spare(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(garbage, "spare", spare)
        apply(storage, "t2", "1.0.0")
        return found

    monkeypatch.setattr(garbage, "spare", applied_meanwhile)
    solven_env.gc()
    assert builds() == {"1.0.0", "3.0.0"}
    use(storage, "t2", "1.0.0", "mark")


def test_bytes_that_an_apply_is_about_to_name_stay(storage: Path) -> None:
    apply(storage, "t1", "1.0.0")
    state = LocalState(storage)
    solven_env.delete("t1", storage=storage)
    with state.sharing():
        report = solven_env.gc()
        assert [each.why for each in report.unjudged] == ["applies go on in this storage"]
        assert len(list((storage / ".solven-env/rendered").iterdir())) == 3  # a file, and two locks
    assert [each.kind for each in gc().collected] == ["bytes"]


def test_two_at_once(storage: Path) -> None:
    apply(storage, "t1", "1.0.0")
    with garbage.alone(directories.data()), pytest.raises(HeldError, match="another gc"):
        solven_env.gc()
    gc()


def test_times_and_sizes_are_bounds(storage: Path) -> None:
    for release in ("1.0.0", "2.0.0", "3.0.0"):
        apply(storage, release[0], release)
        solven_env.delete(release[0], storage=storage)
    for age, release in enumerate(("2.0.0", "1.0.0", "3.0.0")):
        build = store.read(directories.cache(), key_of(release))
        assert build is not None
        os.utime(build.lock, (0, 10_000 - age))
    assert not [each for each in gc(older_than=10 * 365 * 86400 * 10).collected if each.kind == "build"]
    size = garbage.size_of_builds(directories.cache())
    solven_env.gc(max_size=size)
    assert builds() == {"1.0.0", "2.0.0", "3.0.0"}
    solven_env.gc(max_size=size - 1)
    assert builds() == {"1.0.0", "2.0.0"}
    solven_env.gc(max_size=0, older_than=86400)
    assert builds() == set()


@pytest.mark.parametrize("bounds", [{"keep": 0}, {"older_than": -1.0}, {"max_size": -1}, {"older_than": float("nan")}])
def test_impossible_bounds(storage: Path, bounds: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(bounds))):
        solven_env.gc(**bounds)  # type: ignore[arg-type]
    assert not storage.exists()


def test_leftovers_of_killed_processes(storage: Path) -> None:
    apply(storage, "t1", "1.0.0")
    known_as = str(Thread.find("t1", storage).storage_id)
    builds_place = directories.cache() / "builds"
    for path in (
        builds_place / f".new-{key_of('2.0.0')}-abcd/tree",
        directories.data() / "layers" / known_as / ".gone/t9-abcd/inner",
        storage / ".solven-env/threads/t1/gone/x",
        storage / ".solven-env/threads/t8",
        directories.cache() / "scratch/lock-x",
    ):
        path.mkdir(parents=True)
        if path.name != "t8":
            (path / "file").write_text("left")
    (storage / ".solven-env/threads/t8/lock").touch()
    gc()
    assert [path for path in builds_place.iterdir() if path.name.startswith(".new-")] == []
    assert [path.name for path in (storage / ".solven-env/threads").iterdir()] == ["t1"]
    assert not [*(directories.data() / "layers").rglob(".gone/*"), *storage.rglob("gone/*")]
    assert not [*(directories.cache() / "scratch").glob("lock-*")]


def test_a_link_planted_in_our_places_is_not_followed(storage: Path) -> None:
    upgrade(storage)
    solven_env.delete("t1", storage=storage)
    outside = storage.with_name("outside")
    outside.mkdir()
    (outside / "victim").touch()
    known_as = str(Thread.find("t1", storage).storage_id)
    place = directories.data() / "layers" / known_as
    (place / "t7").symlink_to(outside)
    (place / "t6").mkdir()
    (place / "t6/incarnation").symlink_to(outside)
    (directories.cache() / "builds" / key_of("9")).symlink_to(outside)
    (storage / ".solven-env/rendered" / ("a" * 64)).symlink_to(outside / "victim")
    solven_env.gc()
    assert (outside / "victim").exists()
    assert not (storage / ".solven-env/rendered" / ("a" * 64)).is_symlink()


def test_bytes_are_left_for_a_day_where_other_hosts_share(storage: Path) -> None:
    storage.mkdir()
    place = storage.with_name("mounted")
    with fused(storage, place):
        apply(place, "t1", "1.0.0")
        solven_env.delete("t1", storage=place)
        rendered = storage / ".solven-env/rendered"
        solven_env.gc()
        assert len(list(rendered.iterdir())) == 3
        for path in (place / ".solven-env/rendered").iterdir():
            os.utime(path, (0, 1_000_000_000))
        apply(place, "t1", "1.0.0")  # takes them as they are
        shutil.rmtree(storage / ".solven-env/threads/t1")  # as a host sees it that looked before
        solven_env.gc()
        assert len(list(rendered.iterdir())) == 3
        for path in (place / ".solven-env/rendered").iterdir():
            os.utime(path, (0, 1_000_000_000))
        solven_env.gc()
        assert list(rendered.iterdir()) == []


def test_it_dies_at_any_effect_and_the_next_one_finishes(storage: Path) -> None:
    upgrade(storage)
    apply(storage, "t2", "3.0.0")
    use(storage, "t2", "3.0.0", "mark")
    solven_env.layer_reset("t1", kinds=["python"], storage=storage)
    for place in (storage / "threads/t2", storage / ".solven-env/threads/t2"):
        shutil.rmtree(place)
    places = [storage, *(storage.with_name(f"XDG_{each}_HOME") for each in ("CACHE", "DATA"))]
    made = storage.with_name("made")
    made.mkdir()
    subprocess.run(["cp", "-a", *places, made], check=True)
    number, dies = 0, True
    while dies:
        for place in places:
            shutil.rmtree(place)
        subprocess.run(["cp", "-a", *made.iterdir(), storage.parent], check=True)
        dies = dies_at(number, lambda: solven_env.gc(keep=1))
        assert Thread.find("t1", storage).applied().generation == 2
        for each in Thread.find("t1", storage).applied().builds.values():
            assert store.find(directories.cache(), each["key"]) is not None, number
        solven_env.gc(keep=1)
        assert not solven_env.gc(keep=1).collected, number
        assert builds() == {"2.0.0"}, number
        assert len(layers_of(storage, "t1")) == 1, number
        number += STEP
    assert number > 100


def test_a_storage_that_was_reached_is_not_told_to_be_forgotten(storage: Path) -> None:
    upgrade(storage)
    link = storage / ".solven-env/threads/t2"
    link.symlink_to(storage.parent)
    (left, *_) = solven_env.gc().unjudged
    assert left.name.startswith(str(link)), "it names what stands there"
    assert "gone for good" not in left.fix
    assert builds() == {"1.0.0", "2.0.0"}
