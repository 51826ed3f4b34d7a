"""A thread's needs: a lock that was lost is told, and never taken for no packages."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from solven_env.config import Config, Storage
from solven_env.errors import HeldError, StateError, UsageError
from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Python
from solven_env.reconcile.kinds.settings import settings
from solven_env.state import contents
from solven_env.state.local import LocalState
from solven_env.state.records import Record
from solven_env.state.storage_root import StorageRoot
from solven_env.threads.thread import Looks, Thread
from tests.reconcile.states import profile
from tests.state.test_contents import DAMAGES, DATA

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = hashlib.sha256(DATA).hexdigest()
SECTIONS = {
    "python": profile()._replace(packages={"python": Python("3.12", ("six",)), "bun": None}),
    "bun": profile()._replace(packages={"python": None, "bun": Bun({"is-number": "^7.0.0"})}),
}


@pytest.fixture
def thread(tmp_path: Path) -> Thread:
    root = StorageRoot(tmp_path)
    state = LocalState(root)
    contents.keep(state, f"locks/{DIGEST}", DATA)
    return Thread("t1", root, state, None, Config(), Storage(tmp_path), Looks())


def recorded(kind: str, lock: str) -> Record:
    """What an apply left of a thread with packages of a kind."""
    build = {"key": f"{kind}-{'a' * 40}", "instance": "0" * 32, "lock": lock}
    return Record("0" * 32, 1, settings=settings(SECTIONS[kind]), builds={kind: build})


@pytest.mark.parametrize("kind", SECTIONS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_text_of_a_lock_is_told(thread: Thread, kind: str, damage: str) -> None:
    record = recorded(kind, DIGEST)
    (need,) = thread.needs(record)
    assert need.lock == DATA
    place = thread.storage / ".solven-env/locks" / DIGEST
    DAMAGES[damage](place)
    with pytest.raises(StateError, match=f"the recorded lock of the {kind} packages is gone or damaged") as caught:
        thread.needs(record)
    assert caught.value.location == str(place)
    assert caught.value.fix.endswith("solven-env apply PROFILE t1")


@pytest.mark.parametrize("kind", SECTIONS)
def test_packages_without_a_recorded_lock_are_told(thread: Thread, kind: str) -> None:
    with pytest.raises(StateError, match="is gone or damaged") as caught:
        thread.needs(recorded(kind, ""))
    assert caught.value.location.endswith("threads/t1/state.json")


def test_no_packages_need_no_lock(thread: Thread) -> None:
    asked = profile()._replace(packages={"python": Python("3.12"), "bun": Bun({})})
    needs = thread.needs(Record("0" * 32, 1, settings=settings(asked)))
    assert [(need.kind, need.lock) for need in needs] == [("python", None), ("bun", None)]


def test_siblings_share_the_storage_alone(thread: Thread) -> None:
    other = thread.sibling("t2")
    with thread.state.lock("t1"), other.state.lock("t2"):
        assert other.root is thread.root
        assert thread.names() == ("t1", "t2")
        with pytest.raises(HeldError):
            other.state.lock("t1").__enter__()
    with pytest.raises(UsageError, match="is no thread id"):
        thread.sibling("../t3")


def test_names_are_those_of_threads(thread: Thread) -> None:
    assert thread.names() == ()
    for name in ("t1", "-odd", ".hidden", "a b"):
        (thread.storage / ".solven-env/threads" / name).mkdir(parents=True)
    assert thread.names() == ("t1",)
