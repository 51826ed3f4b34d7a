"""A record that is damaged or gone: nothing is guessed, and the newest whole generation can take its place."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import DamagedRecordError, StateError
from solven_env.state.contents import Stored
from solven_env.state.local import LocalState
from solven_env.state.recovering import read, recover, restore
from solven_env.threads.thread import vocabulary
from tests.reconcile.states import text, wanted
from tests.reconcile.threads import Thread
from tests.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solven_env.state.records import Record

ASKED = [wanted({".bashrc": text(word)}) for word in ("one", "two", "three")]
DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "evil": lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "incarnation": "../evil"})),
    "gone": lambda path: path.unlink(),
}


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    """A thread that was applied three times."""
    made = Thread(tmp_path)
    for asked in ASKED:
        made.apply(asked)
    return made


def whole(thread: Thread) -> Record:
    """The thread's record, which is whole."""
    record = read(LocalState(thread.storage), "t1", vocabulary())
    assert record is not None
    return record


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_the_newest_whole_generation_takes_its_place(thread: Thread, damage: str, lost: int) -> None:
    """`lost` of the newest generations are damaged too."""
    state, before = LocalState(thread.storage), whole(thread)
    record = thread.state / "state.json"
    DAMAGES[damage](record)
    for number in range(3, 3 - lost, -1):
        DAMAGES["cut"](thread.state / f"generations/{number}/record.json")
    bytes_before = record.read_bytes() if record.exists() else None
    untouched = snapshot(thread.storage)
    with pytest.raises(DamagedRecordError, match=r"damaged|gone") as caught:
        read(state, "t1", vocabulary())
    assert caught.value.location == str(record)
    assert f"Its generation {3 - lost} is whole" in caught.value.fix
    assert caught.value.fix.endswith("solven-env apply PROFILE t1 --restore-record")
    foreseen = recover(state, "t1", vocabulary())
    assert snapshot(thread.storage) == untouched
    done = restore(state, "t1", vocabulary())
    assert done is not None
    assert done.generation == 3 - lost
    kept = [path.read_bytes() for path in (thread.state / "damaged").glob("*")]
    assert kept == ([] if bytes_before is None else [bytes_before])
    restored = whole(thread)
    assert restored == foreseen
    assert (restored.incarnation, restored.generation) == (before.incarnation, 3)
    assert restored.resources["file:.bashrc"].digest == ASKED[2 - lost].states["file:.bashrc"].digest
    assert restore(state, "t1", vocabulary()) is None
    thread.apply(ASKED[2], overwrite=True)
    assert thread.generation == 4
    thread.check_in_sync(ASKED[2])


def test_it_clears_up_after_an_apply_that_was_killed_before_the_record_was_lost(thread: Thread) -> None:
    (thread.workspace / ".solven-env-0123456789abcdef.tmp").write_text("three")
    (thread.state / "state.json").write_text("")
    assert restore(LocalState(thread.storage), "t1", vocabulary()) is not None
    thread.apply(ASKED[2])
    thread.check_in_sync(ASKED[2])


def test_without_a_whole_generation_it_says_what_is_lost(thread: Thread) -> None:
    state = LocalState(thread.storage)
    for path in (thread.state / "state.json", *thread.state.glob("generations/*/record.json")):
        path.write_bytes(b"\0" * 100)
    before = snapshot(thread.storage)
    for look in (read, recover, restore):
        with pytest.raises(DamagedRecordError) as caught:
            look(state, "t1", vocabulary())
    with pytest.raises(DamagedRecordError) as caught:
        read(state, "t1", vocabulary())
    assert f"move {thread.state} away" in caught.value.fix
    assert "without the recorded inputs" in caught.value.fix
    assert snapshot(thread.storage) == before
    shutil.move(thread.state, thread.storage / "away")
    assert read(state, "t1", vocabulary()) is None


@pytest.mark.parametrize("which", ["state.json", "generations/3/record.json"])
def test_what_a_newer_version_wrote_is_never_replaced(thread: Thread, which: str) -> None:
    state = LocalState(thread.storage)
    (thread.state / "state.json").write_text("")
    document = json.loads((thread.state / "generations/3/record.json").read_text())
    (thread.state / which).write_text(json.dumps({**document, "format": 2}))
    before = snapshot(thread.storage)
    for look in (read, recover, restore):
        with pytest.raises(StateError, match="format 2, which this solven-env does not know"):
            look(state, "t1", vocabulary())
    assert snapshot(thread.storage) == before


def test_a_record_that_another_host_is_writing_is_read_again(thread: Thread) -> None:
    written = LocalState(thread.storage).get("threads/t1/state.json")
    assert written is not None
    halves = [Stored(written.value[:length], str(length)) for length in (10, 500)]

    class Writing(LocalState):
        def get(self, key: str) -> Stored | None:
            return halves.pop(0) if halves else super().get(key)

    state = Writing(thread.storage)
    assert read(state, "t1", vocabulary()) == whole(thread)
    halves += [Stored(written.value[:length], str(length)) for length in range(1000)]
    with pytest.raises(DamagedRecordError):
        read(state, "t1", vocabulary())
    assert len(halves) > 900


def test_a_thread_that_was_never_applied_has_none(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    assert (
        read(state, "t1", vocabulary()),
        recover(state, "t1", vocabulary()),
        restore(state, "t1", vocabulary()),
    ) == (
        None,
        None,
        None,
    )
    assert list(tmp_path.iterdir()) == []
